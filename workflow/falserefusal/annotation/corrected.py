"""Persona effects, importance and claims from rates that are corrected for a labeller's errors.

The rate of a cell is corrected by the accuracy of the labeller for its model (`accuracy.Accuracy.correct`). The
uncertainty is that of the study's texts, larger by the same factor, and that of the accuracy, which all cells of a
model share. This assumes that the labeller errs alike whatever the persona and the task. `correction` has rates and
differences that do not assume it, with wider intervals, and a test of it (`specificity_tests`).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from falserefusal.annotation.accuracy import Accuracy
from falserefusal.common.outcomes import Outcomes
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation import claims
from falserefusal.estimation.claims import Z95, Evidence, Rates, compressed, gather
from falserefusal.estimation.effects import MEAN, against_baseline, mean_effects, persona_effects, with_any_persona
from falserefusal.statistics import sensitivity
from falserefusal.statistics.clusters import degrees_of_freedom
from falserefusal.statistics.gls import PersonaFit, fit_personas

SENSITIVE = 0.05  # share of draws with another conclusion, above which a claim is sensitive to label error
CONCLUSIONS = 50  # draws for which the claims are decided
FACTORS = ("model", "task", "persona")
INDICES = ("wasserstein", "sobol")
EFFECTS = ["model", "persona", "n", "difference", "corrected", "lo", "hi", "method"]
IMPORTANCE = ["factor", "index", "levels", "n", "uncorrected", "estimate", "corrected", "lo", "hi"]
IMPORTANCE += ["floor_mean", "floor_q95", "method"]
DECIDED = ["claim", "uncorrected", "conclusion", "effect", "effect_unit", "lo", "hi", "p", "other", "sensitive", "note"]
METHOD = "sensitivity and specificity by model from annotations, models pooled partially"
BY_CHANCE = "not corrected: sensitivity + specificity may be 1, no better than chance"


def corrected_tables(
    outcomes: pd.DataFrame | Outcomes, models: pd.DataFrame, accuracy: Accuracy, seed: int
) -> dict[str, pd.DataFrame]:
    """Make the corrected tables of a study: effects (no rows without a baseline), importance and claims.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    models : the models table.
    accuracy : of the labeller.
    seed : seed of simulated sampling errors.
    """
    evidence, fit = gather(models, outcomes=outcomes, seed=seed), fit_personas(outcomes)
    effects = pd.DataFrame(columns=EFFECTS)
    if evidence.baseline is not None:
        uncorrected = pd.concat([mean_effects(fit), persona_effects(outcomes, fit)], ignore_index=True)
        effects = corrected_effects(fit, uncorrected, accuracy, seed)
    importance = corrected_importance(evidence, accuracy, seed)
    return {"effects": effects, "importance": importance, "claims": corrected_claims(evidence, accuracy)}


def corrected_effects(fit: PersonaFit, effects: pd.DataFrame, accuracy: Accuracy, seed: int = 0) -> pd.DataFrame:
    """Persona effects for each model, and averaged over models (model "mean").

    A difference of two rates of a model is divided by sensitivity + specificity - 1. Estimate and interval are median
    and quantiles over draws of the accuracy and of sampling errors. Errors of one model are normal on each side, with
    the size that the uncorrected interval has there; those of means have Student's distribution.

    Parameters
    ----------
    fit : as `fit_personas` returns it, from the labeller's verdicts.
    effects : rows of `persona_effects` and `mean_effects` of the same verdicts.
    accuracy : of the labeller.
    seed : seed of the sampling errors.

    Returns
    -------
    Columns model, persona, n, difference (by the labeller), corrected, lo, hi (of the corrected difference), method. A
    model for which the labeller may be no better than chance is not corrected, and no mean includes it.
    """
    usable = accuracy.usable()
    rng = np.random.default_rng([seed, 9])
    table = effects[["model", "persona", "n", "difference", "lo", "hi"]].reset_index(drop=True)
    of_means = _mean_draws(fit, usable, rng)
    values = np.full((len(accuracy.sensitivity), len(table)), np.nan)
    single = table["model"].isin(usable.models).to_numpy()
    part = table[single]
    error = rng.standard_normal((len(values), 1))
    reach = np.where(error < 0, part["difference"] - part["lo"], part["hi"] - part["difference"]) / Z95
    values[:, single] = (part["difference"].to_numpy() + error * reach) * usable.factor(part["model"])
    for place in np.flatnonzero((table["model"] == MEAN) & bool(usable.models)):
        values[:, place] = of_means[table.loc[place, "persona"]]
    lo, corrected, hi = np.quantile(values, [0.025, 0.5, 0.975], axis=0)
    method = np.where(np.isnan(corrected), BY_CHANCE, METHOD)
    return table.assign(corrected=corrected, lo=lo, hi=hi, method=method)[EFFECTS]


def _mean_draws(fit: PersonaFit, accuracy: Accuracy, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws (R,) of the corrected effect of each persona, and of any, averaged over the models of `accuracy`."""
    fit = fit.keep(fit.cells["model"].isin(accuracy.models).to_numpy())
    parts = []
    for rates in (fit.average(["model", "persona"]), with_any_persona(fit)) if accuracy.models else ():
        persona, baseline = against_baseline(rates)
        moves = rates.moves[:, persona] - rates.moves[:, baseline]
        parts.append((rates.cells.loc[persona], rates.rate[persona] - rates.rate[baseline], moves))
    found: dict[str, np.ndarray] = {}
    for cells, difference, moves in parts:
        df = float(np.median(degrees_of_freedom(moves)))
        draws = len(accuracy.sensitivity)
        errors = _errors(moves, draws, rng) * np.sqrt(df / rng.chisquare(df, (draws, 1)))
        values = (difference + errors) * accuracy.factor(cells["model"])
        found |= {name: values[:, rows].mean(1) for name, rows in cells.groupby("persona").indices.items()}
    return found


