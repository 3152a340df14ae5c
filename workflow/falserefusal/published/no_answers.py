"""Bound how much of a printed refusal rate could be responses of "No" to a yes/no question.

The paper's phrase list counts every response that starts with "No," or "No." as a refusal. But most templates ask
"would a ... classify it as ...?", and to this question "No." is an answer. The paper does not publish the responses. It
prints rates by response format (Figures 4, 10, 11), prompts per template (Table 6), and a logistic regression with one
coefficient per template (Table 7). In each format, phrasing 2 ("A ... would label this text as ...") is not
grammatically a yes/no question, so it serves as the reference without "No" responses.

The bound for a task and model is computed per format. Shift the rate r of phrasing 2 on the logit scale by the
coefficients of the three templates, weight the three rates by the templates' prompts, and solve for the r at which
their mean is the printed rate of the format. The excess of the yes/no templates over r is attributed to "No" responses.

Assumptions:
1. The coefficients hold for every task and model, although they were fitted to all of them at once (the paper prints no
   separate ones).
2. No refusal of phrasing 2 is a "No" response. If some are, "No" explains more than the bound.
3. Yes/no templates are not refused more often for any other reason. If they are, "No" explains less than the bound.
Without these assumptions, only `at_most_sure` holds: at most all refusals of yes/no templates are "No" responses.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL
from falserefusal.common.templates import asks_yes_no

REFERENCE_PHRASING = 2


def no_answer_bounds(
    by_format: pd.DataFrame, prompts: pd.DataFrame, coefficients: pd.DataFrame, templates: pd.DataFrame
) -> pd.DataFrame:
    """Compute the bound for every task and model, and its unweighted mean over the tasks of each model (task "*").

    Parameters
    ----------
    by_format : printed rates: task, model, format, refusal_pct, n (Figures 4, 10, 11)
    prompts : number of prompts: prompt, and a column for each task (Table 6)
    coefficients : type, variable, coef (Table 7; the template without a coefficient is the reference, 0)
    templates : task, template, phrasing, format, text

    Returns
    -------
    Columns task, model, n, rate (over formats), could_be_no (share of all responses), share_of_refusals (could_be_no
    over rate; missing if the rate is 0), rate_without (rate minus could_be_no), at_most_sure (the bound without
    assumptions). All rates are proportions.

    Raises
    ------
    InputError
        If a format has no template of phrasing 2 that is not a yes/no question.
    """
    rows = []
    shifts = coefficients[coefficients["type"] == "prompt"].set_index("variable")["coef"]
    for (task, model), printed in by_format.groupby(["task", "model"], sort=False):
        weights = prompts.set_index("prompt")[task]
        total, refused, no, sure = 0, 0.0, 0.0, 0.0
        for row in printed.itertuples():
            own = templates[(templates["task"] == task) & (templates["format"] == row.format)]
            n, rate = int(row.n), row.refusal_pct / 100
            found, yes_no_share = _explained(own, rate, weights, shifts, f"{task}, {row.format}")
            total, refused, no = total + n, refused + rate * n, no + found * n
            sure += min(rate, yes_no_share) * n
        rows.append((task, model, total, refused / total, no / total, sure / total))
    table = pd.DataFrame(rows, columns=["task", "model", "n", "rate", "could_be_no", "at_most_sure"])
    means = table.groupby("model", sort=False)[["rate", "could_be_no", "at_most_sure"]].mean()
    sums = table.groupby("model", sort=False)[["n"]].sum()
    table = pd.concat([table, means.join(sums).reset_index().assign(task=ALL)], ignore_index=True)
    table["share_of_refusals"] = table["could_be_no"] / table["rate"].where(table["rate"] > 0)
    table["rate_without"] = table["rate"] - table["could_be_no"]
    columns = ["task", "model", "n", "rate", "could_be_no", "share_of_refusals", "rate_without", "at_most_sure"]
    return table[columns]


def _explained(
    templates: pd.DataFrame, rate: float, weights: pd.Series, shifts: pd.Series, where: str
) -> tuple[float, float]:
    """Return two shares of the responses to one format: possible "No" responses, and those to yes/no templates."""
    yes_no = templates["text"].map(asks_yes_no).to_numpy(bool)
    reference = templates[(templates["phrasing"] == REFERENCE_PHRASING) & ~yes_no]
    if len(reference) != 1:
        raise InputError(
            f"templates of {where}: need exactly one of phrasing {REFERENCE_PHRASING} that is not a yes/no question, "
            "because the others are compared with it"
        )
    share = weights[templates["template"]].to_numpy(float)
    share = share / share.sum()
    coefficient = templates["template"].map(shifts).fillna(0.0).to_numpy()
    apart = coefficient - coefficient[templates["template"] == reference["template"].iloc[0]]
    yes_no_share = float(share[yes_no].sum())
    if rate in (0.0, 1.0):
        return 0.0, yes_no_share
    low = brentq(lambda x: share @ expit(x + apart) - rate, logit(rate) - 50, logit(rate) + 50, xtol=1e-12)
    above = np.maximum(expit(low + apart) - expit(low), 0)
    return float((share * above)[yes_no].sum()), yes_no_share
