"""Test the paper's claims with rules that were fixed before the data: effect, confidence interval, conclusion.

Each claim is a row of CLAIMS: the paper's statement, the rule, and the function that applies it. A conclusion is
supported, contradicted, inconclusive, or not testable (the note says what is missing). The claims run on outcomes or,
as far as possible, on printed cells. With printed cells, errors are binomial and personas are compared with each
other, because the paper prints no baseline rate with its n. The error rates of the rules in simulations, and the
history of the rules, are in docs/simulation.md.

Models, tasks and personas have equal weight, whatever their numbers of responses. If a rule compares variances, the
variance from noise alone has been subtracted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes
from falserefusal.common.schemas import ALL, BASELINE, FORMATS, TASKS
from falserefusal.common.sentences import say
from falserefusal.common.separation import MIN_REFUSALS
from falserefusal.estimation.effects import persona_effects
from falserefusal.statistics.clusters import as_outcomes, cluster_table, correlation, influence
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.intervals import Limits, mover, p_of_limits, wilson_rare
from falserefusal.statistics.multiplicity import holm, max_t, screen, simultaneous
from falserefusal.statistics.trend import Trend, assignments, exchangeable, trend
from falserefusal.study.materials import are_variants

COLUMNS = ["claim", "statement", "rule", "effect", "effect_unit", "lo", "hi", "p", "conclusion", "n", "note"]
SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_TESTABLE = "supported", "contradicted", "inconclusive", "not testable"
ALPHA = 0.05
Z95 = float(stats.norm.ppf(0.975))
SIMULATIONS = 2000  # from the joint normal distribution of the estimates
MIN_MODELS = 5  # for a trend over models
MIN_ASSIGNMENTS = 40  # of capability to models: with fewer, a permutation test has no two-sided p <= .05
MIN_UNITS = 3  # models or families, for a mean over them
MIN_TREND_REFUSALS = 10  # of a model, for the relative trend
NAMED = 0.025  # family-wise p up to which a note names the cell, as in the table of separations
SMALLEST_EFFECT = 0.01  # persona effects below one percentage point count as negligible
NAIVE_RESPONSES = 100  # responses per persona of a small study without controls
OVERESTIMATE = 1.5  # ratio of naive to controlled effect that counts as overestimation
AGREEMENT = 0.75  # share of the models (families) with a significant difference that must agree with the mean


@dataclass(frozen=True)
class Rates:
    """Rates (K,) of `cells` (K rows of levels, with n and refusals); `moves.T @ moves` is their covariance.

    effective: (K,) effective numbers of responses at a level of 95%, and texts: (K,) texts behind them, infinite for
    independent responses; for `limits`.
    """

    cells: pd.DataFrame
    rate: np.ndarray
    moves: np.ndarray
    effective: np.ndarray
    texts: np.ndarray

    def cube(self, factors: list[str]) -> tuple[np.ndarray, np.ndarray, list[list[str]]]:
        """Rates (levels of each factor...), moves (C, levels...) and the levels; models with gaps are left out."""
        place, names = self.places(factors)
        return self.rate[place], self.moves[:, place], names

    def places(self, factors: list[str]) -> tuple[np.ndarray, list[list[str]]]:
        """Position among the cells of each combination of levels, and the levels; models with gaps are left out."""
        cells = self.cells
        names = [list(dict.fromkeys(cells[factor])) for factor in factors]
        expected = int(np.prod([len(levels) for levels in names[1:]]))
        names[0] = [level for level in names[0] if (cells[factors[0]] == level).sum() == expected]
        if not names[0]:
            raise NotTestable(f"no {factors[0]} has responses in every combination of {', '.join(factors[1:])}")
        place = pd.MultiIndex.from_frame(cells[factors]).get_indexer(pd.MultiIndex.from_product(names))
        return place.reshape([len(levels) for levels in names]), names

    def limits(self, level: float) -> Limits:
        """Wilson's limits (K,) at the effective numbers of responses."""
        effective = self.effective * (_student(0.95, self.texts) / _student(level, self.texts)) ** 2
        return wilson_rare(np.clip(self.rate, 0, 1) * effective, effective, level)

    def part(self, mask: np.ndarray) -> "Rates":
        """Keep only the cells where `mask` (K,) is true."""
        cells = self.cells[mask].reset_index(drop=True)
        return Rates(cells, self.rate[mask], self.moves[:, mask], self.effective[mask], self.texts[mask])


