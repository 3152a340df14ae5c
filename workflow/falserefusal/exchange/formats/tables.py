"""CSV, JSONL and Parquet files of responses, whose columns the config maps."""

from pathlib import Path

import pandas as pd
import pyarrow.lib

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.exchange.formats.format import flat, json_lines, response_format


@response_format("csv", endings=(".csv",))
def csv(path: Path) -> pd.DataFrame:
    """Delimited by commas, in UTF-8; every cell is text."""
    return read_csv(path, dtype="str")


@response_format("jsonl", endings=(".jsonl", ".ndjson"))
def jsonl(path: Path) -> pd.DataFrame:
    """An object a line; a key inside another is named with a dot. Lists of chat turns stay lists."""
    rows = []
    for _, row in json_lines(path):
        turns = {key: value for key, value in row.items() if isinstance(value, list)}
        rows.append(flat(row, "") | turns)
    return pd.DataFrame(rows)


@response_format("parquet", endings=(".parquet",))
def parquet(path: Path) -> pd.DataFrame:
    """A Parquet file; a list of chat turns is a list of objects."""
    try:
        return pd.read_parquet(path)
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
