"""Draw a study's annotation rows: so many of each label (the paper: 1,000), all of a label that has fewer."""

import hashlib

import pandas as pd

from falserefusal.common.files import InputError
from falserefusal.texts.problems import Problem, problem_frame


def sample(frame: pd.DataFrame, rows_per_gold_label: int, seed: int) -> pd.DataFrame:
    """The texts frame of a study: `rows_per_gold_label` rows of each label of `frame`, without replacement.

    Rows are ranked within their label by a hash of seed and row_id: a random permutation that depends on no other
    row, label or task. So a larger sample contains a smaller one, and a correction to one row of the source
    moves no other row. The sample is in order of rank, labels taking turns: a smaller sample is the head of a larger
    one. Raises InputError if the arguments are not positive (seed: not negative).
    """
    _check(rows_per_gold_label, seed)
    ranks = _ranks(frame, seed)
    keys = pd.DataFrame({"rank": ranks, "gold_label": frame["gold_label"]}, index=frame.index)
    chosen = keys[ranks < rows_per_gold_label].sort_values(["rank", "gold_label"]).index
    return frame.loc[chosen].reset_index(drop=True)


def shortfalls(frame: pd.DataFrame, rows_per_gold_label: int, task: str) -> pd.DataFrame:
    """A problem for each label of `frame` that has fewer rows than a study asks for."""
    sizes = frame["gold_label"].value_counts().sort_index()
    few = sizes[sizes < rows_per_gold_label]
    return problem_frame(
        [
            Problem(
                None,
                "gold_label",
                f"label {label} has {n} rows where {rows_per_gold_label} were wanted",
                f"all {n} taken",
            )
            for label, n in few.items()
        ],
        task,
    )


def _ranks(frame: pd.DataFrame, seed: int) -> pd.Series:
    # SHA-256 and not a generator's permutation: that one changes as a whole with the number of rows
    draws = [hashlib.sha256(f"{seed}/{row_id}".encode()).hexdigest() for row_id in frame["row_id"]]
    shuffled = frame[["gold_label"]].assign(draw=draws).sort_values("draw")
    return shuffled.groupby("gold_label").cumcount().reindex(frame.index)


def _check(rows_per_gold_label: int, seed: int) -> None:
    if not isinstance(rows_per_gold_label, int) or rows_per_gold_label < 1:
        raise InputError(f"rows_per_gold_label must be a whole number from 1, not {rows_per_gold_label!r}")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed must be a whole number from 0, not {seed!r}")
