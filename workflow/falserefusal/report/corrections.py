"""Corrected rates beside the uncorrected ones, wherever the page shows rates by model and task."""

import pandas as pd

from falserefusal.schemas import ANY_PERSONA


def with_corrections(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`tables` with columns of corrected rates in table1 and rates_model_task, where people labelled answers.

    The corrections are those of the first labeller of corrected_rates, whose verdicts are the headline.
    """
    if "corrected_rates" not in tables or not {"table1", "rates_model_task"} <= set(tables):
        return tables
    rates = tables["corrected_rates"]
    rates = rates[(rates["labeller"] == rates["labeller"].iloc[0]) & (rates["group"] == ANY_PERSONA)]
    limits = rates[["model", "task", "corrected", "lo", "hi"]]
    limits = limits.rename(columns={"lo": "corrected_lo", "hi": "corrected_hi"})
    table1 = tables["table1"].copy()
    for task, part in limits.groupby("task", sort=False):
        if task in table1:
            corrected = (100 * table1["model"].map(part.set_index("model")["corrected"])).round(2)
            table1.insert(table1.columns.get_loc(task) + 1, f"{task} corrected", corrected)
    model_task = tables["rates_model_task"].merge(limits, on=["model", "task"], how="left")
    return {**tables, "table1": table1, "rates_model_task": model_task}
