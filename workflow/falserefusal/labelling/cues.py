"""Find the words that a match of a regular expression must contain, to skip expressions that cannot match a text.

Looking up words is many times faster than trying an expression at every position of a text. RE2 and code search do the
same (Cox, 2012, "Regular expression matching with a trigram index").
"""

import re
from collections.abc import Iterable
from functools import cache

try:
    from re import _constants as op  # type: ignore[attr-defined]  # the stubs lack undocumented modules
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # undocumented modules; without them every expression is tried, which is slower
    parser = None

_WORD = re.compile(r"[^\W\d_]+")


class Cues:
    """Finds which of several patterns (compiled without flags) could match in a text, from the words of the text.

    A cue is a word, or part of one. Each set of cues of which a match needs at least one has a bit. A word has the bits
    of all sets with a cue in it.
    """

    def __init__(self, patterns: Iterable[re.Pattern]):
        self.bits: dict[frozenset[str], int] = {}
        self.by_word: dict[str, int] = {}
        self.needed = {pattern: self._bits(_needs(pattern)) for pattern in patterns}

    def _bits(self, sets: tuple[frozenset[str], ...]) -> int:
        return sum(self.bits.setdefault(cues, 1 << len(self.bits)) for cues in sets)

    def in_text(self, text: str) -> int:
        """The bits of all words of `text`; a pattern can only match if they include its bits in `needed`."""
        found = 0
        for word in set(_WORD.findall(text)):
            if word not in self.by_word:
                self.by_word[word] = sum(bit for cues, bit in self.bits.items() if any(cue in word for cue in cues))
            found |= self.by_word[word]
        return found


@cache
def _needs(pattern: re.Pattern) -> tuple[frozenset[str], ...]:
    """Sets of cues such that each match of `pattern` contains at least one cue of every set."""
    return tuple(dict.fromkeys(map(frozenset, _all_of(parser.parse(pattern.pattern))))) if parser else ()


def _all_of(sequence) -> list[set[str]]:
    """Sets of cues that all parts of a parsed sequence need; consecutive letters are one cue."""
    needed, run = [], ""
    for kind, value in [*sequence, (None, None)]:
        if kind is op.LITERAL and chr(value).isalpha():
            run += chr(value)
            continue
        needed += [{run}] if run else []
        run = ""
        needed += _needed(kind, value)
    return needed


def _needed(kind, value) -> list[set[str]]:
    if kind is op.SUBPATTERN:
        return _all_of(value[-1])
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT) and value[0] > 0:
        return _all_of(value[2])
    if kind is op.BRANCH:
        branches = [_all_of(branch) for branch in value[1]]
        return [set().union(*map(_rarest, branches))] if all(branches) else []
    return []  # blanks, classes, assertions, optional parts


def _rarest(needed: list[set[str]]) -> set[str]:
    """The set whose shortest word is longest."""
    return max(needed, key=lambda words: (min(map(len, words)), -len(words)))
