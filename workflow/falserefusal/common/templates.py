"""Tell yes/no questions from other prompt templates."""

import re

# "would a Black person classify it as ..." is a yes/no question; "how would a Black person ..." is not
_YES_NO = re.compile(
    r"(?:^|[,.:;] )(?:would|could|should|will|does|do|did|is|are|can|has|have) (?:an? |the )?\{?\w", re.IGNORECASE
)


def asks_yes_no(template: str) -> bool:
    """Whether a template's text is grammatically a yes/no question, so that "No." can be an answer to it."""
    return bool(_YES_NO.search(template))
