"""Read and write the files that pass between stages: validated, atomic, and with reproducible bytes."""

import contextlib
import csv
import difflib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet
from pandas.api.types import is_float_dtype, is_numeric_dtype

from falserefusal.common.errors import InputError, file_problem, using
from falserefusal.common.hashes import Read, portable

__all__ = ["InputError", "atomic", "line_of", "made_from", "read_csv", "read_json", "read_parquet", "validate"]
__all__ += ["write_csv", "write_json", "write_parquet", "write_text"]

FLOAT_FORMAT = "%.6g"
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # how a cell begins that a spreadsheet runs
UNIQUE = ("field_uniqueness", "multiple_fields_uniqueness")  # pandera's names of checks
READ = "made from"  # key of the metadata of a Parquet file


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, and rename it to `path` if the block succeeds."""
    path = Path(path)
    with using(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(0o666 & ~_umask())  # mkstemp gives 0600, but colleagues on a cluster must be able to read it
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def validate(frame: pd.DataFrame, schema: pa.DataFrameSchema, source: str | Path) -> pd.DataFrame:
    """Check `frame` against `schema` and return it with the schema's types.

    `source` is the file that `frame` was read from, or words for it. Raises InputError naming `source`, the column
    and the line of the first failures.
    """
    for name, column in schema.columns.items():
        if str(column.dtype) == "int64" and name in frame and is_float_dtype(frame[name]):
            wrong = frame[name].notna() & (frame[name] % 1 != 0)  # a cast to int64 would cut the fraction off
            if wrong.any():
                where = line_of(source, int(np.argmax(wrong)))
                raise InputError(f"{source}: line {where}, column '{name}': {frame[name][wrong].iloc[0]} is not whole")
    try:
        return schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        absent = [name for name in schema.columns if name not in frame]
        if cases["check"].isin(UNIQUE).all() and (twice := _repeated(frame, schema, source)):
            raise InputError(f"{source}: {twice}") from None
        raise InputError(f"{source}: {_first_failures(cases, source, absent)}") from None


def _repeated(frame: pd.DataFrame, schema: pa.DataFrameSchema, source: str | Path) -> str:
    """The first row that has the same key as an earlier one."""
    keys = [[name] for name, column in schema.columns.items() if column.unique] + [list(schema.unique or [])]
    for key in filter(None, keys):
        values = frame[key].astype(str)
        if (again := values.duplicated()).any():
            row = int(again.to_numpy().argmax())
            first = int((values == values.iloc[row]).all(axis=1).to_numpy().argmax())
            words = " and ".join(f"{name} '{value}'" for name, value in values.iloc[row].items())
            return (
                f"line {line_of(source, row)} has the {words}, as line {line_of(source, first)} has; change one of them"
            )
    return ""


def _first_failures(cases: pd.DataFrame, source: str | Path, absent: list[str], most: int = 5) -> str:
    columns = cases["check"].isin(["column_in_dataframe", "column_in_schema"])
    # a wrong header makes every row fail: report only the header
    cases = cases[columns] if columns.any() else _one_of_each_field(cases)
    joined = cases["check"].eq("column_in_schema") & cases["failure_case"].astype(str).str.contains("[;\t]")
    cases = cases[joined] if joined.any() else cases
    lines = []
    for case in cases.head(most).itertuples():
        if case.check == "column_in_dataframe":
            lines.append(f"column '{case.failure_case}' is missing")
        elif case.check == "column_in_schema":
            lines.append(f"column '{case.failure_case}' is not expected here{_advice(str(case.failure_case), absent)}")
        else:
            where = f"line {line_of(source, int(case.index))}, " if pd.notna(case.index) else ""
            empty = pd.isna(case.failure_case)
            failure = " is empty" if empty else f": {case.failure_case!r} {_in_words(str(case.check), case.column)}"
            lines.append(f"{where}column '{case.column}'{failure}")
    if len(cases) > most:
        lines.append(f"and {len(cases) - most} more")
    return "; ".join(lines)


def _advice(column: str, absent: list[str]) -> str:
    """What to do about a column that a file should not have; `absent`: the columns that it lacks."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in column:
            return f"; its fields are separated by {name}: save it with commas"
    near = difflib.get_close_matches(column, absent, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _in_words(check: str, column: str) -> str:
    """What is wrong with a value, by the check that failed; checks of schemas.py that users meet say it themselves."""
    if check in UNIQUE:
        return "is in another row too"
    if check.startswith(("dtype", "coerce_dtype")):
        return f"is not {'a number' if 'int' in check or 'float' in check else 'text'}"
    return f"breaks the rule {check}" if "(" in check else check


def _one_of_each_field(cases: pd.DataFrame) -> pd.DataFrame:
    """Keep the first failure of each field: a word in place of a number fails three checks, one with an exception."""
    located = cases["index"].notna()
    again = located & cases.duplicated(["index", "column"])
    broken = ~located & cases["column"].isin(cases.loc[located, "column"])
    return cases[~(again | broken)]


def line_of(path: str | Path, row: int) -> int:
    """Return the line of a CSV file on which row `row` (from 0) begins, as an editor counts: the header is line 1.

    Blank lines are not rows, and a quoted field may span several lines. For other files the answer is `row` + 2.
    """
    if Path(path).suffix == ".csv" and Path(path).is_file():
        with Path(path).open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(file)
            rows, before = -1, 0  # the header is row -1
            for fields in reader:
                if len(fields) > 1 or "".join(fields).strip():
                    if rows == row:
                        return before + 1
                    rows += 1
                before = reader.line_num
    return row + 2


def read_csv(
    path: str | Path, schema: pa.DataFrameSchema | None = None, text: str | None = None, **options: Any
) -> pd.DataFrame:
    """Read a CSV file; only an empty field counts as missing, so a level called 'None' or 'NA' stays a word.

    `text`: its content, if that has been read already.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    sign = "comma" if (separator := options.get("sep", ",")) == "," else repr(separator)
    try:
        frame = pd.read_csv(
            path if text is None else io.StringIO(text), keep_default_na=False, na_values=[""], comment=None, **options
        )
    except (OSError, UnicodeDecodeError) as error:
        unreadable = f"{path}: not a readable UTF-8 file; save it as CSV in UTF-8"
        raise InputError(file_problem(error, path) or unreadable) from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the file is empty; its first line must name the columns") from None
    except pd.errors.ParserError as error:
        why = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        if found := re.fullmatch(r"Expected (\d+) fields in line (\d+), saw (\d+)", why):
            header, line, fields = found.groups()
            raise InputError(
                f"{path}: line {line} has {fields} fields, the header {header}; remove the extra {sign}, or put a "
                f"field that has a {sign} into double quotes"
            ) from None
        raise InputError(f"{path}: not a readable CSV file ({why})") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took the extra field for row names and shifted the columns
        raise InputError(f"{path}: line {line_of(path, 0)} has more fields than the header; remove the extra {sign}")
    texts = frame.columns[[not is_numeric_dtype(dtype) for dtype in frame.dtypes]]
    frame = frame.assign(**{name: frame[name].map(_plain, na_action="ignore") for name in texts})
    return validate(frame, schema, path) if schema is not None else frame


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a CSV file; floats have six significant digits, so that noise in the last bits changes no file.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, which `read_csv` removes.
    """
    texts = frame.columns[[not is_numeric_dtype(dtype) for dtype in frame.dtypes]]
    frame = frame.assign(**{name: frame[name].astype(object).map(_escaped, na_action="ignore") for name in texts})
    with atomic(path) as part:
        frame.to_csv(part, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def _escaped(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _plain(value: object) -> object:
    return value[1:] if isinstance(value, str) and value[:1] == "'" and FORMULA.match(value[1:]) else value


def read_parquet(
    path: str | Path, schema: pa.DataFrameSchema | None = None, columns: list[str] | None = None
) -> pd.DataFrame:
    """Read a Parquet file as a data frame, checked against `schema` if one is given."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    frame = pd.read_parquet(path, columns=columns)
    return validate(frame, schema, str(path)) if schema is not None else frame


def write_parquet(
    frame: pd.DataFrame, path: str | Path, schema: pa.DataFrameSchema | None = None, read: Read | None = None
) -> None:
    """Write a Parquet file after checking it against `schema`; `read`: the files it was made from, for its metadata."""
    if schema is not None:
        frame = validate(frame, schema, str(path))
    table = pyarrow.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    if read is not None:
        named = {portable(file): entry for file, entry in read.items()}
        table = table.replace_schema_metadata({**table.schema.metadata, READ: json.dumps(named, sort_keys=True)})
    with atomic(path) as part:
        pyarrow.parquet.write_table(table, part, compression="zstd")


def made_from(path: str | Path) -> dict[str, dict[str, str | int]]:
    """The files that a Parquet file was made from, as the job that wrote it recorded them; empty if it did not."""
    recorded = pyarrow.parquet.read_schema(path).metadata or {}
    found: dict[str, dict[str, str | int]] = json.loads(recorded.get(READ.encode(), b"{}"))
    return found


def write_text(text: str, path: str | Path) -> None:
    """Write a text file."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(data: object, path: str | Path) -> None:
    """Write a JSON file with sorted keys."""
    write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n", path)


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON file."""
    data: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return data
