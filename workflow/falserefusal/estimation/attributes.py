"""Rates, main effects and interactions of the attributes that personas cross, such as race x gender.

Rates by level are those of `estimation.rates`, with the personas of a level pooled. Main effects and interactions come
from the rates by model, task and persona of least squares on prompts (`gls`), in which every combination of levels has
the same weight:

    rate of a combination = mean + main effect of each of its levels + interaction.

A main effect is the rate of a level minus the mean over the levels of its attribute. An interaction is the rate of a
combination minus what mean and main effects add up to; it is 0 for all combinations if effects are additive. Intervals
use the influence of each text on all rates, so texts that personas and models share are accounted for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.effects import FEWEST, TOO_FEW
from falserefusal.estimation.rates import COLUMNS, MEAN, Outcomes, mean_rates
from falserefusal.statistics.clusters import NO_SPREAD, ClusterTable, cluster_table, correlation, degrees_of_freedom
from falserefusal.statistics.gls import PersonaFit
from falserefusal.statistics.intervals import Limits, mover, p_of_limits
from falserefusal.statistics.multiplicity import holm

CROSS = " x "  # joins attributes, and the levels of a combination
MAIN, INTERACTION = "main effect", "interaction"
ONE_MODEL = "MOVER on Wilson limits at the effective n"
FACTS = ["n", "refusals", "rate", "expected", "difference", "lo", "hi", "z", "p", "p_holm", "method"]


def rates_attribute(outcomes: Outcomes, attributes: pd.DataFrame) -> pd.DataFrame:
    """Mean refusal rate of each level of each attribute, over models and tasks, and over tasks for each model.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    attributes : column persona, and a column with the levels of each attribute.

    Returns
    -------
    Columns attribute, level, model ("mean" or its name), n, refusals, rate, lo, hi, method.
    """
    parts = []
    for name, table in tables_by_level(outcomes, attributes):
        for by, over in ((["level"], ["model", "task"]), (["model", "level"], ["task"])):
            rates = mean_rates(table.cells, by, over, table)
            parts.append(rates.assign(attribute=name, model=rates.get("model", MEAN)))
    return pd.concat(parts, ignore_index=True)[["attribute", "level", "model", *COLUMNS]]


def tables_by_level(outcomes: Outcomes, attributes: pd.DataFrame) -> Iterator[tuple[str, ClusterTable]]:
    """Yield each attribute, and the counts per text with a persona; the cells have its levels as `level`."""
    factors = ["model", "task", "persona"]
    table = outcomes.merge(factors) if isinstance(outcomes, ClusterTable) else cluster_table(outcomes, factors)
    table = table.keep((table.cells["persona"] != BASELINE).to_numpy())
    for name in attributes.columns.drop("persona"):
        levels = pd.Categorical(_of_personas(table.cells, attributes, [name]), dict.fromkeys(attributes[name]))
        yield name, replace(table, cells=table.cells.assign(level=levels))


def effects_attribute(fit: PersonaFit, attributes: pd.DataFrame) -> pd.DataFrame:
    """Main effects of the levels of each attribute, and interactions of each two attributes and of all.

    Averages over models and tasks give all of them the same weight. Their intervals are Student's with the text-robust
    covariance and its own degrees of freedom, as in `mean_effects`; those of one model, and those with fewer than
    FEWEST refusals or other responses in a combination, are MOVER's. A model and task without responses of some
    persona is left out, because combinations would no longer have the same weight.

    Parameters
    ----------
    fit : as `fit_personas` returns it.
    attributes : column persona, and a column with the levels of each attribute.

    Returns
    -------
    Columns model ("mean" or its name), kind (main effect or interaction), attributes, levels, n, refusals, rate,
    expected (the rate without this effect), difference (rate minus expected), lo, hi, z, p, p_holm (over the different
    effects of a model and kind), method. No row if no model and task has responses of all personas.
    """
    kept = _complete(fit, attributes)
    parts = []
    for names in _crossings(list(attributes.columns.drop("persona"))) if len(kept.cells) else ():
        persona = _of_personas(kept.cells, attributes, names)
        parts.append(_effects(kept.relabel(persona=persona).average(["model", "persona"]), attributes, names))
    if not parts:
        return pd.DataFrame(columns=["model", "kind", "attributes", "levels", *FACTS])
    table = pd.concat(parts, ignore_index=True)
    for _, own in table.groupby(["model", "kind"], sort=False):
        first = own.groupby("same", sort=False)["p"].first()  # effects of opposite sign are one effect
        table.loc[own.index, "p_holm"] = own["same"].map(pd.Series(holm(first.to_numpy()), first.index))
    left = len(fit.cells[["model", "task"]].drop_duplicates()) - len(kept.cells[["model", "task"]].drop_duplicates())
    if left:
        table["method"] += f"; without {left} cells of model and task that lack a persona"
    order = pd.Categorical(table["model"], [MEAN, *dict.fromkeys(kept.cells["model"])]).codes
    table = table.iloc[np.lexsort((np.arange(len(table)), order))].reset_index(drop=True)
    return table[["model", "kind", "attributes", "levels", *FACTS]]


def departures(levels: pd.DataFrame) -> np.ndarray:
    """Weights (K, K) of the rates of K combinations (rows) in the effect of each combination (columns).

    With one attribute, the effect is a main effect: the rate of the level minus the mean. With several, it is the
    interaction: the rate minus the mean and the main effects.

    Parameters
    ----------
    levels : K rows, a column for each attribute; every combination of levels once.
    """
    count = len(levels)
    mean = np.full((count, count), 1 / count)
    main = []
    for name in levels:
        same = levels[name].to_numpy()[:, None] == levels[name].to_numpy()
        main.append(same / same.sum(0) - mean)
    weights: np.ndarray = main[0] if len(main) == 1 else np.eye(count) - mean - sum(main)
    return weights


def _crossings(names: Sequence[str]) -> list[list[str]]:
    """Each attribute, each two attributes, and all attributes."""
    sizes = dict.fromkeys((1, 2, len(names)))
    return [list(chosen) for size in sizes for chosen in combinations(names, size)]


def _of_personas(cells: pd.DataFrame, attributes: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """The level, or the combination of levels, of the persona of each cell."""
    levels = attributes[list(names)].agg(CROSS.join, axis=1)
    return cells["persona"].astype(str).map(dict(zip(attributes["persona"], levels, strict=True)))


def _complete(fit: PersonaFit, attributes: pd.DataFrame) -> PersonaFit:
    """The cells with a persona, of each model and task that has responses of all personas."""
    kept = fit.keep((fit.cells["persona"] != BASELINE).to_numpy())
    there = kept.cells.groupby(["model", "task"], sort=False, observed=True)["persona"].transform("size")
    return kept.keep((there == len(attributes)).to_numpy())


def _effects(arms: PersonaFit, attributes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The effects of the combinations of `names`, averaged over models and of each model.

    arms : rates by model and combination (column persona).
    """
    levels = attributes[list(names)].drop_duplicates()
    labels = levels.agg(CROSS.join, axis=1).to_numpy()
    weights = departures(levels)
    place = pd.Index(labels).get_indexer(arms.cells["persona"])
    at = (place[:, None] == np.arange(len(labels))).astype(float)  # (cells, combinations)
    code, models = pd.factorize(arms.cells["model"])
    inside = np.column_stack([np.ones(len(code)), code[:, None] == np.arange(len(models))])  # (cells, scopes)
    shares = inside / (inside.T @ at).mean(1)  # of a model in the mean of a scope
    contrasts = (shares[:, :, None] * weights[place][:, None]).reshape(len(place), -1)

    counts = {name: (inside.T * arms.cells[name].to_numpy()) @ at for name in ("n", "refusals")}
    rate = ((shares.T * arms.rate) @ at).ravel()
    few = np.minimum(counts["refusals"], counts["n"] - counts["refusals"]).min(1) < FEWEST
    student = ~few & (np.arange(len(few)) == 0)
    method = np.where(few, TOO_FEW, ONE_MODEL)
    method[student] = f"mean over {len(models)} models, Student's limits"
    table = _estimates(arms, contrasts, np.repeat(student, len(labels)))
    return table.assign(
        model=np.repeat([MEAN, *models], len(labels)),
        kind=MAIN if len(names) == 1 else INTERACTION,
        attributes=CROSS.join(names),
        levels=np.tile(labels, len(few)),
        **{name: values.ravel().astype(int) for name, values in counts.items()},
        rate=rate,
        expected=rate - table["difference"],
        same=np.tile(_same(weights, names), len(few)),
        method=np.repeat([f"{arms.method}; {words}" for words in method], len(labels)),
    )


