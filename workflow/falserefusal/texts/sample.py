"""Sample a study's rows: a fixed number of each gold label (in the paper 1,000), or all if there are fewer."""

import hashlib

import pandas as pd

from falserefusal.texts.problems import Problem, problem_frame


def sample(frame: pd.DataFrame, rows_per_gold_label: int, seed: int) -> pd.DataFrame:
    """Sample `rows_per_gold_label` rows of each gold label of `frame` without replacement.

    Rows are ranked within their gold label by a hash of seed and row_id: a random permutation that depends on no other
    row, gold label or task. So a larger sample contains a smaller one, and correcting one row of the source moves no
    other row. Rows are in order of rank, alternating between gold labels, so that a smaller sample is the beginning of
    a larger one.
    """
    ranks = _ranks(frame, seed)
    keys = pd.DataFrame({"rank": ranks, "gold_label": frame["gold_label"]}, index=frame.index)
    chosen = keys[ranks < rows_per_gold_label].sort_values(["rank", "gold_label"]).index
    return frame.loc[chosen].reset_index(drop=True)


def shortfalls(frame: pd.DataFrame, rows_per_gold_label: int, task: str) -> pd.DataFrame:
    """Problems: each gold label of `frame` that has fewer rows than requested."""
    sizes = frame["gold_label"].value_counts().sort_index()
    few = sizes[sizes < rows_per_gold_label]
    return problem_frame(
        [
            Problem(
                None,
                "gold_label",
                f"fewer than the {rows_per_gold_label} rows that were requested of a gold label",
                "all taken",
                f"gold label {gold_label}: {n}",
            )
            for gold_label, n in few.items()
        ],
        task,
    )


def _ranks(frame: pd.DataFrame, seed: int) -> pd.Series:
    # a hash, because a generator's permutation would change completely with the number of rows
    draws = [hashlib.sha256(f"{seed}/{row_id}".encode()).hexdigest() for row_id in frame["row_id"]]
    shuffled = frame[["gold_label"]].assign(draw=draws).sort_values("draw")
    return shuffled.groupby("gold_label").cumcount().reindex(frame.index)
