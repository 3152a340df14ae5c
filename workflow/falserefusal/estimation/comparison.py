"""Comparison of estimates with planted rates, and the headline numbers of a study."""

import numpy as np
import pandas as pd

from falserefusal.common.schemas import ALL


def planted_rates_table(rates: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """Compare the estimate of every cell with its planted rate.

    Parameters
    ----------
    rates : table rates_task_model_persona.
    planted : columns model, task, persona and planted (a proportion, by enumeration of all texts and templates of the
        cell).

    Returns
    -------
    Columns model, task, persona, n, planted, estimate, lo, hi, z, method. z is the difference in binomial standard
    errors at the planted rate; missing for a planted rate of exactly 0 or 1.
    """
    key = ["model", "task", "persona"]
    both = rates.merge(planted[[*key, "planted"]], on=key, how="left", validate="one_to_one")
    error = np.sqrt(both["planted"] * (1 - both["planted"]) / both["n"])
    both["z"] = ((both["rate"] - both["planted"]) / error.where(error > 0)).astype(float)
    both = both.rename(columns={"rate": "estimate"})
    return both[[*key, "n", "planted", "estimate", "lo", "hi", "z", "method"]]


def headline(
    model_task: pd.DataFrame, personas: pd.DataFrame, importance: pd.DataFrame, effects: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Collect the headline numbers of a study.

    Parameters
    ----------
    model_task : table rates_model_task; its rows "mean" are used.
    personas : table rates_persona of one scope.
    importance : table importance; its scope "all" is used.
    effects : table effects_mean, if there are baseline prompts; its rows "mean" are used.

    Returns
    -------
    Columns quantity, item, unit, estimate, lo, hi, method.
    """
    tasks = model_task[model_task["model"] == "mean"]
    whole = importance[importance["scope"] == "all"]
    parts = [
        tasks.assign(quantity="mean rate of a task", item=tasks["task"], unit="rate", estimate=tasks["rate"]),
        personas.assign(
            quantity="mean rate of a persona", item=personas["persona"], unit="rate", estimate=personas["rate"]
        ),
        whole.assign(quantity="importance of a factor", item=whole["factor"], unit="index", estimate=whole["index"]),
    ]
    if effects is not None:
        means = effects[(effects["model"] == "mean") & (effects["persona"] != ALL)]
        named = {"quantity": "persona minus baseline", "item": means["persona"], "unit": "rate"}
        parts.append(means.assign(**named, estimate=means["difference"]))
    return pd.concat(parts, ignore_index=True)[["quantity", "item", "unit", "estimate", "lo", "hi", "method"]]