def _same(weights: np.ndarray, names: Sequence[str]) -> list[str]:
    """A name for each column of weights; columns that differ in their sign alone have the same."""
    rounded = np.round(weights, 9)
    first = rounded[(rounded != 0).argmax(0), np.arange(rounded.shape[1])]
    _, code = np.unique(rounded * np.sign(first), axis=1, return_inverse=True)
    return [f"{CROSS.join(names)} {number}" for number in code.ravel()]


def _estimates(arms: PersonaFit, weights: np.ndarray, student: np.ndarray) -> pd.DataFrame:
    """Sums of rates, weighted by (K, R), with Student's limits where `student` (R,) is true, else MOVER's."""
    difference, moves = arms.rate @ weights, arms.moves @ weights
    sd, df = np.sqrt((moves**2).sum(0)), degrees_of_freedom(moves)
    z = np.divide(difference, sd, out=np.zeros_like(sd), where=sd > NO_SPREAD)
    half = stats.t.ppf(0.975, df) * sd
    lo, hi, p = difference - half, difference + half, 2 * stats.t.sf(np.abs(z), df)
    other = ~student | (sd <= NO_SPREAD)
    if other.any():
        rate, shared = np.clip(arms.rate, 0, 1), correlation(arms.moves)
        shift = (difference - rate @ weights)[other]  # of rates outside [0, 1]

        def limits(level: float) -> Limits:
            low, high = arms.limits(level)
            lower, upper = mover(weights.T[other], rate, low, high, shared)
            return lower + shift, upper + shift

        lo[other], hi[other] = limits(0.95)
        p[other] = p_of_limits(difference[other], limits)
    return pd.DataFrame({"difference": difference, "lo": lo, "hi": hi, "z": z, "p": p})
