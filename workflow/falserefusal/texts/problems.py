"""Table of problems found in a task's data, one line per finding."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import pandera.pandas as pa

DROPPED = "row dropped"  # the action for a row that is lost to the study
EXAMPLE = 80  # characters of a value that are shown
PROBLEMS = pa.DataFrameSchema(
    {
        "task": pa.Column(str),
        # data row of the file, from 1 without the header (of a JSON Lines file the line); missing: the whole file
        "row": pa.Column("Int64", pa.Check.ge(1), nullable=True),
        "column": pa.Column(str),
        "problem": pa.Column(str),
        "action": pa.Column(str),
        "value": pa.Column(str),
    },
    strict=True,
    name="problems",
)


class Problem(NamedTuple):
    """A finding: data row (None: the whole file), column of the file, what is wrong, what was done, the value."""

    row: int | None
    column: str
    problem: str
    action: str
    value: str = ""


def shown(value: object) -> str:
    """The beginning of a value, on one line, as a message shows it."""
    text = str(value)
    return repr(text if len(text) <= EXAMPLE else f"{text[: EXAMPLE - 1]}…")


def problem_frame(problems: list[Problem], task: str) -> pd.DataFrame:
    """Findings as a frame, in the order of the file; those about the whole file come first."""
    frame = pd.DataFrame(problems, columns=list(Problem._fields))
    frame.insert(0, "task", task)
    words = ["task", "column", "problem", "action", "value"]
    frame = frame.astype({"row": "Int64", **dict.fromkeys(words, "str")})
    frame = frame.sort_values("row", kind="stable", na_position="first", ignore_index=True)
    return PROBLEMS.validate(frame)


def kinds(problems: pd.DataFrame) -> pd.DataFrame:
    """One line per kind of finding: column, problem, action, count, and the first row that has it.

    Parameters
    ----------
    problems : DataFrame
        The problems of one task, as PROBLEMS declares them.
    """
    found = problems.groupby(["column", "problem", "action"], sort=False, as_index=False, dropna=False)
    return found.agg(count=("problem", "size"), first_row=("row", "min"), example=("value", "first"))


def summary(problems: pd.DataFrame) -> str:
    """One line per kind of finding with its count, for a log: '12 x text: tab -> written as a space'."""
    if problems.empty:
        return "no problems found"
    lines = []
    for column, problem, action, count, row, example in kinds(problems).itertuples(index=False):
        where = (
            f" (row {row}{f': {example}' if example else ''})" if pd.notna(row) else f" ({example})" if example else ""
        )
        lines.append(f"{count:>6} x {f'{column}: ' if column else ''}{problem} -> {action}{where}")
    return "\n".join(lines)


def lost_rows(problems: Iterable[Problem]) -> set[int | None]:
    """The rows that cannot be used."""
    return {problem.row for problem in problems if problem.action == DROPPED}
