"""A judge's prompt file: its text word for word, how it is filled, and how a reply to it is read.

A prompt without a file of its own name that ends in .yaml has the project's own form: the placeholders {options},
{mark}, {question} and {response}, and a reply "category: ...". A published prompt stays as it was published; the .yaml
file next to it (its form) names the placeholders of the text, and the words of a reply with the category that each
stands for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from falserefusal.common.errors import InputError
from falserefusal.common.leading_thinking import split_thinking
from falserefusal.common.roofline import JUDGE_TOKENS
from falserefusal.labelling.labeller import CATEGORIES, JUDGE_FAILED, VERDICT_OF

FIELDS = ("options", "mark", "question", "response")
MOST_TOKENS = 4096
OWN_REPLY = r"[\s*`\"]*category[\s*`\"]*:[\s*`\"]*([a-z_]+)[\s*`\".]*"

_OWN_FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")

Text = Annotated[str, Field(strict=True, min_length=1)]
Placeholder = Annotated[dict[Text, Literal["options", "mark", "question", "response"]], Field(min_length=1)]


class Form(BaseModel):
    """The file that says how a prompt is filled and how a reply to it is read.

    Attributes
    ----------
    placeholders : list of {placeholder: field}
        The placeholders of the text, each with its field, in the order in which the text has them.
    reply : str
        Regular expression of a whole reply, in any case; its first group is a word of `categories`.
    categories : dict
        For each word its category, a key of VERDICT_OF.
    system : str
        System prompt; empty: none.
    max_new_tokens : int
        Longest reply.
    """

    model_config = ConfigDict(extra="forbid")

    placeholders: Annotated[list[Placeholder], Field(min_length=1)]
    reply: Text
    categories: Annotated[dict[Text, Text], Field(min_length=1)]
    system: Annotated[str, Field(strict=True)] = ""
    max_new_tokens: Annotated[int, Field(strict=True, ge=1, le=MOST_TOKENS)] = JUDGE_TOKENS


@dataclass(frozen=True)
class JudgePrompt:
    """A judge's prompt, ready to be filled.

    texts, fields: the text is texts[0], the field fields[0], texts[1], ... texts[-1]. reply, categories: as in `Form`.
    """

    texts: tuple[str, ...]
    fields: tuple[str, ...]
    reply: re.Pattern[str]
    categories: dict[str, str]
    system: str = ""
    max_new_tokens: int = JUDGE_TOKENS

    @property
    def characters(self) -> int:
        """Length of the prompt before it is filled."""
        return len(self.system) + sum(map(len, self.texts))

    def messages(self, question: str, response: str, options: Sequence[str]) -> list[dict[str, str]]:
        """Ask about one response. Fields are filled once; the mark occurs in neither question nor response."""
        digest = hashlib.sha256(f"{question}\0{response}".encode()).hexdigest()
        values = {"options": ", ".join(options), "mark": f"=== {digest[:12]} ==="}
        values |= {"question": question, "response": response}
        filled = [text + values[field] for text, field in zip(self.texts, self.fields, strict=False)]
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": "".join(filled) + self.texts[-1]}]

    def category(self, reply: str) -> str:
        """The category that a reply names; "judge_failed" for a reply of another form, never a refusal."""
        match = self.reply.fullmatch(split_thinking(reply)[1].strip())
        return self.categories.get((match[1] or "").lower(), JUDGE_FAILED) if match else JUDGE_FAILED


def form_of(path: str | Path) -> Path:
    """The path of a prompt's form, whether there is one or not."""
    return Path(path).with_suffix(".yaml")


def load_judge_prompt(path: str | Path) -> JudgePrompt:
    """Read a judge's prompt, and its form if there is one.

    Raises
    ------
    InputError
        A file cannot be read, a placeholder is missing in the text, or the form has a mistake.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; correct the path of the judge's prompt") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save the judge's prompt as UTF-8") from None
    form = form_of(path)
    return _with_form(text, str(path), form) if form.is_file() else _own_form(text.strip(), str(path))


def _own_form(text: str, path: str) -> JudgePrompt:
    *pieces, last = _OWN_FIELD.split(text)
    texts, fields = (*pieces[::2], last), tuple(pieces[1::2])
    missing = [f"{{{name}}}" for name in FIELDS if name not in fields]
    if missing:
        raise InputError(
            f"{path}: the judge's prompt lacks {', '.join(missing)}; add it, or describe a published prompt in "
            f"{form_of(path).name} next to it (docs/how-to/labellers.md)"
        )
    return JudgePrompt(texts, fields, re.compile(OWN_REPLY, re.IGNORECASE), {name: name for name in CATEGORIES})


def _with_form(text: str, path: str, file: Path) -> JudgePrompt:
    form = _read(file)
    texts, fields, rest = [], [], text
    for number, entry in enumerate(form.placeholders, 1):
        if len(entry) > 1:
            raise InputError(f"{file}: placeholders: entry {number} has {len(entry)} placeholders; write one per entry")
        ((placeholder, field),) = entry.items()
        before, found, rest = rest.partition(placeholder)
        if not found:
            raise InputError(
                f"{file}: placeholders: {path} has no {placeholder!r} after placeholder {number - 1}; list the "
                "placeholders in the order of the text"
            )
        texts.append(before)
        fields.append(field)
    again = [placeholder for entry in form.placeholders for placeholder in entry if placeholder in rest]
    if again:
        raise InputError(f"{file}: placeholders: {path} has another {again[0]!r} at its end; add it to the list")
    if "response" not in fields:
        raise InputError(f"{file}: placeholders: none is for the response; add one")
    categories = {word.lower(): category for word, category in form.categories.items()}
    return JudgePrompt(
        (*texts, rest), tuple(fields), _pattern(form, file), categories, form.system, form.max_new_tokens
    )


def _read(file: Path) -> Form:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(data, dict):
        raise InputError(f"{file}: must have the keys placeholders, reply and categories (docs/how-to/labellers.md)")
    given = data.get("categories")
    for word in given if isinstance(given, dict) else ():
        if not isinstance(word, str):
            raise InputError(f"{file}: categories: YAML reads a word as {word!r}; put every word in quotes")
    try:
        form = Form.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}; correct it") from None
    for word, category in form.categories.items():
        if category not in VERDICT_OF:
            raise InputError(
                f"{file}: categories.{word}: there is no category {category!r}; choose from {', '.join(VERDICT_OF)}"
            )
    return form


def _pattern(form: Form, file: Path) -> re.Pattern[str]:
    try:
        pattern = re.compile(form.reply, re.IGNORECASE)
    except re.error as error:
        raise InputError(f"{file}: reply: is not a regular expression ({error}); correct it") from None
    if pattern.groups != 1:
        raise InputError(
            f"{file}: reply: must have one group (...) for the word that decides, not {pattern.groups}; "
            "write other groups as (?:...)"
        )
    return pattern
