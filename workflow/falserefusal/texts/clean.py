"""Clean texts, and report those that are empty, garbled or very long."""

import logging
import re
from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.texts.problems import DROPPED, Problem, shown
from falserefusal.texts.sources import Source

ZERO_WIDTH = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
ENDS = re.compile(rf"\A[\s{ZERO_WIDTH}]+|[\s{ZERO_WIDTH}]+\Z")
CLEANING = [  # pattern, replacement, problem, action
    (re.compile(r"</?br\s*/?>", re.IGNORECASE), "\n", "HTML line break", "written as a line break"),
    (re.compile(r"\r\n?"), "\n", "carriage return", "written as a line break"),
    (re.compile(r"[\v\f]"), "\n", "page break or vertical tab", "written as a line break"),
    (re.compile(r"\t"), " ", "tab", "written as a space"),
    (CONTROL, "", "control characters", "removed"),
    (re.compile(r"\A\s+|\s+\Z"), "", "blanks before or after", "removed"),
]
# Letters and digits that show nothing, and the character that stands for lost ones.
BLANK = re.compile("[\u115f\u1160\u2800\u3164\uffa0\ufffd]")
EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
# UTF-8 read as Windows-1252 or Latin-1: the character of a first byte and those of the bytes after it. Two letters may
# stand next to each other in a real word, so that of most first bytes two such pairs are asked for.
LATER = "[\u0080-\u00bf" + bytes({*range(0x80, 0xA0)} - {0x81, 0x8D, 0x8F, 0x90, 0x9D}).decode("cp1252") + "]"
GARBLED = re.compile(
    f"[ÂÃ]{LATER}|(?:[Ä-ß]{LATER}){{2}}|[à-ï]{LATER}{{2}}|[ð-ô]{LATER}{{3}}"
    # other scripts read as Latin-1; lost characters; Windows-1252 read as Latin-1
    "|[À-ÖØ-öø-ÿ]{4}|\ufffd|[\u0080-\u0084\u0086-\u009f]"
)
FEW = 3  # garbled texts that need no warning
LONG = 20_000  # characters; more is rather a wrong quote than a text, and more than many models read

log = logging.getLogger(__name__)


def clean(texts: pd.Series, spec: Source, problems: list[Problem], path: Path) -> pd.Series:
    """Texts without control characters and blanks around them; an empty string for a text that has no letter or digit.

    Parameters
    ----------
    texts : Series of str
        A column of the file.
    problems : list of Problem
        Findings are appended.

    Raises
    ------
    InputError
        Most texts are garbled by a wrong encoding.
    """
    column = texts.name
    for pattern, replacement, problem, action in CLEANING:
        cleaned = texts.map(lambda text, p=pattern, r=replacement: p.sub(r, text))
        problems += [Problem(row, column, problem, action) for row in texts.index[cleaned != texts]]
        texts = cleaned
    _check_garbled(texts, problems, path)
    for row, text in texts.items():
        if not ENDS.sub("", text):
            problems.append(Problem(row, column, "empty text", DROPPED))
        elif not says_something(text):
            problems.append(Problem(row, column, "no letter, digit or emoji in the text", DROPPED, shown(text)))
        if spec.quoting == "none" and len(text) > 1 and text[0] == text[-1] == '"' and '""' in text[1:-1]:
            problems.append(Problem(row, column, "looks quoted, but quoting is none", "kept", shown(text)))
        if len(text) > LONG:
            problem = f"longer than {LONG:,} characters"
            problems.append(Problem(row, column, problem, "kept", f"{len(text):,} characters"))
    return texts.where(texts.map(says_something).astype(bool), "")


def says_something(text: str) -> bool:
    """Whether a text has a letter, a digit or an emoji."""
    return any(map(str.isalnum, BLANK.sub("", text))) or EMOJI.search(text) is not None


def without_invisible(values: pd.Series) -> pd.Series:
    """Values without control characters, and without blanks and zero-width characters around them."""
    return values.map(lambda value: ENDS.sub("", CONTROL.sub("", value)))


def _check_garbled(texts: pd.Series, problems: list[Problem], path: Path) -> None:
    garbled = texts[texts.map(lambda text: GARBLED.search(text) is not None).astype(bool)]
    if len(garbled) >= FEW and len(garbled) > len(texts) / 2:
        raise InputError(
            f"{path}: {len(garbled)} of {len(texts)} texts in the column '{texts.name}' are garbled by a wrong "
            f"encoding, such as {shown(garbled.iloc[0])}. Correct `encoding` in the source, or the file itself"
        )
    if len(garbled) > FEW:
        log.warning("%s: %d of %d texts look garbled by a wrong encoding", path, len(garbled), len(texts))
    problem = "characters garbled by a wrong encoding"
    problems += [Problem(row, texts.name, problem, "kept", shown(text)) for row, text in garbled.items()]
