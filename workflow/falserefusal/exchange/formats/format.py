"""Contract of a format of response files.

A new format is a function in a module of its own, decorated with `@response_format("name")`. Import it in the package
and add its name to `FORMATS` of `exchange/fields.py`. The function takes a path and how its text is
written, and returns one frame, a row per response: the fields that the format itself knows under their own names
(`fields.FIELDS`), and whatever else a row holds under names of its choice, which the config maps to fields
(`responses.columns`). A cell without a value is None.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.decoding import decoded
from falserefusal.common.errors import InputError, file_problem


@dataclass(frozen=True)
class Written:
    """How the text of a file is written: its encoding, and the character between fields (None: by the file's name)."""

    encoding: str = "utf-8"
    separator: str | None = None


Reader = Callable[[Path, Written], pd.DataFrame]
READERS: dict[str, Reader] = {}
ENDINGS: dict[str, str] = {}


def response_format(name: str, endings: tuple[str, ...] = ()) -> Callable[[Reader], Reader]:
    """Register the decorated function as the reader of format `name`; files with these endings have it by default."""

    def decorate(reader: Reader) -> Reader:
        READERS[name] = reader
        ENDINGS.update(dict.fromkeys(endings, name))
        return reader

    return decorate


def format_of(path: Path) -> str:
    """The format of a file by its name, and of a JSON file by its first sign; InputError where they do not say it."""
    if (
        path.suffix.lower() == ".json"
        and path.is_file()
        and path.read_bytes().removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["
    ):
        return "jsonl"
    if path.suffix.lower() in (".xlsx", ".xls"):
        raise InputError(f"{path}: workbooks are not read; save it as CSV UTF-8")
    if path.name.startswith("samples_") and path.suffix == ".jsonl":
        return "lm_eval"
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"responses.format: the name {path.name} does not say its format; write format: csv, or another of "
            f"{', '.join(sorted(READERS))}"
        )
    return ENDINGS[path.suffix.lower()]


def read_file(path: Path, kind: str | None = None, written: Written = Written()) -> pd.DataFrame:
    """Read a file of responses; `kind`: its format, None to go by its name. InputError if it has no rows."""
    if not path.is_file():
        raise InputError(f"responses.paths: no such file {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    frame = READERS[kind or format_of(path)](path, written)
    if frame.empty:
        raise InputError(f"{path}: no responses in it")
    return frame.astype(object).where(frame.notna(), None)


def text_of(path: Path, written: Written) -> str:
    """The decoded text of a file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(file_problem(error, path) or f"{path}: {error.strerror}") from None
    return decoded(data, written.encoding, path, "responses")


def json_lines(path: Path, written: Written) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the object of each line of a JSONL file; blank lines are skipped."""
    for number, line in enumerate(text_of(path, written).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}: line {number}, column {error.colno}: not JSON ({error.msg}); each line must be one object"
            ) from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: {type(row).__name__}, not an object such as {{...}}")
        yield number, row


def need(row: dict[str, Any], key: str, path: Path, number: int, what: str) -> Any:
    """A key that every row of a format has; InputError where it is absent, because the file has another format."""
    if key not in row:
        has = ", ".join(map(str, row)) or "nothing"
        raise InputError(f"{path}: line {number}: no '{key}' (it has {has}); this is not {what}: set responses.format")
    return row[key]


def one_model(frame: pd.DataFrame) -> pd.DataFrame:
    """Requests that failed name no model: they are the model's of all other rows, if that is one."""
    models = frame["model"].dropna().unique()
    return frame.assign(model=models[0]) if len(models) == 1 else frame


def flat(row: dict[str, Any], before: str) -> dict[str, Any]:
    """The plain values of a nested object, named with dots: `before.key`, `before.key.part`."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        name = f"{before}.{key}" if before else str(key)
        if isinstance(value, dict):
            found |= flat(value, name)
        else:
            found[name] = value if isinstance(value, str | int | float | bool | None) else json.dumps(value)
    return found


def one_version(versions: dict[str, str], path: Path) -> None:
    """Raise InputError if rows of one file are of different versions; `versions`: each with where it was first seen."""
    if len(versions) > 1:
        seen = "; ".join(f"{version} ({where})" for version, where in versions.items())
        raise InputError(f"{path}: rows of different versions: {seen}; import one version at a time")