def corrected_importance(evidence: Evidence, accuracy: Accuracy, seed: int = 0) -> pd.DataFrame:
    """Importance of model, task and persona from corrected rates of their levels, with equal weight of all cells.

    Parameters
    ----------
    evidence : as `claims.gather` returns it, from the labeller's verdicts.
    accuracy : of the labeller.
    seed : seed of the sampling errors.

    Returns
    -------
    Columns factor, index ("wasserstein", "sobol"), levels, n, uncorrected and estimate (plug-in, from the labeller's
    and from corrected rates), corrected (also for noise), lo, hi, floor_mean, floor_q95 (of a factor without effect),
    method. No rows if there is no model that can be corrected.
    """
    accuracy = accuracy.usable()
    rates = evidence.personas.part(evidence.personas.cells["model"].isin(accuracy.models).to_numpy())
    if not len(rates.rate):
        return pd.DataFrame(columns=IMPORTANCE)
    observed, _, names = rates.cube(list(FACTORS))
    place = pd.MultiIndex.from_frame(rates.cells[[*FACTORS]]).get_indexer(pd.MultiIndex.from_product(names))
    errors = _errors(rates.moves, len(accuracy.sensitivity), np.random.default_rng([seed, 10]))
    draws = accuracy.correct(rates.cells["model"], rates.rate + errors)[:, place].reshape(-1, *observed.shape)
    middle = corrected_rates_of(rates, accuracy).rate[place].reshape(observed.shape)
    rows = []
    for axis, factor in enumerate(FACTORS):
        others = tuple(k for k in range(len(FACTORS)) if k != axis)
        before, p = (np.clip(cube.mean(others), 0, 1) for cube in (observed, middle))
        error = draws.mean(tuple(k + 1 for k in others)) - p
        null = np.clip(p.mean() + np.roll(error, 1, axis=0), 0, 1)  # rolled: independent of the errors
        weights = np.full(len(p), 1 / len(p))
        for name in INDICES if len(p) > 1 else ():
            index = sensitivity.INDICES[name]
            lo, corrected, hi = sensitivity.interval(index, p, weights, error, null)
            floor = index(null, weights)
            row = {"factor": factor, "index": name, "levels": len(p), "n": int(rates.cells["n"].sum())}
            row |= {"uncorrected": float(index(before, weights)), "estimate": float(index(p, weights))}
            some = np.isfinite(floor).any()  # none if the outcome is constant
            row |= {
                "corrected": corrected,
                "lo": lo,
                "hi": hi,
                "floor_mean": float(np.nanmean(floor)) if some else np.nan,
            }
            rows.append(row | {"floor_q95": sensitivity.floor_limit(floor), "method": METHOD})
    return pd.DataFrame(rows, columns=IMPORTANCE)


