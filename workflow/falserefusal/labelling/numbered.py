"""Find options that a response chooses by their number: "Option 1", "the second option", "(2)" for "(2) polite"."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from falserefusal.labelling.grammar import Grammar
from falserefusal.labelling.ordinary import is_ordinary
from falserefusal.labelling.spoken import Spoken

_ENUMERATED = re.compile(r"\s*\(?(\d{1,2}|[A-Ha-h])[).:]\s+(?=\w)")
_ENDS = r"(?=[\s\"')]*(?:\Z|[.,;!\n]))"
_LATER = re.compile(r"\n[ \t#(]*\d+[.)]?\s")  # the next number of a list


def name(option: str) -> str:
    """An option without its number: "polite" for "(1) polite"."""
    return _ENUMERATED.sub("", option, count=1)


@cache
def _references(grammar: Grammar) -> re.Pattern:
    """A reference by number or place, such as "option two" or "the last one"."""
    numbers, ordinals = ("|".join(word for word, _ in words) for words in (grammar.numbers, grammar.ordinals))
    return re.compile(
        rf"\b(?:{grammar.option}\s+(?:#|\()?(?P<number>[1-4]|{numbers})|"
        rf"{grammar.the}(?P<ordinal>{ordinals})\s+{grammar.option_last})\b{_ENDS}"
    )


def _marks(grammar: Grammar, marks: Iterable[str]) -> re.Pattern:
    """The mark of an option at the start of a response, or after words that announce it."""
    return re.compile(
        rf"(?:(?P<start>\A)[\s#(]*|\b{grammar.picks}[\s(,]{{0,5}})(?P<mark>{'|'.join(marks)})(?=\s*(?:\Z|[.)\n]))"
    )


def numbered(said: Spoken, options: Sequence[str], grammar: Grammar) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each option that a response refers to by its number or place, with the span of the reference."""
    if any(is_ordinary(option, grammar.ordinary) for option in options):
        return
    places = dict([*grammar.numbers, *grammar.ordinals])
    for match in _references(grammar).finditer(said.text):
        word = match["number"] or match["ordinal"]
        place = int(word) if word.isdigit() else places[word]
        if place <= len(options):
            yield options[place - 1], match.span()
    marks = {found[1].lower(): option for option in options if (found := _ENUMERATED.match(option))}
    if marks:
        for match in _marks(grammar, marks).finditer(said.text):
            if match["start"] is None or not _LATER.search(said.text):
                yield marks[match["mark"]], match.span("mark")
