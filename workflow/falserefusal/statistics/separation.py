"""Decide which levels of a factor may be said to differ.

Every sentence that names a level (in a title, a card, a claim) asks `separate` first. Two levels are separated if the
simultaneous interval of their difference, over all pairs that are compared together, excludes 0. With few refusals
nothing is ranked at all, because intervals of such counts depend on approximations.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from falserefusal.common.separation import MIN_REFUSALS, Separation


def separate(names: list[str], estimate: ArrayLike, lo: ArrayLike, hi: ArrayLike, refusals: int) -> Separation:
    """Say which levels are separated.

    Parameters
    ----------
    names : (K,) levels.
    estimate : (K,) their estimates.
    lo, hi : (K, K) simultaneous limits of estimate[i] - estimate[j]; NaN where they are unknown.
    refusals : refusals behind all estimates; below MIN_REFUSALS nothing is separated.
    """
    estimate, lo, hi = (np.asarray(values, float) for values in (estimate, lo, hi))
    levels, others = len(names), ~np.eye(len(names), dtype=bool)
    above = (lo > 0) & others & (refusals >= MIN_REFUSALS)
    difference = np.where(others, estimate[:, None] - estimate[None, :], np.nan)
    pair = None
    if not np.isnan(difference).all():
        pair = divmod(int(np.nanargmax(difference)), levels)
        if above.any() and not above[pair]:
            pair = divmod(int(np.argmax(np.where(above, lo, -np.inf))), levels)
    clear = int(above.sum())
    named = bool(clear and pair)
    return Separation(
        levels=levels,
        refusals=int(refusals),
        pairs=levels * (levels - 1) // 2,
        clear=clear,
        highest=_only(names, above.sum(1), levels),
        lowest=_only(names, above.sum(0), levels),
        higher=names[pair[0]] if pair and named else "",
        lower=names[pair[1]] if pair and named else "",
        difference=float(difference[pair]) if pair else np.nan,
        lo=float(lo[pair]) if pair else np.nan,
        hi=float(hi[pair]) if pair else np.nan,
        order=_order(names, estimate, above) if clear else "",
    )


def from_limits(names: list[str], estimate: ArrayLike, lo: ArrayLike, hi: ArrayLike, refusals: int) -> Separation:
    """Separate estimates with 95% limits of their own, whose correlation is unknown.

    The distances between estimate and limit are scaled to the level of all pairs together (Bonferroni) and added, which
    is the widest that the interval of a difference can be, whatever the correlation.

    Parameters
    ----------
    names, estimate, lo, hi : (K,) levels, estimates, 95% limits.
    refusals : as for `separate`.
    """
    lower, upper = together(estimate, lo, hi, len(names) * (len(names) - 1) // 2)
    return separate(
        names,
        estimate,
        lower[:, None] - upper[None, :],
        upper[:, None] - lower[None, :],
        refusals,
    )


def together(estimate: ArrayLike, lo: ArrayLike, hi: ArrayLike, comparisons: int) -> tuple[np.ndarray, np.ndarray]:
    """Widen 95% limits so that they hold for so many comparisons together (Bonferroni, normal quantiles)."""
    estimate, lo, hi = (np.asarray(values, float) for values in (estimate, lo, hi))
    scale = stats.norm.isf(0.025 / max(comparisons, 1)) / stats.norm.isf(0.025)
    return estimate - scale * (estimate - lo), estimate + scale * (hi - estimate)


def _only(names: list[str], beaten: np.ndarray, levels: int) -> str:
    """The level that has `levels - 1` others on one side, or ""."""
    found = [name for name, count in zip(names, beaten, strict=True) if levels > 1 and count == levels - 1]
    return found[0] if found else ""


def _order(names: list[str], estimate: np.ndarray, above: np.ndarray) -> str:
    """Levels from high to low, with " > " where every level before is above every level after."""
    rank = np.argsort(-estimate, kind="stable")
    text: str = names[rank[0]]
    for k in range(1, len(rank)):
        text += (" > " if above[np.ix_(rank[:k], rank[k:])].all() else ", ") + names[rank[k]]
    return text
