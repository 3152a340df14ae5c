"""Stop a job whose first responses are neither answers nor refusals: the model is broken, or asked in a wrong way."""

import re
import unicodedata
from collections.abc import Iterable

from falserefusal.common.errors import InputError
from falserefusal.inference.store import Response

FIRST, FEWEST = 200, 20  # responses that decide, and the fewest that can
SHARE = 0.05  # of recognised responses; with fewer, the job stops
SHOWN, WIDTH = 3, 80  # responses in the message, and characters of each
YES_NO = ("yes", "no", "ja", "nein", "sí")
DECLINES = re.compile(
    r"\b(?:i|we)(?: am|'m| are|'re)? "
    r"(?:cannot|can ?not|can't|do not|don't|won't|will not|unable|not able|refuse|decline)\b"
    r"|\b(?:i'm|i am|we're|we are) sorry\b|\bapologi[sz]e\b"
)
UNFINISHED = ("decided", "error", "recitation")  # cut before an answer could be read, or not the model's doing


class Recognition:
    """Counts the responses of a job that contain an option, yes or no, a refusal phrase or a common way to decline.

    Parameters
    ----------
    options : iterable of str
        The class words of all tasks.
    phrases : iterable of str
        How refusals begin, in lower case.
    """

    def __init__(self, options: Iterable[str], phrases: Iterable[str]):
        words = sorted({_normal(option) for option in options} | {*YES_NO})
        self.words = re.compile("|".join(map(_pattern, words)))
        self.phrases = [_normal(phrase) for phrase in phrases]

    def recognised(self, response: Response) -> bool:
        """Whether a response is an answer or a refusal, generously read; a block by the provider is a refusal."""
        text = _normal(response.text)
        return (
            response.finish_reason == "content_filter"
            or bool(self.words.search(text) or DECLINES.search(text))
            or any(phrase in text for phrase in self.phrases)
        )


class FirstResponses:
    """The first responses of a job, which stop it if nearly none is recognised; without a Recognition, none does."""

    def __init__(self, recognition: Recognition | None, model: str):
        self.recognition, self.model = recognition, model
        self.seen: list[Response] = []

    def add(self, responses: Iterable[Response]) -> None:
        """Add responses; InputError once there are FIRST and nearly none of them is recognised."""
        if self.recognition and len(self.seen) < FIRST:
            self.seen += [response for response in responses if response.finish_reason not in UNFINISHED]
            if len(self.seen) >= FIRST:
                self.check()

    def check(self) -> None:
        """Raise InputError if nearly no response is recognised; there may be too few to tell."""
        first, known = self.seen[:FIRST], self.recognition and self.recognition.recognised
        strange = [response for response in first if known and not known(response)]
        if len(first) < FEWEST or len(first) - len(strange) >= SHARE * len(first):
            return
        empty = sum(not response.text.strip() for response in strange)
        written = [response.text for response in strange if response.text.strip()] or [""]
        shown = "\n".join(f"  {_one_line(text)}" for text in dict.fromkeys(written))
        shown = "\n".join(shown.split("\n")[:SHOWN])
        raise InputError(
            f"{self.model}: {len(strange)} of the first {len(first)} responses are neither an answer nor a refusal"
            f"{f' ({empty} are empty)' if empty else ''}:\n{shown}\n"
            "They are stored. Check the weights and the chat template, or set inference.unrecognised: go_on"
        )


UNCHECKED = FirstResponses(None, "")


def _pattern(word: str) -> str:
    """A word where it begins a word; long ones may have an ending, and not every script has spaces between words."""
    before, after = r"(?<!\w)" if word.isascii() else "", r"(?!\w)" if word.isascii() and len(word) < 4 else ""
    return f"{before}{re.escape(word)}{after}"


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").lower().split())


def _one_line(text: str) -> str:
    """The beginning of a response in quotes; control characters are escaped."""
    return repr(text if len(text) <= WIDTH else f"{text[:WIDTH]}...")
