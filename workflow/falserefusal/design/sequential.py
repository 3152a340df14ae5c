"""The schedule of interim looks: how many clusters (texts, or blocks of prompts) each look adds."""

from collections.abc import Mapping


def look_sizes(total: int, sequential: Mapping[str, float] | None = None, unit: int = 1) -> list[int]:
    """Number of clusters of one task that each interim look adds.

    With first = 35, growth = .25 and unit = 35 this is the schedule that the simulation of the stopping rule used:
    B <- B + max(35, ceil(.25 B / 35) 35).

    Parameters
    ----------
    total : clusters of the task.
    sequential : None for one look at all data, or {"first": clusters in look 0, "growth": least share of the clusters
        so far that a later look adds}.
    unit : size of a cycle of blocks. Every look but the last adds a multiple of it.

    Returns
    -------
    Sizes that sum to `total`. No later look but the last is smaller than the first.
    """
    if sequential is None:
        return [total]
    first = _up(sequential["first"], unit)
    sizes, done = [], 0
    while done < total:
        # 1e-9: .25 x 140 must not become 35.000000000000004 and ask for one unit more
        more = max(first, _up(sequential["growth"] * done - 1e-9, unit))
        sizes.append(min(more, total - done))
        done += sizes[-1]
    return sizes


def _up(number: float, unit: int) -> int:
    """The smallest positive multiple of `unit` that is at least `number`."""
    return max(1, int(-(-number // unit))) * unit
