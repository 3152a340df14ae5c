"""Decide for every number and claim of the paper whether a study reproduces it, by a rule fixed before the numbers.

A printed value is reproduced if the study's estimate differs from it by at most a tolerance: the sampling errors of
both studies, the rounding of the printed value and, where it is known, the range of the labeller's errors
(docs/methods/comparison.md). Only estimates of the same quantity are compared (`study.comparison`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from falserefusal.common.printed import (
    BASELINE_RATE,
    CELL,
    CLAIM,
    COEFFICIENT,
    FORMAT,
    IMPORTANCE,
    PERSONA_BY_MODEL,
    PERSONA_MEAN,
    QUANTITIES,
    RATE,
    RATE_MEAN,
)
from falserefusal.common.schemas import ANY_PERSONA, FORMATS, REFERENCES
from falserefusal.estimation.claims import CONTRADICTED, SUPPORTED
from falserefusal.estimation.rates import MEAN
from falserefusal.estimation.regression import STOPPED, printed_terms
from falserefusal.statistics.intervals import mover, wilson_rare
from falserefusal.study.comparison import Comparison

Frames = Mapping[str, pd.DataFrame]
REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable"
TEXT_CORRELATION = 0.3  # of two responses to one text in the paper, assumed: it prints no responses by text
DRAWS = 10  # responses of a model to a text, in the paper
WIDEST = {"rate": 0.05, "log-odds": 0.5}  # sampling errors above which nothing can be said
PAPERS_LABELLER = "phrase_list"
HALF_DIGIT = 0.005  # rounding of a percentage or coefficient printed with two decimals
Z95 = 1.959964
GENERATIONS = {"Llama2-7B": "Llama 2/3/3.1", "Gemma2-2B": "Gemma2"}  # scope of a quoted mean, by its first model
COLUMNS = ["quantity", "item", "values", "unit", "printed", "estimate", "lo", "hi", "difference", "tolerance"]
COLUMNS += ["study_error", "paper_error", "rounding", "labeller_error", "result", "reason", "method"]


def reproduction_table(tables: Frames, printed: Frames, comparison: Comparison, labeller: str) -> pd.DataFrame:
    """Compare every number and claim that the paper prints with this study's.

    Parameters
    ----------
    tables : the study's tables by name: rates_model_task, rates_persona, rates_model_persona,
        rates_task_model_persona, rates_format, rates_baseline, importance, regression, claims; if there are any,
        labeller_range or corrected_rates.
    printed : the frames of config/published, by file name.
    comparison : which quantities are the same in the study and in the paper.
    labeller : the study's first labeller.

    Returns
    -------
    COLUMNS, one row for each printed value that the study estimates too, and one row for the others of each quantity:
    values (how many printed values the row stands for), printed, estimate, lo, hi and difference (in the unit: a rate
    is a proportion), tolerance and its parts (empty: not known), result (reproduced, not reproduced, not testable) and
    reason.
    """
    paper = Paper(printed)
    makers = {
        RATE: lambda: _rates(tables["rates_model_task"], paper.rates()),
        RATE_MEAN: lambda: _rates(tables["rates_model_task"].query("model == @MEAN"), paper.rate_means()),
        BASELINE_RATE: lambda: _baseline(tables["rates_baseline"], printed["fig1_baseline_offensiveness"]),
        PERSONA_MEAN: lambda: _rates(tables["rates_persona"], paper.persona_means()),
        PERSONA_BY_MODEL: lambda: _rates(tables["rates_model_persona"], paper.persona_by_model()),
        CELL: lambda: _rates(tables["rates_task_model_persona"], paper.cells()),
        FORMAT: lambda: _rates(tables["rates_format"], paper.formats()),
        IMPORTANCE: lambda: _importance(tables["importance"], printed["figure5_importance"]),
        COEFFICIENT: lambda: _coefficients(tables["regression"], printed["table7_logit"], paper),
    }
    parts = []
    for quantity, number in QUANTITIES.items():
        if not comparison.has(quantity):
            reason = comparison.absent.get(quantity, "the study is not compared with the paper")
            rows = pd.DataFrame()
        elif quantity == CLAIM:
            parts.append(_claims(tables["claims"]).assign(quantity=CLAIM, values=1))
            continue
        else:
            rows = _shared(makers[quantity](), comparison)
            if len(rows):
                rows = _decide(_with_labeller_error(rows, quantity, tables, labeller))
                rows = rows.assign(quantity=quantity, values=1)
            reason = "the study has no estimate for their model, task, persona, format or term"
        if len(rows) < number:
            item = f"{'all' if rows.empty else 'other'} {number - len(rows)} values"
            rest = {"quantity": quantity, "item": item, "values": number - len(rows)}
            rows = pd.concat([rows, pd.DataFrame([rest | {"result": NOT_TESTABLE, "reason": reason}])])
        parts.append(rows)
    return pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)


class Paper:
    """The paper's printed rates, each with a 95% interval (paper_lo, paper_hi) from its printed n.

    Two responses to the same text are taken to be correlated by TEXT_CORRELATION, be they of one model or of two. With
    m responses to a text, the variance of a rate is 1 + TEXT_CORRELATION (m - 1) times the binomial one.
    """

    def __init__(self, printed: Frames):
        self.printed = printed
        counts = printed["counts_task_model_persona"]
        prompts = counts.groupby(["task", "model"])["n"].sum().groupby("task").first()
        self.texts = prompts / DRAWS
        self.counts = self._with_interval(counts.rename(columns={"refusal_pct": "percent"}))

    def _with_interval(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add rate, per_text (responses to a text), effect (design effect), paper_lo and paper_hi."""
        per_text = frame["n"] / frame["task"].map(self.texts)
        effect = 1 + TEXT_CORRELATION * np.maximum(per_text - 1, 0)
        rate, n = frame["percent"] / 100, frame["n"] / effect
        lo, hi = wilson_rare(rate * n, n)
        return frame.assign(printed=rate, per_text=per_text, effect=effect, paper_lo=lo, paper_hi=hi)

    def _mean(self, cells: pd.DataFrame) -> tuple[float, float]:
        """Interval of the mean of cells; those of one task share their texts."""
        load = np.sqrt(TEXT_CORRELATION * cells["per_text"] / cells["effect"]).to_numpy()
        task = cells["task"].to_numpy()
        shared = np.where(task[:, None] == task[None, :], load[:, None] * load[None, :], 0.0)
        np.fill_diagonal(shared, 1.0)
        lo, hi = mover(1 / len(cells), cells["printed"], cells["paper_lo"], cells["paper_hi"], shared)
        return max(float(lo), 0.0), min(float(hi), 1.0)

    def rates(self) -> pd.DataFrame:
        """Table 1, with the n of the persona cells."""
        table = self.printed["table1_refusal_pct"].melt("model", var_name="task", value_name="percent")
        n = self.counts.groupby(["model", "task"])["n"].sum().reset_index()
        return self._with_interval(table.merge(n, on=["model", "task"]))

    def rate_means(self) -> pd.DataFrame:
        """The quoted means over models of Table 1."""
        words = {"NLI": "nli"}
        rows = []
        for row in self._quoted("mean over models of refusal rate, "):
            task = words.get(row.rest, row.rest)
            lo, hi = self._mean(self.rates().query("task == @task"))
            rows.append({"model": MEAN, "task": task, "printed": row.value / 100, "paper_lo": lo, "paper_hi": hi})
        return pd.DataFrame(rows)

    def cells(self) -> pd.DataFrame:
        """The heat maps by task, model and persona."""
        return self.counts

    def formats(self) -> pd.DataFrame:
        """The heat maps by task, model and format."""
        return self._with_interval(self.printed["format_heatmaps"].rename(columns={"refusal_pct": "percent"}))

    def persona_means(self) -> pd.DataFrame:
        """The quoted means of personas over tasks and all models, or those of some generations."""
        rows = []
        for row in self._quoted("mean over "):
            if "persona " not in row.rest:
                continue
            over, persona = row.rest.split(", persona ")
            first = over.split(",")[0]
            family = first.split("-")[0]
            listed = [name.strip().removesuffix(" and tasks") for name in over.split(",")]
            models = [f"{family}{name}" if name.startswith("-") else name for name in listed]
            every = first == "models and tasks"
            cells = self.counts[self.counts["persona"] == persona]
            cells = cells if every else cells[cells["model"].isin(models)]
            lo, hi = self._mean(cells)
            scope = "all models" if every else GENERATIONS[first]
            rows.append(
                {"scope": scope, "persona": persona, "printed": row.value / 100, "paper_lo": lo, "paper_hi": hi}
            )
        return pd.DataFrame(rows)

    def persona_by_model(self) -> pd.DataFrame:
        """The quoted means over tasks of some personas in a model."""
        rows = []
        for row in self.printed["quoted_statements"].itertuples():
            model, found, persona = row.quantity.partition(" mean over tasks, persona ")
            if found:
                lo, hi = self._mean(self.counts.query("model == @model and persona == @persona"))
                rows.append(
                    {"model": model, "persona": persona, "printed": row.value / 100, "paper_lo": lo, "paper_hi": hi}
                )
        return pd.DataFrame(rows)

    def information(self) -> pd.Series:
        """Information, n p (1 - p) over the design effect, of each (term, level) of the logistic regression.

        Templates have the rate of their format, because the paper prints no other.
        """
        counts = self.counts.assign(unit=1 + TEXT_CORRELATION * (DRAWS - 1))
        counts["information"] = counts["n"] * counts["printed"] * (1 - counts["printed"]) / counts["unit"]
        parts = {term: counts.groupby(term)["information"].sum() for term in ("persona", "task", "model")}
        formats = self.formats()
        spread = (formats["printed"] * (1 - formats["printed"])).groupby([formats["task"], formats["format"]]).sum()
        prompts = self.printed["table6_prompt_n"].set_index("prompt")
        unit = counts["unit"].iloc[0]
        parts["template"] = pd.Series(
            {
                name: sum(row[task] * spread[task, FORMATS[k // 3]] for task in prompts.columns) / unit
                for k, (name, row) in enumerate(prompts.iterrows())
            }
        )
        return pd.concat(parts)

    def _quoted(self, start: str):
        """The quoted numbers that begin with these words, with the rest of the words."""
        quoted = self.printed["quoted_statements"]
        own = quoted[quoted["quantity"].str.startswith(start)]
        return own.assign(rest=own["quantity"].str.removeprefix(start)).itertuples()


def _rates(estimates: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Rows for the rates that both have."""
    key = [name for name in ("scope", "task", "model", "persona", "format") if name in printed and name in estimates]
    both = estimates.merge(printed[[*key, "printed", "paper_lo", "paper_hi"]], on=key)
    both["item"] = both[key].agg(", ".join, axis=1) if len(both) else ""
    return both.assign(unit="rate", estimate=both["rate"], rounding=HALF_DIGIT / 100, reason="")


def _baseline(estimates: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Rows for the baseline rates of Figure 1, whose n is not printed."""
    own = estimates[(estimates["task"] == "offensiveness") & estimates["baseline_rate"].notna()]
    both = own.drop(columns=["lo", "hi"]).merge(printed, on="model")
    return both.rename(columns={"baseline_lo": "lo", "baseline_hi": "hi", "baseline_rate": "estimate"}).assign(
        item=both["model"],
        unit="rate",
        printed=both["baseline_refusal_pct_read_from_vector"] / 100,
        reason="the paper prints no number of baseline prompts, so its sampling error is not known",
    )


def _importance(estimates: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Rows for the bars of Figure 5, whose error is not printed."""
    both = estimates.query("scope == 'all'").drop(columns="printed", errors="ignore")
    both = both.merge(printed.assign(factor=printed["factor"].replace("prompt", "template")), on="factor")
    return both.rename(columns={"importance": "printed", "index": "estimate"}).assign(
        item=both["factor"],
        unit="index",
        reason="the paper prints no error of its index, and its printed cells do not give its bars",
    )


def _coefficients(table: pd.DataFrame, table7: pd.DataFrame, paper: Paper) -> pd.DataFrame:
    """Rows for the coefficients of Table 7, re-based to the study's reference levels."""
    own = table[table["term"].isin(["persona", "template", "task", "model"])].drop_duplicates(["term", "level"])
    information = paper.information()
    levels = set(zip(own["term"], own["level"], strict=True))
    ours = {}  # the reference has no row
    for term in own["term"].unique():
        rest = [level for level in information[term].index if (term, level) not in levels]
        ours[term] = rest[0] if len(rest) == 1 else REFERENCES[term]
    printed = printed_terms(table7, ours)
    both = own.drop(columns=["printed", "printed_term_note"], errors="ignore").merge(printed, on=["term", "level"])
    base = both["term"].map(lambda term: information[term][ours[term]])
    value = pd.Series([information.get((row.term, row.level), np.nan) for row in both.itertuples()], dtype=float)
    with np.errstate(divide="ignore"):
        error = Z95 * np.sqrt(1 / value + 1 / base)
    both = both.assign(
        item=both["term"] + ", " + both["level"],
        unit="log-odds",
        estimate=both["coef"],
        rounding=HALF_DIGIT * np.where(both["term"].map(lambda term: ours[term] == REFERENCES[term]), 1, 2),
        paper_lo=both["printed"] - error,
        paper_hi=both["printed"] + error,
        reason="" if "template" in ours else "the fit of Table 7 has the template, and this study's has not",
    )
    stopped = both["printed"].isna() | (both["printed"].abs() >= STOPPED)
    both.loc[stopped, "reason"] = "the printed value, or that of the reference level, is where the paper's fit stopped"
    return both


def _shared(rows: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """Rows of models, personas and tasks that are the paper's; another model may have the name of one."""
    for column, names in (
        ("model", (*comparison.models, MEAN)),
        ("persona", comparison.personas),
        ("task", comparison.tasks),
    ):
        if column in rows:
            rows = rows[rows[column].isin(names)]
    return rows.reset_index(drop=True)


def _with_labeller_error(rows: pd.DataFrame, quantity: str, tables: Frames, labeller: str) -> pd.DataFrame:
    """Add how far the labeller's errors move an estimate down and up (below, above); empty where that is not known.

    The paper's own labeller makes the same errors in the paper, so that they are no reason for a difference.
    """
    if labeller == PAPERS_LABELLER:
        return rows.assign(below=0.0, above=0.0)
    rows = rows.assign(below=np.nan, above=np.nan)
    if quantity not in (RATE, RATE_MEAN) or rows.empty:
        return rows
    key = rows["model"] + ", " + rows["task"]
    if "corrected_rates" in tables:
        table = tables["corrected_rates"]
        own = table[(table["labeller"] == labeller) & (table["group"] == ANY_PERSONA)]
        level, ends = own["model"] + ", " + own["task"], own[["rate", "corrected"]]
        lowest, highest = (
            pd.Series(end.to_numpy(), level).reindex(key).to_numpy() for end in (ends.min(axis=1), ends.max(axis=1))
        )
    elif "labeller_range" in tables:
        table = tables["labeller_range"]
        own = table[table["quantity"].isin(["refusal rate", "mean refusal rate"])]
        level = own["level"].where(own["quantity"] == "refusal rate", f"{MEAN}, " + own["level"].astype(str))
        lowest, highest = (
            pd.Series(own[end].to_numpy(float), level).reindex(key).to_numpy() for end in ("lowest", "highest")
        )
    else:
        return rows
    estimate = rows["estimate"]
    return rows.assign(below=np.maximum(estimate - lowest, 0), above=np.maximum(highest - estimate, 0))


def _decide(rows: pd.DataFrame) -> pd.DataFrame:
    """Add difference, tolerance with its parts, result and reason.

    Errors count on the side of the difference: from the estimate to its limit towards the printed value, and from the
    printed value to its limit towards the estimate. Without a difference, and for WIDEST, the longer side counts.
    """
    numbers = ["printed", "estimate", "lo", "hi", "rounding", "paper_lo", "paper_hi", "below", "above"]
    rows = rows.reindex(columns=[*COLUMNS, *numbers[-4:]]).astype(dict.fromkeys(numbers, float))
    difference = rows["estimate"] - rows["printed"]
    study_sides = [rows["estimate"] - rows["lo"], rows["hi"] - rows["estimate"]]
    paper_sides = [rows["paper_hi"] - rows["printed"], rows["printed"] - rows["paper_lo"]]
    side = [difference > 0, difference < 0]
    study, paper = (np.select(side, sides, np.fmax(*sides)) for sides in (study_sides, paper_sides))
    labeller = np.select(side, [rows["below"], rows["above"]], np.fmax(rows["below"], rows["above"]))
    tolerance = pd.Series(np.hypot(study, paper) + rows["rounding"].fillna(0) + np.nan_to_num(labeller), rows.index)
    widest = rows["unit"].map(WIDEST).astype(float)
    reason = rows["reason"].fillna("")
    reasons = [
        (reason != "", reason),
        (~np.isfinite(rows["estimate"]), "no finite estimate: " + rows["method"].astype(str)),
        (~np.isfinite(study), "no interval of the estimate: " + rows["method"].astype(str)),
        (~np.isfinite(paper), "the sampling error of the printed value is not known"),
        (
            np.hypot(np.fmax(*study_sides), np.fmax(*paper_sides)) > widest,
            "too few responses: sampling errors are above " + widest.map("{:g}".format),
        ),
    ]
    untestable = np.select([condition for condition, _ in reasons], [text for _, text in reasons], "")
    within = np.where(difference.abs() <= tolerance, REPRODUCED, NOT_REPRODUCED)
    unsure = (untestable == "") & (within == REPRODUCED) & (labeller > widest)
    untestable = np.where(
        unsure, "errors of the labeller can move the estimate by more than " + widest.map("{:g}".format), untestable
    )
    return rows.assign(
        difference=difference,
        tolerance=tolerance,
        study_error=study,
        paper_error=paper,
        labeller_error=labeller,
        result=np.where(untestable != "", NOT_TESTABLE, within),
        reason=np.where(
            untestable != "",
            untestable,
            np.select(
                [np.isnan(labeller), rows["above"].eq(0) & rows["below"].eq(0)],
                ["errors of the labeller not included", "no errors of the labeller to include"],
                "errors of the labeller included",
            ),
        ),
    )


def _claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Rows for the claims: the tolerance of a claim is its own rule."""
    result = claims["conclusion"].map({SUPPORTED: REPRODUCED, CONTRADICTED: NOT_REPRODUCED}).fillna(NOT_TESTABLE)
    return pd.DataFrame(
        {
            "item": claims["claim"],
            "unit": claims["effect_unit"],
            "estimate": claims["effect"],
            "lo": claims["lo"],
            "hi": claims["hi"],
            "result": result,
            "reason": claims["conclusion"] + " by the rule of the claim",
            "method": "rule of the claim (table claims)",
        }
    )
