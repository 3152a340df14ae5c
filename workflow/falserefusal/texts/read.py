"""Read a task's file into checked rows: unique ids, clean texts, gold labels on the scale, and a list of problems."""

import hashlib
import math
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from falserefusal.common.files import InputError
from falserefusal.texts.problems import Problem, problem_frame
from falserefusal.texts.sources import Source, resolve
from falserefusal.texts.tabular import read_table, require

CLEANING = [  # pattern, replacement, problem, action
    (re.compile(r"</?br\s*/?>", re.IGNORECASE), "\n", "HTML line break", "written as a line break"),
    (re.compile(r"\r\n?"), "\n", "carriage return", "written as a line break"),
    (re.compile(r"\t"), " ", "tab", "written as a space"),
    (re.compile(r"\A\s+|\s+\Z"), "", "blanks before or after", "removed"),
]
# UTF-8 once read as Windows-1252 or Latin-1, or characters that were lost for good
MOJIBAKE = re.compile("[ÃÂ][\u0080-\u00bf]|â€|ï»¿|\ufffd")
COLUMNS = ["row_id", "task", "gold_label", "text_id", "text", "premise", "hypothesis", "source"]


def read(source: dict, path: str | Path, task: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every usable row of a task's file.

    A row is dropped and reported if its text is empty, its gold label is missing or not on the scale, it repeats
    another row in every column, or it has the wrong number of fields. Other problems are corrected or kept, and
    reported.

    Parameters
    ----------
    source : dict
        The task's `source` entry in the config.
    path : path
        The file.
    task : str
        The task's name.

    Returns
    -------
    DataFrame
        The rows, as TEXTS declares them.
    DataFrame
        The problems, as PROBLEMS declares them.

    Raises
    ------
    InputError
        The file cannot be read as `source` says, or has no usable row.
    """
    spec = resolve(source, task)
    table, problems = read_table(path, spec)
    require(table, [spec.columns["gold_label"], *(spec.columns[name] for name in spec.content)], path, spec)

    frame = pd.DataFrame(index=table.index)
    usable = pd.Series(True, index=table.index)
    for name in spec.content:
        frame[name] = _clean(table[spec.columns[name]], spec, problems)
        usable &= frame[name] != ""
    frame["gold_label"] = _gold_labels(table[spec.columns["gold_label"]], spec, problems)
    usable &= frame["gold_label"] != ""
    frame["row_id"] = _ids(table, spec, path, problems)
    usable &= _unrepeated(table, frame["row_id"], problems)
    frame = frame[usable].copy()
    if frame.empty:
        first = "; ".join(f"row {p.row}, {p.column}: {p.problem}" for p in problems[:3]) or "the file has no rows"
        raise InputError(f"{path}: no usable row for task '{task}' ({first})")
    frame["row_id"] = _unique(frame["row_id"], spec, problems)

    for gold_label in spec.scale or ():
        if gold_label not in set(frame["gold_label"]):
            problems.append(
                Problem(None, spec.columns["gold_label"], f"no row has the gold label {gold_label}", "none to sample")
            )
    frame["row_id"] = f"{task}-" + frame["row_id"]
    frame["text_id"] = [text_id(row) for row in frame[spec.content].itertuples(index=False)]
    frame["task"], frame["source"] = task, spec.name
    frame = frame.reindex(columns=COLUMNS).astype("str").reset_index(drop=True)
    return frame, problem_frame(problems, task)


def text_id(content: tuple[str, ...]) -> str:
    """First 16 hex digits of the SHA-256 of the text, or of premise and hypothesis joined by a unit separator."""
    return hashlib.sha256("\x1f".join(content).encode("utf-8")).hexdigest()[:16]


def _clean(texts: pd.Series, spec: Source, problems: list[Problem]) -> pd.Series:
    column = texts.name
    for pattern, replacement, problem, action in CLEANING:
        cleaned = texts.map(lambda text, p=pattern, r=replacement: p.sub(r, text))
        problems += [Problem(row, column, problem, action) for row in texts.index[cleaned != texts]]
        texts = cleaned
    for row, text in texts.items():
        if not text:
            problems.append(Problem(row, column, "empty text", "row dropped"))
        if MOJIBAKE.search(text):
            problems.append(Problem(row, column, "characters garbled by a wrong encoding", "kept"))
        if spec.quoting == "none" and len(text) > 1 and text[0] == text[-1] == '"' and '""' in text[1:-1]:
            problems.append(Problem(row, column, "looks quoted, but quoting is none", "kept"))
    return texts


def _gold_labels(raw: pd.Series, spec: Source, problems: list[Problem]) -> pd.Series:
    """Gold labels on the scale; an empty string for a value that stands for none."""
    mapping = {_canonical(key, spec.round_gold_labels): value for key, value in spec.gold_label_map.items()}
    found = {value: _gold_label(value, spec, mapping) for value in raw.unique()}
    for row, value in raw.items():
        gold_label, reason = found[value]
        if not gold_label:
            problems.append(Problem(row, raw.name, reason, "row dropped"))
    return raw.map(lambda value: found[value][0])


def _gold_label(raw: str, spec: Source, mapping: dict[str, str]) -> tuple[str, str]:
    """The gold label that `raw` stands for, or an empty string and the reason why it stands for none."""
    value = _canonical(raw, spec.round_gold_labels)
    if not value or value.lower() == "nan":
        return "", "no gold label"
    value = mapping.get(value, value)
    if spec.scale is None or value in spec.scale:
        return value, ""
    if value.lower() in spec.scale:
        return value.lower(), ""
    hint = "; round_gold_labels: true rounds scores" if _number(value) is not None and "." in value else ""
    return "", f"gold label {raw!r} is not one of {', '.join(spec.scale)}{hint}"


def _canonical(raw: str, round_gold_labels: bool) -> str:
    """Write '3.0' as '3'; with `round_gold_labels` round a score to the nearest whole number, halves up."""
    raw = raw.strip()
    number = _number(raw)
    if number is not None and round_gold_labels:
        number = math.floor(number + 0.5)
    return str(int(number)) if number is not None and number == int(number) else raw


def _number(raw: str) -> float | None:
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _ids(table: pd.DataFrame, spec: Source, path: str | Path, problems: list[Problem]) -> pd.Series:
    """The source's own row ids, several columns joined by '-'; the number of the data row if there is no id."""
    numbers = pd.Series(table.index.astype("str"), index=table.index, dtype=object)
    columns = spec.id_columns
    missing = [column for column in columns if column not in table]
    if spec.id_optional and missing:
        problems.append(Problem(None, ", ".join(missing), "no such id column", "rows are identified by their number"))
        return numbers
    require(table, columns, path, spec)
    if not columns:
        return numbers
    ids = [[part.strip() for part in parts] for parts in table[columns].itertuples(index=False)]
    complete = pd.Series(map(all, ids), index=table.index, dtype=bool)
    for row in table.index[~complete]:
        problems.append(Problem(row, "-".join(columns), "empty id", "the row is identified by its number"))
    return pd.Series(map("-".join, ids), index=table.index, dtype=object).where(complete, "row" + numbers)


def _unrepeated(table: pd.DataFrame, ids: pd.Series, problems: list[Problem]) -> pd.Series:
    """False for a row that repeats an earlier one, id included, in every column of the file."""
    # a file without ids may contain two equal rows that are both valid: two people gave the same rating
    repeated = table.duplicated() & ids.duplicated()
    for row in table.index[repeated]:
        problems.append(Problem(row, "", "repeats an earlier row in every column", "row dropped"))
    return ~repeated


def _unique(ids: pd.Series, spec: Source, problems: list[Problem]) -> pd.Series:
    """Number repeated ids; their rows differ, so none is dropped."""
    used, uses, unique = set(), Counter(), []
    for row, name in ids.items():
        new = name
        while new in used:
            uses[name] += 1
            new = f"{name}-{uses[name] + 1}"
        if new != name:
            problems.append(Problem(row, "-".join(spec.id_columns), f"id {name} was used before", f"kept as {new}"))
        used.add(new)
        unique.append(new)
    return pd.Series(unique, index=ids.index, dtype=object)
