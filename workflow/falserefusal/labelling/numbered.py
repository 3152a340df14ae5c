"""Find options that a response chooses by their number: "Option 1", "the second option", "(2)" for "(2) polite"."""

import re
from collections.abc import Iterator, Sequence

from falserefusal.labelling.ordinary import is_ordinary
from falserefusal.labelling.spoken import Spoken

_ENUMERATED = re.compile(r"\s*\(?(\d{1,2}|[A-Ha-h])[).:]\s+(?=\w)")
_PLACES = {
    "1": 0,
    "2": 1,
    "3": 2,
    "4": 3,
    "one": 0,
    "two": 1,
    "three": 2,
    "first": 0,
    "second": 1,
    "third": 2,
    "last": -1,
}
_ENDS = r"(?=[\s\"')]*(?:\Z|[.,;!\n]))"
_NUMBER = re.compile(
    r"\b(?:(?:option|choice|label)\s+(?:number\s+|#|\()?(?P<number>[1-4]|one|two|three)|"
    rf"the\s+(?P<ordinal>first|second|third|last)\s+(?:option|choice|label|one))\b{_ENDS}"
)
_MARK = (  # at the start of a response, or after words that announce it
    r"(?:(?P<start>\A)[\s#(]*|"
    r"\b(?:answer|pick|choice|label|verdict|choose|go with)\s{{0,3}}(?:is|would be|:)?[\s(,]{{0,5}})"
    r"(?P<mark>{marks})(?=\s*(?:\Z|[.)\n]))"
)
_LATER = re.compile(r"\n[ \t#(]*\d+[.)]?\s")  # the next number of a list


def name(option: str) -> str:
    """An option without its number: "polite" for "(1) polite"."""
    return _ENUMERATED.sub("", option, count=1)


def numbered(said: Spoken, options: Sequence[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each option that a response refers to by its number or place, with the span of the reference."""
    if any(is_ordinary(option) for option in options):
        return
    for match in _NUMBER.finditer(said.text):
        place = _PLACES[match["number"] or match["ordinal"]]
        if place < len(options):
            yield options[place], match.span()
    marks = {found[1].lower(): option for option in options if (found := _ENUMERATED.match(option))}
    if marks:
        for match in re.finditer(_MARK.format(marks="|".join(marks)), said.text):
            if match["start"] is None or not _LATER.search(said.text):
                yield marks[match["mark"]], match.span("mark")
