"""Every quantity the paper quotes in its text, recomputed from its own printed cells and compared by rule.

A recipe is the computation that a wording asks for (`wordings`). A statement that no recipe fits is an error: nothing
is left out in silence.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL
from falserefusal.published.wordings import listed_models, read_wording

READING_ERROR = 0.01  # percentage points: Figure 1 is read off its vector drawing, not printed as numbers
TASK_WORDS = {"NLI": "nli", "politeness": "politeness", "offensiveness": "offensiveness"}

COLUMNS = ["id", "section", "quantity", "unit", "printed", "recomputed", "difference", "conclusion", "reason"]


class Cells:
    """The printed cells, asked in the words of the statements; all rates in percent."""

    def __init__(self, cells: pd.DataFrame, printed: dict[str, pd.DataFrame], importance: pd.DataFrame, regression):
        by_persona = cells[(cells["persona"] != ALL) & (cells["format"] == ALL)]
        self.rate = by_persona.assign(rate=100 * by_persona["refusals"] / by_persona["n"])
        self.counts = by_persona
        form = printed["format_heatmaps"]
        self.format_rate = form.set_index(["model", "task", "format"])["refusal_pct"]
        figure1 = printed["fig1_baseline_offensiveness"].set_index("model")
        self.baseline = figure1["baseline_refusal_pct_read_from_vector"]
        self.index = importance[importance["scope"] == "all"].set_index("factor")["index"]
        table7 = printed["table7_logit"]
        self.table7 = dict(
            zip(zip(table7["type"], table7["variable"].str.lower(), strict=True), table7["coef"], strict=True)
        )
        likelihood = regression[regression["method"].str.startswith("ML")]  # not the penalised fit beside it
        self.refit = likelihood.set_index(["term", "level"])["coef"]
        self.refit_note = likelihood.set_index(["term", "level"])["printed_term_note"].fillna("")
        self.table1 = printed["table1_refusal_pct"].set_index("model")

    def model_task(self, model: str, task: str) -> float:
        """Percent of refusals of one model in one task, over all persona prompts."""
        cell = self.counts[(self.counts["model"] == model) & (self.counts["task"] == task)]
        if cell.empty:
            raise InputError(f"the printed cells have no {model} in {task}")
        return 100 * cell["refusals"].sum() / cell["n"].sum()

    def by_model(self, task: str) -> pd.Series:
        """`model_task` of every model."""
        return pd.Series({model: self.model_task(model, task) for model in self.counts["model"].unique()})

    def persona_mean(self, persona: str, models: list[str] | None = None) -> float:
        """Unweighted mean over tasks and models of a persona's cell rates."""
        cell = self.rate[self.rate["persona"] == persona]
        cell = cell if models is None else cell[cell["model"].isin(models)]
        if cell.empty:
            raise InputError(f"the printed cells have no persona {persona!r} for {models or 'any model'}")
        return cell["rate"].mean()


def _design_size(cells: Cells, task: str) -> dict:
    return {"recomputed": cells.counts[cells.counts["task"] == TASK_WORDS[task]].drop_duplicates("persona")["n"].sum()}


def _mean_over_models(cells: Cells, task: str) -> dict:
    from_table1 = cells.table1[TASK_WORDS[task]].mean()
    reason = f"the mean of the printed Table 1 is {from_table1:.3f}; some of its entries differ from the cells"
    return {"recomputed": cells.by_model(TASK_WORDS[task]).mean(), "reason": reason}


def _extreme(cells: Cells, which: str, task: str) -> dict:
    rates = cells.by_model(TASK_WORDS[task])
    return {"recomputed": rates.max() if which == "highest" else rates.min()}


def _one_rate(cells: Cells, model: str, task: str) -> dict:
    return {"recomputed": cells.model_task(model, TASK_WORDS[task])}


def _no_refusals(cells: Cells, model: str) -> dict:
    rates = {task: cells.model_task(model, task) for task in TASK_WORDS.values()}
    worst = max(rates, key=rates.get)
    return {"recomputed": rates[worst], "reason": f"the cells give {rates[worst]:.2f} % for {worst}"}


def _persona_minus_baseline(cells: Cells, task: str, model: str) -> dict:
    value = cells.model_task(model, TASK_WORDS[task]) - cells.baseline[model]
    return {"recomputed": value, "slack": READING_ERROR, "reason": "baseline rate read off Figure 1 (± 0.01)"}


def _silent_models(cells: Cells, names: str) -> dict:
    rates = {}
    for model in listed_models(names):
        rates[model] = max(*(cells.model_task(model, task) for task in TASK_WORDS.values()), cells.baseline[model])
    loud = {model: rate for model, rate in rates.items() if rate > 0}
    listed = ", ".join(f"{model} {rate:.2f} %" for model, rate in loud.items())
    return {"recomputed": len(rates) - len(loud), "reason": f"refuse somewhere: {listed}" if loud else ""}


def _persona_mean(cells: Cells, persona: str) -> dict:
    return {"recomputed": cells.persona_mean(persona)}


def _persona_mean_of(cells: Cells, names: str, persona: str) -> dict:
    return {"recomputed": cells.persona_mean(persona, listed_models(names))}


