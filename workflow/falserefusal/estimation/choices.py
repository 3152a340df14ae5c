"""How far the headline results move when a study is repeated under another choice, on the same prompts.

Both sides answer the same prompts, so a difference has the sampling error of the texts on which the two sides differ,
not that of the results themselves. A result is a function of sums over texts; the influence of a text on the difference
of two results is the difference of its influences.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.estimation.effects import with_any_persona
from falserefusal.estimation.importance import FEWEST_UNITS
from falserefusal.statistics import sensitivity
from falserefusal.statistics.clusters import (
    NO_SPREAD,
    ClusterTable,
    cluster_table,
    degrees_of_freedom,
    influence,
)
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.multiplicity import holm

KEY = ["model", "task", "row_id", "block", "persona", "template", "draw", "sample"]  # of a response
RESULT = ["quantity", "model", "task", "factor"]  # of a headline result
RATE, EFFECT, IMPORTANCE = "refusal rate", "mean persona effect", "importance"
MEAN = "mean"  # the model of a row that averages the models
FACTORS = ("model", "task", "persona", "template")
COLUMNS = ["choice", *RESULT, "default", "lo", "hi", "difference", "d_lo", "d_hi", "p", "p_holm", "verdicts_changed"]
COLUMNS += ["responses_changed", "n", "texts", "rank_default", "rank", "note"]
METHOD = "paired by prompt, Student's limits from texts"


@dataclass(frozen=True)
class Results:
    """Headline results of one side: K rows with RESULT, their estimates (K,), and the influence of texts, moves (C, K).

    units: refused texts of the model that has most; with few, an index has no usable interval.
    """

    rows: pd.DataFrame
    estimate: np.ndarray
    moves: np.ndarray
    units: int


def paired(default: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The outcomes of both sides on the prompts that have a verdict on both, in the same order.

    Parameters
    ----------
    default, other : outcomes of one labeller each, from the same design.

    Raises
    ------
    InputError if no prompt has a verdict on both sides.
    """
    left, right = (frame.assign(sample=frame.get("sample", "0")) for frame in (default, other))
    found = right[[*KEY, "refusal"]].astype(dict.fromkeys(KEY, "str"))
    both = left[KEY].astype("str").merge(found, how="left", on=KEY, validate="one_to_one")
    there = both["refusal"].notna().to_numpy()
    if not there.any():
        raise InputError("no prompt has a verdict both in the study and under the choice")
    kept = left[there].reset_index(drop=True)
    return kept, kept.assign(refusal=both["refusal"][there].to_numpy(bool))


def results(outcomes: pd.DataFrame) -> Results:
    """The headline results of one side: refusal rates, mean persona effect, and importance of each factor.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    """
    with_persona = outcomes[outcomes["persona"] != BASELINE]
    texts = pd.Index(sorted(outcomes["text_id"].astype(str).unique()))
    by_cell = cluster_table(with_persona, ["task", "model"])
    parts = [_rates(by_cell, texts)]
    if len(with_persona) < len(outcomes):
        parts.append(_effect(outcomes, texts))
    parts.append(_importance(with_persona, texts))
    per_model = by_cell.merge(["model"])
    rows, estimates, moves = zip(*parts, strict=True)
    return Results(
        pd.concat([pd.DataFrame(part, columns=RESULT) for part in rows], ignore_index=True),
        np.concatenate(estimates),
        np.hstack(moves),
        int((per_model.refusals > 0).sum(0).max()),
    )


def _rates(table: ClusterTable, texts: pd.Index) -> tuple[list, np.ndarray, np.ndarray]:
    """Rates by model and task, and the mean of the models by task."""
    cells, rate, moves = table.cells, table.totals()["rate"].to_numpy(), _placed(influence(table), table.texts, texts)
    rows = [(RATE, model, task, "") for task, model in cells[["task", "model"]].itertuples(index=False)]
    estimates, moved = [rate], [moves]
    for task in dict.fromkeys(cells["task"]):
        own = (cells["task"] == task).to_numpy()
        rows.append((RATE, MEAN, task, ""))
        estimates.append([rate[own].mean()])
        moved.append(moves[:, own].mean(1, keepdims=True))
    return rows, np.concatenate(estimates), np.hstack(moved)


