"""Find the statements of a response that match groups of patterns: who declines, why, and where."""

import re
from collections.abc import Sequence

from falserefusal.labelling.cues import Cues
from falserefusal.labelling.patterns import Group, Patterns
from falserefusal.labelling.spoken import Spoken

Statement = tuple[Group, re.Match]


def _begins_word(text: str, match: re.Match) -> bool:
    return match.start() == 0 or not text[match.start() - 1].isalnum() or match[0].startswith("n't")


class StatementFinder:
    """Finds the statements of some groups of patterns; tries only expressions whose words are in the response."""

    def __init__(self, groups: Sequence[Group], patterns: Patterns):
        self.speaker, self.start = patterns.speaker, patterns.start
        by_speaker = [(group, group.by_speaker) for group in groups if group.by_speaker]
        at_start = [(group, group.at_start) for group in groups if group.at_start]
        anywhere = [(group, pattern) for group in groups for pattern in group.anywhere]
        self.cues = Cues(pattern for _, pattern in (*by_speaker, *at_start, *anywhere))
        self.by_speaker, self.at_start, self.anywhere = (
            [(group, pattern, self.cues.needed[pattern]) for group, pattern in pairs]
            for pairs in (by_speaker, at_start, anywhere)
        )

    def find(self, said: Spoken) -> list[Statement]:
        """The statements of a response, in the order of the text."""
        text = said.text
        speakers = [match.start() for match in self.speaker.finditer(text)]
        starts = [match.end() for match in self.start.finditer(text)]
        cued = self.cues.in_text(text)
        found: list[Statement] = []
        for patterns, places in ((self.by_speaker, speakers), (self.at_start, starts)):
            for group, pattern, needed in patterns:
                if cued & needed == needed:
                    found += [(group, match) for place in places if (match := pattern.match(text, place))]
        for group, pattern, needed in self.anywhere:
            if cued & needed == needed:
                found += [(group, match) for match in pattern.finditer(text) if _begins_word(text, match)]
        found = [(group, match) for group, match in found if self._applies(said, group, match)]
        return sorted(found, key=lambda pair: pair[1].start())

    def _applies(self, said: Spoken, group: Group, match: re.Match) -> bool:
        """Whether a response has the words that a group needs, and the sentence not those that exclude it."""
        if group.needs and not group.needs.search(said.text):
            return False
        if group.unless and group.unless.search(said.text):
            return False
        before = said.text[said.sentence(match.start())[0] : match.start()] if group.unless_before else ""
        return not (group.unless_before and group.unless_before.search(before))
