"""Format tables as text for the page: proportions in percent, few digits, blanks for missing values."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from falserefusal.common import numbers
from falserefusal.common.notice import suffixed
from falserefusal.report.notes import Note

P_VALUES = ("p", "p_holm", "p_family", "mcnemar_p")
# characters that no page may hold, and those that reverse the order of the text after them; models write both
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FORMULA = re.compile("'*[=+\\-@\t\r]")  # how a cell begins that a spreadsheet runs, as in explorer.js
MAX_ROWS = 1000  # longer tables are cut on the page; the file has all rows


class Shown(NamedTuple):
    """A table as text: head, rows, which columns are numeric, and how many rows were left out."""

    head: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    left_out: int


def show(frame: pd.DataFrame, note: Note, models: list[str], suffix: str) -> Shown:
    """Format `frame` as text, with proportions in percent and `suffix` after every name of `models` in any cell."""
    name = suffixed(models, suffix)
    cut = frame.head(MAX_ROWS)
    head, columns, numeric = [], [], []
    for column in cut.columns:
        values = cut[column]
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        percent = column in (*note.percent, *note.points) and is_number
        head.append(f"{column} ({'pp' if column in note.points else '%'})" if percent else column)
        numeric.append(is_number)
        if is_number:
            write = in_percent if percent else p_value if column in P_VALUES else number
            columns.append([write(value) for value in values])
        else:
            columns.append(["" if pd.isna(value) else name(str(value)) for value in values])
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Shown(head, rows, numeric, len(frame) - len(cut))


def in_percent(rate: float) -> str:
    """Write a proportion in percent with two decimals, or more if two would show a small value as zero."""
    value = 100 * rate
    if pd.isna(value):
        return ""
    if 0 < abs(value) < 0.005:
        return _small(value, 0.001) or f"{value:.1g}".replace("-", "−")
    return f"{value:.2f}".replace("-", "−")


def _small(value: float, least: float) -> str:
    """Return "<least" for a value that is not zero but closer to zero than `least`, else an empty text."""
    if value == 0 or abs(value) >= least:
        return ""
    return f"<{least}" if value > 0 else f">−{least}"


def sort_key(cell: str) -> str:
    """Return the number by which a cell of numbers is sorted; "" if that is the text of the cell."""
    key = "0" if cell[:1] in ("<", ">") else cell.replace("−", "-").replace(",", "").replace("∞", "Infinity")
    return "" if key == cell else key


def p_value(value: float) -> str:
    """Write a p-value with two digits; very small ones are not written as zero, missing ones are blank."""
    return "" if pd.isna(value) else numbers.p_value(value)


def number(value: float) -> str:
    """Write a number: whole numbers with thousands separators, others with four significant digits."""
    if pd.isna(value):
        return ""
    if not np.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    return _small(value, 0.0001) or f"{value:.4g}".replace("-", "−")


def task_word(task: str) -> str:
    """Write a task inside a sentence."""
    return "NLI" if task == "nli" else task


def marked(text: str, evidence: str) -> list[tuple[str, bool]]:
    """Split `text` into pieces, each with whether it is evidence: the first occurrence of a part of `evidence`.

    Labellers join the parts of their evidence by " … ". Case is ignored, because phrase_list compares in lower case.
    """
    text, evidence = str(text), str(evidence)
    spans = []
    for part in evidence.split(" … "):
        found = re.search(re.escape(part), text, re.IGNORECASE) if part else None
        spans += [found.span()] if found else []
    pieces, at = [], 0
    for start, end in sorted(spans):
        start = max(start, at)  # parts may overlap
        pieces += [(text[at:start], False), (text[start:end], True)]
        at = max(at, end)
    return [piece for piece in [*pieces, (text[at:], False)] if piece[0]]


def harmless(text: str) -> str:
    """Replace each character that no page may hold by a replacement character."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def safe_cell(value: object) -> object:
    """Return a cell of a CSV file so that no program runs it: texts are harmless and do not begin as a formula."""
    if not isinstance(value, str):
        return value
    text = harmless(value)
    return f"'{text}" if FORMULA.match(text) else text
