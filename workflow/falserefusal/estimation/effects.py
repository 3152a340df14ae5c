"""Persona effects: differences and ratios against the same prompts without a persona, or with another persona.

Point estimates are those of least squares on prompts (`gls`), with equal weight of tasks. Intervals of differences and
ratios come from the Wilson intervals of the two rates at their effective numbers of responses and from the correlation
of the two (MOVER). They keep their level where refusals are few, which normal intervals do not. The direct pairs of a
response with a persona and the response to the same prompt without one give an exact test (McNemar's).
"""

from collections.abc import Callable, Iterable
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.statistics.clusters import (
    NO_SPREAD,
    SLOT,
    as_outcomes,
    asked_once,
    correlation,
    degrees_of_freedom,
    joint_code,
    level_codes,
)
from falserefusal.statistics.gls import PersonaFit, fit_personas
from falserefusal.statistics.intervals import Limits, mover, mover_difference, mover_ratio, p_of_limits
from falserefusal.statistics.multiplicity import simultaneous

MEAN = "mean"  # the model of a row that averages the models
FEWEST = 10  # refusals, and other responses, of an arm: with fewer, Student's limits of a mean are far too narrow
TOO_FEW = f"below {FEWEST} refusals (or other responses) in an arm, or no difference: MOVER on limits of each model"


def persona_effects(outcomes: pd.DataFrame | Outcomes, fit: PersonaFit | None = None) -> pd.DataFrame:
    """Change of every model's refusal rate under every persona, against the prompts without one.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    fit : as `fit_personas` returns it, if it is known already.

    Returns
    -------
    Columns of `unpaired_effects`, and from the direct pairs: pairs, both, only_persona, only_baseline (discordant
    pairs), mcnemar_p (exact, one-sided: more refusals with the persona); method.
    """
    table = unpaired_effects(fit_personas(outcomes) if fit is None else fit)
    merged = table.merge(pair_table(outcomes), how="left", on=["model", "persona"])
    return merged[[*(c for c in merged if c != "method"), "method"]]


def unpaired_effects(fit: PersonaFit) -> pd.DataFrame:
    """Change of every model's refusal rate under every persona, without the counts of direct pairs.

    Parameters
    ----------
    fit : as `fit_personas` returns it.

    Returns
    -------
    Columns model, persona, n, refusals, rate, baseline_rate, difference, lo, hi, z, p (two-sided, of the interval),
    ratio, ratio_lo, ratio_hi (NaN if neither arm has a refusal); lo_family, hi_family: lower (upper) limits of
    the difference that hold for all rows together in 95% (Bonferroni); method.
    """
    by_model = fit.average(["model", "persona"])
    left, right = against_baseline(by_model)
    table = _compare(by_model, left, right)
    table = table.rename(columns={"reference_rate": "baseline_rate"}).drop(columns="reference_persona")
    limits = _limits_of_difference(by_model, left, right, correlated(by_model, left, right))
    table["lo_family"], table["hi_family"] = limits(simultaneous(len(left)))
    table["method"] = _method(table, by_model, len(fit.cells["task"].unique()))
    return table


def mean_effects(fit: PersonaFit) -> pd.DataFrame:
    """Change of the refusal rate averaged over models, under each persona and under any persona (persona "*").

    Rows with model "mean" give models and tasks equal weight. Further rows have any persona for each model. Intervals
    of means over models are Student's with the text-robust covariance, which accounts for texts that models share, and
    its own degrees of freedom. Those of one model are MOVER's, as are those of a mean with fewer than FEWEST refusals
    or other responses in one of its arms: the mean is as uncertain as the cells it averages.

    Returns
    -------
    Columns model, persona, n, refusals, rate, baseline_rate, difference, lo, hi, z, p, method.
    """
    tasks = len(fit.cells["task"].unique())
    by_model, any_persona = fit.average(["model", "persona"]), with_any_persona(fit)
    against_baseline(by_model)
    parts = []
    for model in (by_model, any_persona):
        overall = model.average(["persona"])
        at = int(np.flatnonzero(overall.cells["persona"] == BASELINE)[0])
        left = np.flatnonzero(overall.cells["persona"] != BASELINE)
        table = _compare_means(overall, left, np.full(len(left), at), model).assign(model=MEAN)
        text = f"{fit.method}; mean over {len(model.within)} models and {tasks} tasks"
        parts.append(table.assign(method=text + table["method"]))
    table = _compare(any_persona, *against_baseline(any_persona))
    table["method"] = _method(table, any_persona, tasks)
    parts.append(table)
    table = pd.concat(parts, ignore_index=True).rename(columns={"reference_rate": "baseline_rate"})
    columns = ["n", "refusals", "rate", "baseline_rate", "difference", "lo", "hi", "z", "p", "method"]
    return table[["model", "persona", *columns]]


