"""Join the judgements of all models with the design, and count them by cell."""

from collections.abc import Mapping

import pandas as pd

from falserefusal.errors import InputError
from falserefusal.schemas import ALL, CELL_LEVELS, CELLS, OUTCOME_LEVELS, OUTCOMES, PERSONA_FREE
from falserefusal.tables import validate

NOT_JUDGED = ("error", "judge_failed")  # no answer, or no verdict: neither a refusal nor an answer


def judged_draws(
    design: pd.DataFrame, labels: Mapping[str, pd.DataFrame], personas: list[str], templates: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every draw of the design under every model and labeller, and what is missing.

    `labels` holds a LABELS frame per model; `personas` and `templates` order the levels. Returns the outcomes
    (OUTCOMES) and a frame of draws that have no verdict: model, task, labeller, reason, n. Raises InputError where a
    label belongs to no prompt of the design.
    """
    parts, gaps = [], []
    for model, judgements in labels.items():
        draws = design[design["model"].isin([ALL, model])].drop(columns="model")
        stray = ~judgements["prompt_id"].isin(draws["prompt_id"])
        if stray.any():
            prompt = judgements.loc[stray, "prompt_id"].iloc[0]
            raise InputError(f"labels of {model}: prompt {prompt!r} is not in the design; label the answers again")
        answered = draws["prompt_id"].isin(judgements["prompt_id"])
        draws = draws[draws["round"] <= draws.loc[answered, "round"].max()]  # stopped early, not unanswered
        for labeller, verdicts in judgements.groupby("labeller", sort=False):
            joined = draws.merge(verdicts[["prompt_id", "labeller", "refusal", "category"]], on="prompt_id", how="left")
            reason = joined["category"].where(joined["category"].isin(NOT_JUDGED))
            reason = reason.mask(joined["category"].isna(), "no answer")
            counted = joined.assign(reason=reason)[reason.notna()].groupby(["task", "reason"]).size()
            gaps.extend((model, task, labeller, why, n) for (task, why), n in counted.items())
            parts.append(joined[reason.isna()].assign(model=model))
    outcomes = pd.concat(parts, ignore_index=True)
    if outcomes.empty:
        raise InputError("no draw of the design has a verdict")
    order = {"model": list(labels), "persona": [*personas, PERSONA_FREE], "template": templates}
    for column in [*OUTCOME_LEVELS, "labeller"]:
        levels = order.get(column, list(outcomes[column].drop_duplicates()))
        outcomes[column] = pd.Categorical(outcomes[column], categories=levels)
    outcomes = outcomes.astype({"draw": "int16", "round": "int16", "refusal": bool})
    missing = pd.DataFrame(gaps, columns=["model", "task", "labeller", "reason", "n"])
    return validate(outcomes[list(OUTCOMES.columns)], OUTCOMES, "outcomes"), missing


def count_cells(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Draws and refusals by model, task, persona, template, format and labeller, in the order of the levels."""
    groups = outcomes.groupby(CELL_LEVELS, observed=True, sort=True)["refusal"]
    cells = groups.agg(n="size", refusals="sum").reset_index()
    return validate(cells.astype({level: "str" for level in CELL_LEVELS}), CELLS, "cells")