def _student(level: float, texts: np.ndarray) -> np.ndarray:
    """Student's quantile for so many texts, divided by the normal one."""
    q = (1 + level) / 2
    return np.asarray(stats.t.ppf(q, np.maximum(texts - 1, 1)) / stats.norm.ppf(q))


@dataclass(frozen=True)
class Evidence:
    """The input of the claims: rates by model, task and persona, and by model, task and format.

    personas : rates with a persona.
    formats : rates by response format; None if formats are unknown.
    baseline : rates without a persona; None if the study has none.
    screened : result of `multiplicity.screen`; None for cells or without a baseline.
    models : the models table (model, family, generation, capability).
    seed : seed of permutations and simulations.
    """

    personas: Rates
    formats: Rates | None
    baseline: Rates | None
    screened: pd.DataFrame | None
    models: pd.DataFrame
    seed: int


class NotTestable(InputError):
    """The input is valid but lacks something that a claim needs."""


@dataclass(frozen=True)
class Finding:
    """Result of a rule."""

    conclusion: str
    effect: float = np.nan
    unit: str = ""
    lo: float = np.nan
    hi: float = np.nan
    p: float = np.nan
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim: the paper's statement, the rule in words and as a function, and whether it compares models.

    A claim that compares models is not testable if all models are one checkpoint with different system prompts.
    """

    name: str
    statement: str
    rule: str
    test: Callable[[Evidence], Finding]
    compares_models: bool = False


def claims_table(
    models: pd.DataFrame,
    cells: pd.DataFrame | None = None,
    outcomes: pd.DataFrame | Outcomes | None = None,
    screened: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Decide every claim.

    Parameters
    ----------
    models : the models table.
    cells : counts of one labeller, for a study without outcomes.
    outcomes : outcomes of one labeller.
    screened : result of `multiplicity.screen`, if it is known already.
    seed : seed of permutations and simulations.

    Returns
    -------
    Columns claim, statement, rule, effect, effect_unit, lo, hi, p, conclusion, n (responses with a persona), note. p is
    one-sided, in the direction of the claim, and doubled, as the intervals are two-sided: at most .05 if and only if
    the interval is on the claim's side. ("Personas raise refusal" has one-sided limits and p, for all cells together.)
    Notes of the first four claims give p adjusted for the four (Holm).

    Raises
    ------
    InputError for invalid input. A claim that the data cannot decide is "not testable".
    """
    evidence = gather(models, cells, outcomes, screened, seed)
    n = int(evidence.personas.cells["n"].sum())
    rows = []
    for claim in CLAIMS:
        finding = decide(claim, evidence)
        row = {"claim": claim.name, "statement": claim.statement, "rule": claim.rule, "effect": finding.effect}
        row |= {"effect_unit": finding.unit, "lo": finding.lo, "hi": finding.hi, "p": finding.p}
        rows.append(row | {"conclusion": finding.conclusion, "n": n, "note": finding.note})
    table = pd.DataFrame(rows)[COLUMNS]
    primary = table.index[:4][table["p"].iloc[:4].notna()]
    for k, adjusted in zip(primary, holm(table.loc[primary, "p"].to_numpy()) if len(primary) else (), strict=True):
        table.loc[k, "note"] += say("claim: joint", note=bool(table.loc[k, "note"]), p=adjusted)
    return table


def decide(claim: Claim, evidence: Evidence) -> Finding:
    """Apply a claim's rule; "not testable" if the evidence lacks what it needs."""
    if claim.compares_models and are_variants(evidence.models):
        return Finding(NOT_TESTABLE, note="all models of this study are one checkpoint with different system prompts")
    try:
        return claim.test(evidence)
    except NotTestable as error:
        return Finding(NOT_TESTABLE, note=str(error))


