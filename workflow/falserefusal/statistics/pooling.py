"""Partial pooling by fully Bayesian models: of rates, and of persona effects. Cells borrow strength from each other.

Rates of a group's cells are draws from a beta distribution. Persona effects are the sum of what a model's personas have
in common, what a persona does to all models, and the cell's own part. The parameters of the distributions are averaged
over a grid with their posterior weights. Fixing them at their best fit instead (empirical Bayes) gives intervals that
cover far too rarely.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special, stats

from falserefusal.statistics.clusters import degrees_of_freedom
from falserefusal.statistics.intervals import counts

CONCENTRATION = np.geomspace(3, 3000, 25)  # prior on this log grid: proportional to concentration^-1/2
LOGIT_MEAN = (-10.0, 10.0)  # prior: uniform
POINTS = 41
NEGLIGIBLE = 1e-5  # share of the posterior that is ignored

SPREADS = np.geomspace(0.01, 0.64, 7)  # standard deviations in probits; uniform prior: in proportion on this log grid
TAILS = np.array([[1, 0.6], [4, 0.2], [16, 0.12], [64, 0.08]])  # factor of a cell's own prior variance, its probability
TINY = 1e-12


def shrink(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior mean and equal-tailed credible interval of each rate in a group of K cells.

    The weight of a grid point (mean mu, concentration k) is k^-1/2 times the beta-binomial likelihood of all cells. The
    posterior of a cell is the weighted mixture of Beta(mu k + refusals, (1 - mu) k + n - refusals).

    Parameters
    ----------
    refusals, n : (K,) counts, possibly effective.
    level : level of the credible interval.

    Returns
    -------
    Mean, lower and upper limit, (K,) each.
    """
    refusals, n = counts(np.atleast_1d(refusals), np.atleast_1d(n))
    low, high = LOGIT_MEAN
    for _ in range(3):  # refine the grid around the means with posterior weight: with many responses they are few
        logit = np.linspace(low, high, POINTS)
        mean, concentration = (g.ravel() for g in np.meshgrid(special.expit(logit), CONCENTRATION, indexing="ij"))
        a, b = mean * concentration, (1 - mean) * concentration
        likelihood = special.betaln(a[:, None] + refusals, b[:, None] + n - refusals) - special.betaln(a, b)[:, None]
        log_weight = likelihood.sum(1) - np.log(concentration) / 2
        weight = np.exp(log_weight - log_weight.max())
        matter = np.flatnonzero(weight.reshape(POINTS, -1).sum(1) > NEGLIGIBLE / POINTS * weight.sum())
        step = logit[1] - logit[0]
        low, high = max(LOGIT_MEAN[0], logit[matter[0]] - step), min(LOGIT_MEAN[1], logit[matter[-1]] + step)
    order = np.argsort(-weight, kind="stable")
    kept = order[: np.searchsorted(np.cumsum(weight[order]), (1 - NEGLIGIBLE) * weight.sum()) + 1]
    weight = weight[kept] / weight[kept].sum()
    a, b = a[kept, None] + refusals, b[kept, None] + n - refusals
    estimate = weight @ (a / (a + b))
    tail = (1 - level) / 2
    return estimate, _quantile(weight, a, b, tail), _quantile(weight, a, b, 1 - tail)


def _quantile(weight: np.ndarray, a: np.ndarray, b: np.ndarray, probability: float) -> np.ndarray:
    """Quantile (K,) of each cell's mixture of beta distributions, by bisection."""
    lo, hi = np.zeros(a.shape[1]), np.ones(a.shape[1])
    for _ in range(30):
        middle = (lo + hi) / 2
        below = weight @ special.betainc(a, b, middle) < probability
        lo, hi = np.where(below, middle, lo), np.where(below, hi, middle)
    return (lo + hi) / 2


