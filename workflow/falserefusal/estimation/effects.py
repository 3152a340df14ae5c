"""What a persona changes: differences and ratios against the same prompts without one, or another persona.

Point estimates are those of least squares on prompts (`gls`), tasks with the same weight. Limits of differences and
ratios are recovered from the Wilson limits of the two rates at their effective numbers of answers and the correlation
of the two (MOVER); they keep their level where refusals are few, which normal limits do not. The direct pairs of an
answer with a persona and the answer to the same prompt without one give an exact test (McNemar's).
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.statistics.clusters import NO_SPREAD, check_outcomes, degrees_of_freedom, level_codes
from falserefusal.statistics.gls import PROMPT, PersonaFit, fit_personas
from falserefusal.statistics.intervals import mover_difference, mover_ratio

MEAN = "mean"  # the model of a row that averages the models


def persona_effects(outcomes: pd.DataFrame, fit: PersonaFit | None = None) -> pd.DataFrame:
    """Every model's change of the refusal rate under every persona, against the prompts without one.

    Columns: model, persona, n, refusals, rate, baseline_rate, difference, lo, hi, z, p (two-sided, normal), ratio, ratio_lo,
    ratio_hi; from the direct pairs: pairs, both, only_persona, only_baseline (discordant ones), mcnemar_p (exact,
    one-sided: more refusals with the persona); method. A ratio is NaN where neither arm has a refusal.
    """
    fit = fit_personas(outcomes) if fit is None else fit
    by_model = fit.average(["model", "persona"])
    table = _compare(by_model, *against_baseline(by_model))
    table = table.rename(columns={"persona_0": BASELINE, "reference_rate": "baseline_rate"}).drop(columns=BASELINE)
    table["method"] = _method(table, by_model, len(fit.cells["task"].unique()))
    merged = table.merge(pair_table(outcomes), how="left", on=["model", "persona"])
    return merged[[*(c for c in merged if c != "method"), "method"]]


def mean_effects(fit: PersonaFit) -> pd.DataFrame:
    """Change of the refusal rate under each persona averaged over models, and under any persona (persona "*").

    Rows with model "mean" average models and tasks with the same weight; below them, a row per model for any persona.
    Limits of means over models are Student's with the text-robust covariance, which knows that models share texts, and
    its own degrees of freedom; those of one model are MOVER's. Columns model, persona, n, refusals, rate, baseline_rate,
    difference, lo, hi, z, p, method.
    """
    tasks = len(fit.cells["task"].unique())
    by_model, any_persona = fit.average(["model", "persona"]), with_any_persona(fit)
    against_baseline(by_model)
    parts = []
    for model in (by_model, any_persona):
        overall = model.average(["persona"])
        at = int(np.flatnonzero(overall.cells["persona"] == BASELINE)[0])
        left = np.flatnonzero(overall.cells["persona"] != BASELINE)
        table = _compare(overall, left, np.full(len(left), at), student=True).assign(model=MEAN)
        table["method"] = f"{fit.method}; mean over {len(model.within)} models and {tasks} tasks, Student's limits"
        parts.append(table)
    table = _compare(any_persona, *against_baseline(any_persona))
    table["method"] = _method(table, any_persona, tasks)
    parts.append(table)
    table = pd.concat(parts, ignore_index=True).rename(columns={"reference_rate": "baseline_rate"})
    return table[
        ["model", "persona", *["n", "refusals", "rate", "baseline_rate", "difference", "lo", "hi", "z", "p", "method"]]
    ]


def persona_differences(
    fit: PersonaFit, pairs: Iterable[tuple[str, str]] | None = None, personas: list[str] | None = None
) -> pd.DataFrame:
    """Difference of two personas' refusal rates within each model, and averaged over models (model "mean").

    `pairs` of (persona, other), by default all pairs of `personas` (by default all). Columns model, persona, other, n,
    rate, reference_rate, difference, lo, hi, z, p, ratio, ratio_lo, ratio_hi, method. Pairs that a model lacks have no row; of
    a single persona there are none.
    """
    by_model = fit.average(["model", "persona"])
    known = [name for name in dict.fromkeys(by_model.cells["persona"]) if name != BASELINE]
    pairs = list(combinations(personas or known, 2)) if pairs is None else list(pairs)
    unknown = sorted({name for pair in pairs for name in pair} - set(known))
    if unknown:
        raise InputError(f"personas to compare: no answers under {', '.join(unknown)}; there are {', '.join(known)}")
    overall = by_model.average(["persona"])
    overall.cells.insert(0, "model", MEAN)
    tasks = len(fit.cells["task"].unique())
    parts = []
    for model in (by_model, overall):
        at = {key: k for k, key in enumerate(zip(model.cells["model"], model.cells["persona"], strict=True))}
        names = dict.fromkeys(model.cells["model"])
        places = [(at[m, a], at[m, b]) for m in names for a, b in pairs if (m, a) in at and (m, b) in at]
        left, right = np.array(places, dtype=int).reshape(-1, 2).T
        table = _compare(model, left, right, student=model is overall)
        table["method"] = _method(table, model, tasks)
        if model is overall:
            table["method"] = f"{fit.method}; mean over {len(names_of_models(fit))} models, Student's limits"
        parts.append(table)
    columns = [
        "n",
        "rate",
        "reference_rate",
        "difference",
        "lo",
        "hi",
        "z",
        "p",
        "ratio",
        "ratio_lo",
        "ratio_hi",
        "method",
    ]
    table = pd.concat(parts, ignore_index=True).rename(columns={"persona_0": "other"})
    return table[["model", "persona", "other", *columns]]


def names_of_models(fit: PersonaFit) -> list[str]:
    """Models in the order of the fit."""
    return list(dict.fromkeys(fit.cells["model"]))


def pair_table(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Answers with a persona beside the answer to the same prompt without one, by model and persona, tasks pooled.

    Columns model, persona, pairs, both, only_persona, only_baseline, mcnemar_p. The exact test is right also where pairs
    share texts: under its hypothesis the two answers to a prompt may be swapped, whatever prompts have in common.
    """
    check_outcomes(outcomes, ["model", "task", "persona", *PROMPT])
    codes, names = {}, {}
    for column in ("model", "task", "persona", *PROMPT):
        codes[column], names[column] = level_codes(outcomes[column])
    free = np.asarray(names["persona"], object)[codes["persona"]] == BASELINE
    prompt = codes["model"]
    for column in ("task", *PROMPT):
        prompt = prompt * len(names[column]) + codes[column]
    y = outcomes["refusal"].to_numpy(bool)
    twin = pd.Series(y[free], index=prompt[free])
    if twin.index.has_duplicates:
        twin = twin[~twin.index.duplicated()]  # a prompt asked twice without a persona pairs with its first answer
    found = twin.index.get_indexer(prompt[~free])
    paired = found >= 0
    if not paired.any():
        raise InputError("no prompt has an answer both with and without a persona: nothing can be paired")
    y1, y0 = y[~free][paired], twin.to_numpy()[found[paired]]
    cell = (codes["model"] * len(names["persona"]) + codes["persona"])[~free][paired]
    cells, cell = np.unique(cell, return_inverse=True)
    n, both, b, c = (np.bincount(cell, part, len(cells)) for part in (np.ones(len(y1)), y1 & y0, y1 & ~y0, ~y1 & y0))
    model, persona = divmod(cells, len(names["persona"]))
    return pd.DataFrame(
        {
            "model": names["model"][model],
            "persona": names["persona"][persona],
            "pairs": n.astype(int),
            "both": both.astype(int),
            "only_persona": b.astype(int),
            "only_baseline": c.astype(int),
            "mcnemar_p": np.where(b + c > 0, stats.binom.sf(b - 1, b + c, 0.5), 1.0),
        }
    )


