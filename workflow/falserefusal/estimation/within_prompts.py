"""Variance of refusal within prompts, where prompts have several independent samples."""

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes
from falserefusal.statistics.clusters import as_outcomes, joint_code, level_codes
from falserefusal.statistics.gls import PROMPT


def within_prompts(outcomes: pd.DataFrame | Outcomes) -> pd.DataFrame:
    """Split the variance of refusal (0 or 1) into the parts within and between prompts, by model and task.

    One-way random effects (Searle, Casella and McCulloch 1992, Variance Components, chapter 3) on all prompts that have
    at least two samples, with and without a persona. Every prompt has the same weight.

    Parameters
    ----------
    outcomes : outcomes of one labeller.

    Returns
    -------
    Columns model, task, prompts, responses, disagree (share of prompts whose samples are not all alike),
    within_variance (mean of the variances of the samples of a prompt), between_variance (of the prompts' probabilities
    of refusal, at least 0) and within_share (within_variance over the sum of both; NaN if it is 0).

    Raises
    ------
    InputError if no prompt has two samples with a verdict.
    """
    columns = ["task", *PROMPT, "persona"]
    parts = [_split(part) for part in as_outcomes(outcomes, ["model", *columns]).parts(columns)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if table.empty:
        raise InputError("no prompt has two samples with a verdict: variance within prompts is not known")
    return table


def _split(part: pd.DataFrame) -> pd.DataFrame:
    """Rows of `within_prompts` of one model."""
    code, _ = joint_code(part, ["task", *PROMPT, "persona"])
    _, first, prompt, n = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    task, names = level_codes(part["task"])
    p = np.bincount(prompt, part["refusal"].to_numpy(float)) / n
    several = n > 1
    task, n, p = task[first][several], n[several], p[several]
    variance = p * (1 - p) * n / (n - 1)
    rows = []
    for k in np.unique(task):
        own = task == k
        within = variance[own].mean()
        spread = p[own].var(ddof=1) if own.sum() > 1 else 0.0
        between = max(0.0, spread - (variance[own] / n[own]).mean())
        total = within + between
        rows.append(
            {
                "model": part["model"].iloc[0],
                "task": names[k],
                "prompts": int(own.sum()),
                "responses": int(n[own].sum()),
                "disagree": float((variance[own] > 0).mean()),
                "within_variance": within,
                "between_variance": between,
                "within_share": within / total if total else np.nan,
            }
        )
    return pd.DataFrame(rows)
