"""Find what a response repeats of the classified text: these are the words of the text, not those of the model.

A text may say "I" and "form", or even "I won't do this"; a model that repeats it declines nothing.
"""

import re
from functools import lru_cache

from falserefusal.labelling.plain import plain

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_BEFORE = re.compile(r"(?:^|[.!?;:\n])[\s\"'(*_>-]*$")
_AFTER = re.compile(r"[\s\"')*_]*(?:$|[.!?;:\n])")
SENTENCE = 5  # words: shorter sentences may be those of the text by chance
STRETCH = 8  # words: shorter stretches within a sentence may be a remark about the text


def repeated(response: str, classified: str) -> tuple[tuple[int, int], ...]:
    """The spans of a response that repeat the classified text.

    A stretch of words counts if the text has the same words in the same order, and it is eight words long, or five
    words that are whole sentences of the response, or all that is there before the response was cut off.
    """
    if not classified:
        return ()
    said = plain(response)
    words = list(_WORD.finditer(said))
    if len(words) < SENTENCE:
        return ()
    there = _words(classified)
    spans, first = [], 0
    while first + SENTENCE <= len(words):
        last = first
        while last < len(words) and f" {' '.join(word[0] for word in words[first : last + 1])} " in there:
            last += 1
        if last - first >= SENTENCE and (last - first >= STRETCH or _is_whole(said, words[first], words[last - 1])):
            spans.append((words[first].start(), words[last - 1].end()))
        first = last if last - first >= SENTENCE else first + 1
    return tuple(spans)


def _is_whole(said: str, first: re.Match, last: re.Match) -> bool:
    return bool(_BEFORE.search(said, max(0, first.start() - 40), first.start()) and _AFTER.match(said, last.end()))


@lru_cache(maxsize=10_000)
def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(plain(text)))} "