def persona_differences(
    fit: PersonaFit, pairs: Iterable[tuple[str, str]] | None = None, personas: list[str] | None = None
) -> pd.DataFrame:
    """Difference of two personas' refusal rates within each model, and averaged over models (model "mean").

    Parameters
    ----------
    fit : as `fit_personas` returns it.
    pairs : pairs of (persona, other); by default all pairs of `personas`.
    personas : personas to compare; by default all.

    Returns
    -------
    Columns model, persona, other, n, rate, reference_rate, difference, lo, hi, z, p, ratio, ratio_lo, ratio_hi, method.
    Pairs that a model lacks have no row.

    Raises
    ------
    InputError for a persona without responses.
    """
    by_model = fit.average(["model", "persona"])
    known = [name for name in dict.fromkeys(by_model.cells["persona"]) if name != BASELINE]
    pairs = list(combinations(personas or known, 2)) if pairs is None else list(pairs)
    unknown = sorted({name for pair in pairs for name in pair} - set(known))
    if unknown:
        raise InputError(f"personas to compare: no responses with {', '.join(unknown)}; there are {', '.join(known)}")
    overall = by_model.average(["persona"])
    overall.cells.insert(0, "model", MEAN)
    tasks, models = len(fit.cells["task"].unique()), len(names_of_models(fit))
    parts = []
    for model in (by_model, overall):
        at = {key: k for k, key in enumerate(zip(model.cells["model"], model.cells["persona"], strict=True))}
        names = dict.fromkeys(model.cells["model"])
        places = [(at[m, a], at[m, b]) for m in names for a, b in pairs if (m, a) in at and (m, b) in at]
        left, right = np.array(places, dtype=int).reshape(-1, 2).T
        if model is overall:
            table = _compare_means(overall, left, right, by_model)
            table["method"] = f"{fit.method}; mean over {models} models" + table["method"]
        else:
            table = _compare(model, left, right)
            table["method"] = _method(table, model, tasks)
        parts.append(table)
    columns = ["n", "rate", "reference_rate", "difference", "lo", "hi", "z", "p"]
    columns += ["ratio", "ratio_lo", "ratio_hi", "method"]
    table = pd.concat(parts, ignore_index=True).rename(columns={"reference_persona": "other"})
    return table[["model", "persona", "other", *columns]]


def names_of_models(fit: PersonaFit) -> list[str]:
    """Models in the order of the fit."""
    return list(dict.fromkeys(fit.cells["model"]))


