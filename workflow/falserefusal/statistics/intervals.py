"""Confidence intervals for proportions, their differences, ratios and means, with and without interim looks.

Every function works element by element on arrays and returns the pair (lower, upper). Counts may be fractional: an
*effective* count is a rate times the number of independent responses that would carry the same information. `level` is
the two-sided confidence level. No interval is Wald's, which has no width at zero refusals, where most cells are.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from falserefusal.common.errors import InputError

Limits = tuple[np.ndarray, np.ndarray]
GivenLimits = Limits | tuple[float, float]
NOTHING = 1e-12  # a rate or limit below this is a rounding error of 0
MOST_CORRELATED = 0.95  # correlation that is used at most: a few refusals can make estimates look identical


def wilson(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Score interval (Wilson 1927).

    Parameters
    ----------
    refusals, n : counts; `n` may be an effective number of responses.
    level : confidence level.

    Raises
    ------
    InputError if a count is missing, n is not above 0, or there are more refusals than responses.
    """
    return _textbook(refusals, n, level, "wilson")


def wilson_rare(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Wilson's interval, widened where refusals are rare so that it keeps its coverage.

    After one to three refusals, Wilson's lower limit is too high: at a rate of 0.18 / n its 95% interval covers only
    84% of the time. The interval returned contains the exact one of Clopper and Pearson with twice the error, as Brown,
    Cai and DasGupta (2001, Statistical Science 16:101) propose; they use the Poisson distribution for small counts,
    this function the binomial for all. From about ten refusals on, Wilson's interval is the wider one. Coverage at 95%
    is then at least 92% at any rate, for n from 10 to 2000.
    """
    lo, hi = wilson(refusals, n, level)
    exact_lo, exact_hi = clopper_pearson(refusals, n, 2 * level - 1)
    return np.minimum(lo, exact_lo), np.maximum(hi, exact_hi)


def clopper_pearson(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Exact interval (Clopper and Pearson 1934): its coverage is at least `level` at any rate."""
    return _textbook(refusals, n, level, "beta")


def jeffreys(refusals: ArrayLike, n: ArrayLike, level: float = 0.95) -> Limits:
    """Interval of Jeffreys' prior (Brown, Cai and DasGupta 2001): shorter than the exact one, right on average only."""
    return _textbook(refusals, n, level, "jeffreys")


def effective_n(
    rate: ArrayLike,
    variance: ArrayLike,
    n: ArrayLike,
    cluster_size: ArrayLike,
    clusters: ArrayLike,
    gain: float = 1.0,
    level: float = 0.95,
) -> np.ndarray:
    """Effective number of responses: how many independent ones would estimate `rate` as precisely as n clustered ones.

    It is rate (1 - rate) / variance (Korn and Graubard 1998), with three safeguards.

    - Half a text that always refuses is added to the estimated design effect. With no refusals (or only refusals) the
      design effect is then `cluster_size`, that of texts that refuse always or never, and a handful of refusals cannot
      make it too small. Without this, coverage falls to 78% where a few texts refuse every time.
    - The design effect is kept between 1 / `gain` and `cluster_size` (`cluster_size` / 0.7 for a `gain` above 1,
      because the weights of least squares can also lose precision).
    - The number is multiplied by (z / t)^2 with clusters - 1 degrees of freedom, because the variance is an estimate.

    Parameters
    ----------
    rate, variance : estimate and its cluster-robust variance.
    n : responses.
    cluster_size : sum of squared cluster sizes over n (Kish).
    clusters : texts that have a response.
    gain : how far above n the result may go, for an estimator that pairs responses.
    level : confidence level of the interval that will use the result.
    """
    rate, variance, n, size, clusters = (np.asarray(x, float) for x in (rate, variance, n, cluster_size, clusters))
    p = np.clip(rate, 0, 1)  # a generalised least squares estimate may be slightly outside
    design_effect = (variance * n**2 + size**2 / 2) / (n * p * (1 - p) + size / 2)
    design_effect = np.clip(design_effect, 1 / gain, np.maximum(size, 1) / 0.7 if gain > 1 else np.maximum(size, 1))
    # a single text carries no information on the variance between texts: it counts as one response
    design_effect = np.where(clusters < 2, n, design_effect)
    ratio = _z(level) / stats.t.ppf((1 + level) / 2, np.maximum(clusters - 1, 1))
    return n / design_effect * np.where(clusters < 2, 1, ratio**2)


def mover(
    weights: ArrayLike, rate: ArrayLike, lo: ArrayLike, hi: ArrayLike, correlation: ArrayLike | None = None
) -> Limits:
    """Interval of sum(weights * rate) over the last axis, from the interval of each rate (MOVER, Zou and Donner 2008).

    Each rate contributes the distance between its estimate and its limit, so a rate of 0 still adds to the upper limit.
    Correlation can shorten the interval to that of estimates correlated by MOST_CORRELATED, no further: with a few
    refusals the estimated correlation can be 1, and a difference would have no uncertainty.

    Parameters
    ----------
    weights, rate, lo, hi : (..., k) weights, estimates and their limits.
    correlation : (k, k) correlation of the estimates; None if they are independent.
    """
    weights, rate, lo, hi = np.broadcast_arrays(*(np.asarray(x, float) for x in (weights, rate, lo, hi)))
    estimate = (weights * rate).sum(-1)
    below = np.where(weights >= 0, weights * (rate - lo), weights * (hi - rate))
    above = np.where(weights >= 0, weights * (hi - rate), weights * (rate - lo))
    return estimate - _length(below, correlation), estimate + _length(above, correlation)


def _length(steps: np.ndarray, correlation: ArrayLike | None) -> np.ndarray:
    """Length of the vector of steps (..., k) under the correlation (k, k) of its components."""
    squares = (steps**2).sum(-1)
    if correlation is not None:
        together = np.einsum("...i,...ij,...j->...", steps, np.asarray(correlation, float), steps)
        squares = np.maximum(together, (1 - MOST_CORRELATED) * squares)
    length: np.ndarray = np.sqrt(squares)
    return length


def mover_difference(
    rate1: ArrayLike,
    limits1: GivenLimits,
    rate0: ArrayLike,
    limits0: GivenLimits,
    correlation: ArrayLike = 0.0,
    most: float = MOST_CORRELATED,
) -> Limits:
    """Interval of rate1 - rate0 from the interval of each (MOVER, Zou and Donner 2008).

    With Wilson intervals and the phi coefficient of complete pairs it is method 10 of Newcombe (1998).

    Parameters
    ----------
    rate1, rate0 : the two estimates.
    limits1, limits0 : (lower, upper) of each.
    correlation : correlation of the two estimates, clipped to [0, `most`].
    most : largest correlation that is used.
    """
    c = np.clip(np.asarray(correlation, float), 0, most)
    rate1, rate0 = np.asarray(rate1, float), np.asarray(rate0, float)
    (lo1, hi1), (lo0, hi0) = limits1, limits0

    def reach(step1: np.ndarray, step0: np.ndarray) -> np.ndarray:
        length: np.ndarray = np.sqrt(np.maximum(step1**2 - 2 * c * step1 * step0 + step0**2, 0))
        return length

    difference = rate1 - rate0
    return difference - reach(rate1 - lo1, hi0 - rate0), difference + reach(hi1 - rate1, rate0 - lo0)


def mover_ratio(
    rate1: ArrayLike,
    limits1: GivenLimits,
    rate0: ArrayLike,
    limits0: GivenLimits,
    correlation: ArrayLike = 0.0,
    most: float = MOST_CORRELATED,
) -> Limits:
    """Interval of rate1 / rate0 from the interval of each (Donner and Zou 2012, equations 9 and 10).

    The upper limit is infinite if the interval of rate0 includes 0. Both limits are NaN if both rates are 0. Rates and
    limits below NOTHING count as 0.

    Parameters
    ----------
    rate1, limits1, rate0, limits0, correlation, most : as for `mover_difference`.
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


def p_of_limits(estimate: ArrayLike, limits: Callable[[float], Limits], exact_at: ArrayLike = (0.95,)) -> np.ndarray:
    """Two-sided p-value of "the true value is 0": 1 minus the level at which an interval begins to contain 0.

    So the interval excludes 0 if and only if p is below 1 minus its level. Levels are those of a grid of normal
    quantiles (p from 0.48 down to 6e-14), interpolated between them and 0, where the interval is the estimate.

    Parameters
    ----------
    estimate : (K,) estimates; p is 1 where they are 0.
    limits : function from the two-sided level to the limits (K,).
    exact_at : levels that are added to the grid, so that there p and interval never disagree.
    """
    estimate = np.asarray(estimate, float)
    sign, column = np.sign(estimate), np.arange(len(estimate))
    added = [_z(level) for level in np.atleast_1d(exact_at)]
    quantiles = np.unique([0, *np.linspace(0.7, 7.5, 35), *added])
    nearer = np.empty((len(quantiles), len(estimate)))
    nearer[0] = np.abs(estimate)
    for k, z in enumerate(quantiles[1:], start=1):
        lo, hi = limits(1 - 2 * stats.norm.sf(z))
        nearer[k] = np.where(sign > 0, lo, -hi)
    after = (nearer > 0).cumprod(0).sum(0)  # position of the first limit that has reached 0
    before, until = np.maximum(after - 1, 0), np.minimum(after, len(quantiles) - 1)
    a, b = nearer[before, column], nearer[until, column]
    part = np.divide(a, a - b, out=np.zeros_like(a), where=(a > b) & (a > 0))
    p: np.ndarray = 2 * stats.norm.sf(quantiles[before] + part * (quantiles[until] - quantiles[before]))
    return np.where(sign == 0, 1.0, p)


def mixture_sequence(
    refusals: ArrayLike, n: ArrayLike, level: float = 0.95, prior: tuple[float, float] = (1.0, 20.0)
) -> Limits:
    """Confidence sequence: intervals that are valid at all n simultaneously (beta mixture, Robbins 1970).

    The interval is the set of rates p with p^s (1-p)^(n-s) >= (1 - level) B(a + s, b + n - s) / B(a, b), found by
    bisection; s is the number of refusals.

    Parameters
    ----------
    refusals, n : counts, possibly effective.
    level : confidence level over all looks together.
    prior : (a, b) of the beta distribution; it sets at which rates the sequence is narrow.
    """
    refusals, n = counts(refusals, n)
    a, b = prior
    bound = special.betaln(a + refusals, b + n - refusals) - special.betaln(a, b) + np.log1p(-level)

    def inside(p: np.ndarray) -> np.ndarray:
        above: np.ndarray = special.xlogy(refusals, p) + special.xlog1py(n - refusals, -p) >= bound
        return above

    rate = refusals / n
    lower = _bisect(lambda p: ~inside(p), np.zeros_like(rate), rate)
    upper = _bisect(inside, rate, np.ones_like(rate))
    return _closed(lower, upper, refusals, n)


def _z(level: float) -> float:
    z: float = stats.norm.ppf((1 + _checked(level)) / 2)
    return z


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"the confidence level must be between 0 and 1, not {level}")
    return level


def counts(refusals: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both counts as float arrays of one shape.

    Raises
    ------
    InputError unless 0 <= refusals <= n, n > 0, and no value is missing.
    """
    refusals, n = np.broadcast_arrays(np.asarray(refusals, float), np.asarray(n, float))
    if not (np.isfinite(refusals) & np.isfinite(n)).all():
        raise InputError("a count of refusals or responses is missing or not finite")
    if not (n > 0).all():
        raise InputError("a rate needs at least one response: n is 0")
    # an effective count is a product of floats and may miss its bounds by rounding
    if (refusals < -1e-9).any() or (refusals > n * (1 + 1e-12) + 1e-9).any():
        raise InputError("there are more refusals than responses, or a negative number of refusals")
    return np.clip(refusals, 0, n), n.copy()


def _textbook(refusals: ArrayLike, n: ArrayLike, level: float, method: str) -> Limits:
    refusals, n = counts(refusals, n)
    lo, hi = proportion_confint(refusals, n, alpha=1 - _checked(level), method=method)
    return _closed(lo, hi, refusals, n)


def _closed(lo: ArrayLike, hi: ArrayLike, refusals: np.ndarray, n: np.ndarray) -> Limits:
    """Set the limits to exactly 0 without refusals and to 1 without others, where formulas have rounding errors."""
    return np.where(refusals == 0, 0.0, np.maximum(lo, 0)), np.where(refusals == n, 1.0, np.minimum(hi, 1))


def _bisect(
    go_right: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray, steps: int = 60
) -> np.ndarray:
    """Find where `go_right` changes from true (left) to false (right) between `left` and `right`, by bisection."""
    for _ in range(steps):
        middle = (left + right) / 2
        right_half = go_right(middle)
        left, right = np.where(right_half, middle, left), np.where(right_half, right, middle)
    root: np.ndarray = (left + right) / 2
    return root
