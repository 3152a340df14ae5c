"""Count outcomes by cell."""

import pandas as pd

from falserefusal.common.files import validate
from falserefusal.common.schemas import CELL_LEVELS, CELLS


def count_cells(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Count draws (n) and refusals by model, task, persona, template, format and labeller, in level order."""
    groups = outcomes.groupby(CELL_LEVELS, observed=True, sort=True)["refusal"]
    cells = groups.agg(n="size", refusals="sum").reset_index()
    return validate(cells.astype({level: "str" for level in CELL_LEVELS}), CELLS, "cells")
