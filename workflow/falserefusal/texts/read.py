"""Read a task's file into checked rows: unique ids, clean texts, gold labels on the scale, and a list of problems."""

import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd

from falserefusal.common.files import InputError
from falserefusal.texts.clean import clean, without_invisible
from falserefusal.texts.gold_labels import gold_labels
from falserefusal.texts.problems import DROPPED, Problem, lost_rows, problem_frame
from falserefusal.texts.sources import Source, resolve
from falserefusal.texts.tabular import read_table

COLUMNS = ["row_id", "task", "gold_label", "text_id", "text", "premise", "hypothesis", "source"]
LEAST_ROWS = 20  # of fewer rows, max_lost would allow not one


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
        The file cannot be read as `source` says, or loses more rows than `source` allows.
    """
    spec, path = resolve(source, task), Path(path)
    table, problems = read_table(path, spec)
    rows = len(table) + len(lost_rows(problems))

    frame = pd.DataFrame(index=table.index)
    usable = pd.Series(True, index=table.index)
    for name in spec.content:
        frame[name] = clean(table[spec.columns[name]], spec, problems, path)
        usable &= frame[name] != ""
    frame["gold_label"] = gold_labels(table[spec.columns["gold_label"]], spec, problems, path)
    usable &= frame["gold_label"] != ""
    frame["row_id"] = _ids(table, spec, problems)
    usable &= _unrepeated(table, frame["row_id"], problems)
    frame = frame[usable].copy()
    _check_losses(rows, frame.empty, spec, problems, path)
    frame["row_id"] = _unique(frame["row_id"], spec, problems)
    for gold_label in spec.scale or ():
        if gold_label not in set(frame["gold_label"]):
            problems.append(
                Problem(None, spec.columns["gold_label"], "no row has the gold label", "none to sample", gold_label)
            )

    frame["row_id"] = f"{task}-" + frame["row_id"]
    frame["text_id"] = [text_id(row) for row in frame[spec.content].itertuples(index=False)]
    frame["task"], frame["source"] = task, spec.name
    frame = frame.reindex(columns=COLUMNS).astype("str").reset_index(drop=True)
    return frame, problem_frame(problems, task)


def _check_losses(rows: int, none_left: bool, spec: Source, problems: list[Problem], path: Path) -> None:
    """Raise InputError if no row is left, or if a file of some size loses more than its share."""
    lost = len(lost_rows(problems))
    if not none_left and (rows < LEAST_ROWS or lost <= spec.max_lost * rows):
        return
    if not rows:
        raise InputError(f"{path}: the file has no rows below the header; add texts, or correct the path of the source")
    dropped = [problem for problem in problems if problem.action == DROPPED]
    [((column, reason), count)] = Counter((p.column, p.problem) for p in dropped).most_common(1)
    first = next(p for p in dropped if (p.column, p.problem) == (column, reason))
    where = f"in the column '{column}', " if column else ""
    raise InputError(
        f"{path}: {lost} of {rows} rows cannot be used. The most frequent reason, {where}{count} times: {reason} "
        f"(row {first.row}{f', {first.value}' if first.value else ''}). Correct the file or its source"
        + ("" if none_left else f", or (for kind: file) set a max_lost above {spec.max_lost:g}")
    )


def text_id(content: tuple[str, ...]) -> str:
    """First 16 hex digits of the SHA-256 of the text, or of premise and hypothesis joined by a unit separator."""
    return hashlib.sha256("\x1f".join(content).encode("utf-8")).hexdigest()[:16]


def _ids(table: pd.DataFrame, spec: Source, problems: list[Problem]) -> pd.Series:
    """The source's own row ids, several columns joined by '-'; the number of the data row if there is no id."""
    numbers = pd.Series(table.index.astype("str"), index=table.index, dtype=object)
    columns = spec.id_columns
    missing = [column for column in columns if column not in table]
    if spec.id_optional and missing:
        problems.append(Problem(None, ", ".join(missing), "no such id column", "rows are identified by their number"))
        return numbers
    if not columns:
        return numbers
    parts_of_ids = table[columns].apply(without_invisible)
    ids = list(parts_of_ids.itertuples(index=False))
    complete = pd.Series(map(all, ids), index=table.index, dtype=bool)
    for row in table.index[~complete]:
        problems.append(Problem(row, "-".join(columns), "empty id", "the row is identified by its number"))
    return pd.Series(map("-".join, ids), index=table.index, dtype=object).where(complete, "row" + numbers)


def _unrepeated(table: pd.DataFrame, ids: pd.Series, problems: list[Problem]) -> pd.Series:
    """False for a row that repeats an earlier one, id included, in every column of the file."""
    # a file without ids may contain two equal rows that are both valid: two people gave the same rating
    same = ids.duplicated(keep=False)
    repeated = table.index[same][table[same].duplicated() & ids[same].duplicated()]
    for row in repeated:
        problems.append(Problem(row, "", "repeats an earlier row in every column", "kept once"))
    return pd.Series(~table.index.isin(repeated), index=table.index)


def _unique(ids: pd.Series, spec: Source, problems: list[Problem]) -> pd.Series:
    """Number repeated ids; their rows differ, so none is dropped."""
    if ids.is_unique:
        return ids
    used, uses, unique = set(), Counter(), []
    for row, name in ids.items():
        new = name
        while new in used:
            uses[name] += 1
            new = f"{name}-{uses[name] + 1}"
        if new != name:
            columns = "-".join(spec.id_columns)
            problems.append(Problem(row, columns, "id was used before", "numbered", f"{name} became {new}"))
        used.add(new)
        unique.append(new)
    return pd.Series(unique, index=ids.index, dtype=object)
