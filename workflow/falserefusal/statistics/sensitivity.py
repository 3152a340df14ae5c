"""Sensitivity indices: how much of a binary outcome a categorical factor explains, with noise floor and interval.

A factor with levels l is described by the rates p_l and the weights w_l = n_l / N of its levels; p = sum w_l p_l and
V = p (1 - p) are the rate and the variance of the outcome. Every index is 0 if and only if all p_l are equal, grows
when the factor is refined, and does not depend on the names or the order of the levels.

A plug-in index is never 0 in a sample: noise in the p_l looks like an effect, and more so the more levels a factor has.
An index therefore needs three companions: its floor (the index of a factor without effect, see `importance`), a
corrected value, and an interval that takes the floor into account. Sources: Borgonovo, Figalli, Plischke, Savare
(2024), Management Science, doi:10.1287/mnsc.2023.01796 (the optimal-transport index); Saltelli et al. (2008)
(first-order Sobol' index); Miller (1955) (bias of entropies).
"""

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.special import xlogy

LEVEL = 0.98  # nominal level of `interval`, so that it covers 95% even for the L1 index with few refused texts
Index = Callable[[np.ndarray, np.ndarray], np.ndarray]


def rates(n: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates and weights (..., L) of levels with counts `n` and refusals `y`.

    An empty level has weight 0 and the overall rate. Both are NaN if there are no responses at all.
    """
    n, y = np.asarray(n, float), np.asarray(y, float)
    if np.any(n < 0) or np.any(y < 0) or np.any(y > n) or not np.all(np.isfinite(n + y)):
        raise ValueError("counts must be finite, and 0 <= refusals <= n in every level")
    with np.errstate(invalid="ignore", divide="ignore"):
        total = n.sum(-1, keepdims=True)
        return np.where(n > 0, y / n, y.sum(-1, keepdims=True) / total), n / total


def _mean_variance(p: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overall rate (..., 1) and variance (...) of the outcome; NaN if the outcome is constant."""
    mean = (w * p).sum(-1, keepdims=True)
    variance = (mean * (1 - mean))[..., 0]
    return mean, np.where(variance > 1e-15, variance, np.nan)


def wasserstein(p: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The paper's index, sum w_l |p_l - p| / (2 p (1 - p)): mean squared 2-Wasserstein distance over its upper bound.

    It is in [0, 1], and 1 if and only if the outcome is a function of the factor; NaN if the outcome is constant.
    Between two Bernoulli distributions W1 and W2 squared coincide, so this is also Borgonovo's delta over 2V.
    """
    mean, variance = _mean_variance(p, w)
    index: np.ndarray = (w * np.abs(p - mean)).sum(-1) / (2 * variance)
    return index


def sobol(p: np.ndarray, w: np.ndarray) -> np.ndarray:
    """First-order Sobol' index, sum w_l (p_l - p)^2 / V: the share of variance between levels (eta squared)."""
    mean, variance = _mean_variance(p, w)
    index: np.ndarray = (w * (p - mean) ** 2).sum(-1) / variance
    return index


def mutual_information(p: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Mutual information between outcome and factor, H(p) - sum w_l H(p_l), in nats."""
    mean, variance = _mean_variance(p, w)
    return np.where(np.isnan(variance), np.nan, _entropy(mean)[..., 0] - (w * _entropy(p)).sum(-1))


def _entropy(p: np.ndarray) -> np.ndarray:
    entropy: np.ndarray = -(xlogy(p, p) + xlogy(1 - p, 1 - p))
    return entropy


INDICES: dict[str, Index] = {
    "wasserstein": wasserstein,
    "sobol": sobol,
    "mutual_information": mutual_information,
}


def floor_limit(floor: np.ndarray, level: float = 0.95) -> float:
    """The limit that an index without effect exceeds with probability 1 - `level` at most.

    It is the permuted index (K,) of rank level x (K + 1), rounded up: the observed assignment counts as one of the
    permutations (Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39). NaN if no permutation has an index.
    """
    known = np.sort(floor[~np.isnan(floor)])
    return float(known[min(int(np.ceil(level * (len(known) + 1))), len(known)) - 1]) if len(known) else np.nan


def larger_noise(
    index: Index, permuted: tuple[np.ndarray, np.ndarray], p: np.ndarray, w: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rates and weights of a factor without effect: permuted, or resampled if those have the larger floor.

    Permutations are exact if levels do not matter for any response. Levels that matter for single responses and not on
    average, in opposite directions for different texts, vary more than permutations show. Equal rates with the
    bootstrap's `errors` (R, L) have that variation.
    """
    if not len(errors):
        return permuted
    mean = (w * p).sum()
    resampled = np.clip(mean + errors - errors.mean(0), 0, 1), np.broadcast_to(w, errors.shape)
    larger = floor_limit(index(*resampled)) > floor_limit(index(*permuted))
    return resampled if larger else permuted


def scaled(p: np.ndarray, w: np.ndarray, c: float | np.ndarray) -> np.ndarray:
    """Rates with every deviation from the overall rate multiplied by `c`, kept within [0, 1]."""
    mean = (w * p).sum(-1, keepdims=True)
    rates: np.ndarray = np.clip(mean + c * (p - mean), 0, 1)
    return rates


def interval(
    index: Index,
    p: np.ndarray,
    w: np.ndarray,
    errors: np.ndarray,
    null: np.ndarray,
    units: float = np.inf,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Lower limit, corrected value and upper limit of an index; parameters as for `shrinkage`, on which it builds.

    `shrinkage` keeps the shape of the deviations and changes their size. If two levels may really be on different
    sides of the overall rate, the shape is uncertain, and the L1 index can be larger than any size of the observed
    shape allows. The upper limit is therefore at least the corrected value plus the distance from the bootstrap's mean
    to its upper quantile. NaN if the outcome is constant.
    """
    factors = shrinkage(index, p, w, errors, null, units, level)
    # 0 without the rounding error of the index of equal rates
    lo, corrected, hi = (float(index(scaled(p, w, c), w)) if c != 0 else 0.0 for c in factors)
    replicates = index(np.clip(p + errors, 0, 1), w)
    replicates = replicates[~np.isnan(replicates)]
    if len(replicates):
        above = np.quantile(replicates, 1 - _tail(units, level)) - replicates.mean()
        hi = max(hi, float(min(corrected + above, replicates.max())))  # an index cannot exceed its bound
    return lo, corrected, hi


def _tail(units: float, level: float) -> float:
    """Tail probability (1 - level) / 2, reduced as in Student's distribution with `units` - 1 degrees of freedom.

    Errors resampled from few units vary too little.
    """
    return float(stats.norm.sf(stats.t.isf((1 - level) / 2, max(units - 1, 1))))


def shrinkage(
    index: Index,
    p: np.ndarray,
    w: np.ndarray,
    errors: np.ndarray,
    null: np.ndarray,
    units: float = np.inf,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """How much of the levels' variation is real: the factors c (low, middle, high) to put into `scaled`.

    For each c, the plug-in `index` is simulated as that of scaled(p, w, c) plus an error: that of the permutations at c
    = 0 (times the root of p (1 - p), as rates move), that of the bootstrap from c = 1, and between them a mixture with
    variances in proportion. low and high are the c at which the observed index would be in the upper and lower tail
    (see `_tail`), middle the c at which it would be the median. The interval therefore starts at c = 0, no effect at
    all, whenever a factor without effect could have produced the observed index, and middle gives a median-unbiased
    value. Every index grows with c.

    Parameters
    ----------
    index : function of rates and weights.
    p, w : (L,) rates and weights of the levels.
    errors : (R, L) bootstrap samples of the estimation error of p.
    null : (K, L) rates of the levels under permutation, so that null - p is the error of a factor without effect. It is
        right even if refusals are too few for a bootstrap.
    units : number of independent units.
    level : nominal level.

    Returns
    -------
    (low, middle, high); NaN if the outcome is constant.
    """
    observed = index(p, w)
    if np.isnan(observed):
        return (np.nan,) * 3
    mean = float((w * p).sum())
    deviation = np.abs(p - mean) @ w
    if deviation < 1e-15 or not (np.any(errors) or np.any(null != null[:1])):
        return (1.0,) * 3
    noise = np.abs(null - mean)[np.arange(len(errors)) % len(null)]
    flat = (null - mean)[np.arange(len(errors)) % len(null)]
    highest = 1 + 6 * (noise @ w).mean() / deviation

    def below(c: float) -> float:
        """Share of simulated indices below the observed one; ties count half."""
        rates, mix = scaled(p, w, c), min(c, 1.0)
        size = np.sqrt(rates * (1 - rates) / (mean * (1 - mean)))
        simulated = index(np.clip(rates + np.sqrt(1 - mix) * size * flat + np.sqrt(mix) * errors, 0, 1), w)
        simulated = simulated[~np.isnan(simulated)]
        if not len(simulated):
            return 0.5
        return float(((simulated < observed - 1e-12).mean() + (simulated <= observed + 1e-12).mean()) / 2)

    tail, found = _tail(units, level), [0.0]
    for target in (1 - tail, 0.5, tail):
        found.append(_decreasing_root(below, target, found[-1], highest))
    low, middle, high = found[1:]
    return low, middle, high


def _decreasing_root(f: Callable[[float], float], target: float, low: float, high: float) -> float:
    """The c in [low, high] where the decreasing f crosses `target`, by bisection to about 1e-4 of the range."""
    if f(low) <= target:
        return low
    for _ in range(13):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > target else (low, middle)
    return (low + high) / 2
