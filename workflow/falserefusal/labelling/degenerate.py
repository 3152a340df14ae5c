"""Degenerate responses: a few words over and over, or the question said back. They are invalid for every labeller."""

import re
from collections.abc import Sequence
from functools import lru_cache

from falserefusal.labelling.ordinary import YES_NO, is_ordinary

_WORD = re.compile(r"\w+")
_NOT_WORD = re.compile(r"[\W_]+")
_PROMPT_LINE = re.compile(
    r"^[ \t]*(?:texto?|premise|hypothesis|question|premisa|hipótesis|pregunta|prämisse|hypothese|frage)[ \t]*:[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
_PERIOD = 8  # words: the longest piece whose repetition is recognised
_REPEATS = 3
_ECHO = 20  # letters: what is shorter may be a piece of the question by chance


def is_degenerate(text: str, options: Sequence[str] = (), question: str = "") -> bool:
    """Whether a response only repeats itself ("No, no, no, ...") or its question.

    An option that is repeated is an answer, unless it is an ordinary word, such as "no".
    """
    return _repeats(text, options) or (bool(question) and _echoes(text, options, question))


def _repeats(text: str, options: Sequence[str]) -> bool:
    words = _WORD.findall(text.lower())
    unit = _repeated(words) or (_repeated(words[1:]) if words and re.fullmatch(YES_NO, words[0]) else None)
    if unit is None:
        return False
    said = f" {' '.join(unit)} "
    named = (" ".join(_WORD.findall(option.lower())) for option in options if not is_ordinary(option, YES_NO))
    return not any(f" {name} " in said for name in named)


def _repeated(words: list[str]) -> list[str] | None:
    """The words that are repeated until the end, where the last word may be cut, or None."""
    for period in range(1, min(_PERIOD, len(words) // _REPEATS) + 1):
        if words[period:-1] == words[: -period - 1] and words[-period - 1].startswith(words[-1]):
            return words[:period]
    return None


def _echoes(text: str, options: Sequence[str], question: str) -> bool:
    """Whether a response is the question, or a piece of it that does not name just one option."""
    asked = _letters_of_question(question)
    said = _letters(_PROMPT_LINE.sub("", text))
    if len(said) < _ECHO or (said.replace(asked, "") and said not in asked):
        return False
    return sum(_letters(option) in said for option in options) != 1


def _letters(text: str) -> str:
    return _NOT_WORD.sub("", text.lower())


@lru_cache(maxsize=10_000)
def _letters_of_question(question: str) -> str:
    return _letters(question)