def gather(
    models: pd.DataFrame,
    cells: pd.DataFrame | None = None,
    outcomes: pd.DataFrame | Outcomes | None = None,
    screened: pd.DataFrame | None = None,
    seed: int = 0,
) -> Evidence:
    """Gather the rates that the claims need.

    Covariances are text-robust with outcomes, binomial with cells. Parameters as for `claims_table`.
    """
    everything: Rates | None
    formats: Rates | None
    effects = None
    if outcomes is not None:
        outcomes = as_outcomes(outcomes, ["model", "task", "persona", "template", "format"])
        fit = fit_personas(outcomes)
        texts = (fit.responses > 0).sum(0)
        everything = Rates(fit.cells, fit.rate, compressed(fit.moves), fit.effective(), texts)
        if screened is None and fit.cells["persona"].eq(BASELINE).nunique() == 2:
            effects = persona_effects(outcomes, fit)
        del fit  # the moves of all texts
        table = cluster_table(outcomes.without_baseline(), ["model", "task", "format"])
        totals = table.totals()
        moves, n = compressed(influence(table).astype(float)), totals["n"].to_numpy(float)
        formats = Rates(totals, totals["rate"].to_numpy(), moves, n, totals["texts"].to_numpy())
        if effects is not None:
            screened = screen(effects, max_t(outcomes, seed=[seed, 3]))
    elif cells is not None:
        if cells["labeller"].nunique() > 1:
            raise InputError(f"cells: one labeller at a time, not {', '.join(sorted(cells['labeller'].unique()))}")
        everything = _from_cells(cells[cells["persona"] != ALL], "persona")
        formats = _from_cells(cells[(cells["format"] != ALL) & (cells["persona"] != BASELINE)], "format")
    else:
        raise InputError("claims need cells or outcomes")
    if everything is None or (is_baseline := (everything.cells["persona"] == BASELINE).to_numpy()).all():
        raise InputError("claims: there is no response to a prompt with a persona")
    personas, baseline = everything.part(~is_baseline), everything.part(is_baseline) if is_baseline.any() else None
    return Evidence(personas, formats, baseline, screened, models, seed)


def _from_cells(cells: pd.DataFrame, factor: str) -> Rates | None:
    """Rates by model, task and `factor`; variances are binomial, with half a refusal and one response added."""
    if cells.empty:
        return None
    sums = cells.groupby(["model", "task", factor], sort=False, observed=True)[["n", "refusals"]].sum().reset_index()
    n, y = sums["n"].to_numpy(float), sums["refusals"].to_numpy(float)
    chance = (y + 0.5) / (n + 1)
    return Rates(sums, y / n, np.diag(np.sqrt(chance * (1 - chance) / n)), n, np.full(len(n), np.inf))


def compressed(moves: np.ndarray) -> np.ndarray:
    """Fewer rows with the same `moves.T @ moves`, which is all that is used."""
    return np.asarray(np.linalg.qr(moves, mode="r")) if len(moves) > moves.shape[1] else moves


# --- parts of the rules


def _centred(moves: np.ndarray) -> np.ndarray:
    """Moves minus their mean over the last axis."""
    return moves - moves.mean(-1, keepdims=True)


