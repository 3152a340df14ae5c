"""Attributes of crossed personas: further columns of the personas file, such as race, gender and disability."""

import csv
import difflib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.study.fields import look_alike

if TYPE_CHECKING:
    import pandas as pd

PERSONA_COLUMNS = ("persona", "group", "printed", "surface", "article")  # every other one is an attribute
RESERVED = ("model", "task", "template", "format", "labeller", "level")  # columns and factors of tables
MOST_NAMED = 3  # combinations that a message lists


def attribute_names(path: str | Path) -> tuple[str, ...]:
    """The attributes of a personas file, in the order of its columns; none if there is no such file.

    Reads the first line only, because every job asks at its start.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError):
        return ()  # whoever needs the personas says what is wrong
    return tuple(name.strip() for name in header if name.strip() not in PERSONA_COLUMNS)


def load_attributes(path: str | Path, keep: Sequence[str] | None = None) -> "pd.DataFrame":
    """The level of each attribute of each persona, for estimates: every combination of levels has as many personas.

    Parameters
    ----------
    path : the personas file.
    keep : personas of the study; None: all of the file.

    Returns
    -------
    Columns persona and one for each attribute, in file order.

    Raises
    ------
    InputError
        with one line for each mistake: file, line, column, what is wrong, what to do.
    """
    from falserefusal.common.files import line_of, read_csv

    names = attribute_names(path)
    if found := list(_wrong_names(names)):
        raise InputError("\n".join(f"{path}: {problem}" for problem in found))
    frame = read_csv(path, dtype=str).rename(columns=str.strip)
    frame = frame.assign(line=[line_of(path, row) for row in range(len(frame))])
    frame = frame if keep is None else frame[frame["persona"].isin(list(keep))]
    levels = frame[list(names)].fillna("").map(str.strip)
    frame = frame[["persona", "line"]].join(levels)
    found = list(_wrong_levels(frame, names)) or list(_wrong_combinations(frame, names))
    if found:
        raise InputError("\n".join(f"{path}: {problem}" for problem in found))
    return frame.drop(columns="line").reset_index(drop=True)


def _wrong_names(names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the names of the columns."""
    known = f"the columns of personas are {', '.join(PERSONA_COLUMNS)}; any other one is an attribute"
    for name in names:
        near = difflib.get_close_matches(name, PERSONA_COLUMNS, n=1, cutoff=0.8)  # "race" is no misspelt "surface"
        if not name:
            yield f"a column has no name ({known}); name it, or remove the extra comma"
        elif near:
            yield f"unknown column '{name}'; did you mean '{near[0]}'? ({known})"
        elif name in RESERVED:
            yield f"column '{name}' is a word that the workflow uses itself; choose another for the attribute"
    if pair := look_alike(names):
        yield f"the columns '{pair[0]}' and '{pair[1]}' look alike; remove or rename one"
    if len(names) == 1:
        yield (
            f"'{names[0]}' is the only attribute, and attributes are crossed with each other: add a second one, or "
            f"remove the column (the column 'group' groups personas)"
        )


def _wrong_levels(frame: "pd.DataFrame", names: Sequence[str]) -> Iterator[str]:
    """Levels that are missing, look like another one, or belong to one persona only; attributes with one level."""
    for name in names:
        for row in frame[frame[name] == ""].itertuples():
            yield (
                f"line {row.line}, column '{name}': the persona '{row.persona}' has no level; write one, "
                f"such as 'none', or leave the persona out of the study"
            )
        levels = dict.fromkeys(filter(None, frame[name]))
        if pair := look_alike(levels):
            yield f"column '{name}': the levels '{pair[0]}' and '{pair[1]}' look alike; write both in the same way"
        elif len(levels) == 1:
            yield (
                f"column '{name}' has only the level '{next(iter(levels))}'; an attribute needs two or more: add "
                f"personas with another level, or remove the column"
            )
        for level in levels if len(levels) > 1 else ():
            own = frame[frame[name] == level]
            if len(own) == 1:
                yield (
                    f"line {own['line'].iloc[0]}, column '{name}': only the persona '{own['persona'].iloc[0]}' has the "
                    f"level '{level}', so the two cannot be told apart; correct its spelling, or add its other "
                    f"combinations"
                )


def _wrong_combinations(frame: "pd.DataFrame", names: Sequence[str]) -> Iterator[str]:
    """Combinations of levels without a persona, or with more personas than others."""
    counts = frame.groupby(list(names), sort=False).size().to_dict()
    missing = [found for found in itertools.product(*(frame[name].unique() for name in names)) if found not in counts]
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        yield (
            f"no persona is {_listed(names, missing)}{more}; main effects and interactions need every combination of "
            f"levels: add personas, or take levels away with 'personas' of the config"
        )
    elif len(set(counts.values())) > 1:
        most, least = (pick(counts, key=counts.__getitem__) for pick in (max, min))
        yield (
            f"{counts[most]} personas are {_listed(names, [most])}, and {counts[least]} "
            f"{'is' if counts[least] == 1 else 'are'} {_listed(names, [least])}; every combination of levels needs as "
            f"many personas"
        )


def _listed(names: Sequence[str], combinations: Sequence[tuple[str, ...]]) -> str:
    shown = [", ".join(f"{name}={level}" for name, level in zip(names, found, strict=True)) for found in combinations]
    return " or ".join(f"({words})" for words in shown[:MOST_NAMED])
