"""Thresholds: which texts each cell of a stand-in refuses, so that their share is the planted rate.

A cell refuses a text where `weights . (bits > 0) > threshold`. Weights are on a grid of 1 / STEP and thresholds half a
step off it, so that no score equals a threshold and every precision decides alike. The weights of two cells share a
part: a text that is refused with one persona or template tends to be refused with others.
"""

import numpy as np
import pandas as pd

STEP = 256  # weights are multiples of 1 / STEP below 1: eight significant bits, exact in bfloat16
WEIGHT_SD = 0.35
SHARES = {"text": 0.45, "template": 0.2, "cell": 0.35}  # of the variance of a cell's score over texts
ACROSS_MODELS = 0.5  # share of the text part that all models have in common
NEVER = 24 * STEP  # beyond every score: the sum of 24 weights below 1


def draw_weights(cells: pd.DataFrame, bits: int, seed: int, model_seed: int) -> np.ndarray:
    """Draw weights (cells x bits, integers in units of 1 / STEP).

    Over texts, the scores of two cells correlate by SHARES["text"] if they differ in template, by that plus
    SHARES["template"] if they differ only in persona. The resulting refusals correlate less: by about .25 and .35 at
    medium rates (measured on the embedded corpus), less where refusals are rare.
    """
    common, own = np.random.default_rng([seed, 2]), np.random.default_rng([model_seed, 2])
    text = np.sqrt(ACROSS_MODELS) * common.standard_normal(bits) + np.sqrt(1 - ACROSS_MODELS) * own.standard_normal(
        bits
    )
    template = cells.groupby(["task", "template"], sort=False).ngroup().to_numpy()
    by_template = own.standard_normal((template.max() + 1, bits))[template]
    by_cell = own.standard_normal((len(cells), bits))
    parts = zip(SHARES.values(), (text, by_template, by_cell), strict=True)
    weights = WEIGHT_SD * sum(np.sqrt(share) * part for share, part in parts)
    return np.clip(np.rint(weights * STEP), 1 - STEP, STEP - 1).astype(int)


def thresholds(scores: np.ndarray, rows: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Find thresholds (C, in half steps, odd numbers) that the shares `targets` (C) of the rows exceed.

    scores: N x C, integers; rows: annotation rows of each of the N texts. A share can be met only to the nearest text.
    The excess of one cell is subtracted from the next cell of its group (`groups`, C), so that the mean over a group is
    as close as possible.
    """
    total = rows.sum()
    found = np.empty(len(targets), dtype=int)
    carry: dict[object, float] = {}
    for c, (share, group) in enumerate(zip(targets, groups, strict=True)):
        target = share * total + carry.get(group, 0.0)
        values, place = np.unique(-scores[:, c], return_inverse=True)
        above = np.concatenate([[0], np.cumsum(np.bincount(place, weights=rows))])  # rows in the top 0, 1, ... values
        # a rate of exactly 0 or 1 is kept: it takes no rounding error of another cell
        k = 0 if share <= 0 else len(values) if share >= 1 else int(np.argmin(np.abs(above - target)))
        carry[group] = target - above[k]
        found[c] = _between(-values, k)
    return found


def _between(descending: np.ndarray, k: int) -> int:
    """A threshold, in half steps, between the k-th and the next of the descending values."""
    if k == 0:
        return 2 * NEVER + 1 if len(descending) == 0 else 2 * NEVER - 1
    if k == len(descending):
        return 1 - 2 * NEVER
    return 2 * int((descending[k - 1] + descending[k]) // 2) + 1
