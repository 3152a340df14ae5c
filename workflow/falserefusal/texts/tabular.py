"""Read a file as a table of strings, exactly as written, and report malformed rows.

Delimited text is read by the csv module of the standard library, not by pandas: an empty field, 'NA' and 'null' stay as
they are, a row with the wrong number of fields is dropped without rejecting the file, and every row keeps its number.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from pathlib import Path

import pandas as pd

from falserefusal.common.files import InputError
from falserefusal.texts.decoding import STRAY_BYTES, decode, windows
from falserefusal.texts.problems import DROPPED, Problem, shown
from falserefusal.texts.sources import Source
from falserefusal.texts.sources.source import ending
from falserefusal.texts.typed import excel, header, json_objects, parquet

READERS = {
    ".parquet": parquet,
    ".xlsx": excel,
    ".json": json_objects,
    ".jsonl": json_objects,
    ".ndjson": json_objects,
}
SEPARATORS = (",", ";", "\t", "|")


def read_table(path: str | Path, spec: Source) -> tuple[pd.DataFrame, list[Problem]]:
    """Read all columns as strings, indexed by data row (from 1 without the header), and list malformed rows.

    Raises InputError if the file is missing, is not a table of words and numbers in the encoding of `spec`, ends inside
    a quoted field, lacks a column, or has no row that `spec.where` keeps.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not a readable gzip file ({error})") from None
    table, problems = READERS.get(ending(path.name), _delimited)(data, spec, path)
    required = [] if spec.id_optional else spec.id_columns
    require(table, [*(spec.columns[name] for name in ("gold_label", *spec.content)), *required], path, spec)
    table = _where(table, spec, path)
    return table, problems + (_repair_bytes(table) if spec.mixed_encodings else [])


def _delimited(data: bytes, spec: Source, path: Path) -> tuple[pd.DataFrame, list[Problem]]:
    quoting = csv.QUOTE_NONE if spec.quoting == "none" else csv.QUOTE_MINIMAL
    csv.field_size_limit(sys.maxsize)  # a very long text is reported, not refused
    lines = io.StringIO(decode(data, spec, path), newline="")
    reader = csv.reader(lines, delimiter=spec.separator, quoting=quoting, strict=True)
    rows, numbers, problems = [], [], []
    number = 0
    try:
        names = header([windows(name) for name in next(reader, [])], path)
        for number, row in enumerate(reader, start=1):
            if not any(field.strip() for field in row):  # an empty line, or one of separators only, is not a row
                continue
            if len(row) == len(names):
                rows.append(row)
                numbers.append(number)
            else:
                found = f"{len(row)} fields: {shown(spec.separator.join(row))}"
                problems.append(Problem(number, "", f"not {len(names)} fields, as the header has", DROPPED, found))
    except csv.Error as error:
        raise InputError(
            f"{path}: data row {number + 1} (it ends in line {reader.line_num}) is not readable: {error}. "
            "Correct the quotes there, or set `quoting: none` if the file does not quote its fields"
        ) from None
    return pd.DataFrame(rows, columns=names, index=pd.Index(numbers, dtype="int64"), dtype=object), problems


def _where(table: pd.DataFrame, spec: Source, path: Path) -> pd.DataFrame:
    require(table, list(spec.where), path, spec)
    for column, value in spec.where.items():
        kept = table[table[column].str.strip() == value.strip()]
        if kept.empty and not table.empty:
            raise InputError(f"{path}: where: no row has {value!r} in the column '{column}'; {found_in(table[column])}")
        table = kept
    return table.copy()


def found_in(values: pd.Series) -> str:
    """Words about the most frequent values of a column, for a message about a value that it does not have."""
    most = ", ".join(shown(value) for value in values.value_counts().index[:5])
    return f"its most frequent values are {most}. Write one as the file does, in quotes"


def _repair_bytes(table: pd.DataFrame) -> list[Problem]:
    """Decode bytes that are not UTF-8 as Windows-1252, in place; files mix the two encodings row by row."""
    problems = []
    for column in table:
        for row, cell in table[column].items():
            if STRAY_BYTES.search(cell):
                table.at[row, column] = windows(cell)
                problems.append(Problem(row, column, "bytes that are not UTF-8", "read as Windows-1252"))
    return problems


def require(table: pd.DataFrame, columns: list[str], path: str | Path, spec: Source) -> None:
    """Raise InputError, with the columns of the file, if one of `columns` is missing."""
    missing = [column for column in columns if column not in table]
    if not missing:
        return
    hint = ""
    if len(table.columns) == 1 and ending(str(path)) not in READERS:
        hint = f"; is its separator really {spec.separator!r}?"
        for separator in SEPARATORS:
            if set(columns) <= {name.strip(' "') for name in table.columns[0].split(separator)}:
                hint += f" With `separator: {json.dumps(separator)}` it has these columns"
    found = ", ".join(map(str, table.columns))
    raise InputError(f"{path}: no column {', '.join(map(repr, missing))}; the file has {found}{hint}")
