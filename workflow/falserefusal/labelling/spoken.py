"""Reduce a response to what the model itself says: no markup, thinking, control tokens, quotations and repetitions.

Every step replaces characters one for one, so that a position in the cleaned, lower-case text is the same position in
the response.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from falserefusal.labelling.plain import plain

_MARKUP = "*_#>|[](){}<=~\\$^\u200b\u200c\u200d\u2060\ufeff\u00ad"
_UNMARK = str.maketrans({**dict.fromkeys(_MARKUP, " "), '"': " "})

_QUOTED = re.compile(r"\"[^\"\n]{1,600}\"|(?<!\w)'[^\n]{1,600}?'(?!\w)")
_BREAK = re.compile(r"[.!?;]+(?=\W|$)|\n")
_SAYS = re.compile(r"[^\W_]")
_LONG_QUOTE = 4  # words: an option in quotes is shorter, a quotation of the text is longer


@dataclass(frozen=True)
class Spoken:
    """A response and, of the same length, what the model itself says in it (`text`)."""

    response: str
    text: str

    @property
    def anything(self) -> bool:
        return bool(_SAYS.search(self.text))

    @cached_property
    def _starts(self) -> list[int]:
        starts, read = [0], 0
        for match in _BREAK.finditer(self.text):
            if _SAYS.search(self.text, read, match.start()):
                starts.append(match.end())
            read = match.end()
        return starts

    @property
    def sentences(self) -> list[tuple[int, int]]:
        """The spans of the sentences."""
        return list(zip(self._starts, [*self._starts[1:], len(self.text)], strict=True))

    def number_of_sentence(self, place: int) -> int:
        """Number of the sentence at a position, from 0."""
        return bisect_right(self._starts, place) - 1

    def sentence(self, start: int, end: int | None = None) -> tuple[int, int]:
        """The span of the sentences that contain the positions `start` to `end`."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, max(start, (end or start + 1) - 1))
        return self._starts[first], self._starts[last] if last < len(self._starts) else len(self.text)

    def original(self, start: int, end: int) -> str:
        """The response's own characters in a span, without surrounding blanks."""
        return self.response[start:end].strip()


def spoken(response: str, not_said: dict[str, re.Pattern], repeats: Iterable[tuple[int, int]] = ()) -> Spoken:
    """Clean one response.

    Parameters
    ----------
    response : str
    not_said : dict
        The patterns of that name in the file of patterns.
    repeats : iterable of pairs of int
        Spans that repeat the classified text, as `repeated` returns them.
    """
    text = plain(response)
    for start, end in repeats:
        text = text[:start] + _spaces(text[start:end]) + text[end:]
    if "<think" in text or "</think" in text or "<|channel|>" in text:
        for name in ("thinking", "thinking_close", "thinking_open"):
            text = _blank(not_said[name], text)
    if "<" in text or "[" in text or "\\" in text:
        text = _blank(not_said["control"], _first_turn(text, not_said["turn_end"]))
    unquoted = text
    if '"' in text or "'" in text:
        unquoted = _QUOTED.sub(lambda quoted: _blank_if_long(quoted, not_said), text)
    unechoed = _blank(not_said["echo"], unquoted) if ":" in text else unquoted
    for candidate in (unechoed, unquoted, text):  # a response entirely in quotes is not a quotation
        if _SAYS.search(candidate):
            text = candidate
            break
    return Spoken(response, text.translate(_UNMARK))


def _first_turn(text: str, turn_end: re.Pattern) -> str:
    """Blank what follows the end of the first turn in which something is said."""
    for match in turn_end.finditer(text):
        said = re.sub(r"<[^<>\n]*>|\[/?inst\]", "", text[: match.start()])
        if _SAYS.search(said):
            return text[: match.start()] + " " * (len(text) - match.start())
    return text


def _blank(pattern: re.Pattern, text: str) -> str:
    return pattern.sub(lambda match: _spaces(match[0]), text)


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _blank_if_long(match: re.Match, not_said: dict[str, re.Pattern]) -> str:
    long = len(match[0].split()) >= _LONG_QUOTE or not_said["quoted_speaker"].search(match[0])
    answer = not_said["quoted_answer"].search(match.string[max(0, match.start() - 30) : match.start()])
    return " " * len(match[0]) if long and not answer else match[0]
