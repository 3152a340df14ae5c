"""Options that are ordinary words or single signs ("A", "no", "2"): read only where an answer is given.

In "As a blind person, I have no view", none of the words "a", "I" and "no" is a choice.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from falserefusal.labelling.grammar import Grammar
from falserefusal.labelling.spoken import Spoken

# Answers to yes/no questions, in any language that has patterns
YES_NO = "yes|no|maybe|none|ja|nein|vielleicht|sí|si|quizás?"
_MARKS = r"[\s\"'“”‘*_`()\[\]{}<:#=.-]*(?<![\w'’])"
_ENDS = (
    r"(?=[ \t]*(?:\Z|[\n)\]}<.:;!*\"”'’`]|[–—-][ \t]|,?[ \t]*BECAUSE\b|/[ \t]*\d))"
    r"(?!\.\d|['’]\w)"
)


def is_ordinary(option: str, words: str) -> bool:
    """Whether an option is read only in answer position; `words`: the ordinary words of the language."""
    word = option.strip().lower()
    return len(word) == 1 or word.isdigit() or bool(re.fullmatch(words, word))


def positions(options: Sequence[str], grammar: Grammar) -> Callable[[Spoken], Iterator[tuple[str, tuple[int, int]]]]:
    """A function that yields each of the ordinary `options` in answer position in a response, with its span.

    An option of one letter is read only in its own case, except where the response is nothing else.
    """
    patterns = [(option, *_patterns(option.strip(), grammar)) for option in options]

    def found(said: Spoken) -> Iterator[tuple[str, tuple[int, int]]]:
        for option, whole, pattern in patterns:
            if match := whole.match(said.response):
                yield option, match.span("option")
                continue
            for match in pattern.finditer(said.response):
                span = match.span("option") if match["option"] else match.span("announced")
                if said.text[slice(*span)].strip():  # not in a quotation or in thinking
                    yield option, span

    return found


def _patterns(option: str, grammar: Grammar) -> tuple[re.Pattern, re.Pattern]:
    """What a response that is nothing but the option matches, and the option in answer position."""
    name = "|".join(map(re.escape, grammar.spelled(option)))
    sign = len(option) == 1
    word = f"(?:{name})" if sign else f"(?i:{name})"
    ends = _ENDS.replace("BECAUSE", grammar.because)
    ends = ends if sign or option == "I" else rf"(?:{ends}|(?=[ \t]*,))"
    places = [rf"(?i:{grammar.before}){_MARKS}(?P<option>{word}){ends}"]
    before = [grammar.announces] * (sign and option.lower() != "i") + [grammar.rates] * option.isdigit()
    if before:
        places.append(
            rf"(?i:{'|'.join(before)}){_MARKS}(?P<announced>{word})\b(?!\s*(?:{grammar.join}|to|bis)\b|['’]\w)"
        )
    return re.compile(rf"\W*(?P<option>(?i:{name}))\W*\Z"), re.compile("|".join(places))
