"""Marks that keep a study from being mistaken: a rehearsal is named as one, system prompts are not called models.

Importing this module is cheap (no pandas), because the rules read the banner at the start of every job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BANNER = "REHEARSAL on stand-in checkpoints: says nothing about the real models"  # on every page, figure and table
MODEL_SUFFIX = " (stand-in)"  # after every model name
DUMMY_BANNER = "DUMMY responses, written by the workflow: says nothing about any model"
DUMMY_SUFFIX = " (dummy)"
LIMITED = "TRIAL with at most {} prompts per model"
COLUMN = "study"  # of a table: holds the banner, so that a file passed on alone still carries it


def write_table(table: pd.DataFrame, path: str | Path, notice: str | None) -> None:
    """Write a table as CSV, with `notice` in its last column; an empty notice (a study of real models) adds none."""
    from falserefusal.common.files import write_csv

    write_csv(table.assign(**{COLUMN: notice}) if notice else table, path)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table without its notice; pages and figures made from it carry the notice in their own way."""
    from falserefusal.common.files import read_csv

    return read_csv(path).drop(columns=COLUMN, errors="ignore")


def suffixed(models: Iterable[str], suffix: str) -> Callable[[str], str]:
    """Return a function that adds `suffix` to every name of `models` in a text.

    Only whole names count: "Llama3" is not found in "Llama3.1".
    """
    names = "|".join(map(re.escape, sorted(models, key=len, reverse=True)))
    if not suffix or not names:
        return str
    name = re.compile(rf"(?<![\w.-])({names})(?![\w-]|\.\w)")
    return lambda text: name.sub(lambda match: match[0] + suffix, text)


def system_prompts_for_models(text: str) -> str:
    """Replace "model" by "system prompt" in `text`, for a study of one checkpoint under several system prompts."""
    return re.sub(r"\b([Mm])odel(s?)\b", lambda m: f"{'S' if m[1] == 'M' else 's'}ystem prompt{m[2]}", text)
