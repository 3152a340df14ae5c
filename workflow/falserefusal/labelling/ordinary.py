"""Options that are ordinary words or single signs ("A", "no", "2"): read only where an answer is given.

In "As a blind person, I have no view", none of the words "a", "I" and "no" is a choice.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from falserefusal.labelling.spoken import Spoken

# Words so frequent in any response that a mention of them is no choice
_WORDS = re.compile(
    r"a|about|all|an|and|any|are|as|at|be|both|but|by|can|do|does|either|for|from|has|have|he|her|his|how|i|if|ii|iii|in|"
    r"is|it|iv|many|maybe|me|more|most|much|my|no|none|nor|not|of|on|one|or|others?|our|she|so|some|than|that|the|their|"
    r"them|then|there|they|this|to|two|us|v|was|we|were|what|which|who|will|with|would|yes|you|your|zero"
)
# what may be before an option that ends its clause, and what announces an option even within a clause
_BEFORE = r"(?:^|[\n.!?:;,]|\b(?:is|be|say|enter|answer|as|but|think)\b)(?:[ \t]*\d{1,2}(?=[.)\]:]))?"
_ANNOUNCES = (
    r"\b(?:option|letter|(?:answer|choice|label|rating|score|verdict)(?: (?:is|of|would be|should be|as))?|"
    r"choose|choosing|pick|select|go(?:ing)? (?:with|for)|"
    r"(?:answer|label|classify|rate|mark)(?: (?:it|this|that|the \w+|with|as))*)\b"
)
_RATES = r"\b(?:(?:giv|rat|scor|assign|grad|mark)\w*|rating|score)\b(?:[ \t]+(?!\d)[\w'’-]+){0,6}"
_MARKS = r"[\s\"'“”‘*_`()\[\]{}<:#=.-]*(?<![\w'’])"
_ENDS = (
    r"(?=[ \t]*(?:\Z|[\n)\]}<.:;!*\"”'’`]|[–—-][ \t]|,?[ \t]*(?:because|since|as (?:it|the|this)|out of)\b|/[ \t]*\d))"
    r"(?!\.\d|['’]\w)"
)


def is_ordinary(option: str) -> bool:
    """Whether an option is read only in answer position."""
    word = option.strip().lower()
    return len(word) == 1 or word.isdigit() or bool(_WORDS.fullmatch(word))


def positions(options: Sequence[str]) -> Callable[[Spoken], Iterator[tuple[str, tuple[int, int]]]]:
    """A function that yields each of the ordinary `options` in answer position in a response, with its span.

    An option of one letter is read only in its own case, except where the response is nothing else.
    """
    patterns = [(option, *_patterns(option.strip())) for option in options]

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


def _patterns(option: str) -> tuple[re.Pattern, re.Pattern]:
    """What a response that is nothing but the option matches, and the option in answer position."""
    name = re.escape(option)
    sign = len(option) == 1
    word = name if sign else f"(?i:{name})"
    ends = _ENDS if sign or option == "I" else rf"(?:{_ENDS}|(?=[ \t]*,))"
    places = [rf"(?i:{_BEFORE}){_MARKS}(?P<option>{word}){ends}"]
    before = [_ANNOUNCES] * (sign and option.lower() != "i") + [_RATES] * option.isdigit()
    if before:
        places.append(rf"(?i:{'|'.join(before)}){_MARKS}(?P<announced>{word})\b(?!\s*(?:or|and|to)\b|['’]\w)")
    return re.compile(rf"\W*(?P<option>(?i:{name}))\W*\Z"), re.compile("|".join(places))
