"""Write what is generated from the typed config: the schema for editors, and the reference page.

Run as `python -m falserefusal.study.reference` (or `make reference`) in the repository's root.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from falserefusal.study.config import Config
from falserefusal.study.materials import Model

SCHEMA = "config/schemas/study.schema.json"
PAGE = "docs/reference/config.md"
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
LIMITS = {"minimum": "from", "maximum": "to", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}


def schema() -> dict[str, Any]:
    """JSON schema of a config file, which editors check it against as it is written."""
    found = _without_titles(Config.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def page() -> str:
    """The reference of the config and of the models file, as Markdown."""
    whole = Config.model_json_schema()
    lines = [
        "# Config reference",
        "",
        "Generated from `workflow/falserefusal/study/` by `make reference`; do not edit.",
        "",
        "A study is one YAML file. `study`, `checkpoints` and `tasks` are needed; every other key has a default. A key "
        "that is not listed here is an error. `<name>` stands for a name of your choice.",
        "",
        "For completion and checks in an editor, begin the file with",
        f"`# yaml-language-server: $schema=schemas/{Path(SCHEMA).name}`.",
        *_sections("", whole, whole["$defs"]),
        "",
        "## The models file",
        "",
        "A CSV file with one row for each model. Columns that you do not need can be left out.",
        "",
    ]
    model = Model.model_json_schema()
    filled_in = [name for name in model["required"] if name != "model"]  # family and generation have a default by row
    rows = {name: part | ({"default": None} if name in filled_in else {}) for name, part in model["properties"].items()}
    lines += [line.replace(", or null", "").replace("`null`", "") for line in _table("column", rows, {})]
    return "\n".join(lines) + "\n"


def _without_titles(value: Any) -> Any:
    """A schema without the titles that pydantic adds, which only repeat the keys."""
    if isinstance(value, dict):
        return {key: _without_titles(part) for key, part in value.items() if key != "title" or isinstance(part, dict)}
    return [_without_titles(part) for part in value] if isinstance(value, list) else value


def _sections(path: str, part: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """A table of the keys of a part, then a section for each of its parts."""
    yield ""
    if path:
        yield f"## `{path}`"
        yield ""
        yield _one_line(part["description"])
        yield ""
    if keys := part["properties"]:
        yield from _table("key", keys, known)
    for key, value in keys.items():
        below = f"{path}.{key}" if path else key
        for name, inner in _parts(below, value, known):
            yield from _sections(name, inner, known)


def _parts(path: str, value: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts that a key holds, each with what its section is called."""
    if "$ref" in value:
        yield path, _resolved(value, known)
    for option in value.get("anyOf", []):
        yield from _parts(path, option, known)
    for kind, reference in value.get("discriminator", {}).get("mapping", {}).items():
        yield f"{path}, kind: {kind}", _resolved({"$ref": reference}, known)
    inner = value.get("additionalProperties")
    if isinstance(inner, Mapping) and "$ref" in inner:
        yield f"{path}.<name>", _resolved(inner, known)


def _resolved(value: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = known[value["$ref"].rsplit("/", 1)[-1]]
    return found


def _table(head: str, keys: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    yield f"| {head} | values | default | meaning |"
    yield "|---|---|---|---|"
    for key, value in keys.items():
        meaning = value.get("description") or (_resolved(value, known)["description"] if "$ref" in value else "")
        cells = [f"`{key}`", _values(value, known), _default(value, known), _one_line(meaning).replace("<", "\\<")]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(value: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a key may hold, in words."""
    options = value.get("anyOf") or value.get("oneOf")
    if options and "discriminator" not in value:
        return ", or ".join(dict.fromkeys(_values(option, known) for option in options))
    if "$ref" in value or "discriminator" in value:
        return "keys, see below"
    if "enum" in value or "const" in value:
        return ", ".join(f"`{word}`" for word in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return f"list of {_values(value['items'], known)}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return "keys, see below" if isinstance(inner, Mapping) and "$ref" in inner else "keys with values"
    limits = [f"{words} {value[limit]:g}" for limit, words in LIMITS.items() if limit in value]
    return " ".join([TYPES[value["type"]], *limits])


def _default(value: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "default" not in value and "const" in value:
        return ""
    if "default" not in value:
        return "" if "$ref" in value and not _resolved(value, known).get("required") else "needed"
    given = value["default"]
    if isinstance(given, dict) and ("$ref" in value or not given):
        return ""
    return f"`{json.dumps(given, ensure_ascii=False)}`" if given not in (None, "") else "" if given == "" else "`null`"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main(root: str | Path = ".") -> None:
    """Write both files."""
    for path, text in {SCHEMA: json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", PAGE: page()}.items():
        (Path(root) / path).parent.mkdir(parents=True, exist_ok=True)
        (Path(root) / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