def _effect(outcomes: pd.DataFrame, texts: pd.Index) -> tuple[list, np.ndarray, np.ndarray]:
    """The rate with any persona minus that without one, models and tasks with equal weight, as `mean_effects`."""
    fit = with_any_persona(fit_personas(outcomes)).average(["persona"])
    at = {persona: k for k, persona in enumerate(fit.cells["persona"])}
    if set(at) != {ALL, BASELINE}:
        return [(EFFECT, MEAN, "", "")], np.array([np.nan]), np.zeros((len(texts), 1))
    column = outcomes["text_id"]
    seen = column.cat.remove_unused_categories().cat.categories if hasattr(column, "cat") else column.unique()
    moves = _placed(fit.moves, np.asarray(seen), texts)
    difference = fit.rate[at[ALL]] - fit.rate[at[BASELINE]]
    return [(EFFECT, MEAN, "", "")], np.array([difference]), moves[:, [at[ALL]]] - moves[:, [at[BASELINE]]]


def _importance(outcomes: pd.DataFrame, texts: pd.Index) -> tuple[list, np.ndarray, np.ndarray]:
    """The paper's index of each factor; influences by leaving out each text in turn, within tasks."""
    estimates, moves = [], []
    for factor in FACTORS:
        table = cluster_table(outcomes, list(dict.fromkeys(["task", factor]))).merge([factor])
        n, y = (counts.astype(float) for counts in (table.n, table.refusals))
        with np.errstate(invalid="ignore", divide="ignore"):
            index, *without = _index(np.vstack([n.sum(0), n.sum(0) - n]), np.vstack([y.sum(0), y.sum(0) - y]))
        moved = np.zeros(len(table.texts))
        for stratum in np.unique(table.strata):
            own = table.strata == stratum
            left_out, c = np.asarray(without)[own], own.sum()
            moved[own] = -(left_out - left_out.mean()) * np.sqrt((c - 1) / c)
        estimates.append(float(index))
        moves.append(_placed(moved[:, None], table.texts, texts))
    return [(IMPORTANCE, "", "", factor) for factor in FACTORS], np.array(estimates), np.hstack(moves)