@dataclass(frozen=True)
class Effects:
    """Persona effects of K cells of M models: differences of two rates, in proportions.

    effect (K,): raw effects. model, persona (K,): codes from 0, in the order of models.
    moves (C, K): influence of each text on the effects; `moves.T @ moves` is their covariance.
    n (K,): responses with the persona. n_baseline (M,): without one. total (M,): all responses of a model.
    rate, rate_error (M,): refusal rate over all responses of a model, within 0 and 1, and its standard error.
    """

    effect: np.ndarray
    model: np.ndarray
    persona: np.ndarray
    moves: np.ndarray
    n: np.ndarray
    n_baseline: np.ndarray
    total: np.ndarray
    rate: np.ndarray
    rate_error: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over the cells of each model, (..., M)."""
        sums = np.zeros((len(self.model), len(self.total)))
        sums[np.arange(len(self.model)), self.model] = 1
        means: np.ndarray = values @ (sums / sums.sum(0))
        return means

    def unit(self) -> np.ndarray:
        """(M,) change of a model's rate for an effect of one probit: the normal density at the probit of its rate.

        The rate is moved by its standard error towards one half. Too small a unit is worse than too large a one.
        """
        error = np.minimum(self.rate_error, np.abs(0.5 - self.rate))
        rate = self.rate + np.where(self.rate < 0.5, error, -error)
        unit: np.ndarray = stats.norm.pdf(stats.norm.ppf(rate))
        return unit


@dataclass(frozen=True)
class Noise:
    """Sampling covariance of effects, pooled over personas; a cell's own estimate is too noisy to be a weight.

    own (M, M): of what the prompts with one persona add. common (M, M): of what all effects of a model have in common,
    mostly its baseline. df (M,): degrees of freedom of `own`.
    """

    own: np.ndarray
    common: np.ndarray
    df: np.ndarray

    def covariance(self, effects: Effects, rate: np.ndarray) -> np.ndarray:
        """(K, K) covariance if the rates with a persona are `rate` (K,): variances are as rate (1 - rate) / n."""
        variance = rate * (1 - rate) / effects.n
        scale = np.sqrt(variance / effects.mean(variance)[effects.model])
        at = np.ix_(effects.model, effects.model)
        same_persona = effects.persona[:, None] == effects.persona
        covariance: np.ndarray = self.own[at] * same_persona * np.outer(scale, scale) + self.common[at]
        return covariance


def pooled_noise(effects: Effects) -> Noise:
    """Split the covariance of effects into parts within and between personas, with half a refusal more per model."""
    model, models, personas = effects.model, len(effects.total), effects.persona.max() + 1
    count = np.bincount(model)
    mean = effects.mean(effects.moves)
    within = np.zeros((models, len(mean), personas))
    within[model, :, effects.persona] = (effects.moves - mean[:, model]).T
    within /= np.sqrt(np.maximum(count - 1, 1))[:, None, None]
    flat = within.reshape(models, -1)
    half = 0.5 / effects.total
    own = flat @ flat.T + np.diag(half / effects.mean(effects.n))
    common = mean.T @ mean + np.diag(half / effects.n_baseline) - own / count.mean()
    value, vector = np.linalg.eigh(common)
    common = (vector * np.maximum(value, 0)) @ vector.T
    return Noise(own, common, degrees_of_freedom(np.sqrt((within**2).sum(2).T)))


class Prior(NamedTuple):
    """Standard deviations in probits: of what a model's personas share, what a persona's models share, and the rest."""

    model: float
    persona: float
    cell: float

    def covariance(self, effects: Effects, vague: float) -> np.ndarray:
        """(K, K) prior covariance of the effects; `vague` is the variance of their grand mean."""
        unit = effects.unit()[effects.model]
        same_model = effects.model[:, None] == effects.model
        same_persona = effects.persona[:, None] == effects.persona
        parts = vague + self.model**2 * same_model + self.persona**2 * same_persona + self.cell**2 * np.eye(len(unit))
        covariance: np.ndarray = parts * np.outer(unit, unit)
        return covariance


def shrink_effects(effects: Effects, level: float = 0.95) -> tuple[np.ndarray, ...]:
    """Shrink persona effects of at least three models towards what models and personas have in common.

    effect[m, p] = unit[m] (mean + model[m] + persona[p] + cell[m, p]) + noise, with normal terms. The three standard
    deviations are averaged over a grid with their posterior weights (uniform prior on each). Given them, a cell's own
    term may also be 2, 4 or 8 times as large (TAILS), so a cell that is unlike the others is shrunken less. Limits are
    those of the mixture of Student's distributions with df / weight^2 degrees of freedom (Satterthwaite 1946): only the
    part of the posterior variance that comes from the cell's own data has an estimated variance.

    Returns
    -------
    Shrunken effect, lower and upper limit, and weight of the cell's own estimate (1: raw), (K,) each.
    """
    noise = pooled_noise(effects)
    rate = effects.rate[effects.model]
    covariance = noise.covariance(effects, rate)
    vague = 1 + 1e4 * (np.diag(covariance) / effects.unit()[effects.model] ** 2).max()
    grid = [Prior(*spreads) for spreads in itertools.product(SPREADS[::2], SPREADS, SPREADS)]
    log_weight = np.array([_log_likelihood(effects, covariance, p, vague) + np.log(p).sum() for p in grid])
    weight = np.exp(log_weight - log_weight.max())
    order = np.argsort(-weight, kind="stable")
    kept = order[: np.searchsorted(np.cumsum(weight[order]), 0.995 * weight.sum()) + 1]
    weight = weight[kept] / weight[kept].sum()
    first = _posterior(effects, covariance, grid[kept[0]], vague)[0]
    moved = rate + first - effects.mean(first)[effects.model]
    least = (0.5 / effects.total)[effects.model]
    covariance = noise.covariance(effects, np.clip(moved, least, 1 - least))
    parts = [_with_tails(effects, covariance, grid[k], vague) for k in kept]
    share = np.concatenate([w * part[0] for w, part in zip(weight, parts, strict=True)])
    mean, sd, own = (np.concatenate([part[k] for part in parts]) for k in (1, 2, 3))
    df = noise.df[effects.model] / np.clip(own, 1e-3, 1) ** 2
    tail = (1 - level) / 2
    limits = (_quantile_student(share, mean, sd, df, probability) for probability in (tail, 1 - tail))
    return (share * mean).sum(0), *limits, (share * own).sum(0)


def _log_likelihood(effects: Effects, noise: np.ndarray, prior: Prior, vague: float) -> float:
    """Log-likelihood of the raw effects, up to a constant."""
    root = linalg.cholesky(prior.covariance(effects, vague) + noise, lower=True, check_finite=False)
    z = linalg.solve_triangular(root, effects.effect, lower=True, check_finite=False)
    return float(-np.log(np.diag(root)).sum() - z @ z / 2)


def _posterior(effects: Effects, noise: np.ndarray, prior: Prior, vague: float) -> tuple[np.ndarray, ...]:
    """Posterior mean and variance, weight of the own estimate, and precision and error of predicting it from others."""
    inverse = linalg.inv(prior.covariance(effects, vague) + noise, check_finite=False)
    pulled, precision = inverse @ effects.effect, np.diag(inverse)
    removed = noise @ inverse
    variance = np.diag(noise) - np.einsum("ij,ji->i", removed, noise)
    return effects.effect - noise @ pulled, variance, 1 - np.diag(removed), precision, pulled / precision


def _with_tails(effects: Effects, noise: np.ndarray, prior: Prior, vague: float) -> tuple[np.ndarray, ...]:
    """Weight, mean, standard deviation and weight of the own estimate of each component of TAILS, (T, K) each.

    Cell by cell: the prior variance of its own term is multiplied, the other cells keep theirs.
    """
    mean, variance, own, precision, error = _posterior(effects, noise, prior, vague)
    more = (TAILS[:, :1] - 1) * (prior.cell * effects.unit()[effects.model]) ** 2
    log_weight = np.log(TAILS[:, 1:]) - (np.log1p(more * precision) + error**2 / (1 / precision + more)) / 2
    weight = np.exp(log_weight - log_weight.max(0))
    tailed = (own / precision + more) / (1 / precision + more)  # regression of the effect on its estimate
    spread = variance + own**2 / precision + more - tailed**2 * (1 / precision + more)
    return weight / weight.sum(0), mean + (tailed - own) * error, np.sqrt(np.maximum(spread, 0)), tailed


def _quantile_student(
    weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, df: np.ndarray, probability: float
) -> np.ndarray:
    """Quantile (K,) of each cell's mixture of Student's distributions, by bisection."""
    sd = np.maximum(sd, TINY)
    each = mean + sd * stats.t.ppf(probability, df)
    lo, hi = each.min(0), each.max(0)
    for _ in range(40):
        middle = (lo + hi) / 2
        below = (weight * special.stdtr(df, (middle - mean) / sd)).sum(0) < probability
        lo, hi = np.where(below, middle, lo), np.where(below, hi, middle)
    quantile: np.ndarray = (lo + hi) / 2
    return quantile
