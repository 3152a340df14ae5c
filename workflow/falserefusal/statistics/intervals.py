"""Confidence limits for one proportion, for differences and for means of proportions, with and without looking early.

Every function works element by element on arrays and returns the pair (lower, upper). Counts may be fractional: an
*effective* count is a rate times the number of independent answers that would carry the same information. `level` is
the two-sided confidence level. Limits are never Wald's: those have no width at zero refusals, where most cells are.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from falserefusal.common.errors import InputError

Limits = tuple[np.ndarray, np.ndarray]
NOTHING = 1e-12  # a rate or limit below is a rounding error of 0


def wilson(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Score limits of Wilson (1927); `n` may be an effective number of answers.

    Raises InputError where a count is missing, n is not above 0, or there are more refusals than answers.
    """
    return _textbook(refusals, n, level, "wilson")


def wilson_rare(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Wilson's limits, but nowhere inside the exact ones of Clopper and Pearson with twice the error.

    Wilson's lower limit after one to three refusals is too high: its 95% limits cover only .84 of the time at a rate of
    0.18 / n. There exact one-sided limits take its place (the remedy of Brown, Cai and DasGupta 2001, Statistical
    Science 16:101, with the binomial for their Poisson, at all counts); from about ten refusals on Wilson's are the
    wider ones. Coverage at 95% is then at least .92 at any rate for n of 10 to 2000.
    """
    lo, hi = wilson(refusals, n, level)
    exact_lo, exact_hi = clopper_pearson(refusals, n, 2 * level - 1)
    return np.minimum(lo, exact_lo), np.maximum(hi, exact_hi)


def clopper_pearson(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Exact limits of Clopper and Pearson (1934): they cover at least `level` whatever the rate."""
    return _textbook(refusals, n, level, "beta")


def effective_n(
    rate: ArrayLike,
    variance: ArrayLike,
    n: ArrayLike,
    cluster_size: ArrayLike,
    clusters: ArrayLike,
    gain: float = 1.0,
    level: float = 0.95,
) -> np.ndarray:
    """How many independent answers would estimate `rate` as precisely as the n clustered ones did.

    That is rate (1 - rate) / variance (Korn and Graubard 1998) with three guards. Half a text that always refuses is
    added to the estimate of the design effect: with no refusal (or no compliance) at all it then is `cluster_size`, the
    design effect of texts that refuse always or never, and a handful of refusals cannot make it too small (without
    the guard, coverage falls to .78 where a few texts refuse every time; with it the upper limit holds). It lies
    between 1 / `gain` and `cluster_size` (over 0.7 for a `gain` above 1: least squares weights can also lose). And the
    number is multiplied by (z / t)^2 with clusters - 1 degrees of freedom, because the variance was estimated.

    rate, variance: the estimate and its cluster-robust variance. n: answers. cluster_size: sum of squared cluster sizes
    over n (Kish). clusters: texts that have an answer. gain: how far above n an estimator that pairs answers may go.
    """
    rate, variance, n, size, clusters = (np.asarray(x, float) for x in (rate, variance, n, cluster_size, clusters))
    rate = np.clip(rate, 0, 1)  # a generalised least squares estimate may step outside by a hair
    design_effect = (variance * n**2 + size**2 / 2) / (n * rate * (1 - rate) + size / 2)
    design_effect = np.clip(design_effect, 1 / gain, np.maximum(size, 1) / 0.7 if gain > 1 else np.maximum(size, 1))
    # one text tells nothing about the spread between texts: it counts as one answer
    design_effect = np.where(clusters < 2, n, design_effect)
    ratio = _z(level) / stats.t.ppf((1 + level) / 2, np.maximum(clusters - 1, 1))
    return n / design_effect * np.where(clusters < 2, 1, ratio**2)


def mover(
    weights: ArrayLike, rate: ArrayLike, lo: ArrayLike, hi: ArrayLike, correlation: ArrayLike | None = None
) -> Limits:
    """Limits of sum(weights * rate) over the last axis, recovered from the limits of each rate (Zou and Donner 2008).

    `correlation` (k, k) is that of the k estimates, none if they are independent. Each rate's own limits lend their
    distance to the estimate, so that a rate of 0 still adds to the upper limit.
    """
    weights, rate, lo, hi = np.broadcast_arrays(*(np.asarray(x, float) for x in (weights, rate, lo, hi)))
    estimate = (weights * rate).sum(-1)
    below = np.where(weights >= 0, weights * (rate - lo), weights * (hi - rate))
    above = np.where(weights >= 0, weights * (hi - rate), weights * (rate - lo))
    return estimate - _length(below, correlation), estimate + _length(above, correlation)


def _length(steps: np.ndarray, correlation: ArrayLike | None) -> np.ndarray:
    if correlation is None:
        return np.sqrt((steps**2).sum(-1))
    return np.sqrt(np.maximum(np.einsum("...i,...ij,...j->...", steps, np.asarray(correlation, float), steps), 0))


def mover_difference(
    rate1: ArrayLike,
    limits1: Limits,
    rate0: ArrayLike,
    limits0: Limits,
    correlation: ArrayLike = 0.0,
    most: float = 0.95,
) -> Limits:
    """Limits of rate1 - rate0 from the limits of each; `correlation` is clipped to [0, `most`].

    With Wilson limits and the phi coefficient of complete pairs it is method 10 of Newcombe (1998).
    """
    c = np.clip(np.asarray(correlation, float), 0, most)
    rate1, rate0 = np.asarray(rate1, float), np.asarray(rate0, float)
    (lo1, hi1), (lo0, hi0) = limits1, limits0

    def reach(step1, step0):
        return np.sqrt(np.maximum(step1**2 - 2 * c * step1 * step0 + step0**2, 0))

    difference = rate1 - rate0
    return difference - reach(rate1 - lo1, hi0 - rate0), difference + reach(hi1 - rate1, rate0 - lo0)


def mover_ratio(
    rate1: ArrayLike,
    limits1: Limits,
    rate0: ArrayLike,
    limits0: Limits,
    correlation: ArrayLike = 0.0,
    most: float = 0.95,
) -> Limits:
    """Limits of rate1 / rate0 from the limits of each (Donner and Zou 2012, equations 9 and 10).

    The upper limit is infinite where the limits of rate0 reach 0, and both limits are NaN where both rates are 0.
    What is below NOTHING is 0 but for rounding, and nothing is divided by it.
    """
    c = np.clip(np.asarray(correlation, float), 0, most)
    p, q = np.asarray(rate1, float), np.asarray(rate0, float)
    (l1, u1), (l0, u0) = limits1, limits0
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = p * q - c * (p - l1) * (u0 - q)
        low = l1 * (2 * p - l1)
        lower = low / (centre + np.sqrt(np.maximum(centre**2 - low * u0 * (2 * q - u0), 0)))
        centre = p * q - c * (u1 - p) * (q - l0)
        low = l0 * (2 * q - l0)
        upper = (centre + np.sqrt(np.maximum(centre**2 - low * u1 * (2 * p - u1), 0))) / low
    lower = np.where(l1 <= NOTHING, 0.0, lower)
    upper = np.where(l0 <= NOTHING, np.inf, upper)
    undefined = (p <= NOTHING) & (q <= NOTHING)
    return np.where(undefined, np.nan, lower), np.where(undefined, np.nan, upper)


def mixture_sequence(
    refusals: ArrayLike, n: ArrayLike, level: float = 0.95, prior: tuple[float, float] = (1.0, 20.0)
) -> Limits:
    """Limits that hold at every n at once: the beta-mixture confidence sequence of Robbins (1970) for 0/1 data.

    The set of rates p with p^s (1-p)^(n-s) >= (1 - level) B(a + s, b + n - s) / B(a, b), found by bisection.
    """
    refusals, n = counts(refusals, n)
    a, b = prior
    bound = special.betaln(a + refusals, b + n - refusals) - special.betaln(a, b) + np.log1p(-level)

    def inside(p):
        return special.xlogy(refusals, p) + special.xlog1py(n - refusals, -p) >= bound

    rate = refusals / n
    lower = _bisect(lambda p: ~inside(p), np.zeros_like(rate), rate)
    upper = _bisect(inside, rate, np.ones_like(rate))
    return _closed(lower, upper, refusals, n)


def _z(level: float) -> float:
    return stats.norm.ppf((1 + _checked(level)) / 2)


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"a confidence level lies between 0 and 1, not at {level}")
    return level


