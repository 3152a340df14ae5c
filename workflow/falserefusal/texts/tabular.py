"""Read a delimited or Parquet file as strings, exactly as written, and report malformed rows.

The csv module of the standard library is used, not pandas: an empty field, 'NA' and 'null' stay as they are, a row with
the wrong number of fields is dropped without rejecting the file, and every row keeps its number.
"""

import codecs
import csv
import io
import re
from pathlib import Path

import pandas as pd
import pyarrow

from falserefusal.common.files import InputError
from falserefusal.texts.problems import Problem
from falserefusal.texts.sources import Source

STRAY_BYTES = re.compile("[\udc80-\udcff]+")


def read_table(path: str | Path, spec: Source) -> tuple[pd.DataFrame, list[Problem]]:
    """Read all columns as strings, indexed by data row (from 1 without the header), and list malformed rows.

    Raises InputError if the file is missing, is not a table, or ends inside a quoted field.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() == ".parquet":
        return _where(_parquet(path), spec, path), []
    table, problems = _delimited(_text(path.read_bytes()), spec, path)
    table = _where(table, spec, path)
    return table, problems + _repair_bytes(table)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None
    strings = {str(name): ["" if pd.isna(value) else str(value) for value in table[name]] for name in table}
    return pd.DataFrame(strings, index=pd.RangeIndex(1, len(table) + 1), dtype=object)


def _text(data: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one; other bytes are repaired cell by cell."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _delimited(text: str, spec: Source, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    quoting = csv.QUOTE_NONE if spec.quoting == "none" else csv.QUOTE_MINIMAL
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=spec.separator, quoting=quoting, strict=True)
    rows, numbers, problems = [], [], []
    number = 0
    try:
        header = [STRAY_BYTES.sub(_windows, name).strip() for name in next(reader, [])]
        if not header or len(set(header)) < len(header):
            raise InputError(f"{path}: the first line must name the columns, each once; it is {header}")
        for number, row in enumerate(reader, start=1):
            if len(row) == len(header):
                rows.append(row)
                numbers.append(number)
            elif row:  # an empty line is not a row
                problem = f"{len(row)} fields where the header has {len(header)}"
                problems.append(Problem(number, "", problem, "row dropped"))
    except csv.Error as error:
        raise InputError(
            f"{path}: data row {number + 1} (it ends in line {reader.line_num}) is not readable: {error}. "
            "Correct the quotes there, or set `quoting: none` if the file does not quote its fields"
        ) from None
    return pd.DataFrame(rows, columns=header, index=pd.Index(numbers, dtype="int64"), dtype=object), problems


def _where(table: pd.DataFrame, spec: Source, path: Path) -> pd.DataFrame:
    require(table, list(spec.where), path, spec)
    for column, value in spec.where.items():
        table = table[table[column] == value]
    return table.copy()


def _repair_bytes(table: pd.DataFrame) -> list[Problem]:
    """Decode bytes that are not UTF-8 as Windows-1252, in place; files mix the two encodings row by row."""
    problems = []
    for column in table:
        for row, cell in table[column].items():
            if STRAY_BYTES.search(cell):
                table.at[row, column] = STRAY_BYTES.sub(_windows, cell)
                problems.append(Problem(row, column, "bytes that are not UTF-8", "read as Windows-1252"))
    return problems


def _windows(match: re.Match) -> str:
    return match[0].encode("utf-8", "surrogateescape").decode("cp1252", errors="replace")


def require(table: pd.DataFrame, columns: list[str], path: str | Path, spec: Source) -> None:
    """Raise InputError, with the columns of the file, if one of `columns` is missing."""
    missing = [column for column in columns if column not in table]
    if missing:
        hint = f"; is its separator really {spec.separator!r}?" if len(table.columns) == 1 else ""
        found = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: no column {', '.join(map(repr, missing))}; the file has {found}{hint}")
