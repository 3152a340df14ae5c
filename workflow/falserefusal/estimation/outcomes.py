"""Outcomes are the draws of the design joined with their verdicts: build and read them, and read their cells."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_parquet, validate
from falserefusal.common.outcomes import Outcomes, outcomes_of_file
from falserefusal.common.schemas import ALL, BASELINE, CELLS, OUTCOME_LEVELS, OUTCOMES
from falserefusal.common.verdicts import MISSING, REFUSED
from falserefusal.statistics.clusters import check_outcomes

log = logging.getLogger(__name__)


def outcomes_of(
    design: pd.DataFrame, verdicts: Iterable[tuple[str, pd.DataFrame]], personas: list[str], templates: list[str]
) -> Iterator[pd.DataFrame]:
    """Join every draw of the design with its verdict, for one model and labeller after the other.

    A draw whose verdict is missing is no outcome: it is neither refused nor not refused (see `verdict_shares`).

    Parameters
    ----------
    design : frame of DESIGN.
    verdicts : pairs of a model and its frame of VERDICTS; only one pair at a time needs to be in memory.
    personas, templates : the order of the levels.

    Yields
    ------
    Frame of OUTCOMES of one model and labeller; its factors have the levels of the design.

    Raises
    ------
    InputError if a verdict belongs to no prompt of the design, or if there are no verdicts at all.
    """
    draws_of_all = _with_levels(design, {"persona": [*personas, BASELINE], "template": templates})
    found = False
    for model, of_model in verdicts:
        draws = draws_of_all[design["model"].isin([ALL, model])]
        place = pd.Index(draws["prompt_id"]).get_indexer(of_model["prompt_id"])
        if (place < 0).any():
            prompt = of_model["prompt_id"].iloc[int(np.argmax(place < 0))]
            raise InputError(f"verdicts of {model}: prompt {prompt!r} is not in the design; label the responses again")
        draws = draws.drop(columns="prompt_id")
        judged = of_model["verdict"] != MISSING
        for labeller, own in of_model.assign(place=place)[judged].groupby("labeller", sort=False):
            own = own.sort_values("place")
            refusal = (own["verdict"] == REFUSED).to_numpy()
            names = {"model": model, "labeller": labeller}
            one_level = {c: pd.Categorical([name]).repeat(len(own)) for c, name in names.items()}
            found = True
            yield draws.iloc[own["place"]].assign(refusal=refusal, **one_level)[list(OUTCOMES.columns)]
    if not found:
        raise InputError("no draw of the design has a verdict")


def _with_levels(design: pd.DataFrame, order: dict[str, list[str]]) -> pd.DataFrame:
    """The design with categorical columns, which save memory when it is repeated for every model and labeller."""
    levels = {
        column: pd.Categorical(design[column], categories=order.get(column, list(design[column].drop_duplicates())))
        for column in OUTCOME_LEVELS
        if column != "model"
    }
    sample = design["sample"] if "sample" in design else pd.Series(0, index=design.index)
    levels["sample"] = pd.Categorical(
        sample.astype(str), categories=[str(number) for number in range(sample.max() + 1)]
    )
    return design.drop(columns="model").assign(**levels).astype({"draw": "int16", "interim_look": "int16"})


def read_outcomes(path: str | Path | None, labeller: str) -> Outcomes | None:
    """Check the outcomes of `labeller`, to be read one model at a time; None for a study that has only cells (no path).

    Raises
    ------
    InputError if the labeller has no verdicts, or for invalid outcomes.
    """
    if not path:
        return None
    outcomes = outcomes_of_file(path, labeller)
    for part in outcomes.parts(list(OUTCOMES.columns)):
        check_outcomes(validate(part, OUTCOMES, str(path)), OUTCOME_LEVELS)
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


def labellers_with_verdicts(path: str | Path, labellers: list[str]) -> list[str]:
    """Those of `labellers` that gave a verdict; the others, judges that always failed, are named in the log."""
    there = set(read_parquet(path, CELLS)["labeller"])
    for name in labellers:
        if name not in there:
            log.warning("labeller %s gave no verdict on any response, so it has no rates", name)
    return [name for name in labellers if name in there]


def reported(models: list[str] | None, cells: pd.DataFrame) -> list[str] | None:
    """Those of `models` that have cells; others were left out because too many of their responses are missing.

    None, which stands for all models of the file, stays None.
    """
    return models and [model for model in models if model in set(cells["model"])]
