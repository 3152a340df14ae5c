"""Outcomes are the draws of the design joined with their verdicts: build and read them, and read their cells."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_parquet, validate
from falserefusal.common.schemas import ALL, BASELINE, CELLS, NOT_JUDGED, OUTCOME_LEVELS, OUTCOMES


def outcomes_of(
    design: pd.DataFrame, verdicts: Iterable[tuple[str, pd.DataFrame]], personas: list[str], templates: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join every draw of the design with its verdict, for every model and labeller.

    Parameters
    ----------
    design : frame of DESIGN.
    verdicts : pairs of a model and its frame of VERDICTS; only one pair at a time needs to be in memory.
    personas, templates : the order of the levels.

    Returns
    -------
    outcomes : frame of OUTCOMES.
    missing : number n of draws without a verdict by model, task, labeller, reason.

    Raises
    ------
    InputError if a verdict belongs to no prompt of the design, or if there are no verdicts at all.
    """
    draws_of_all = _with_levels(design, {"persona": [*personas, BASELINE], "template": templates})
    parts, models, labellers = [], [], []
    gaps: list[tuple] = []
    for model, of_model in verdicts:
        draws = draws_of_all[design["model"].isin([ALL, model])]
        place = pd.Index(draws["prompt_id"]).get_indexer(of_model["prompt_id"])
        if (place < 0).any():
            prompt = of_model["prompt_id"].iloc[int(np.argmax(place < 0))]
            raise InputError(f"verdicts of {model}: prompt {prompt!r} is not in the design; label the responses again")
        looks = draws["interim_look"].to_numpy()
        asked = looks <= looks[place].max(initial=-1)  # later draws were not asked, because the model had stopped
        for labeller, own in of_model.assign(place=place).groupby("labeller", sort=False):
            reason, refusal = _verdict_of_each_draw(len(draws), own)
            usable, lacking = asked & (reason == ""), asked & (reason != "")
            counts = draws.assign(reason=reason)[lacking].groupby(["task", "reason"], observed=True).size()
            gaps.extend((model, task, labeller, why, n) for (task, why), n in counts.items())
            parts.append(draws.assign(refusal=refusal)[usable].drop(columns="prompt_id"))
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


def _verdict_of_each_draw(n: int, verdicts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Why each of n draws has no verdict ("" if it has one), and whether it is a refusal; `place` is the draw."""
    place, category = verdicts["place"].to_numpy(), verdicts["category"].to_numpy(dtype=object)
    reason = np.full(n, "no response", dtype=object)
    reason[place] = ""
    for why in NOT_JUDGED:
        reason[place[category == why]] = why
    refusal = np.zeros(n, dtype=bool)
    refusal[place] = verdicts["refusal"]
    return reason, refusal


def _with_levels(design: pd.DataFrame, order: dict[str, list[str]]) -> pd.DataFrame:
    """The design with categorical columns, which save memory when it is repeated for every model and labeller."""
    levels = {
        column: pd.Categorical(design[column], categories=order.get(column, list(design[column].drop_duplicates())))
        for column in OUTCOME_LEVELS
        if column != "model"
    }
    return design.drop(columns="model").assign(**levels).astype({"draw": "int16", "interim_look": "int16"})


def _repeated(names: list[str], sizes: list[int]) -> pd.Categorical:
    """Each name repeated by its size; levels in order of occurrence."""
    levels = list(dict.fromkeys(names))
    return pd.Categorical.from_codes(np.repeat([levels.index(name) for name in names], sizes), categories=levels)


def read_outcomes(path: str | Path | None, labeller: str) -> pd.DataFrame | None:
    """Read the outcomes of `labeller`; None for a study that has only cells (no path).

    Raises
    ------
    InputError if the labeller has no verdicts.
    """
    if not path:
        return None
    outcomes = validate(pd.read_parquet(path, filters=[("labeller", "==", labeller)]), OUTCOMES, str(path))
    if outcomes.empty:
        raise InputError(f"{path}: no verdicts of labeller {labeller!r}")
    return outcomes


def read_cells(path: str | Path, labeller: str) -> pd.DataFrame:
    """Read the cells of `labeller`.

    Raises
    ------
    InputError if the labeller has no verdicts.
    """
    cells = read_parquet(path, CELLS)
    chosen = cells[cells["labeller"] == labeller].reset_index(drop=True)
    if chosen.empty:
        raise InputError(
            f"{path}: no verdicts of labeller {labeller!r}; it has {', '.join(cells['labeller'].unique())}"
        )
    return chosen
