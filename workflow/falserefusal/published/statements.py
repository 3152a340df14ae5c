"""Recompute every quantity that the paper quotes in its text from its own printed cells, and compare the two by rule.

The wording of a quantity selects a recipe, which computes it (`wordings`). A statement without a recipe is an error,
so that none is left out unnoticed.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL
from falserefusal.published.wordings import listed_models, read_wording

READING_ERROR = 0.01  # percentage points: Figure 1 prints no numbers; its rates were measured in the vector drawing
TASK_WORDS = {"NLI": "nli", "politeness": "politeness", "offensiveness": "offensiveness"}

COLUMNS = ["id", "section", "quantity", "unit", "printed", "recomputed", "difference", "conclusion", "reason"]


class Cells:
    """The printed numbers by the names that the statements use; all rates in percent."""

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
        likelihood = regression[regression["method"].str.startswith("ML")]  # not the penalised fit in the same table
        self.refit = likelihood.set_index(["term", "level"])["coef"]
        self.refit_note = likelihood.set_index(["term", "level"])["printed_term_note"].fillna("")
        self.table1 = printed["table1_refusal_pct"].set_index("model")

    def model_task(self, model: str, task: str) -> float:
        """Refusal rate of a model in a task over all persona prompts, in percent."""
        cell = self.counts[(self.counts["model"] == model) & (self.counts["task"] == task)]
        if cell.empty:
            raise InputError(f"the printed cells have no {model} in {task}")
        return 100 * cell["refusals"].sum() / cell["n"].sum()

    def by_model(self, task: str) -> pd.Series:
        """Refusal rate of every model in a task, in percent."""
        return pd.Series({model: self.model_task(model, task) for model in self.counts["model"].unique()})

    def persona_mean(self, persona: str, models: list[str] | None = None) -> float:
        """Unweighted mean of a persona's rates over tasks and models, in percent; `models=None` means all models."""
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
    worst = max(rates, key=rates.__getitem__)
    return {"recomputed": rates[worst], "reason": f"the cells give {rates[worst]:.2f} % for {worst}"}


def _persona_minus_baseline(cells: Cells, task: str, model: str) -> dict:
    value = cells.model_task(model, TASK_WORDS[task]) - cells.baseline[model]
    return {"recomputed": value, "slack": READING_ERROR, "reason": "baseline rate measured in Figure 1 (± 0.01)"}


def _models_without_refusals(cells: Cells, names: str) -> dict:
    rates = {}
    for model in listed_models(names):
        rates[model] = max(*(cells.model_task(model, task) for task in TASK_WORDS.values()), cells.baseline[model])
    refusing = {model: rate for model, rate in rates.items() if rate > 0}
    listed = ", ".join(f"{model} {rate:.2f} %" for model, rate in refusing.items())
    reason = f"models with refusals: {listed}" if refusing else ""
    return {"recomputed": len(rates) - len(refusing), "reason": reason}


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
            "reason": "the printed cells do not separate the nine prompts; the index of their three formats is a lower "
            "bound, because splitting the levels of a factor cannot lower its index",
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
        "incomparable": f"a refit on the printed cells has no prompt term, so it is another quantity; {note}",
        "elsewhere": table7,
    }


def _pseudo_r2(cells: Cells) -> dict:
    return {
        "recomputed": cells.refit.get(("fit", "McFadden R2"), np.nan),
        "incomparable": "a refit on the printed cells has no prompt term, so its R-squared can only be lower",
    }


RECIPES: dict[str, Callable[..., dict]] = {
    "design size": _design_size,
    "mean over models": _mean_over_models,
    "extreme": _extreme,
    "one rate": _one_rate,
    "no refusals": _no_refusals,
    "persona minus baseline": _persona_minus_baseline,
    "models without refusals": _models_without_refusals,
    "persona mean": _persona_mean,
    "persona mean of models": _persona_mean_of,
    "format": _format,
    "importance": _importance,
    "coefficient": _coefficient,
    "pseudo R2": _pseudo_r2,
}


def _conclusion(printed: float, decimals: int, found: dict) -> tuple[str, str]:
    """Return agrees, differs or not recomputable, and the reason; values agree if equal within the printed rounding."""
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
    return "differs", reason or (f"{value:.4f} truncated, not rounded, to {decimals} decimals" if cut else "")


def check_statements(quoted: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """Compare every quoted quantity with its recomputed value.

    Parameters
    ----------
    quoted : columns id, section, quantity, value, unit, note and decimals (printed digits after the point)
    cells : the printed numbers that the values are recomputed from

    Returns
    -------
    One row per quantity: id, section, quantity, unit, printed, recomputed, difference (recomputed minus printed, in
    the unit of the statement), conclusion (agrees, differs, not recomputable) and reason.
    """
    rows = []
    for statement in quoted.itertuples():
        recipe, arguments = read_wording(statement.quantity)
        found = RECIPES[recipe](cells, **arguments)
        # the paper prints a rate of exactly zero as "0", all other rates with two decimals
        decimals = max(statement.decimals, 2) if statement.unit in ("%", "pp") else statement.decimals
        conclusion, reason = _conclusion(statement.value, decimals, found)
        value = float(found["recomputed"])
        quoted_as = [statement.id, statement.section, statement.quantity, statement.unit, statement.value]
        difference = value - statement.value if np.isfinite(value) else np.nan
        rows.append([*quoted_as, value, difference, conclusion, reason])
    return pd.DataFrame(rows, columns=COLUMNS)


def check_tables(cells: Cells, printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare the paper's tables and figures with each other.

    The persona cells (Figures 7 to 9) give the rate of each model and task. It is compared with Table 1, and with the
    rate pooled over the format heat maps (Figures 4, 10 and 11). Returns columns source, item, unit, printed,
    recomputed, difference and conclusion.
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
