"""The levels of imported responses: models, personas, templates, tasks, and the materials that describe them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import write_csv
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE
from falserefusal.common.templates import PLACEHOLDER

ALL_PROMPTS = "all prompts"  # the persona of responses that have none
ONE_TASK, ONE_TEMPLATE = "responses", "one"
DATE = re.compile(r"-(\d{4}-\d\d-\d\d|20\d{6})$")  # of a version of a model
SHORT = 40  # characters of a template's name


def named(frame: pd.DataFrame, materials: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Give each response the study's names of its model, task, persona and template.

    Parameters
    ----------
    frame
        As `tidy.read_responses` returns it.
    materials
        For `models`, `personas` and `templates`: names by the words that the files of responses have for them. One that
        is absent follows from the words.

    Raises
    ------
    InputError
        For a word that the study's own materials do not have.
    """
    personas = frame["persona"] if "persona" in frame else pd.Series(BASELINE, index=frame.index)
    if (personas == BASELINE).all():
        personas = pd.Series(ALL_PROMPTS, index=frame.index)
    tasks = frame["task"] if "task" in frame else pd.Series(ONE_TASK, index=frame.index)
    templates = frame["template"] if "template" in frame else pd.Series(ONE_TEMPLATE, index=frame.index)
    found = {
        "model": _renamed(
            frame["model"], frame["where"], "model", _model_names(frame["model"], materials.get("models"))
        ),
        "task": tasks.map(names_of(tasks)),
        "persona": personas,
        "template": templates.map(template_names(templates)),
    }
    if known := materials.get("personas"):
        found["persona"] = _renamed(personas, frame["where"], "persona", {**known, BASELINE: BASELINE})
    if known := materials.get("templates"):
        found["template"] = _renamed(templates, frame["where"], "template", known)
    return frame.assign(**found)


def _model_names(words: pd.Series, known: Mapping[str, str] | None) -> Mapping[str, str]:
    """The study's names of models by the words of the files.

    A provider responds as a dated version of the model that was asked (gpt-x-2025-01-01): it stands for that model,
    unless the files have several versions of it.
    """
    if not known:
        return names_of(words)
    others = [word for word in words.drop_duplicates() if word not in known]
    asked = [DATE.sub("", word) for word in others]
    dated = {
        word: known[one] for word, one in zip(others, asked, strict=True) if one in known and asked.count(one) == 1
    }
    return {**known, **dated}


def _renamed(words: pd.Series, where: pd.Series, kind: str, known: Mapping[str, str]) -> pd.Series:
    found = words.map(known)
    if found.isna().any():
        unknown = words[found.isna()]
        names = ", ".join(map(repr, unknown.drop_duplicates().head(5)))
        some = ", ".join(list(known)[:20])
        advice = "write it there as imported, in the row of its model" if kind == "model" else "add it there"
        raise InputError(
            f"{where[found.isna()].iloc[0]}: unknown {kind} {names} ({len(unknown)} rows); the study's {kind}s file "
            f"has {some}; {advice}, or correct the file of responses"
        )
    return found


def names_of(words: pd.Series) -> dict[str, str]:
    """For each word a name that can be part of a file's name; different words get different names."""
    names: dict[str, str] = {}
    for one in words.drop_duplicates():
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", one.strip()).strip("-._")[:60] or "unnamed"
        name, number = plain, 2
        while name.lower() in (known.lower() for known in names.values()):
            name, number = f"{plain}-{number}", number + 1
        names[one] = name
    return names


def template_names(words: pd.Series) -> dict[str, str]:
    """For each template its own name if it is short, else t1, t2, ..."""
    different = words.drop_duplicates().tolist()
    short = all(one and len(one) <= SHORT and "\n" not in one and one != ALL for one in different)
    return {one: one if short else f"t{number}" for number, one in enumerate(different, start=1)}


def check_texts(raw: pd.DataFrame) -> None:
    """Raise InputError if a row has no text although the files have a column of texts, or if all have the same."""
    field = next((field for field in ("text_id", "text") if field in raw), None)
    if field is None:
        return
    empty = raw[field].map(str).str.strip() == ""
    if empty.any():
        raise InputError(
            f"{raw['where'][empty].iloc[0]}: no {field} in it ({empty.sum()} of {len(raw)} rows); fill it, or remove "
            "these rows"
        )
    if raw[field].nunique() < 2:
        raise InputError(
            f"{raw['where'].iloc[0]}: all {len(raw)} responses are to one text (column {field}); intervals need at "
            "least two, better dozens"
        )


def write_materials(raw: pd.DataFrame, frame: pd.DataFrame, folder: Path) -> dict[str, str]:
    """Write the files of models, personas and templates that a study without its own needs.

    Parameters
    ----------
    raw, frame
        The responses with their own words, and as `named` returns them.

    Returns
    -------
    dict
        The path of each, by its key in `materials`.
    """
    models = pd.DataFrame({"model": frame["model"], "imported": raw["model"]}).drop_duplicates()
    tables = {"models": models, "personas": _personas(frame["persona"]), "templates": _templates(raw, frame)}
    paths = {kind: folder / f"{kind}.csv" for kind in tables}
    for kind, table in tables.items():
        write_csv(table, paths[kind])
    return {kind: str(path) for kind, path in paths.items()}


def _personas(words: Iterable[str]) -> pd.DataFrame:
    different = [one for one in dict.fromkeys(words) if one != BASELINE]
    for one in different:
        if one in (ANY_PERSONA, ALL):
            raise InputError(f"persona '{one}' is a word that the workflow uses itself; rename it in the file")
    same = dict.fromkeys(("persona", "printed", "surface"), different)
    return pd.DataFrame({**same, "group": "imported", "article": ""})[
        ["persona", "group", "printed", "surface", "article"]
    ]


def _templates(raw: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The templates of each task. Their wording is made up unless the file of responses has it: prompts come whole."""
    words = raw["template"] if "template" in raw else pd.Series(ONE_TEMPLATE, index=raw.index)
    table = pd.DataFrame({"task": frame["task"], "template": frame["template"], "words": words})
    table = table.drop_duplicates(["task", "template"]).reset_index(drop=True)
    table["phrasing"] = table.groupby("task").cumcount() + 1
    text = [one if "{persona}" in one else f"{{persona}} {one or '-'}" for one in table["words"]]
    baseline = [PLACEHOLDER.sub("", one).strip() or "-" for one in table["words"]]
    table = table.assign(format="unforced", text=text, baseline_text=baseline)
    return table[["task", "template", "phrasing", "format", "text", "baseline_text"]]


def facts(raw: pd.DataFrame, frame: pd.DataFrame) -> dict[str, Any]:
    """What a study must know of imported responses before its first job, as plain data."""
    return {
        "models": frame["model"].drop_duplicates().tolist(),
        "tasks": frame["task"].drop_duplicates().tolist(),
        "task_words": dict(zip(frame["task"], raw["task"] if "task" in raw else frame["task"], strict=True)),
        "fields": [column for column in raw if column != "where"],
        "personas": frame["persona"].nunique() - int((frame["persona"] == BASELINE).any()),
        "baseline": bool((frame["persona"] == BASELINE).any()),
        "templates": int(frame["template"].nunique()),
        "samples": bool("sample" in raw and raw["sample"].nunique() > 1),
    }