def corrected_claims(evidence: Evidence, accuracy: Accuracy) -> pd.DataFrame:
    """Decide every claim from corrected rates, and how often its conclusion depends on the labeller's accuracy.

    Parameters
    ----------
    evidence : as `claims.gather` returns it, from the labeller's verdicts.
    accuracy : of the labeller.

    Returns
    -------
    Columns claim, uncorrected (conclusion from the labeller's verdicts), conclusion, effect, effect_unit, lo, hi, p,
    other (share of draws of the accuracy with another conclusion), sensitive (to label error: other > 5%), note.
    """
    accuracy = accuracy.usable()
    if not accuracy.models:
        rows = [
            {"claim": claim.name, "uncorrected": claims.decide(claim, evidence).conclusion} for claim in claims.CLAIMS
        ]
        blank = {"conclusion": claims.NOT_TESTABLE, "effect_unit": "", "sensitive": False, "note": BY_CHANCE}
        return pd.DataFrame(rows).assign(**blank).reindex(columns=DECIDED)
    corrected = corrected_evidence(evidence, accuracy)
    drawn = [corrected_evidence(evidence, accuracy.draw(number)) for number in range(CONCLUSIONS)]
    rows = []
    for claim in claims.CLAIMS:
        found = claims.decide(claim, corrected)
        other = np.mean([claims.decide(claim, each).conclusion != found.conclusion for each in drawn])
        row: dict[str, Any] = {"claim": claim.name, "uncorrected": claims.decide(claim, evidence).conclusion}
        row |= {"conclusion": found.conclusion, "effect": found.effect, "effect_unit": found.unit, "lo": found.lo}
        row |= {"hi": found.hi, "p": found.p, "other": float(other), "sensitive": bool(other > SENSITIVE)}
        rows.append(row | {"note": found.note})
    return pd.DataFrame(rows, columns=DECIDED)


def corrected_evidence(evidence: Evidence, accuracy: Accuracy) -> Evidence:
    """Evidence of the claims from corrected rates, of the models that `accuracy` has.

    Effects of single personas in single models are divided by sensitivity + specificity - 1, with their limits. Their
    p-values stay: a labeller that errs alike with and without a persona makes no effect where there is none.
    """
    together = [evidence.personas] if evidence.baseline is None else [evidence.personas, evidence.baseline]
    cells = pd.concat([rates.cells for rates in together], ignore_index=True)
    rate, effective, texts = (
        np.concatenate([getattr(r, name) for r in together]) for name in ("rate", "effective", "texts")
    )
    every = Rates(cells, rate, np.hstack([r.moves for r in together]), effective, texts)
    every = corrected_rates_of(every, accuracy)  # together, because their errors are correlated
    with_persona = (every.cells["persona"] != BASELINE).to_numpy()
    baseline = None if evidence.baseline is None else every.part(~with_persona)
    formats = None if evidence.formats is None else corrected_rates_of(evidence.formats, accuracy)
    screened = evidence.screened
    if screened is not None:
        screened = screened[screened["model"].isin(accuracy.models)].reset_index(drop=True)
        factor = np.median(accuracy.factor(screened["model"]), axis=0)
        scaled = ("difference", "lo", "hi", "lo_family", "hi_family")
        screened = screened.assign(**{column: screened[column] * factor for column in scaled})
    return replace(evidence, personas=every.part(with_persona), formats=formats, baseline=baseline, screened=screened)


def corrected_rates_of(rates: Rates, accuracy: Accuracy) -> Rates:
    """Corrected rates of the cells whose model `accuracy` has, with the uncertainty of the accuracy in their moves.

    Rates are corrected by the median accuracy. The differences that the draws make are further moves. The effective
    number of responses falls as the variance rises.
    """
    rates = rates.part(rates.cells["model"].isin(accuracy.models).to_numpy())
    models = rates.cells["model"]
    factor, draws = np.median(accuracy.factor(models), axis=0), accuracy.correct(models, rates.rate)
    rate = np.median(draws, axis=0)
    moves = rates.moves * factor
    if len(draws) > 1:
        moves = np.vstack([moves, (draws - rate) / np.sqrt(len(draws))])
    before, after = (rates.moves**2).sum(0), (moves**2).sum(0)
    effective = rates.effective * np.divide(before, after, out=np.ones_like(after), where=after > 0)
    return Rates(rates.cells, rate, compressed(moves), effective, rates.texts)


def _errors(moves: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Sampling errors (draws, K) from their joint normal distribution."""
    moves = compressed(moves)
    errors: np.ndarray = rng.standard_normal((draws, len(moves))) @ moves
    return errors