def against_baseline(fit: PersonaFit) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `fit.cells` with a persona, and for each the row of the same model (and task) without one."""
    keys = [key for key in ("model", "task") if key in fit.cells]
    free = fit.cells["persona"] == BASELINE
    at = {
        key: k for k, key in zip(np.flatnonzero(free), fit.cells.loc[free, keys].itertuples(index=False), strict=True)
    }
    wanted = list(fit.cells.loc[~free, keys].itertuples(index=False))
    lacking = [key for key in wanted if key not in at]
    if lacking:
        raise InputError(
            f"{' / '.join(map(str, lacking[0]))} has no baseline answers to compare with: set baseline: true "
            "in the study's design, or judge those answers too"
        )
    return np.flatnonzero(~free), np.array([at[key] for key in wanted], int)


def with_any_persona(fit: PersonaFit) -> PersonaFit:
    """Rates by model with any persona (persona "*", the mean over personas and tasks) and without one."""
    return fit.relabel(persona=np.where(fit.cells["persona"] == BASELINE, BASELINE, ALL)).average(["model", "persona"])


def correlated(fit: PersonaFit, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlation of the rates at `left` with those at `right`, row by row; 0 where one has no spread."""
    covariance = fit.moves.T @ fit.moves
    spread = np.sqrt(np.diag(covariance))
    together = spread[left] * spread[right]
    return np.divide(covariance[left, right], together, out=np.zeros_like(together), where=together > NO_SPREAD**2)


def _compare(fit: PersonaFit, left: np.ndarray, right: np.ndarray, student: bool = False) -> pd.DataFrame:
    """The cells at `left` minus those at `right`, row by row, with limits (MOVER; of a difference also Student)."""
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
    lo, hi = mover_difference(rate[left], one, rate[right], other, shared)
    if student:
        t = stats.t.ppf(0.975, df)
        lo, hi = difference - t * sd, difference + t * sd
    ratio_lo, ratio_hi = mover_ratio(rate[left], one, rate[right], other, shared)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rate[left] / rate[right]
    table = fit.cells.iloc[left].reset_index(drop=True)
    return table.assign(
        persona_0=fit.cells["persona"].to_numpy()[right],
        rate=fit.rate[left],
        reference_rate=fit.rate[right],
        difference=difference,
        lo=lo,
        hi=hi,
        z=z,
        p=np.where(sd > NO_SPREAD, 2 * stats.norm.sf(np.abs(z)), 1.0),
        ratio=ratio,
        ratio_lo=ratio_lo,
        ratio_hi=ratio_hi,
    )


def _method(table: pd.DataFrame, fit: PersonaFit, tasks: int) -> list[str]:
    """The method of each row; it names the tasks that are missing from a mean."""
    texts = f"{fit.method}; MOVER on Wilson limits at the effective n"
    short = table["averaged"] % tasks != 0
    return [
        texts + (f"; mean of {k} of {tasks} tasks" if s else "") for k, s in zip(table["averaged"], short, strict=True)
    ]
