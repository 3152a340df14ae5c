"""Trend of one number over units that come in blocks: permutation test within blocks, and the interval it implies.

Units of one block (models of one family) may resemble each other for reasons that have nothing to do with x. Values of
x are therefore exchanged only within blocks, which is valid however blocks differ in x and in y. A trend between blocks
counts for nothing.
"""

from dataclasses import dataclass
from math import factorial, inf, prod

import numpy as np

PERMUTATIONS = 9999
DOUBLINGS = 40  # of the search for a limit, before it counts as infinite
HALVINGS = 40
TIES = 1e-9  # statistics that differ by less are equal, apart from rounding


@dataclass(frozen=True)
class Trend:
    """Slope, its interval, and p-values of a fall and of a rise.

    Each p-value is one-sided and doubled (at most 1): the interval is below 0 if and only if `falls` is at most 1 minus
    its level, and above 0 if and only if `rises` is.
    """

    slope: float
    lo: float
    hi: float
    falls: float
    rises: float


def exchangeable(group: np.ndarray) -> np.ndarray:
    """Block of each unit: its group; units that are alone in their groups form one block, because no other shares them.

    Parameters
    ----------
    group : (n,) names of the groups.
    """
    _, code, size = np.unique(np.asarray(group, str), return_inverse=True, return_counts=True)
    return np.where(size[code] > 1, code, -1)


def assignments(x: np.ndarray, block: np.ndarray) -> int:
    """Number of different ways to assign the values of x (n,) to the units within blocks (n,)."""
    ways = 1
    for name in np.unique(block):
        counts = np.unique(x[block == name], return_counts=True)[1]
        ways *= factorial(int(counts.sum())) // prod(factorial(int(count)) for count in counts)
    return ways


def trend(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, block: np.ndarray, seed: list[int], level: float = 0.95
) -> Trend:
    """Weighted least-squares slope of y on x within blocks, tested by permuting x within blocks.

    The statistic is the slope over its heteroscedasticity-robust error, which keeps the test valid if the noise of y
    changes with x (DiCiccio and Romano 2017, JASA 112:1211). The interval has all slopes b for which the test does not
    reject "y - b x has no trend".

    Parameters
    ----------
    x, y, weights, block : (n,) each.
    seed : seed of the permutations.
    level : confidence level, two-sided.
    """
    order = np.argsort(block, kind="stable")
    x, y, weights, block = (np.asarray(values)[order] for values in (x, y, weights, block))
    test = _Test.of(x, y, weights, block, np.random.default_rng(seed))
    alpha, (smaller, larger) = (1 - level) / 2, test.p_values(0.0)
    lo, hi = (test.limit(side, alpha, p <= alpha) for side, p in ((-1, larger), (1, smaller)))
    return Trend(test.estimate, lo, hi, min(1.0, 2 * smaller), min(1.0, 2 * larger))


@dataclass(frozen=True)
class _Test:
    """Permutation test of a slope. permuted (R + 1, n): x minus its block means, row 0 as observed; means (n, n)."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    permuted: np.ndarray

    @classmethod
    def of(
        cls, x: np.ndarray, y: np.ndarray, weights: np.ndarray, block: np.ndarray, rng: np.random.Generator
    ) -> "_Test":
        _, code = np.unique(block, return_inverse=True)
        keys = code + rng.random((PERMUTATIONS, len(x)))
        permuted = np.vstack([x, x[np.argsort(keys, axis=1)]])  # the observed order counts as a permutation
        same = (code[:, None] == code) * weights[:, None]
        means = same / same.sum(0)
        return cls(x, y, weights, means, permuted - permuted @ means)

    @property
    def estimate(self) -> float:
        """The slope."""
        x = self.permuted[0]
        square = (self.weights * x) @ x
        return float((self.weights * x) @ self.y / square) if square > 0 else 0.0

    def p_values(self, slope: float) -> tuple[float, float]:
        """One-sided p-values of a smaller, and of a larger slope than this one."""
        rest = self.y - slope * self.x
        rest = rest - rest @ self.means
        scaled = self.permuted * self.weights
        covariance, squares = scaled @ rest, (scaled * self.permuted).sum(1)
        gradient = np.divide(covariance, squares, out=np.zeros_like(squares), where=squares > 0)
        error = np.sqrt(((scaled * (rest - gradient[:, None] * self.permuted)) ** 2).sum(1))
        with np.errstate(divide="ignore"):
            statistic = np.divide(covariance, error, out=np.zeros_like(error), where=covariance != 0)
        return float((statistic <= statistic[0] + TIES).mean()), float((statistic >= statistic[0] - TIES).mean())

    def limit(self, side: int, alpha: float, significant: bool) -> float:
        """The limit above (side 1) or below (-1) the estimate; `significant`: it is between the estimate and 0."""

        def rejected(slope: float) -> bool:
            return self.p_values(slope)[0 if side > 0 else 1] <= alpha

        inner = self.estimate if significant else side * max(side * self.estimate, 0.0)
        step = max(abs(self.estimate), (np.ptp(self.y) or 1.0) / (np.ptp(self.x) or 1.0))
        outer = 0.0 if significant else inner + side * step
        if not significant:
            for _ in range(DOUBLINGS):
                if rejected(outer):
                    break
                inner, outer = outer, inner + 2 * (outer - inner)
            else:
                return side * inf
        for _ in range(HALVINGS):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if rejected(middle) else (middle, outer)
        return inner
