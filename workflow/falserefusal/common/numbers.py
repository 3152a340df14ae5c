"""Write numbers in sentences: with the digits that their uncertainty allows, and never 0 for something that is not 0.

Tables have their own, fixed formats (`report.present`), so that columns line up.
"""

import math

MINUS = "\N{MINUS SIGN}"
LEAST = 0.01  # percent: smaller values are written as "<0.01"


def decimals(value: float, lo: float = math.nan, hi: float = math.nan) -> int:
    """Return the decimals of a number: two digits of the interval's half-width, or three digits of the number itself,
    but at most two decimals.

    Parameters
    ----------
    value, lo, hi : the number and its interval, in the unit in which it is written.
    """
    half = (hi - lo) / 2
    if math.isfinite(half) and half > 0:
        return min(max(1 - math.floor(math.log10(half)), 0), 2)
    if not math.isfinite(value) or value == 0:
        return 0
    return min(max(2 - math.floor(math.log10(abs(value)) + 1e-9), 0), 2)


def percent(rate: float, lo: float = math.nan, hi: float = math.nan) -> str:
    """Write a proportion in percent: "24.8%", "<0.01%", ">99.99%"."""
    if not math.isfinite(rate):
        return "unknown"
    value = 100 * rate
    if value in (0, 100):
        return f"{value:.0f}%"
    if 0 < abs(value) < LEAST:
        return f"<{LEAST}%" if value > 0 else f">{MINUS}{LEAST}%"
    if 100 - LEAST < value < 100:
        return f">{100 - LEAST}%"
    text = f"{value:.{decimals(value, 100 * lo, 100 * hi)}f}"
    if float(text) in (0.0, 100.0):  # wide intervals round to whole numbers
        text = f"{value:.2g}" if value < 50 else f"{value:.2f}"
    return f"{text.replace('-', MINUS)}%"


def points(difference: float, lo: float = math.nan, hi: float = math.nan, sign: bool = True) -> str:
    """Write a difference of proportions in percentage points: "+12.1", "−3", "0"."""
    if not math.isfinite(difference):
        return "unknown"
    value = 100 * difference
    text = f"{abs(value):.{decimals(value, 100 * lo, 100 * hi)}f}"
    if value != 0 and float(text) == 0:
        text = f"{abs(value):.1g}" if abs(value) >= 1e-4 else f"{abs(value):.0e}"
    if value == 0 or not sign:
        return text
    return ("+" if value > 0 else MINUS) + text


def interval_of_points(lo: float, hi: float) -> str:
    """Write the limits of a difference in percentage points: "−3.2 to +15.1"."""
    return f"{points(lo, lo, hi)} to {points(hi, lo, hi)}"


def interval_of_percent(lo: float, hi: float) -> str:
    """Write the limits of a proportion in percent: "20.9% to 29.3%"."""
    return f"{percent(lo, lo, hi)} to {percent(hi, lo, hi)}"


def spread(low: float, high: float) -> str:
    """Write the smallest and the largest of some proportions in percent: "0% to 76.5%", or one value if they agree."""
    ends = percent(low), percent(high)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def index(value: float) -> str:
    """Write an index with two decimals, and small ones as "<0.01"."""
    if not math.isfinite(value):
        return "unknown"
    return "<0.01" if 0 < value < 0.005 else f"{value:.2f}".replace("-", MINUS)


def plain(value: float, lo: float = math.nan, hi: float = math.nan) -> str:
    """Write a number with the digits that its interval allows: "−6.6", "72", "∞"."""
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{decimals(value, lo, hi)}f}"
    return text.replace("-", MINUS) if float(text) != 0 or value == 0 else f"{value:.2g}".replace("-", MINUS)


def p_value(p: float) -> str:
    """Write a p-value with two digits, small ones as "<0.0001"."""
    if not math.isfinite(p):
        return "unknown"
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def counted(count: int, noun: str, zero: str = "no") -> str:
    """Write a number of things: "no model", "1 model", "1,216 models"; `noun` in the singular."""
    if count == 1:
        return f"1 {noun}"
    many = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
    return f"{count:,} {many}" if count else f"{zero} {many}"


def listing(words: list[str], most: int = 4) -> str:
    """Write "a, b and c"; a list of more than `most` ends with the number of words left out."""
    if len(words) > most:
        return ", ".join(words[: most - 1]) + f" and {len(words) - most + 1} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
