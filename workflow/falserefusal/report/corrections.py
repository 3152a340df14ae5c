"""Corrected rates beside the uncorrected ones, wherever the page shows a rate that can be corrected."""

import pandas as pd

from falserefusal.common.schemas import ANY_PERSONA

# a table of uncorrected rates, and the table that has them corrected
BESIDE = {
    "table1": "corrected_rates",
    "rates_model_task": "corrected_rates",
    "labeller_rates": "corrected_rates",
    "rates_persona": "corrected_personas",
    "rates_baseline": "corrected_differences",
}
# why others have none
UNCORRECTED = {
    "They have more cells than people labelled answers, so that most cells have few or none: corrected limits would "
    "run from almost 0 to almost 1": (
        "rates_model_persona",
        "rates_task_model_persona",
        "rates_shrunken",
        "rates_format",
    ),
    "They are made of single verdicts, paired or modelled by text, and the correction is one of rates: it changes no "
    "single verdict. How far several labellers move them is in labeller_headline and labeller_claims": (
        *("effects_persona", "effects_mean", "effects_between", "importance", "sensitivity"),
        *("regression", "regression_firth", "interactions", "deviance", "claims", "interim_looks", "sequential"),
    ),
}
LIMITS = {"lo": "corrected_lo", "hi": "corrected_hi"}


def with_corrections(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`tables` with columns of corrected rates, where people labelled answers.

    Beside table1, rates_model_task and rates_persona stand those of the first labeller of corrected_rates, whose
    verdicts are the headline; beside labeller_rates those of each. In rates_persona, whose rates are means over models
    and tasks, only the first scope (all models) has them: with `pooled`, the rate of all its answers together, which is
    what is corrected.
    """
    if "corrected_rates" not in tables:
        return tables
    rates = tables["corrected_rates"].rename(columns=LIMITS)
    rates = rates.loc[rates["group"] == ANY_PERSONA, ["labeller", "model", "task", "corrected", *LIMITS.values()]]
    first = rates[rates["labeller"] == rates["labeller"].iloc[0]].drop(columns="labeller")
    shown = dict(tables)
    if "table1" in tables:
        shown["table1"] = _table1(tables["table1"], first)
    if "rates_model_task" in tables:
        shown["rates_model_task"] = _beside(tables["rates_model_task"], first)
    if "labeller_rates" in tables:
        shown["labeller_rates"] = _beside(tables["labeller_rates"], rates)
    if {"rates_persona", "corrected_personas"} <= set(tables):
        shown["rates_persona"] = _personas(tables["rates_persona"], tables["corrected_personas"])
    return shown


def uncorrected(tables: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Why some of the tables have no corrected counterpart, and which; nothing where nobody labelled answers."""
    if "corrected_rates" not in tables:
        return {}
    found = {why: [name for name in names if name in tables] for why, names in UNCORRECTED.items()}
    return {why: names for why, names in found.items() if names}


def _table1(table1: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    table1 = table1.copy()
    for task, part in limits.groupby("task", sort=False):
        if task in table1:
            corrected = (100 * table1["model"].map(part.set_index("model")["corrected"])).round(2)
            table1.insert(table1.columns.get_loc(task) + 1, f"{task} corrected", corrected)
    return table1


def _personas(rates: pd.DataFrame, corrected: pd.DataFrame) -> pd.DataFrame:
    corrected = corrected[corrected["labeller"] == corrected["labeller"].iloc[0]]
    corrected = corrected[["persona", "rate", "corrected", "lo", "hi"]].rename(columns={"rate": "pooled", **LIMITS})
    return _beside(rates, corrected.assign(scope=rates["scope"].iloc[0]))


def _beside(rates: pd.DataFrame, corrected: pd.DataFrame) -> pd.DataFrame:
    """`rates` with the new columns of `corrected`, joined on those they share, before the words of the method."""
    both = rates.merge(corrected, how="left")
    return both[[*(column for column in both if column != "method"), "method"]]
