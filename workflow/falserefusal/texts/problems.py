"""Table of problems found in a task's data, one line per finding."""

from typing import NamedTuple

import pandas as pd
import pandera.pandas as pa

PROBLEMS = pa.DataFrameSchema(
    {
        "task": pa.Column(str),
        # data row of the file, from 1 without the header; missing: the whole file
        "row": pa.Column("Int64", pa.Check.ge(1), nullable=True),
        "column": pa.Column(str),
        "problem": pa.Column(str),
        "action": pa.Column(str),
    },
    strict=True,
    name="problems",
)


class Problem(NamedTuple):
    """A finding: data row (None: the whole file), column of the file, what is wrong, what was done."""

    row: int | None
    column: str
    problem: str
    action: str


def problem_frame(problems: list[Problem], task: str) -> pd.DataFrame:
    """Findings as a frame, in the order of the file; those about the whole file come first."""
    frame = pd.DataFrame(problems, columns=list(Problem._fields))
    frame.insert(0, "task", task)
    frame = frame.astype({"row": "Int64", **dict.fromkeys(["task", "column", "problem", "action"], "str")})
    frame = frame.sort_values("row", kind="stable", na_position="first", ignore_index=True)
    return PROBLEMS.validate(frame)


def summary(problems: pd.DataFrame) -> str:
    """One line per kind of finding with its count, for a log: '12 x text: tab -> written as a space'."""
    if problems.empty:
        return "no problems found"
    kinds = problems.groupby(["column", "problem", "action"], sort=False).size()
    return "\n".join(f"{n:>6} x {column}: {problem} -> {action}" for (column, problem, action), n in kinds.items())
