"""CSV, JSON and Parquet files of responses, whose columns the config maps."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.lib

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.exchange.formats.format import Written, flat, json_lines, response_format, text_of

SEPARATORS = (",", ";", "\t", "|")


@response_format("csv", endings=(".csv", ".tsv"))
def csv(path: Path, written: Written) -> pd.DataFrame:
    """Delimited text; every cell is text. The separator is that of the config, else a tab for .tsv, and a comma."""
    separator = written.separator or ("\t" if path.suffix.lower() == ".tsv" else ",")
    text = text_of(path, written)
    header = text.partition("\n")[0]
    if separator not in header and (others := [sign for sign in SEPARATORS if sign in header]):
        most = max(others, key=header.count)
        raise InputError(
            f"{path}: line 1 has no {separator!r} between the names of columns, but {most!r}; add `separator: "
            f"{json.dumps(most)}` to responses"
        )
    return read_csv(path, text=text, dtype="str", sep=separator)


@response_format("jsonl", endings=(".jsonl", ".ndjson"))
def jsonl(path: Path, written: Written) -> pd.DataFrame:
    """An object a line, or in a .json file one list of objects; a key inside another is named with a dot.

    Lists of chat turns stay lists.
    """
    objects = (
        _listed(path, written) if path.suffix.lower() == ".json" else (row for _, row in json_lines(path, written))
    )
    rows = []
    for row in objects:
        turns = {key: value for key, value in row.items() if isinstance(value, list)}
        rows.append(flat(row, "") | turns)
    return pd.DataFrame(rows)


def _listed(path: Path, written: Written) -> Iterable[dict[str, Any]]:
    """The objects of a JSON file that is one list."""
    try:
        objects = json.loads(text_of(path, written))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); it must be one list of objects") from None
    for number, row in enumerate(objects, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}: entry {number}: {type(row).__name__}, not an object such as {{...}}")
        yield row


@response_format("parquet", endings=(".parquet",))
def parquet(path: Path, written: Written) -> pd.DataFrame:
    """A Parquet file; a list of chat turns is a list of objects."""
    try:
        return pd.read_parquet(path)
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
