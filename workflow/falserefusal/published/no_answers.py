"""How much of a printed refusal rate could be answers of "No" to a question of yes or no.

The paper's list counts every answer that starts with "No," or "No." as a refusal, but most of its templates ask "would
a ... classify it as ...?", to which "No." is an answer. The answers are not published; what is printed are rates by
response format (Figures 4, 10, 11), prompts for each template (Table 6) and a logit with one coefficient for each
template (Table 7). Of the three templates of a format, phrasing 2 ("A ... would label this text as ...") is not
grammatically a yes/no question, so it serves as what the others would give without "No" as an answer.

The bound of a task and model: in each format solve for the rate r of phrasing 2 at which the three templates, shifted
from r by their coefficients on the logit scale and weighted by their prompts, give the printed rate of the format. What
a yes/no template has above r is put down to "No" answers, all of it. Assumptions:
1. The coefficients, fitted to all tasks and models at once, hold for each (the paper prints no finer ones).
2. No refusal of phrasing 2 is a "No" answer. If some are, more of the rate is explained than the bound says.
3. Nothing else makes yes/no templates refused more often. If something does, less is explained than the bound says.
Without any of them, only this is sure: at most all refusals to yes/no templates are "No" answers (`at_most_sure`).
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
    """The bound for every task and model, and for each model over its tasks (task "*", unweighted).

    by_format: task, model, format, refusal_pct, n (as printed); prompts: prompt, and a column of numbers for each task
    (Table 6); coefficients: type, variable, coef (Table 7; the template without a coefficient is the reference, 0);
    templates: task, template, phrasing, format, text. Columns: task, model, n, rate (over formats), could_be_no (share
    of all answers), share_of_refusals (of the rate; missing where it is 0), rate_without, at_most_sure. Rates are
    proportions. Raises InputError if a format has no template of phrasing 2 that is no yes/no question.
    """
    rows = []
    shifts = coefficients[coefficients["type"] == "prompt"].set_index("variable")["coef"]
    for (task, model), printed in by_format.groupby(["task", "model"], sort=False):
        weights = prompts.set_index("prompt")[task]
        total, refused, no, sure = 0, 0.0, 0.0, 0.0
        for row in printed.itertuples():
            asked = templates[(templates["task"] == task) & (templates["format"] == row.format)]
            n, rate = int(row.n), row.refusal_pct / 100
            found, yes_no_share = _explained(asked, rate, weights, shifts, f"{task}, {row.format}")
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
    asked: pd.DataFrame, rate: float, weights: pd.Series, shifts: pd.Series, where: str
) -> tuple[float, float]:
    """Of the answers to one format: the share that could be "No" answers, and that of yes/no templates."""
    yes_no = asked["text"].map(asks_yes_no).to_numpy(bool)
    reference = asked[(asked["phrasing"] == REFERENCE_PHRASING) & ~yes_no]
    if len(reference) != 1:
        raise InputError(f"no-answer bound: {where} has no template of phrasing {REFERENCE_PHRASING} to compare with")
    share = weights[asked["template"]].to_numpy(float)
    share = share / share.sum()
    coefficient = asked["template"].map(shifts).fillna(0.0).to_numpy()
    apart = coefficient - coefficient[asked["template"] == reference["template"].iloc[0]]
    yes_no_share = float(share[yes_no].sum())
    if rate in (0.0, 1.0):
        return 0.0, yes_no_share
    low = brentq(lambda x: share @ expit(x + apart) - rate, logit(rate) - 50, logit(rate) + 50, xtol=1e-12)
    above = np.maximum(expit(low + apart) - expit(low), 0)
    return float((share * above)[yes_no].sum()), yes_no_share