def pair_table(outcomes: pd.DataFrame | Outcomes) -> pd.DataFrame:
    """Compare responses with and without a persona to the same prompt, by model and persona, tasks pooled.

    The exact test is valid also where pairs share texts: under its null hypothesis the two responses to a prompt may be
    swapped, whatever prompts have in common. A response that stands in several rows of the same text counts once.
    Independent samples of a prompt pair by their number; a sample without such a counterpart is in no pair.

    Returns
    -------
    Columns model, persona, pairs, both, only_persona, only_baseline, mcnemar_p.
    """
    outcomes = as_outcomes(outcomes, ["model", "task", "template", "persona"])
    parts = [_pairs(part).assign(model=part["model"].iloc[0]) for part in outcomes.parts(SLOT)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if table.empty:
        raise InputError("no prompt has a response both with and without a persona: nothing can be paired")
    b, c = table["only_persona"].to_numpy(), table["only_baseline"].to_numpy()
    table["mcnemar_p"] = np.where(b + c > 0, stats.binom.sf(b - 1, b + c, 0.5), 1.0)
    return table[["model", "persona", *table.columns.drop(["model", "persona"])]]


def _pairs(part: pd.DataFrame) -> pd.DataFrame:
    """Counts of `pair_table` by persona, of one model."""
    part = asked_once(part)
    prompt, _ = joint_code(part, [level for level in SLOT if level != "persona"])
    persona, names = level_codes(part["persona"])
    baseline = (names == BASELINE)[persona]
    y = part["refusal"].to_numpy(bool)
    found = pd.Index(prompt[baseline]).get_indexer(prompt[~baseline])
    paired = found >= 0
    y1, y0 = y[~baseline][paired], y[baseline][found[paired]]
    cells, cell = np.unique(persona[~baseline][paired], return_inverse=True)
    counts = {"pairs": np.ones(len(y1)), "both": y1 & y0, "only_persona": y1 & ~y0, "only_baseline": ~y1 & y0}
    sums = {name: np.bincount(cell, each, len(cells)).astype(int) for name, each in counts.items()}
    return pd.DataFrame({"persona": names[cells], **sums})


def against_baseline(fit: PersonaFit) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `fit.cells` with a persona, and for each the row of the same model (and task) without one.

    Raises
    ------
    InputError if a model (and task) has no baseline responses.
    """
    keys = [key for key in ("model", "task") if key in fit.cells]
    baseline = fit.cells["persona"] == BASELINE
    at = {
        key: k
        for k, key in zip(np.flatnonzero(baseline), fit.cells.loc[baseline, keys].itertuples(index=False), strict=True)
    }
    needed = list(fit.cells.loc[~baseline, keys].itertuples(index=False))
    lacking = [key for key in needed if key not in at]
    if lacking:
        raise InputError(
            f"{' / '.join(map(str, lacking[0]))} has no baseline responses to compare with: set baseline: "
            "true in the study's design, or label those responses too"
        )
    return np.flatnonzero(~baseline), np.array([at[key] for key in needed], int)


def with_any_persona(fit: PersonaFit) -> PersonaFit:
    """Rates by model with any persona (persona "*", the mean over personas and tasks) and without one."""
    return fit.relabel(persona=np.where(fit.cells["persona"] == BASELINE, BASELINE, ALL)).average(["model", "persona"])


def correlated(fit: PersonaFit, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlation of the rates at `left` with those at `right`, row by row; 0 where one has no variance."""
    covariance = fit.moves.T @ fit.moves
    spread = np.sqrt(np.diag(covariance))
    together = spread[left] * spread[right]
    return np.divide(covariance[left, right], together, out=np.zeros_like(together), where=together > NO_SPREAD**2)


def _compare_means(overall: PersonaFit, left: np.ndarray, right: np.ndarray, by_model: PersonaFit) -> pd.DataFrame:
    """`_compare` of means over models, with Student's limits, or MOVER's over the models of `by_model` if few refuse.

    `method` is the end of the method of each row.
    """
    table = _compare(overall, left, right, student=True)
    cells = overall.cells
    refusals, others = cells["refusals"].to_numpy(), (cells["n"] - cells["refusals"]).to_numpy()
    rarest = np.minimum(refusals, others)
    few = np.minimum(rarest[left], rarest[right]) < FEWEST
    few |= (table["z"] == 0).to_numpy()  # no text shows a difference
    if few.any():
        estimate = table.loc[few, "difference"].to_numpy()
        limits = _limits_of_means(by_model, cells["persona"].to_numpy(), left[few], right[few], estimate)
        table.loc[few, "lo"], table.loc[few, "hi"] = limits(0.95)
        table.loc[few, "p"] = p_of_limits(estimate, limits)
    return table.assign(method=np.where(few, f"; {TOO_FEW}", ", Student's limits"))


def _limits_of_means(
    by_model: PersonaFit, personas: np.ndarray, left: np.ndarray, right: np.ndarray, estimate: np.ndarray
) -> Callable[[float], Limits]:
    """Function from the two-sided level to MOVER's limits of differences (`estimate`) of means over models."""
    rows = {name: np.flatnonzero(by_model.cells["persona"] == name) for name in dict.fromkeys(personas)}
    parts = []
    for a, b in zip(personas[left], personas[right], strict=True):
        weights = np.r_[np.full(len(rows[a]), 1 / len(rows[a])), np.full(len(rows[b]), -1 / len(rows[b]))]
        at = np.r_[rows[a], rows[b]]
        parts.append((at, weights, correlation(by_model.moves[:, at])))
    rate = np.clip(by_model.rate, 0, 1)

    def limits(level: float) -> Limits:
        low, high = by_model.limits(level)
        ends = [mover(weights, rate[at], low[at], high[at], shared) for at, weights, shared in parts]
        shift = estimate - np.array([weights @ rate[at] for at, weights, _ in parts])  # of rates outside [0, 1]
        return np.array([lo for lo, _ in ends]) + shift, np.array([hi for _, hi in ends]) + shift

    return limits


def _compare(fit: PersonaFit, left: np.ndarray, right: np.ndarray, student: bool = False) -> pd.DataFrame:
    """Difference and ratio of the cells at `left` and `right`, row by row, with MOVER (or Student's) intervals."""
    difference = fit.rate[left] - fit.rate[right]
    sd, df = np.empty(len(left)), np.empty(len(left))
    for start in range(0, len(left), 1000):  # pairs of 46 personas in 16 models are 16,560 columns
        rows = slice(start, start + 1000)
        moves = fit.moves[:, left[rows]] - fit.moves[:, right[rows]]
        sd[rows], df[rows] = np.sqrt((moves**2).sum(0)), degrees_of_freedom(moves)
    z = np.divide(difference, sd, out=np.zeros_like(sd), where=sd > NO_SPREAD)
    shared = correlated(fit, left, right)
    low, high = fit.limits()
    rate = np.clip(fit.rate, 0, 1)
    one, other = (low[left], high[left]), (low[right], high[right])
    if student:
        half = stats.t.ppf(0.975, df) * sd
        lo, hi, p = difference - half, difference + half, 2 * stats.t.sf(np.abs(z), df)
    else:
        limits = _limits_of_difference(fit, left, right, shared)
        lo, hi = limits(0.95)
        p = p_of_limits(rate[left] - rate[right], limits, (0.95, simultaneous(max(len(left), 1))))
    ratio_lo, ratio_hi = mover_ratio(rate[left], one, rate[right], other, shared)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rate[left] / rate[right]
    table = fit.cells.iloc[left].reset_index(drop=True)
    return table.assign(
        reference_persona=fit.cells["persona"].to_numpy()[right],
        rate=fit.rate[left],
        reference_rate=fit.rate[right],
        difference=difference,
        lo=lo,
        hi=hi,
        z=z,
        p=p,
        ratio=ratio,
        ratio_lo=ratio_lo,
        ratio_hi=ratio_hi,
    )


def _limits_of_difference(
    fit: PersonaFit, left: np.ndarray, right: np.ndarray, shared: np.ndarray
) -> Callable[[float], Limits]:
    """Function from the two-sided level to MOVER's limits of the differences."""
    rate = np.clip(fit.rate, 0, 1)

    def limits(level: float) -> Limits:
        low, high = fit.limits(level)
        return mover_difference(rate[left], (low[left], high[left]), rate[right], (low[right], high[right]), shared)

    return limits


def _method(table: pd.DataFrame, fit: PersonaFit, tasks: int) -> list[str]:
    """Method of each row; it gives the number of tasks in a mean that lacks some."""
    texts = f"{fit.method}; MOVER on Wilson limits at the effective n"
    short = table["averaged"] % tasks != 0
    return [
        texts + (f"; mean of {k} of {tasks} tasks" if s else "") for k, s in zip(table["averaged"], short, strict=True)
    ]
