"""What may be said about the levels of a factor: the result of `statistics.separation`, which sentences read."""

from typing import NamedTuple

MIN_REFUSALS = 30  # of a comparison: with fewer, no level is ranked


class Separation(NamedTuple):
    """What may be said about the levels of a factor.

    Attributes
    ----------
    levels, refusals : how many levels are compared, and the refusals behind them.
    pairs, clear : pairs of levels, and how many of them are separated.
    highest, lowest : the level above (below) every other one; "" if there is none.
    higher, lower : the separated pair that a sentence names; "" if no pair is separated.
    difference, lo, hi : of that pair; of the largest difference, with no level named, if no pair is separated.
    order : levels from high to low, with " > " where all before are above all after, and ", " elsewhere; "" if no pair
        is separated.
    """

    levels: int
    refusals: int
    pairs: int
    clear: int
    highest: str
    lowest: str
    higher: str
    lower: str
    difference: float
    lo: float
    hi: float
    order: str
