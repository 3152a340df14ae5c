"""Tables of a rehearsal say in every row that they are about stand-ins: a file passed on alone still says it."""

from pathlib import Path

import pandas as pd

from falserefusal.common.files import read_csv, write_csv

COLUMN = "study"


def write_table(table: pd.DataFrame, path: str | Path, notice: str | None) -> None:
    """Write a CSV file, with `notice` as its last column unless it is empty (a study of real models has none)."""
    write_csv(table.assign(**{COLUMN: notice}) if notice else table, path)


def read_table(path: str | Path) -> pd.DataFrame:
    """The table as it was computed: what is drawn or shown from it carries the notice in its own way."""
    return read_csv(path).drop(columns=COLUMN, errors="ignore")
