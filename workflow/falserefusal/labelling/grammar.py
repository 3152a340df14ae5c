"""Words of one language that the reading of options needs: the section `grammar` of its file of patterns."""

import re
from dataclasses import dataclass, fields
from typing import Any

from falserefusal.common.errors import InputError

_TABLES = ("prefixes", "endings", "numbers", "ordinals", "spellings")


@dataclass(frozen=True)
class Grammar:
    """What each field is for is said in the English file of patterns; texts are regular expressions."""

    yes_no: str
    turn: str
    open: str
    negator: str
    prefixes: tuple[str, ...]
    endings: tuple[tuple[str, tuple[str, ...]], ...]
    verb: str
    particle: str
    join: str
    nor: str
    article: str
    number: str
    option: str
    the: str
    option_last: str
    numbers: tuple[tuple[str, int], ...]
    ordinals: tuple[tuple[str, int], ...]
    picks: str
    ordinary: str
    before: str
    announces: str
    rates: str
    because: str
    spellings: tuple[tuple[str, str], ...]

    def forms(self, option: str) -> list[str]:
        """An option and its inflected forms, such as "supports"; an option of several words has none."""
        if not re.fullmatch(r"[^\W\d_]{4,}", option):
            return [option]
        last, ends = next(pair for pair in self.endings if option.endswith(pair[0]))
        stem = option[: len(option) - len(last)]
        return [option, *(stem + end for end in ends)]

    def spelled(self, form: str) -> list[str]:
        """A form and, if it differs, the form without the letters that are also spelled in another way."""
        other = form
        for letter, plain in self.spellings:
            other = other.replace(letter, plain)
        return [form] if other == form else [form, other]


def load_grammar(data: dict[str, Any], where: str) -> Grammar:
    """Check and freeze a section `grammar`; InputError names a missing, unknown or wrong entry."""
    names = {field.name for field in fields(Grammar)}
    if wrong := sorted(names ^ set(data)):
        raise InputError(f"{where}: '{wrong[0]}' is {'missing' if wrong[0] in names else 'unknown'}")
    for name, text in data.items():
        if name in _TABLES:
            continue
        try:
            re.compile(text)
        except (re.error, TypeError) as error:
            raise InputError(f"{where}: {name}: not a regular expression ({error})") from None
    endings = ((last, tuple(ends)) for last, ends in data["endings"].items())
    tables = {name: tuple(data[name].items()) for name in ("numbers", "ordinals", "spellings")}
    return Grammar(**data | tables | {"prefixes": tuple(data["prefixes"]), "endings": tuple(endings)})


def with_spellings(data: Any, spellings: dict[str, str]) -> Any:
    """A file of patterns in which each expression also matches the other spelling of a letter ("ä": "ae").

    Texts in words (`why`, `recognises`, `ignores`) and tables of words stay as they are.
    """
    if isinstance(data, dict):
        kept = ("why", "recognises", "ignores", "forms", *_TABLES)
        return {key: value if key in kept else with_spellings(value, spellings) for key, value in data.items()}
    if isinstance(data, list):
        return [with_spellings(value, spellings) for value in data]
    if isinstance(data, str):
        for letter, plain in spellings.items():
            data = data.replace(letter, f"(?:{letter}|{plain})")
    return data