def _dispersion(rate: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased variance over the last axis of rate (..., L), and its variance under no effect; moves (C, ..., L)."""
    levels = rate.shape[-1]
    centred = _centred(moves)
    observed = ((rate - rate.mean(-1, keepdims=True)) ** 2).sum(-1)
    covariance = np.einsum("c...i,c...j->...ij", centred, centred)
    noise = np.trace(covariance, axis1=-2, axis2=-1)
    null = 2 * (covariance**2).sum((-2, -1)) / (levels - 1) ** 2
    return (observed - noise) / (levels - 1), null


def _sobol(rate: np.ndarray, moves: np.ndarray, overall: np.ndarray) -> np.ndarray:
    """First-order Sobol' index (...) of a factor with rates (..., L), noise subtracted; `overall`: the overall rate."""
    levels = rate.shape[-1]
    spread = ((rate - rate.mean(-1, keepdims=True)) ** 2).sum(-1) - (_centred(moves) ** 2).sum()
    return spread / levels / (overall * (1 - overall))


def _simulated_errors(moves: np.ndarray, seed: list[int]) -> np.ndarray:
    """Errors (SIMULATIONS, levels...) of the estimates, from their joint normal distribution; moves (C, levels...)."""
    normal = np.random.default_rng(seed).standard_normal((SIMULATIONS, len(moves)))
    return np.tensordot(normal, moves, axes=1)


def _contrast(rate: np.ndarray, moves: np.ndarray) -> tuple[float, float, float, float]:
    """Estimate, 95% interval and one-sided p-value (above 0), doubled, of a contrast, by Student's t.

    Parameters
    ----------
    rate : the contrast.
    moves : (C,) influence of each text; the degrees of freedom are one less than the texts that have any.
    """
    se, df = float(np.sqrt((moves**2).sum())), max(int(np.count_nonzero(moves)) - 1, 1)
    t = rate / se if se > 0 else np.sign(rate) * np.inf
    half = float(stats.t.ppf(0.975, df)) * se
    return float(rate), float(rate - half), float(rate + half), min(1.0, 2 * float(stats.t.sf(t, df)))


def _p_above(z: float) -> float:
    """One-sided p-value of "not above 0", doubled: at most 0.05 if and only if the 95% interval is above 0."""
    return min(1.0, 2 * float(stats.norm.sf(z)))


def _mean_and_units(rate: np.ndarray, moves: np.ndarray, names: list[str], what: str) -> Finding:
    """Rule of claims about an average over units (models or families): mean contrast, and whether units agree.

    Supported if the mean is significantly above 0 and at least AGREEMENT of the units with a significant contrast (Holm
    over units) are above 0. Contradicted if the mean is significantly below 0 and as many are below 0. If no unit has a
    significant contrast, neither.

    Parameters
    ----------
    rate, moves : (U,) contrasts and their (C, U) influence.
    names : names of the units.
    what : "models" or "families".
    """
    if len(names) < MIN_UNITS:
        raise NotTestable(say("untestable: units", what=what, needed=MIN_UNITS, names=names))
    effect, lo, hi, p = _contrast(rate.mean(), moves.mean(-1))
    se, df = np.sqrt((moves**2).sum(0)), np.maximum(np.count_nonzero(moves, axis=0) - 1, 1)
    t = np.divide(rate, se, out=np.zeros_like(rate), where=se > 0)
    significant = holm(2 * stats.t.sf(np.abs(t), df)) <= ALPHA
    up = [name for name, c, r in zip(names, significant, rate, strict=True) if c and r > 0]
    down = [name for name, c, r in zip(names, significant, rate, strict=True) if c and r < 0]
    needed = max(AGREEMENT * (len(up) + len(down)), 1)
    conclusion = INCONCLUSIVE
    if lo > 0 and len(up) >= needed:
        conclusion = SUPPORTED
    elif hi < 0 and len(down) >= needed:
        conclusion = CONTRADICTED
    note = say("claim: units", up=len(up), down=down, units=len(names), what=what)
    return Finding(conclusion, 100 * effect, "pp", 100 * lo, 100 * hi, p, note)


def _persona_cube(evidence: Evidence, personas: int = 2):
    """Rates (M, T, P), moves (C, M, T, P) and levels; NotTestable below `personas` personas or with few refusals."""
    rate, moves, names = evidence.personas.cube(["model", "task", "persona"])
    if len(names[2]) < personas:
        raise NotTestable("there is only one persona")
    _enough(evidence.personas.cells)
    return rate, moves, names


def _enough(cells: pd.DataFrame, where: str = "", least: int = MIN_REFUSALS) -> None:
    """NotTestable below `least` refusals, or other responses: normal errors are then too small, or even 0."""
    refusals, n = int(cells["refusals"].sum()), int(cells["n"].sum())
    if min(refusals, n - refusals) < least:
        raise NotTestable(where + say("untestable: refusals", refusals=refusals, n=n))


# --- the rules


def capable_models_are_less_affected(evidence: Evidence) -> Finding:
    """Trend with capability, within families, of the variance between personas: absolute and as a share.

    The share is of the variance of the outcome, rate (1 - rate).
    """
    rate, moves, (names, *_) = _persona_cube(evidence)
    table = evidence.models.set_index("model").reindex(names)
    keep = table["capability"].notna().to_numpy()
    if keep.sum() < MIN_MODELS:
        have = {"models": int(keep.sum()), "what": "a capability score", "needed": MIN_MODELS}
        raise NotTestable(say("untestable: trend", **have))
    rate, moves, table = rate[keep].mean(1), moves[:, keep].mean(2), table[keep]
    capability = table["capability"].to_numpy(float)
    if np.ptp(capability) == 0:
        raise NotTestable("all models have the same capability score")
    refusals = evidence.personas.cells.groupby("model", observed=True)["refusals"].sum().reindex(table.index)
    enough = (refusals >= MIN_TREND_REFUSALS).to_numpy()
    if enough.sum() < MIN_MODELS:
        have = {"models": int(enough.sum()), "what": f"{MIN_TREND_REFUSALS} refusals or more", "needed": MIN_MODELS}
        raise NotTestable(say("untestable: trend", **have))
    block = exchangeable(table["family"].to_numpy())
    ways = assignments(capability[enough], block[enough])
    if ways < MIN_ASSIGNMENTS:
        raise NotTestable(
            f"capability can be assigned to the models of each family in only {ways} ways; p <= .05 needs "
            f"{MIN_ASSIGNMENTS}: add models to the families"
        )
    impact, null = _dispersion(rate, moves)
    overall = np.clip(rate.mean(1), 1e-6, 1 - 1e-6)
    variance = overall * (1 - overall)
    points = _capability_trend(capability, 1e4 * impact, 1e8 * null, block, [evidence.seed, 1, 1])
    relative = 100 * impact / variance, 1e4 * null / variance**2
    share = _capability_trend(capability, *relative, block, [evidence.seed, 1, 2], enough)
    alone = int((block == -1).sum())
    permuted = "within families" if alone < len(block) else ""
    permuted += " and " * bool(permuted and alone) + (f"over the {alone} models without relatives" if alone else "")
    detected = null.sum() > 0 and impact.sum() / np.sqrt(null.sum()) > stats.norm.ppf(1 - ALPHA)
    return _capability_finding(points, share, detected, permuted, capability, impact)


def _capability_trend(capability, values, noise, block, seed: list[int], where=slice(None)) -> Trend:
    """Trend of `values`, which have this noise variance, per 10 points of capability.

    Weights are 1 / sqrt(noise + variance of the values in the block), so that no block decides alone.
    """
    x, y, noise, block = capability[where] / 10, values[where], noise[where], block[where]
    between = pd.Series(y).groupby(block).transform("var").fillna(0).to_numpy()
    return trend(x, y, 1 / np.sqrt(noise + between), block, seed)


def _capability_finding(points: Trend, share: Trend, detected: bool, permuted: str, capability, impact) -> Finding:
    """Decide from the trends of the variance between personas in squared percentage points, and of its share."""
    less, more = (np.sqrt(max(impact[half].mean(), 0)) for half in _halves(capability))
    shown, unit = (share, "% of variance / 10 points") if share.falls >= points.falls else (points, "pp² / 10 points")
    conclusion, reason = INCONCLUSIVE, ""
    if not detected:
        reason = "undetected"
    elif share.lo > 0:
        conclusion, shown, unit = CONTRADICTED, share, "% of variance / 10 points"
    elif shown.hi < 0:
        conclusion = SUPPORTED
    elif points.hi < 0:
        reason = "rates"
    p = {"falls": points.falls, "share_falls": share.falls, "share_rises": share.rises}
    note = say("claim: capability", less=less, more=more, permuted=permuted, reason=reason, **p)
    return Finding(conclusion, shown.slope, unit, shown.lo, shown.hi, shown.falls, note)


def _halves(capability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the less capable and of the more capable half of the models, without the one in the middle."""
    order = np.argsort(capability, kind="stable")
    return order[: len(order) // 2], order[(len(order) + 1) // 2 :]


def some_personas_raise_refusal(evidence: Evidence) -> Finding:
    """Largest persona effects over all models and personas, with family-wise error control."""
    if evidence.personas.cells["persona"].nunique() < 2:
        raise NotTestable("there is only one persona")
    _enough(evidence.personas.cells, least=1)
    if evidence.screened is not None:
        table = evidence.screened
        against = "the same prompts without a persona"
    else:
        table = _screen_against_mean(evidence)
        against = "the mean of all personas (there are no baseline responses with a known n)"
    found = table[table["p_family"] <= ALPHA]
    top = found.sort_values("lo_family").iloc[-1] if len(found) else table.sort_values("difference").iloc[-1]
    conclusion = INCONCLUSIVE
    if len(found):
        conclusion = SUPPORTED
    elif (table["hi_family"] < SMALLEST_EFFECT).all():
        conclusion = CONTRADICTED
    note = say(
        "claim: personas",
        found=len(found),
        cells=len(table),
        models=found["model"].nunique(),
        against=against,
        above=(table["lo_family"] > SMALLEST_EFFECT).sum(),
        named=bool(table["p_family"].min() <= NAMED),
        model=top["model"],
        persona=top["persona"],
    )
    effect, lo, hi = (100 * float(top[column]) for column in ("difference", "lo_family", "hi_family"))
    return Finding(conclusion, effect, "pp", lo, hi, float(table["p_family"].min()), note)


def _screen_against_mean(evidence: Evidence) -> pd.DataFrame:
    """Compare every model's personas with the mean of its personas: MOVER on the limits of its rates by task."""
    rates = evidence.personas
    place, (models, tasks, personas) = rates.places(["model", "task", "persona"])
    place = place.reshape(len(models), -1)
    # rows of `weights`: one persona minus the mean of all, averaged over tasks
    weights = np.tile(np.eye(len(personas)) - 1 / len(personas), len(tasks)) / len(tasks)
    rate, moves = np.clip(rates.rate, 0, 1), rates.moves
    correlations = [correlation(moves[:, own]) for own in place]

    def limits(level: float) -> Limits:
        low, high = rates.limits(level)
        parts = [mover(weights, rate[i], low[i], high[i], c) for i, c in zip(place, correlations, strict=True)]
        return np.concatenate([lo for lo, _ in parts]), np.concatenate([hi for _, hi in parts])

    difference = (rate[place] @ weights.T).ravel()
    level = simultaneous(len(difference))
    p = p_of_limits(difference, limits, (0.95, level))
    index = pd.MultiIndex.from_product([models, personas], names=["model", "persona"])
    table = pd.DataFrame({"difference": difference}, index=index).reset_index()
    table["p_family"] = holm(np.where(difference > 0, p / 2, 1 - p / 2))
    table["lo_family"], table["hi_family"] = limits(level)
    return table


def model_and_task_matter_more(evidence: Evidence) -> Finding:
    """First-order indices of model and task, each minus that of persona."""
    rate, moves, names = _persona_cube(evidence)
    if min(len(levels) for levels in names) < 2:
        raise NotTestable("model, task and persona need at least two levels each")
    overall, errors = rate.mean(), _simulated_errors(moves, [evidence.seed, 4])
    simulated = rate + errors
    index, spread = {}, {}
    for axis, factor in enumerate(("model", "task", "persona")):
        others = tuple(k for k in range(3) if k != axis)
        of_moves = moves.mean(tuple(k + 1 for k in others))
        index[factor] = float(_sobol(rate.mean(others), of_moves, overall))
        mean = np.clip(simulated.mean((1, 2, 3)), 1e-6, 1 - 1e-6)
        spread[factor] = _sobol(simulated.mean(tuple(k + 1 for k in others)), of_moves, mean)
    differences = {}
    for factor in ("model", "task"):
        estimate, se = index[factor] - index["persona"], (spread[factor] - spread["persona"]).std()
        differences[factor] = estimate, estimate - Z95 * se, estimate + Z95 * se, _p_above(estimate / se)
    weakest = min(differences, key=lambda factor: differences[factor][0])
    effect, lo, hi, p = differences[weakest]
    conclusion = INCONCLUSIVE
    if all(d[1] > 0 for d in differences.values()):
        conclusion = SUPPORTED
    elif any(d[2] < 0 for d in differences.values()):
        conclusion = CONTRADICTED
    note = say("claim: variance", shares=index, smaller=weakest)
    p = max(d[3] for d in differences.values())
    return Finding(conclusion, 100 * effect, "% of variance", 100 * lo, 100 * hi, p, note)


def uncontrolled_effects_are_overestimated(evidence: Evidence) -> Finding:
    """Root mean square persona effect in one model and task, against the effect averaged over models and tasks."""
    rate, moves, names = _persona_cube(evidence)
    if len(names[0]) * len(names[1]) < 2:
        raise NotTestable("there is only one model and task, so nothing is averaged over")
    effect, of_moves, noise, against = _effects_and_naive_noise(evidence, rate, moves, names)

    def squares(effect, subtract):
        """Mean squared effect in slices (model x task) and of the average over slices, noise subtracted."""
        sliced = (effect**2).mean((-3, -2, -1)) - subtract * (of_moves**2).sum(0).mean()
        averaged = (effect.mean((-3, -2)) ** 2).mean(-1) - subtract * (of_moves.mean((1, 2)) ** 2).sum(0).mean()
        return sliced, averaged

    errors = _simulated_errors(of_moves, [evidence.seed, 5])
    sliced, averaged = squares(effect, 1)
    simulated = squares(effect + errors, 2)
    excess, spread = sliced - OVERESTIMATE**2 * averaged, (simulated[0] - OVERESTIMATE**2 * simulated[1]).std()
    structural, total = excess / spread, (excess + noise) / spread
    ratio = np.sqrt(max(sliced, 0) / averaged) if averaged > 0 else np.nan
    lo, hi = _ratio_limits(sliced, averaged, np.cov(*simulated))
    conclusion = INCONCLUSIVE
    if lo > OVERESTIMATE:
        conclusion = SUPPORTED
    elif total < -Z95 and hi < OVERESTIMATE:
        conclusion = CONTRADICTED
    naive = np.sqrt(max(sliced + noise, 0) / averaged) if averaged > 0 else None
    note = say(
        "claim: overestimation",
        against=against,
        sliced=np.sqrt(max(sliced, 0)),
        averaged=np.sqrt(max(averaged, 0)),
        naive=naive,
        responses=NAIVE_RESPONSES,
    )
    return Finding(conclusion, ratio, "ratio", lo, hi, _p_above(structural), note)


def _ratio_limits(above: float, below: float, covariance: np.ndarray) -> tuple[float, float]:
    """95% limits of sqrt(above / below): all r with above - r^2 below within 1.96 errors of 0 (Fieller 1954)."""
    a, c = below**2 - Z95**2 * covariance[1, 1], above**2 - Z95**2 * covariance[0, 0]
    b = above * below - Z95**2 * covariance[0, 1]
    root = np.sqrt(max(b**2 - a * c, 0))
    lo, hi = 0.0, np.inf  # `below` may be 0
    if a > 0 and below > 0:
        lo, hi = (b - root) / a, (b + root) / a
    elif a < 0 < c and above > 0:
        lo = (b - root) / a
    return float(np.sqrt(max(lo, 0))), float(np.sqrt(max(hi, 0)))


def _effects_and_naive_noise(evidence: Evidence, rate: np.ndarray, moves: np.ndarray, names: list[list[str]]):
    """Persona effects, their moves, the noise variance of a naive study, and what the effects are measured against."""
    if evidence.baseline is None:
        noise = (rate * (1 - rate)).mean() * (1 - 1 / rate.shape[-1]) / NAIVE_RESPONSES
        return rate - rate.mean(-1, keepdims=True), _centred(moves), noise, "the mean of all personas"
    reference, of_reference, levels = evidence.baseline.cube(["model", "task", "persona"])
    if levels[:2] != names[:2]:
        raise NotTestable("not every model and task has baseline responses")
    noise = (rate * (1 - rate) + reference * (1 - reference)).mean() / NAIVE_RESPONSES
    return rate - reference, moves - of_reference, noise, "the same prompts without a persona"


def newer_generations_refuse_less(evidence: Evidence) -> Finding:
    """Within each family: mean rate of the oldest generation minus that of all later ones."""
    rate, moves, (names, *_) = _persona_cube(evidence, 1)
    rate, moves = rate.mean((1, 2)), moves.mean((2, 3))
    table = evidence.models[evidence.models["model"].isin(names)]
    contrasts, of_moves, families = [], [], []
    for family, members in table.groupby("family", sort=False):
        oldest = (members["generation"] == members["generation"].iloc[0]).to_numpy()
        if oldest.all():
            continue
        place = np.array([names.index(model) for model in members["model"]])
        weight = np.where(oldest, 1 / oldest.sum(), -1 / (~oldest).sum())
        contrasts.append(rate[place] @ weight)
        of_moves.append(moves[:, place] @ weight)
        families.append(family)
    if not families:
        raise NotTestable("no family has models of two generations")
    return _mean_and_units(np.array(contrasts), np.array(of_moves).T, families, "families")


def unforced_formats_refuse_more(evidence: Evidence) -> Finding:
    """Within each model: rate under unforced formats minus the mean of semi-forced and forced ones."""
    if evidence.formats is None:
        raise NotTestable("the response formats are unknown")
    rate, moves, (names, _, formats) = evidence.formats.cube(["model", "task", "format"])
    if set(formats) != set(FORMATS):
        raise NotTestable(f"the claim needs the formats {', '.join(FORMATS)}, not {', '.join(formats)}")
    weight = np.array([1.0 if f == "unforced" else -0.5 for f in formats])
    rate, moves = (rate @ weight).mean(1), (moves @ weight).mean(2)
    _enough(evidence.formats.cells)
    return _mean_and_units(rate, moves, names, "models")


def sensitive_tasks_refuse_more(evidence: Evidence) -> Finding:
    """Politeness minus NLI, and offensiveness minus politeness, averaged over models."""
    rate, moves, (_, tasks, _) = _persona_cube(evidence, 1)
    if set(tasks) != set(TASKS):
        raise NotTestable(f"the order of sensitivity is stated for {', '.join(TASKS)}, not for {', '.join(tasks)}")
    cells = evidence.personas.cells
    for pair in pairwise(TASKS):
        _enough(cells[cells["task"].isin(pair)], f"{' and '.join(pair)}: ")
    order = [tasks.index(task) for task in TASKS]
    rate, moves = rate.mean((0, 2))[order], moves.mean((1, 3))[:, order]
    steps = [_contrast(rate[k + 1] - rate[k], moves[:, k + 1] - moves[:, k]) for k in range(2)]
    effect, lo, hi, _ = _contrast(rate[2] - rate[0], moves[:, 2] - moves[:, 0])
    conclusion = INCONCLUSIVE
    if all(step[1] > 0 for step in steps):
        conclusion = SUPPORTED
    elif any(step[2] < 0 for step in steps):
        conclusion = CONTRADICTED
    note = say("claim: tasks", steps=[(TASKS[k + 1], TASKS[k], *step[:3]) for k, step in enumerate(steps)])
    return Finding(conclusion, 100 * effect, "pp", 100 * lo, 100 * hi, max(step[3] for step in steps), note)


CLAIMS = (
    Claim(
        "capability",
        "As models become more capable, personas affect the refusal rate less.",
        "Quantities: variance of the rate between personas in each model, noise subtracted, and its share of the "
        "variance of refusal. Estimate: least-squares slopes of both with capability, within families. Test: "
        "capability is permuted over the models of each family, and over the models that are alone in their family; "
        "the interval inverts this test. Differences between families have no influence. Supported: the variance is "
        "above 0 (z > 1.645), and both slopes have 95% intervals below 0. Contradicted: the variance is above 0, and "
        "the slope of the share has a 95% interval above 0. If only the variance in percentage points falls, the "
        "claim is inconclusive, because lower refusal rates can explain this. Not testable if capability can be "
        "permuted in fewer than 40 ways. Effect, interval and p are those of the slope with the larger p, per 10 "
        "points of capability.",
        capable_models_are_less_affected,
        compares_models=True,
    ),
    Claim(
        "personas raise refusal",
        "Certain sociodemographic personas increase false refusal in some models.",
        "Supported: at least one pair of model and persona has a family-wise p of at most .05. Contradicted: the "
        "simultaneous upper limits of all pairs are below 1 percentage point. Effect: if supported, that of the pair "
        "with the highest simultaneous lower limit, else the largest effect. lo and hi are simultaneous one-sided "
        "95% limits (Bonferroni).",
        some_personas_raise_refusal,
    ),
    Claim(
        "model and task over persona",
        "Model choice and task influence false refusals more than personas do.",
        "Quantities: first-order Sobol' indices (shares of the variance of refusal), noise subtracted. Supported: "
        "model minus persona and task minus persona both have 95% intervals above 0. Contradicted: at least one of "
        "the intervals is below 0. Effect: the smaller of the two differences.",
        model_and_task_matter_more,
        compares_models=True,
    ),
    Claim(
        "overestimation",
        "Persona effects are overestimated when other factors are not controlled.",
        "Effect: ratio of two root mean square persona effects, noise subtracted: within one model and task, divided "
        "by that of the effects averaged over models and tasks. Interval: Fieller's. Supported: the 95% interval is "
        "above 1.5. Contradicted: the 95% interval is below 1.5, and the ratio is also significantly below 1.5 (z < "
        "-1.96) if the sampling noise of a study with 100 responses per persona is added. p: null hypothesis of a "
        "ratio of 1.5.",
        uncontrolled_effects_are_overestimated,
    ),
    Claim(
        "newer generations",
        "Newer generations of models refuse less.",
        "Effect: mean rate of the oldest generation minus that of all later ones in each family, mean over families. "
        "Supported: the 95% interval is above 0, and at least three quarters of the families with a significant "
        "difference (Holm) are above 0. Contradicted: the 95% interval is below 0, and at least three quarters of "
        "them are below 0. Not testable with fewer than three families.",
        newer_generations_refuse_less,
        compares_models=True,
    ),
    Claim(
        "unforced formats",
        "Prompts that leave the response format open are refused more.",
        "Effect: rate of unforced formats minus the mean of semi-forced and forced formats in each model, mean over "
        "models. Supported: the 95% interval is above 0, and at least three quarters of the models with a "
        "significant difference (Holm) are above 0. Contradicted: the 95% interval is below 0, and at least three "
        "quarters of them are below 0. Not testable with fewer than three models.",
        unforced_formats_refuse_more,
    ),
    Claim(
        "sensitive tasks",
        "Socially sensitive tasks are refused more: offensiveness more than politeness, politeness more than NLI.",
        "Quantities: politeness minus NLI, and offensiveness minus politeness, mean over models. Supported: both "
        "have 95% intervals above 0. Contradicted: at least one has a 95% interval below 0. Effect: offensiveness "
        "minus NLI.",
        sensitive_tasks_refuse_more,
    ),
)
