"""Join the verdicts of all models with the design, and count them by cell."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import validate
from falserefusal.common.schemas import ALL, BASELINE, CELL_LEVELS, CELLS, NOT_JUDGED, OUTCOME_LEVELS, OUTCOMES


def judged_draws(
    design: pd.DataFrame, verdicts: Iterable[tuple[str, pd.DataFrame]], personas: list[str], templates: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every draw of the design under every model and labeller, and what is missing.

    `verdicts` are pairs of a model and its VERDICTS frame, of which one at a time need be in memory; `personas` and
    `templates` order the levels. Returns the outcomes (OUTCOMES) and a frame of draws that have no verdict: model,
    task, labeller, reason, n. Raises InputError where a label belongs to no prompt of the design.
    """
    draws_of_all = _leveled(design, {"persona": [*personas, BASELINE], "template": templates})
    parts, models, labellers, gaps = [], [], [], []
    for model, verdicts in verdicts:
        draws = draws_of_all[design["model"].isin([ALL, model])]
        place = pd.Index(draws["prompt_id"]).get_indexer(verdicts["prompt_id"])
        if (place < 0).any():
            prompt = verdicts["prompt_id"].iloc[int(np.argmax(place < 0))]
            raise InputError(f"verdicts of {model}: prompt {prompt!r} is not in the design; label the answers again")
        rounds = draws["interim_look"].to_numpy()
        asked = rounds <= rounds[place].max(initial=-1)  # the others were not asked: the model had stopped
        for labeller, verdicts in verdicts.assign(place=place).groupby("labeller", sort=False):
            place, category = verdicts["place"].to_numpy(), verdicts["category"].to_numpy(dtype=object)
            reason = np.full(len(draws), "no answer", dtype=object)
            reason[place] = ""
            for why in NOT_JUDGED:
                reason[place[category == why]] = why
            refusal = np.zeros(len(draws), dtype=bool)
            refusal[place] = verdicts["refusal"]
            judged, lacking = asked & (reason == ""), asked & (reason != "")
            counts = draws.assign(reason=reason)[lacking].groupby(["task", "reason"], observed=True).size()
            gaps.extend((model, task, labeller, why, n) for (task, why), n in counts.items())
            parts.append(draws.assign(refusal=refusal)[judged].drop(columns="prompt_id"))
            models.append(model)
            labellers.append(labeller)
    sizes = [len(part) for part in parts]
    if not sum(sizes):
        raise InputError("no draw of the design has a verdict")
    outcomes = pd.concat(parts, ignore_index=True)
    outcomes = outcomes.assign(model=_repeated(models, sizes), labeller=_repeated(labellers, sizes))
    for column in ("task", "row_id", "text_id", "block", "format"):
        outcomes[column] = outcomes[column].cat.remove_unused_categories()
    missing = pd.DataFrame(gaps, columns=["model", "task", "labeller", "reason", "n"])
    return validate(outcomes[list(OUTCOMES.columns)], OUTCOMES, "outcomes"), missing


def _leveled(design: pd.DataFrame, order: dict[str, list[str]]) -> pd.DataFrame:
    """The design with small codes in place of words: it is about to be repeated for every model and labeller."""
    levels = {
        column: pd.Categorical(design[column], categories=order.get(column, list(design[column].drop_duplicates())))
        for column in OUTCOME_LEVELS
        if column != "model"
    }
    return design.drop(columns="model").assign(**levels).astype({"draw": "int16", "interim_look": "int16"})


def _repeated(names: list[str], sizes: list[int]) -> pd.Categorical:
    """Each name as often as its size says; levels in the order they come."""
    levels = list(dict.fromkeys(names))
    return pd.Categorical.from_codes(np.repeat([levels.index(name) for name in names], sizes), categories=levels)


def count_cells(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Draws and refusals by model, task, persona, template, format and labeller, in the order of the levels."""
    groups = outcomes.groupby(CELL_LEVELS, observed=True, sort=True)["refusal"]
    cells = groups.agg(n="size", refusals="sum").reset_index()
    return validate(cells.astype({level: "str" for level in CELL_LEVELS}), CELLS, "cells")
