"""Read a study's config: fill in defaults and report errors before any work starts."""

import csv
import difflib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml

from falserefusal.common.errors import InputError

TASKS = {"nli": 3, "politeness": 2, "offensiveness": 2}  # the paper's tasks, and how many options their templates have
# values of a table's column of models that are not models
AVERAGES = {"mean": "the mean of all models", "all": "all models together", "total": "the sum over models"}
# parameters of requests that the config sets elsewhere, and where; responses are stored under those values
SET_ELSEWHERE = {
    "model": "inference.server.model",
    "messages": "prompts",
    "max_tokens": "inference.max_new_tokens",
    "max_completion_tokens": "inference.max_new_tokens",
    "temperature": "inference.temperature",
    "top_p": "inference.top_p",
    "seed": "seed",
    "n": "one response to each prompt",
    "stream": "inference.early_decision",
    "stream_options": "inference.early_decision",
}
NAMED_IN_MATERIALS = {"models": "model", "personas": "persona", "templates": "template"}


def load_study(config: dict, schema_path: str | Path, root: str | Path = ".") -> dict:
    """Return `config` with defaults filled in and `all` replaced by names; raises InputError for what is wrong."""
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    study = _with_defaults(config, schema, schema)
    errors = list(_messages(study, schema))
    if errors:
        raise InputError("the study's config is wrong:\n" + "\n".join(f"  - {error}" for error in errors))
    for key, column in NAMED_IN_MATERIALS.items():
        study[key] = _names(study, key, column, Path(root))
    _check_options(study)
    _check_further_parameters(study)
    averages = [model for model in study["models"] if model in AVERAGES]
    if averages:
        raise InputError(f"models: {averages[0]} means {AVERAGES[averages[0]]} in tables; give the model another name")
    return study


def _with_defaults(value: object, schema: dict, whole: dict) -> object:
    """Copy `value` and add every key that has a default in the schema."""
    schema = _resolved(schema, whole)
    if not isinstance(value, dict):
        word = schema.get("type") == "boolean" and value in ("true", "false")  # --config key=true gives a string
        return value == "true" if word else value
    value = dict(value)
    for key, part in schema.get("properties", {}).items():
        part = _resolved(part, whole)
        if key not in value and "default" in part:
            value[key] = part["default"]
        if key in value:
            value[key] = _with_defaults(value[key], part, whole)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        value |= {
            k: _with_defaults(v, others, whole) for k, v in value.items() if k not in schema.get("properties", {})
        }
    return value


def _resolved(schema: dict, whole: dict) -> dict:
    if "$ref" not in schema:
        return schema
    return whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]] | schema


def _messages(study: dict, schema: dict) -> Iterator[str]:
    """Violations of the schema, each with the key's path; for an unknown key, with the nearest known one."""
    validator = jsonschema.Draft202012Validator(schema)
    for error in sorted(validator.iter_errors(study), key=lambda error: list(map(str, error.absolute_path))):
        yield from _message(error)


def _message(error: jsonschema.ValidationError) -> Iterator[str]:
    path = ".".join(map(str, error.absolute_path)) or "top level"
    # of several alternatives, report on the one whose type matches
    meant = [part for part in error.context or [] if part.validator not in ("type", "const")]
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in sorted(set(error.instance) - set(known)):
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            yield f"{path}: unknown key '{key}'; {hint}"
    elif meant:
        for part in meant:
            yield from _message(part)
    elif error.validator == "oneOf" and path in NAMED_IN_MATERIALS:
        yield f"{path}: {error.instance!r} is neither all nor a list of names, such as [{error.instance}]"
    else:
        yield f"{path}: {error.message}"


def _names(study: dict, key: str, column: str, root: Path) -> list[str]:
    """Names of one materials file that a study uses, in file order."""
    path = root / study["materials"][key]
    if not path.exists():
        raise InputError(f"materials.{key}: no such file {path}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if column not in (reader.fieldnames or []):
        raise InputError(f"{path}: column '{column}' is missing")
    if not rows:
        raise InputError(f"{path}: no rows below the header")
    if key == "templates":
        missing = [task for task in study["tasks"] if task not in {row["task"] for row in rows}]
        if missing:
            raise InputError(f"{path}: no templates for task {', '.join(missing)}; add them or remove the task")
        rows = [row for row in rows if row["task"] in study["tasks"]]
    known = list(dict.fromkeys(row[column] for row in rows))
    if study[key] == "all":
        return known
    unknown = [name for name in study[key] if name not in known]
    if unknown:
        raise InputError(f"{key}: {', '.join(unknown)} not in {path}, which has {', '.join(known)}")
    return [name for name in known if name in study[key]]


def _check_options(study: dict) -> None:
    for task, expected in TASKS.items():
        given = study["tasks"].get(task, {}).get("options")
        if given is not None and len(given) != expected:
            raise InputError(f"tasks.{task}.options: the templates have {expected} options, not {len(given)}")


def _check_further_parameters(study: dict) -> None:
    further = (study["inference"].get("server") or {}).get("extra_body") or {}
    for key in further:
        if key in SET_ELSEWHERE:
            raise InputError(
                f"inference.server.extra_body: remove '{key}', which the study sets itself ({SET_ELSEWHERE[key]})"
            )
