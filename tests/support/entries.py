"""The `source` entry of a task as rules pass it to scripts: checked, with the defaults of the typed config."""

from typing import Any

from pydantic import TypeAdapter

from falserefusal.study.config import Source

SOURCE: TypeAdapter[Source] = TypeAdapter(Source)


def entry(kind: str, **given: Any) -> dict[str, Any]:
    return SOURCE.validate_python({"kind": kind, **given}).model_dump()
