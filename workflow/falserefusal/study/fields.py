"""What a name, a checksum or a system prompt may be: shared by the config and the models file.

Apart from the config, so that the scripts that read materials need not run again when a config key changes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from falserefusal.study.problems import refuse_yaml_word

PUBLISHED = "published"  # the name of the study that the paper's own printed numbers make
LONGEST_NAME = 80  # characters: a name becomes part of several file names
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of a model, a task, a server: part of a file's name
PROMPT_PLACEHOLDER = re.compile(r"\{(persona|[Aa]rticle|text|premise|hypothesis|label\d+)\}")


def check_name(value: str) -> str:
    """A name that can be part of a file's name, else ValueError."""
    if not NAME.fullmatch(value):
        raise ValueError(f"'{value}' is not a name: letters, digits, '.', '_' and '-', and a letter or digit first")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"'{value[:20]}…' has {len(value)} characters; use at most {LONGEST_NAME}")
    return value


def printable(value: str) -> str:
    """Text that can be shown and compared, else ValueError: without control characters but tabs and line breaks."""
    bad = next((sign for sign in value if unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\t\n\r"), None)
    if bad is not None:
        raise ValueError(f"has the control character U+{ord(bad):04X}; remove it")
    return value


def visible(value: str) -> str:
    """Printable text with at least one visible sign, else ValueError."""
    if not normalised(printable(value)):
        raise ValueError("is blank; write something that can be seen")
    return value


def normalised(text: str) -> str:
    """Text as a reader sees it, to find two that look equal: compatibility forms, case and blanks do not count."""
    shown = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(shown.casefold().split())


def look_alike(values: Iterable[str]) -> tuple[str, str] | None:
    """The first two values that a reader cannot tell apart, or None."""
    seen: dict[str, str] = {}
    for value in values:
        key = normalised(value)
        if key in seen:
            return seen[key], value
        seen[key] = value
    return None


def distinct(what: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """A check that no two entries of a list look alike."""

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        if pair := look_alike(values):
            if pair[0] == pair[1]:
                raise ValueError(f"{what} '{pair[0]}' is listed twice; remove one of the two")
            raise ValueError(f"{what} '{pair[0]}' and '{pair[1]}' look alike; change or remove one of them")
        return values

    return check


def sha256(value: object) -> str:
    """A SHA-256 checksum in lower case without prefix, else ValueError."""
    text = str(refuse_yaml_word(value)).lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"must be 64 hexadecimal digits (in quotes, if all are 0 to 9), not {value!r}")
    return text


def system_prompt(value: str) -> str:
    """A system prompt, word for word; ValueError where it has a place that only a template's question has."""
    if found := PROMPT_PLACEHOLDER.search(value):
        raise ValueError(
            f"{found[0]} is filled in templates only, not in a system prompt, which is the same for every prompt; "
            "leave it out. For a persona in the system turn, use the column system_text of the templates file"
        )
    return value


Words = Annotated[str, Field(min_length=1), AfterValidator(visible)]
Line = Annotated[str, AfterValidator(printable)]
Name = Annotated[str, AfterValidator(check_name)]
Checksum = Annotated[str, BeforeValidator(sha256, json_schema_input_type=str)]
SystemPrompt = Annotated[Words, AfterValidator(system_prompt)]
Thinking = Literal["disabled", "keep"]
