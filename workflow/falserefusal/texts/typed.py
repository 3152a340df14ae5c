"""Read files whose values have types (JSON, Parquet, Excel) as strings; a value that has parts is an error."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from falserefusal.common.errors import InputError
from falserefusal.texts.decoding import decode
from falserefusal.texts.problems import DROPPED, Problem, shown
from falserefusal.texts.sources import Source

NESTED = {dict: "an object", list: "a list", tuple: "a list", bytes: "bytes"}
HALF_CHARACTERS = re.compile("[\ud800-\udfff]")  # a pair of them is one character, one alone is none
INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")


def parquet(data: bytes, spec: Source, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """Read a Parquet file."""
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable Parquet file ({reason})") from None
    names = header(table.column_names, path)
    columns = {name: column.to_pylist() for name, column in zip(names, table.columns, strict=True)}
    columns = {name: column for name, column in columns.items() if not INDEX_OF_PANDAS.fullmatch(name)}
    return _strings(pd.DataFrame(columns, index=range(1, len(table) + 1), dtype=object), spec, path), []


def json_objects(data: bytes, spec: Source, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """Read JSON objects, one a line or as one list; each is a row."""
    rows, problems = {}, []
    for number, value in _json_values(decode(data, spec, path), path):
        if isinstance(value, dict):
            rows[number] = value
        else:
            problems.append(Problem(number, "", "not a JSON object", DROPPED, shown(value)))
    if not rows:
        found = f"row {problems[0].row} is {problems[0].value}" if problems else "it has none"
        raise InputError(f"{path}: must hold JSON objects, one a line or as one list; {found}")
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = {name: [row.get(name) for row in rows.values()] for name in names}
    return _strings(pd.DataFrame(columns, index=list(rows), dtype=object), spec, path), problems


def _json_values(text: str, path: Path) -> Iterator[tuple[int, object]]:
    """Number and value of every entry of a list, or of every line; a line that is not JSON is its own value."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not a readable list of JSON objects ({error})") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):  # other line ends may be part of a string
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, line.strip()


def excel(data: bytes, spec: Source, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """Read the first sheet of an Excel workbook."""
    try:
        sheets = pd.read_excel(io.BytesIO(data), sheet_name=None, header=None, dtype=object, na_filter=False)
    except ImportError:
        raise InputError(f"{path}: to read Excel files, install openpyxl; or save it as CSV UTF-8") from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable Excel workbook ({error}); save it as CSV UTF-8") from None
    name, cells = next(iter(sheets.items()))
    problems = []
    if len(sheets) > 1:
        problems.append(Problem(None, "", "several sheets", "the first one was read", shown(name)))
    names = header([_string(value) for value in (cells.iloc[0] if len(cells) else [])], path)
    cells = cells.iloc[1:].set_axis(names, axis=1)
    return _strings(cells.set_axis(range(1, len(cells) + 1)), spec, path), problems


def header(names: list[str], path: Path) -> list[str]:
    """The names of the columns of a table by its first line; a column without a name gets its number."""
    named = [name.strip() for name in names]
    twice = sorted({name for name in named if name and named.count(name) > 1})
    if twice or not any(named):
        why = f"it has {', '.join(map(repr, twice))} more than once" if twice else "it is empty"
        raise InputError(f"{path}: the header (the first line) must name the columns, each once; {why}")
    return [name or f"column {number}" for number, name in enumerate(named, start=1)]


def _strings(table: pd.DataFrame, spec: Source, path: Path) -> pd.DataFrame:
    """All values as strings, a missing one as an empty string; a row without any value is no row."""
    for name in dict.fromkeys(spec.used_columns):
        if name in table:
            _check_types(table[name], name in [spec.columns[part] for part in spec.content], path)
    strings = {name: [_string(value) for value in table[name]] for name in table}
    frame = pd.DataFrame(strings, index=pd.Index(table.index, dtype="int64"), dtype=object)
    return frame[(frame != "").any(axis=1)]


def _check_types(values: pd.Series, texts: bool, path: Path) -> None:
    """Raise InputError for a value that has parts, and for a column of texts that has not one text."""
    words = False
    other = None
    for row, value in values.items():
        if kind := NESTED.get(type(value)):
            raise InputError(
                f"{path}: column '{values.name}' holds {kind} in row {row}: {shown(value)}. Write the text or number "
                "that is meant into a column of its own"
            )
        words = words or isinstance(value, str)
        other = value if _string(value) and not isinstance(value, str) else other
    if texts and not words and other is not None:
        raise InputError(
            f"{path}: column '{values.name}' holds no text, only values such as {other} ({type(other).__name__}); "
            "name the column of the texts"
        )


def _string(value: object) -> str:
    if isinstance(value, str):
        return HALF_CHARACTERS.sub("\ufffd", value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (*NESTED,)):
        return str(value)
    return "" if pd.isna(value) else str(value)
