"""What a name, a checksum or a system prompt may be: shared by the config and the models file.

Apart from the config, so that the scripts that read materials need not run again when a config key changes.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

PUBLISHED = "published"  # the name of the study that the paper's own printed numbers make
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of a model, a task, a server: part of a file's name
PROMPT_PLACEHOLDER = re.compile(r"\{(persona|text|premise|hypothesis|label\d+)\}")


def check_name(value: str) -> str:
    """A name that can be part of a file's name, else ValueError."""
    if not NAME.fullmatch(value):
        raise ValueError(f"'{value}' is not a name: letters, digits, '.', '_' and '-', and a letter or digit first")
    return value


def sha256(value: object) -> str:
    """A SHA-256 checksum in lower case without prefix, else ValueError."""
    text = str(value).lower().removeprefix("sha256:")
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


Words = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(check_name)]
Checksum = Annotated[str, BeforeValidator(sha256, json_schema_input_type=str)]
SystemPrompt = Annotated[Words, AfterValidator(system_prompt)]
