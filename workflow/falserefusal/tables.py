"""Read and write the files that pass between the stages: validated, atomic, the same bytes every time."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pyarrow
import pyarrow.parquet

from falserefusal.errors import InputError

__all__ = ["InputError", "atomic", "read_csv", "read_json", "read_parquet", "validate"]
__all__ += ["write_csv", "write_json", "write_parquet", "write_text"]

FLOAT_FORMAT = "%.6g"


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` only once the block ended well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())  # mkstemp gives 0600: colleagues on a cluster must be able to read results
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def validate(frame: pd.DataFrame, schema: pa.DataFrameSchema, source: str) -> pd.DataFrame:
    """Return `frame` as `schema` wants it; raise InputError naming `source`, the column and the row if it can't be."""
    try:
        return schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        raise InputError(f"{source}: {_first_failures(error.failure_cases)}") from None


def _first_failures(cases: pd.DataFrame, most: int = 5) -> str:
    lines = []
    for case in cases.head(most).itertuples():
        if case.check == "column_in_dataframe":
            lines.append(f"column '{case.failure_case}' is missing")
        elif case.check == "column_in_schema":
            lines.append(f"column '{case.failure_case}' is not expected here")
        else:
            # a person counts the lines of a CSV file: the header is line 1, the first row is line 2
            where = f"line {int(case.index) + 2}, " if pd.notna(case.index) else ""
            lines.append(f"{where}column '{case.column}': {case.failure_case!r} fails the check {case.check}")
    if len(cases) > most:
        lines.append(f"and {len(cases) - most} more")
    return "; ".join(lines)


def read_csv(path: str | Path, schema: pa.DataFrameSchema | None = None, **options) -> pd.DataFrame:
    """Read a CSV file; only an empty field is missing, so that a level called 'None' or 'NA' stays a word."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""], comment=None, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV file ({error})") from None
    return validate(frame, schema, str(path)) if schema is not None else frame


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a CSV file: floats with six significant digits, so that noise in the last bit never shows as a change."""
    with atomic(path) as part:
        frame.to_csv(part, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def read_parquet(path: str | Path, schema: pa.DataFrameSchema | None = None, columns: list[str] | None = None):
    """Read a Parquet file as a data frame, checked against `schema` if one is given."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    frame = pd.read_parquet(path, columns=columns)
    return validate(frame, schema, str(path)) if schema is not None else frame


def write_parquet(frame: pd.DataFrame, path: str | Path, schema: pa.DataFrameSchema | None = None) -> None:
    """Write a Parquet file after checking it against `schema`."""
    if schema is not None:
        frame = validate(frame, schema, str(path))
    table = pyarrow.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    with atomic(path) as part:
        pyarrow.parquet.write_table(table, part, compression="zstd")


def write_text(text: str, path: str | Path) -> None:
    """Write a text file."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(data: object, path: str | Path) -> None:
    """Write a JSON file with sorted keys."""
    write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n", path)


def read_json(path: str | Path) -> dict:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
