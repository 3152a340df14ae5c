"""Count outcomes by cell."""

from pathlib import Path

import pandas as pd

from falserefusal.common.files import validate
from falserefusal.common.outcomes import levels_of_file
from falserefusal.common.queries import query
from falserefusal.common.schemas import CELL_LEVELS, CELLS


def count_cells(path: str | Path) -> pd.DataFrame:
    """Count draws (n) and refusals by model, task, persona, template, format and labeller, in level order.

    Parameters
    ----------
    path : file of `common.outcomes.write_outcomes`.
    """
    levels = ", ".join(CELL_LEVELS)
    cells = query(
        f"SELECT {levels}, count(*) AS n, count_if(refusal) AS refusals FROM read_parquet($path) GROUP BY {levels}",
        path=str(path),
    )
    orders = levels_of_file(path, CELL_LEVELS)
    coded = cells.assign(**{level: pd.Categorical(cells[level], categories=orders[level]) for level in CELL_LEVELS})
    ordered = coded.sort_values(CELL_LEVELS, ignore_index=True)
    return validate(ordered.astype({level: "str" for level in CELL_LEVELS}), CELLS, "cells")
