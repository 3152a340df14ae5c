"""Comparison of estimates with published numbers and planted rates, and the headline numbers of a study."""

import numpy as np
import pandas as pd

from falserefusal.common.schemas import ALL

COLUMNS = ["quantity", "item", "unit", "printed", "estimate", "lo", "hi", "method"]


def comparison(tables: dict[str, pd.DataFrame], printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare this study's rates and importances with those that the paper prints.

    Parameters
    ----------
    tables : rates_model_task, rates_task_model_persona, rates_format and importance.
    printed : the frames of config/published, by file name.

    Returns
    -------
    Columns quantity, item, unit, printed, estimate, lo, hi, method; rates are proportions. Only items that both have.
    """
    table1 = printed["table1_refusal_pct"].melt("model", var_name="task", value_name="percent")
    parts = [
        _matched(tables["rates_model_task"], table1, ["model", "task"], "model x task (Table 1)"),
        _matched(
            tables["rates_task_model_persona"],
            printed["counts_task_model_persona"].rename(columns={"refusal_pct": "percent"}),
            ["model", "task", "persona"],
            "model x task x persona (Figures 7-9)",
        ),
        _matched(
            tables["rates_format"],
            printed["format_heatmaps"].rename(columns={"refusal_pct": "percent"}),
            ["model", "task", "format"],
            "model x task x format (Figures 4, 10, 11)",
        ),
    ]
    whole = tables["importance"].query("scope == 'all'")
    whole = whole.dropna(subset=["printed", "index"])  # without refusals no factor has an importance
    names = {"item": whole["factor"], "quantity": "importance (Figure 5)", "unit": "index"}
    parts.append(whole.assign(**names, estimate=whole["index"])[COLUMNS])
    return pd.concat(parts, ignore_index=True)


def _matched(rates: pd.DataFrame, printed: pd.DataFrame, key: list[str], quantity: str) -> pd.DataFrame:
    """Rows of the comparison for the rates that both tables have."""
    both = rates.merge(printed[[*key, "percent"]], on=key)
    both["item"] = both[key].agg(", ".join, axis=1) if len(both) else ""
    return both.assign(quantity=quantity, unit="rate", printed=both["percent"] / 100, estimate=both["rate"])[COLUMNS]


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
