"""Turn what a file has as gold labels into gold labels of the scale, and say why a value stands for none."""

import math
import re
from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.texts.clean import without_invisible
from falserefusal.texts.problems import DROPPED, Problem, shown
from falserefusal.texts.sources import Source
from falserefusal.texts.tabular import found_in

# how R, Python, SQL, spreadsheets and people write that there is none, in any case
MISSING = {
    "na",
    "n/a",
    "n.a.",
    "nan",
    "nat",
    "null",
    "none",
    "nil",
    "<na>",
    "#n/a",
    "#na",
    "missing",
    "-",
    "--",
    ".",
    "?",
}
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def gold_labels(raw: pd.Series, spec: Source, problems: list[Problem], path: Path) -> pd.Series:
    """Gold labels of the scale; an empty string for a value that stands for none.

    Parameters
    ----------
    raw : Series of str
        The file's column.
    problems : list of Problem
        Findings are appended.

    Raises
    ------
    InputError
        No value is a key of the source's gold_label_map.
    """
    raw = without_invisible(raw)
    values = {value: _canonical(value, spec.round_gold_labels) for value in raw.unique()}
    _check_map(raw, set(values.values()), spec, problems, path)
    found = {value: _gold_label(name, spec) for value, name in values.items()}
    for row, value in raw.items():
        gold_label, reason = found[value]
        if not gold_label:
            problems.append(Problem(row, raw.name, reason, DROPPED, shown(value) if value else ""))
    return raw.map(lambda value: found[value][0])


def _check_map(raw: pd.Series, values: set[str], spec: Source, problems: list[Problem], path: Path) -> None:
    """Report each key of gold_label_map that no row has; if that is every key, it is an error."""
    values = {value.casefold() for value in values}
    unused = [key for key in spec.gold_label_map if _canonical(key, spec.round_gold_labels).casefold() not in values]
    if unused and len(unused) == len(spec.gold_label_map) and len(raw):
        raise InputError(
            f"{path}: gold_label_map: no row has {', '.join(map(repr, unused))} in the column '{raw.name}'; "
            f"{found_in(raw)}"
        )
    for key in unused:
        problems.append(Problem(None, raw.name, "a key of gold_label_map has no row", "none to map", key))


def _gold_label(value: str, spec: Source) -> tuple[str, str]:
    """The gold label that `value` stands for, or an empty string and the reason why it stands for none."""
    mapping = {_canonical(key, spec.round_gold_labels): name for key, name in spec.gold_label_map.items()}
    mapped = mapping.get(value) or {key.casefold(): name for key, name in mapping.items()}.get(value.casefold())
    value = mapped or value
    for name in spec.scale or spec.gold_label_map.values():
        if value.casefold() == name.casefold() or value == _canonical(name, False):
            return name, ""
    if mapped or (spec.scale is None and value and value.lower() not in MISSING):
        return value, ""
    if not value or value.lower() in MISSING:
        return "", "no gold label"
    score = _number(value, decimal_comma=True) is not None and set(".,") & set(value)
    hint = "; round_gold_labels: true rounds scores" if score else ""
    return "", f"gold label is not one of {', '.join(spec.scale)}{hint}"


def _canonical(raw: str, round_gold_labels: bool) -> str:
    """Write '3.0' as '3'; with `round_gold_labels` round a score to the nearest whole number, halves up."""
    number = _number(raw, decimal_comma=round_gold_labels)
    if number is not None and round_gold_labels:
        number = math.floor(number + 0.5)
    return str(int(number)) if number is not None and number == int(number) else raw


def _number(raw: str, decimal_comma: bool) -> float | None:
    if decimal_comma and DECIMAL_COMMA.fullmatch(raw):
        raw = raw.replace(",", ".")
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in raw else None
