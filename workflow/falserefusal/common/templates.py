"""What the words of a template say about the question it asks."""

import re

# "would a Black person classify it as ..." asks for a yes or a no; "how would a Black person ..." does not
_YES_NO = re.compile(
    r"(?:^|[,.:;] )(?:would|could|should|will|does|do|did|is|are|can|has|have) (?:an? |the )?\{?\w", re.IGNORECASE
)


def asks_yes_no(template: str) -> bool:
    """Whether a template's text is grammatically a yes/no question, so that "No." can be an answer to it."""
    return bool(_YES_NO.search(template))