def _format(cells: Cells, model: str, task: str, form: str) -> dict:
    return {"recomputed": cells.format_rate[model, TASK_WORDS[task], form]}


def _importance(cells: Cells, factor: str) -> dict:
    if factor == "prompt":
        return {
            "recomputed": cells.index["format"],
            "at_least": True,
            "reason": "no printed cell carries the nine prompts; the index of their three formats is a lower bound, "
            "because the index cannot fall when a factor is split further",
        }
    return {"recomputed": cells.index[factor], "reason": "the paper's own formula applied to all its printed cells"}


def _coefficient(cells: Cells, term: str, level: str) -> dict:
    refit = cells.refit.get((term, level), np.nan)
    table7 = cells.table7.get((term, level.lower()))
    if table7 is None:
        raise InputError(f"Table 7 has no {term} {level}")
    note = cells.refit_note.get((term, level), "")
    return {
        "recomputed": refit,
        "incomparable": f"a refit on the printed cells has no prompt term, so it is not the same quantity; {note}",
        "elsewhere": table7,
    }


def _pseudo_r2(cells: Cells) -> dict:
    return {
        "recomputed": cells.refit.get(("fit", "McFadden R2"), np.nan),
        "incomparable": "a refit on the printed cells lacks the prompt term, so its fit can only be poorer",
    }


RECIPES: dict[str, Callable[..., dict]] = {
    "design size": _design_size,
    "mean over models": _mean_over_models,
    "extreme": _extreme,
    "one rate": _one_rate,
    "no refusals": _no_refusals,
    "persona minus free": _persona_minus_baseline,
    "silent models": _silent_models,
    "persona mean": _persona_mean,
    "persona mean of models": _persona_mean_of,
    "format": _format,
    "importance": _importance,
    "coefficient": _coefficient,
    "pseudo R2": _pseudo_r2,
}


def _conclusion(printed: float, decimals: int, found: dict) -> tuple[str, str]:
    """agrees, differs or not recomputable, with the reason; agreement is within the printed rounding."""
    rounding = 0.5 * 10.0**-decimals + 1e-9
    reason, value = found.get("reason", ""), found["recomputed"]
    cut = np.isfinite(value) and np.trunc(value * 10**decimals) / 10**decimals == printed
    if "incomparable" in found:
        elsewhere = found.get("elsewhere")
        if elsewhere is not None and abs(printed - elsewhere) > rounding:
            return "differs", f"Table 7 prints {elsewhere:+.2f}; {found['incomparable']}"
        return "not recomputable", found["incomparable"]
    if found.get("at_least"):
        return ("differs" if printed + rounding < value else "not recomputable"), reason
    if abs(printed - value) <= rounding + found.get("slack", 0):
        return "agrees", ""
    return "differs", reason or (f"{value:.4f} cut, not rounded, to {decimals} decimals" if cut else "")


def check_statements(quoted: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """One row per quoted quantity: id, section, quantity, unit, printed, recomputed, difference, conclusion, reason.

    `quoted` has columns id, section, quantity, value, unit, note and decimals (as printed). Difference is
    recomputed minus printed, in the statement's unit.
    """
    rows = []
    for statement in quoted.itertuples():
        kind, arguments = read_wording(statement.quantity)
        found = RECIPES[kind](cells, **arguments)
        # the paper writes a rate of exactly zero as "0", all others with two decimals
        decimals = max(statement.decimals, 2) if statement.unit in ("%", "pp") else statement.decimals
        conclusion, reason = _conclusion(statement.value, decimals, found)
        value = float(found["recomputed"])
        quoted_as = [statement.id, statement.section, statement.quantity, statement.unit, statement.value]
        difference = value - statement.value if np.isfinite(value) else np.nan
        rows.append([*quoted_as, value, difference, conclusion, reason])
    return pd.DataFrame(rows, columns=COLUMNS)


def check_tables(cells: Cells, printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The paper's tables and figures held against each other: every number of Table 1, and the pooled formats.

    Columns source, item, unit, printed, recomputed, difference, conclusion. Table 1 is recomputed from the persona cells;
    the rate of each model and task pooled over the format heat maps is held against the same persona cells.
    """
    rows = []
    for row in printed["table1_refusal_pct"].itertuples():
        for task in TASK_WORDS.values():
            rows.append(
                ("Table 1", f"{row.model}, {task}", getattr(row, task), cells.model_task(row.model, task), 0.005)
            )
    formats = printed["format_heatmaps"].assign(weighted=lambda f: f["refusal_pct"] * f["n"])
    pooled = formats.groupby(["task", "model"], sort=False)[["weighted", "n"]].sum()
    for (task, model), (weighted, n) in pooled.iterrows():
        figure = {"offensiveness": "Figure 4", "nli": "Figure 10", "politeness": "Figure 11"}[task]
        rows.append(
            (figure, f"{model}, {task}, pooled over formats", weighted / n, cells.model_task(model, task), 0.005)
        )
    table = pd.DataFrame(rows, columns=["source", "item", "printed", "recomputed", "rounding"])
    table.insert(2, "unit", "%")
    table["difference"] = table["recomputed"] - table["printed"]
    agrees = table["difference"].abs() <= table.pop("rounding") + 1e-9
    return table.assign(conclusion=np.where(agrees, "agrees", "differs"))
