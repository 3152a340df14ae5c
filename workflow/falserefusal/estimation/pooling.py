"""Partially pooled rates for display and ranking only: personas borrow strength from each other.

An unusual cell is pulled towards the others, and its interval may miss its rate. Tests and claims therefore use the
unpooled estimates. See `statistics.pooling` for the model.
"""

from collections.abc import Sequence

import pandas as pd

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.rates import Outcomes, cell_rates
from falserefusal.statistics.pooling import shrink


def shrunken_rates(
    cells: pd.DataFrame, within: Sequence[str] = ("task", "model"), outcomes: Outcomes | None = None
) -> pd.DataFrame:
    """Shrink the rate of every persona towards those with the same `within`; prompts without a persona are left out.

    Returns
    -------
    Columns of `within`, persona, n, refusals, rate (plain), shrunken, lo, hi (of the shrunken rate), method.
    """
    frame, _ = cell_rates(cells, [*within, "persona"], outcomes)
    frame = frame[frame["persona"] != BASELINE]
    parts = []
    for _, part in frame.groupby(list(within), sort=False, observed=True):
        estimate, lo, hi = shrink(part["rate"] * part["effective"], part["effective"])
        parts.append(part.assign(shrunken=estimate, lo=lo, hi=hi))
    table = pd.concat(parts, ignore_index=True)
    table["method"] = "shrunken: beta-binomial over personas, full Bayes; for display only"
    return table[[*within, "persona", "n", "refusals", "rate", "shrunken", "lo", "hi", "method"]]
