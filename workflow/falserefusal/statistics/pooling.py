"""Partial pooling of rates by a fully Bayesian beta-binomial model: cells of a group borrow strength from each other.

The rates of a group's cells are draws from a beta distribution. Its mean and concentration are averaged over a grid
with their posterior weights. Fixing them at their best fit instead (empirical Bayes) gives intervals that cover far too
rarely.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from falserefusal.statistics.intervals import counts

CONCENTRATION = np.geomspace(3, 3000, 25)  # prior on this log grid: proportional to concentration^-1/2
LOGIT_MEAN = (-10.0, 10.0)  # prior: uniform
POINTS = 41
NEGLIGIBLE = 1e-5  # share of the posterior that is ignored


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
