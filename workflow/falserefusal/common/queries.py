"""Ask Parquet files questions in SQL: only the answer is in memory, never the files."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

MEMORY = "2GB"  # a larger intermediate result goes to a temporary folder


def query(sql: str, **parameters: Any) -> pd.DataFrame:
    """Run one DuckDB query on one core; `$name` in it stands for the parameter of that name."""
    with tempfile.TemporaryDirectory() as folder:
        config: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": MEMORY}
        config["temp_directory"] = folder
        with duckdb.connect(config=config) as connection:
            return connection.execute(sql, parameters).df()


def rows_of_prompts(path: str | Path, prompts: Iterable[str], columns: Sequence[str]) -> pd.DataFrame:
    """Read the rows of a few prompts from a Parquet file, in the order of the file, with prompt_id and `columns`."""
    return query(
        f"""SELECT prompt_id, {", ".join(columns)} FROM read_parquet($path, file_row_number = true)
        WHERE prompt_id IN (SELECT unnest($prompts::VARCHAR[])) ORDER BY file_row_number""",
        path=str(path),
        prompts=sorted(prompts),
    )
