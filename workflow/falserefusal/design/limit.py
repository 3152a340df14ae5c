"""Cut a design to a few prompts per model, to try a study before it runs."""

import pandas as pd

from falserefusal.common.errors import InputError

UNIT = ["model", "task", "block", "template"]  # a prompt without a persona and those that are compared with it


def limited(design: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep at most `most` prompts of each model: whole groups that are compared, in turn from every task.

    Parameters
    ----------
    design : DataFrame
        As DESIGN declares it.
    most : int
        Prompts per model; prompts that are for all models count for each of them.

    Raises
    ------
    InputError
        The limit is too small for one group of each task.
    """
    kept = [_of_model(own, most) for _, own in design.groupby("model", sort=False)]
    return design.loc[sorted(index for part in kept for index in part)].reset_index(drop=True)


def _of_model(design: pd.DataFrame, most: int) -> list[int]:
    """The index of the rows that are kept."""
    units = design.groupby(UNIT, sort=False).agg(prompts=("prompt_id", "nunique")).reset_index()
    units["turn"] = units.groupby(["task", "block"], sort=False).cumcount()  # a text's further templates come last
    units = units.sort_values("turn", kind="stable")
    units["turn"] = units.groupby("task", sort=False).cumcount()
    units = units.sort_values("turn", kind="stable")
    chosen = units["prompts"].cumsum() <= most
    needed = int(units.loc[units["turn"] == 0, "prompts"].sum())
    if needed > most:
        raise InputError(
            f"limit: {most} prompts are too few for {units['task'].nunique()} tasks; write {needed} or more"
        )
    keys = units.loc[chosen, UNIT]
    rows = design.reset_index().merge(keys, on=UNIT)["index"]
    index: list[int] = rows.tolist()
    return index