def counts(refusals: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of floats of one shape; InputError unless 0 <= refusals <= n, n > 0 and none is missing."""
    refusals, n = np.broadcast_arrays(np.asarray(refusals, float), np.asarray(n, float))
    if not (np.isfinite(refusals) & np.isfinite(n)).all():
        raise InputError("a count of refusals or answers is missing or not finite")
    if not (n > 0).all():
        raise InputError("a rate needs at least one answer: n is 0")
    # an effective count is a product of floats and may miss its bounds by rounding
    if (refusals < -1e-9).any() or (refusals > n * (1 + 1e-12) + 1e-9).any():
        raise InputError("there are more refusals than answers, or fewer than none")
    return np.clip(refusals, 0, n), n.copy()


def _textbook(refusals: ArrayLike, n: ArrayLike, level: float, method: str) -> Limits:
    refusals, n = counts(refusals, n)
    lo, hi = proportion_confint(refusals, n, alpha=1 - _checked(level), method=method)
    return _closed(lo, hi, refusals, n)


def _closed(lo: ArrayLike, hi: ArrayLike, refusals: np.ndarray, n: np.ndarray) -> Limits:
    """The limits, exactly 0 at no refusal and exactly 1 at nothing else, where formulas miss by a rounding error."""
    return np.where(refusals == 0, 0.0, np.maximum(lo, 0)), np.where(refusals == n, 1.0, np.minimum(hi, 1))


def _bisect(go_right, left: np.ndarray, right: np.ndarray, steps: int = 60) -> np.ndarray:
    """Where go_right, true on the left of some point of [left, right] and false on its right, changes."""
    for _ in range(steps):
        middle = (left + right) / 2
        right_half = go_right(middle)
        left, right = np.where(right_half, middle, left), np.where(right_half, right, middle)
    return (left + right) / 2
