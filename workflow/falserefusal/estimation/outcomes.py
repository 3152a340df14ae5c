"""Read what estimation starts from: cells, and where a study has them the judged draws, of one labeller."""

from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_parquet, validate
from falserefusal.common.schemas import CELLS, OUTCOMES


def read_cells(path: str | Path, labeller: str) -> pd.DataFrame:
    """The cells judged by `labeller`; InputError where there are none."""
    cells = read_parquet(path, CELLS)
    chosen = cells[cells["labeller"] == labeller].reset_index(drop=True)
    if chosen.empty:
        raise InputError(f"{path}: nothing judged by {labeller!r}; it has {', '.join(cells['labeller'].unique())}")
    return chosen


def read_outcomes(path: str | Path | None, labeller: str) -> pd.DataFrame | None:
    """The draws judged by `labeller`, or None for a study that has only cells."""
    if not path:
        return None
    outcomes = validate(pd.read_parquet(path, filters=[("labeller", "==", labeller)]), OUTCOMES, str(path))
    if outcomes.empty:
        raise InputError(f"{path}: nothing judged by {labeller!r}")
    return outcomes