def _index(n: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The index of each row of counts by level; NaN for a single level or a constant outcome."""
    if n.shape[1] < 2:
        return np.full(len(n), np.nan)
    return sensitivity.wasserstein(*sensitivity.rates(n, y))


def _placed(moves: np.ndarray, names: np.ndarray, texts: pd.Index) -> np.ndarray:
    """The rows of `moves`, which are of the texts `names`, in the order of `texts`; 0 for others."""
    placed = np.zeros((len(texts), moves.shape[1]))
    placed[texts.get_indexer(pd.Index(names).astype(str))] = moves
    return placed


def changes(default: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Change of each headline result from the study to a choice, with its interval from texts.

    Parameters
    ----------
    default, other : outcomes of one labeller each, from the same design.

    Returns
    -------
    Columns RESULT, difference, d_lo, d_hi, p (two-sided, Student's), verdicts_changed, n (responses on both sides),
    texts, paired_default (the result of the study on the prompts of both sides), rank_default, rank (of a factor's
    importance, 1 is highest) and note. Where no text changes a result, or an index has too few refused texts, there is
    a difference but no interval and no test.
    """
    left, right = paired(default, other)
    one, two = results(left), results(right)
    moves = two.moves - one.moves
    difference = two.estimate - one.estimate
    sd, df = np.sqrt((moves**2).sum(0)), degrees_of_freedom(moves)
    table = one.rows.assign(paired_default=one.estimate, difference=difference)
    flipped = left.assign(changed=(left["refusal"] != right["refusal"]).to_numpy())
    counts = [_count(flipped, row) for row in table.itertuples()]
    table[["n", "texts", "verdicts_changed"]] = pd.DataFrame(counts, index=table.index)
    few = (table["quantity"] == IMPORTANCE) & (min(one.units, two.units) < FEWEST_UNITS)
    unmoved = (table["verdicts_changed"] == 0) | (sd <= NO_SPREAD)
    undefined = ~np.isfinite(difference)
    table["note"] = np.select(
        [undefined, unmoved, few],
        [
            "undefined: constant outcome or one level",
            [_unmoved(texts, changed) for texts, changed in table[["texts", "verdicts_changed"]].to_numpy(int)],
            f"no interval: too few refusals, below {FEWEST_UNITS} refused texts in every model",
        ],
        METHOD,
    )
    known = (table["note"] == METHOD).to_numpy()
    half = np.where(known, stats.t.ppf(0.975, df) * sd, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.where(known, 2 * stats.t.sf(np.abs(difference / sd), df), np.nan)
    table = table.assign(d_lo=difference - half, d_hi=difference + half, p=p)
    index = (table["quantity"] == IMPORTANCE).to_numpy()
    for column, values in {"rank_default": one.estimate, "rank": two.estimate}.items():
        table[column] = pd.Series(np.where(index, values, np.nan)).rank(ascending=False, method="min")
    return table


def _unmoved(texts: int, changed: int) -> str:
    """What is known where the difference is exactly 0: the exact binomial limit of texts that could change."""
    if changed:
        return "no interval: changes within every text cancel"
    return f"no verdict changed in {texts} texts; up to {1 - 0.05 ** (1 / texts):.0%} of texts could change (95 %)"


def _count(frame: pd.DataFrame, row) -> tuple[int, int, int]:
    """Responses, texts and changed verdicts behind a result."""
    part = frame if row.quantity == EFFECT else frame[frame["persona"] != BASELINE]
    if row.task:
        part = part[part["task"] == row.task]
    if row.model not in ("", MEAN):
        part = part[part["model"] == row.model]
    return len(part), part["text_id"].nunique(), int(part["changed"].sum())


def choices_table(
    outcomes: Mapping[str, pd.DataFrame], own: pd.DataFrame, changed_responses: Mapping[str, float]
) -> pd.DataFrame:
    """Compare a study with itself under each choice.

    Parameters
    ----------
    outcomes : the outcomes of the headline labeller, of the study itself ("") and under each choice.
    own : the study's own results, as `own_results` returns them.
    changed_responses : share of responses with another text, by choice.

    Returns
    -------
    COLUMNS, one row for each choice and result. p_holm is adjusted over all rows with a p-value (Holm 1979). A model
    without outcomes under a choice is missing from its results, and the means of that choice compare the models that
    both sides have.
    """
    parts = []
    for choice in (name for name in outcomes if name):
        table = changes(outcomes[""], outcomes[choice])
        parts.append(table.assign(choice=choice, responses_changed=changed_responses[choice]))
    table = pd.concat(parts, ignore_index=True).merge(own, how="left", on=RESULT, validate="many_to_one")
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    if tested.any():
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"])
    return table[COLUMNS]


def own_results(rates: pd.DataFrame, importance: pd.DataFrame, effects: pd.DataFrame | None) -> pd.DataFrame:
    """The study's own headline results with their intervals, from its tables.

    Parameters
    ----------
    rates, importance, effects : tables rates_model_task, importance and effects_mean (None: no baseline prompts).

    Returns
    -------
    Columns RESULT, default, lo, hi.
    """
    whole = importance[(importance["scope"] == "all") & importance["factor"].isin(FACTORS)]
    parts = [
        rates.rename(columns={"rate": "default"}).assign(quantity=RATE, factor=""),
        whole.rename(columns={"index": "default"}).assign(quantity=IMPORTANCE, model="", task=""),
    ]
    if effects is not None:
        mean = effects[(effects["model"] == MEAN) & (effects["persona"] == ALL)]
        parts.append(mean.rename(columns={"difference": "default"}).assign(quantity=EFFECT, task="", factor=""))
    return pd.concat(parts, ignore_index=True)[[*RESULT, "default", "lo", "hi"]]
