"""Add corrected rates to the tables of uncorrected rates that the page shows."""

import pandas as pd

from falserefusal.common.schemas import ANY_PERSONA

# tables of uncorrected rates, and the tables with the corrected rates
CORRECTED_IN = {
    "table1": "corrected_rates",
    "rates_model_task": "corrected_rates",
    "labeller_rates": "corrected_rates",
    "rates_persona": "corrected_personas",
    "rates_baseline": "corrected_differences",
    "effects_persona": "corrected_effects",
    "effects_mean": "corrected_effects",
    "importance": "corrected_importance",
    "claims": "corrected_claims",
}
# why other tables have no corrected rates
UNCORRECTED = {
    "They have more cells than there are annotated responses. Most cells have few or none, and the interval of a "
    "corrected rate would reach from almost 0 to almost 1": (
        "rates_model_persona",
        "rates_task_model_persona",
        "rates_shrunken",
        "rates_attribute",
        "rates_format",
    ),
    "They are computed from single verdicts, paired or modelled by text. The correction applies to rates and does not "
    "change single verdicts. Their values under each labeller are in labeller_headline and labeller_claims": (
        *("effects_shrunken", "effects_between", "effects_attribute", "sensitivity"),
        *("regression", "regression_firth", "interactions", "deviance", "interim_looks", "sequential"),
    ),
}
INTERVAL = {"lo": "corrected_lo", "hi": "corrected_hi"}


def with_corrections(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return `tables` with columns of corrected rates, if people annotated responses.

    table1, rates_model_task and rates_persona get the rates of the first labeller of corrected_rates, whose verdicts
    give the headline; labeller_rates gets those of each labeller. The rates of rates_persona are means over models and
    tasks, but the correction applies to all responses of a persona together. So its first scope (all models) also gets
    their rate, `pooled`; other scopes get no corrected rates.
    """
    if "corrected_rates" not in tables:
        return tables
    rates = tables["corrected_rates"].rename(columns=INTERVAL)
    rates = rates.loc[rates["group"] == ANY_PERSONA, ["labeller", "model", "task", "corrected", *INTERVAL.values()]]
    first = rates[rates["labeller"] == rates["labeller"].iloc[0]].drop(columns="labeller")
    shown = dict(tables)
    if "table1" in tables:
        shown["table1"] = _table1(tables["table1"], first)
    if "rates_model_task" in tables:
        shown["rates_model_task"] = _joined(tables["rates_model_task"], first)
    if "labeller_rates" in tables:
        shown["labeller_rates"] = _joined(tables["labeller_rates"], rates)
    if {"rates_persona", "corrected_personas"} <= set(tables):
        shown["rates_persona"] = _personas(tables["rates_persona"], tables["corrected_personas"])
    return shown


def uncorrected(tables: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Return the tables without corrected rates by reason; none if no responses were annotated."""
    if "corrected_rates" not in tables:
        return {}
    found = {why: [name for name in names if name in tables] for why, names in UNCORRECTED.items()}
    return {why: names for why, names in found.items() if names}


def _table1(table1: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    table1 = table1.copy()
    for task, part in rates.groupby("task", sort=False):
        if task in table1:
            corrected = (100 * table1["model"].map(part.set_index("model")["corrected"])).round(2)
            table1.insert(table1.columns.get_loc(task) + 1, f"{task} corrected", corrected)
    return table1


def _personas(rates: pd.DataFrame, corrected: pd.DataFrame) -> pd.DataFrame:
    corrected = corrected[corrected["labeller"] == corrected["labeller"].iloc[0]]
    corrected = corrected[["persona", "rate", "corrected", "lo", "hi"]].rename(columns={"rate": "pooled", **INTERVAL})
    return _joined(rates, corrected.assign(scope=rates["scope"].iloc[0]))


def _joined(rates: pd.DataFrame, corrected: pd.DataFrame) -> pd.DataFrame:
    """Join `corrected` to `rates` on their common columns; the column method stays last."""
    both = rates.merge(corrected, how="left")
    return both[[*(column for column in both if column != "method"), "method"]]
