"""The schedule of looks at the data: how many clusters (texts, or prompt blocks) each round adds. No imports."""


def look_sizes(total: int, rounds: dict | None = None, unit: int = 1) -> list[int]:
    """Clusters of one task that each round adds; they sum to `total`.

    rounds: None for a single round, or {"first": clusters in round 0, "growth": share of what is there that a later
    round adds at least}. A later round is never smaller than the first, and every round but the last is a multiple of
    `unit` (a cycle of prompt blocks). With first = 35, growth = .25 and unit = 35 this is the schedule whose
    stopping rule was calibrated: B <- B + max(35, ceil(.25 B / 35) 35).
    """
    if rounds is None:
        return [total]
    first = _up(rounds["first"], unit)
    sizes, done = [], 0
    while done < total:
        # 1e-9: .25 x 140 must not become 35.000000000000004 and ask for one unit more
        more = max(first, _up(rounds["growth"] * done - 1e-9, unit))
        sizes.append(min(more, total - done))
        done += sizes[-1]
    return sizes


def _up(number: float, unit: int) -> int:
    """The smallest positive multiple of `unit` that is at least `number`."""
    return max(1, int(-(-number // unit))) * unit
