"""Say what is wrong with a user's input in the user's words, where pydantic found it."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

SECRET = ("api_key_env", "base_url", "extra_body", "url")  # keys whose value may hold a password: never shown
YAML_WORDS = {True: "yes, on or true", False: "no, off or false"}


class Part(BaseModel):
    """A part of a user's input: frozen, and an unknown key is an error. Attribute docstrings describe the keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def problems(error: ValidationError, model: type[Part]) -> list[str]:
    """Every mistake in `error` as one line: the key's path, what is wrong, what to do."""
    return [f"{path}: {words}" if path else words for path, words in findings(error, model)]


def findings(error: ValidationError, model: type[Part]) -> list[tuple[str, str]]:
    """Every mistake in `error`: the key's path (empty: the whole), and what is wrong."""
    return [_finding(found, model) for found in error.errors(include_url=False) if not _only_follows(found)]


def _only_follows(found: Any) -> bool:
    """Whether a list is called too short only because pydantic left out its wrong entries."""
    return bool(found["type"] == "too_short" and len(found["input"]) >= found["ctx"]["min_length"])


def hint(name: object, known: Iterable[object]) -> str:
    """What to say about a name that is not known: the nearest known one, else all of them."""
    words = [str(word) for word in known]
    near = difflib.get_close_matches(str(name), words, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(words) or 'none'}"


def join(path: Sequence[int | str]) -> str:
    """A key's path as the config writes it: tasks.nli.options, item 2."""
    text = ""
    for part in path:
        text += f", item {part + 1}" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _finding(found: Any, model: type[Part]) -> tuple[str, str]:
    path, holder, declared = _walk(found["loc"], model)
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "missing":
        return join(path[:-1]), _missing(path[-1], holder)
    if kind == "extra_forbidden":
        return join(path[:-1]), f"unknown key '{path[-1]}'; {hint(path[-1], _keys(holder))}"
    if kind == "union_tag_not_found":
        return join(path), f"'kind' is missing; it is one of {', '.join(_kinds(declared))}"
    if kind == "union_tag_invalid":
        return join([*path, "kind"]), _not_one_of(value.get("kind"), _kinds(declared))
    if found["loc"][-1:] == ("[key]",) or kind == "invalid_key":
        names = get_args(bare(holder))[0] if get_origin(holder) is dict else None
        kind = "string_type" if kind == "invalid_key" else kind
        return join(path[:-1]), _wrong(kind, value, f", not {value!r}", context, names)
    shown = "" if any(part in SECRET for part in path) else f", not {_shown(value)}"
    return join(path), _wrong(kind, value, shown, context, declared)


def _wrong(kind: str, value: object, shown: str, context: dict[str, Any], declared: Any) -> str:
    """What is wrong with a value, by pydantic's name for it."""
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _not_one_of(value, get_args(declared))
    if kind in ("string_type", "string_sub_type"):
        return _text_wanted(value, "text", shown)
    if kind.startswith(("int_", "float_", "finite_number", "decimal_")):
        return f"must be {'a whole number' if kind.startswith('int_') else 'a number'}{shown}{_number_as_text(value)}"
    if kind.startswith("bool_"):
        return f"must be true or false{shown}"
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words} {context[key]:,.12g}{shown}"
    if kind in ("too_short", "string_too_short"):
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} entries{shown}"
    if kind in ("too_long", "string_too_long"):
        return f"must be at most {context['max_length']} long{shown}"
    if kind in ("tuple_type", "list_type"):
        return f"must be a list, such as [one, two]{shown}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "is empty; give it keys, or leave it out" if value is None else f"must be a block of keys{shown}"
    return f"cannot be used{shown}"


_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def refuse_yaml_word(value: object) -> object:
    """Raise ValueError for a word that YAML took for true, false or nothing."""
    if isinstance(value, bool) or value is None:
        raise ValueError(_text_wanted(value, "text", ""))
    return value


def _shown(value: object) -> str:
    """A value as the config has it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)


def _text_wanted(value: object, wanted: str, shown: str) -> str:
    if isinstance(value, bool):
        written = YAML_WORDS[value]
        return f"YAML reads {written} as {str(value).lower()}, not as a word; put the word in quotes"
    if value is None:
        return f'is empty; write {wanted}, or the word "null" in quotes'
    return f"must be {wanted}{shown}{'; put it in quotes' if isinstance(value, int | float) else ''}"


def _number_as_text(value: object) -> str:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    return (
        ""
        if number is None or not math.isfinite(number)
        else f", which YAML reads as text; write {number:.12g} without quotes"
    )


def _not_one_of(value: object, known: Sequence[object]) -> str:
    if isinstance(value, bool) or (value is None and None not in known):
        return f"{_text_wanted(value, 'text', '')} (it is one of {', '.join(map(str, known))})"
    words = ["null" if word is None else str(word) for word in known]
    near = difflib.get_close_matches(str(value), words, n=1)
    return f"{value!r} is not one of {', '.join(words)}" + (f"; did you mean '{near[0]}'?" if near else "")


def _missing(key: int | str, holder: Any) -> str:
    field = holder.model_fields.get(key) if _is_part(holder) else None
    meaning = " ".join((field.description or "").split(". ")[0].strip(".\n ").split()) if field else ""
    if meaning[1:2].islower():
        meaning = meaning[0].lower() + meaning[1:]
    return f"'{key}' is missing" + (f" ({meaning})" if meaning else "")


def _walk(location: Sequence[int | str], model: type[Part]) -> tuple[list[int | str], Any, Any]:
    """The path of a location without pydantic's own steps, the part that holds its last key, and the declared type."""
    path: list[int | str] = []
    holder: Any = None
    here: Any = model
    for step in location:
        here = bare(here)
        if step == "[key]":
            break
        if step in (kinds := _kinds(here)):
            here = members(here)[kinds.index(str(step))]
            continue
        holder = here
        if _is_part(here):
            field = here.model_fields.get(step)
            here = field.annotation if field else None
        elif get_origin(here) in (dict, tuple):
            here = get_args(here)[get_origin(here) is dict]
        path.append(step)
    return path, holder, bare(here)


def bare(annotation: Any) -> Any:
    """A type without its annotations and without the `| None` of an optional key."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif len(members(annotation)) == 1 and get_origin(annotation) in (Union, UnionType):
            annotation = members(annotation)[0]
        else:
            return annotation


def members(annotation: Any) -> list[Any]:
    """The types of a union but None; of another type, itself."""
    if get_origin(annotation) in (Union, UnionType):
        return [part for part in get_args(annotation) if part is not NoneType]
    return [annotation]


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys(part: Any) -> list[str]:
    return list(part.model_fields) if _is_part(part) else []


def _kinds(where: Any) -> list[str]:
    """The kinds that a union of parts tells apart by their key `kind`."""
    parts = [bare(part) for part in members(where)]
    if len(parts) < 2 or not all(_is_part(part) and "kind" in part.model_fields for part in parts):
        return []
    return [get_args(part.model_fields["kind"].annotation)[0] for part in parts]


def unique(what: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """A check that no entry of a list comes twice."""

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"{what} '{twice}' is listed twice")
        return values

    return check
