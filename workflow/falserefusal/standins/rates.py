"""Refusal rates to plant in each cell: from the paper's printed margins, or the same without any persona effect.

The paper prints refusals by model, task and persona, and by model, task and response format, but not jointly. It prints
the contrast between templates only pooled over everything else (Table 7). The joint table planted here has both printed
margins and no further interaction: within a model and task, the log-odds of a cell are a persona term plus a template
term, and templates of one format differ by their printed coefficients. It is found by iterative proportional fitting.
The true joint rates of the paper are not known.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE, FORMATS

UNLISTED = "unlisted persona"  # any wording of a persona without printed rates
COLUMNS = ["model", "task", "persona", "template", "rate"]
PROMPTS = [f"p{i}" for i in range(1, 10)]  # the paper's, numbered format by format
SWEEPS, TOLERANCE = 5000, 1e-9


def rates_from_published(
    counts: pd.DataFrame,
    formats: pd.DataFrame,
    baseline: pd.DataFrame,
    coefficients: pd.DataFrame,
    templates: pd.DataFrame,
    models: list[str],
) -> pd.DataFrame:
    """Compute the rates to plant from the paper's printed numbers.

    Personas and templates have equal weight, as in a design that draws them uniformly. So a model's mean over the cells
    of a task is Table 1's rate up to the paper's uneven numbers of draws. Where nothing is printed, our choices are: an
    unlisted persona gets the mean over the printed ones. So does the baseline prompt, except in offensiveness, where
    Figure 1 gives its rate. A template that is not the paper's gets the mean of its format's templates.

    Parameters
    ----------
    counts : task, model, persona, n, refusals (Figures 7 to 9 and Table 5).
    formats : task, model, format, refusal_pct (Figures 4, 10, 11); scaled to the rates in `counts`, from which they
        differ by up to .2 points.
    baseline : model and a percentage (Figure 1).
    coefficients : type, variable, coef (Table 7).
    templates : the study's templates.
    models : names of models.

    Returns
    -------
    DataFrame with model, task, persona, template, rate in [0, 1]. `persona` has the printed personas, BASELINE and
    UNLISTED.

    Raises
    ------
    InputError
        For a model, task or format without printed rates.
    """
    tables = []
    for task in templates["task"].drop_duplicates():
        own = templates[templates["task"] == task]
        for model in models:
            cells = counts[(counts["model"] == model) & (counts["task"] == task)]
            margin = formats[(formats["model"] == model) & (formats["task"] == task)].set_index("format")
            if cells.empty or not set(own["format"]) <= set(margin.index):
                raise InputError(
                    f"stand-ins: the paper prints no rates for {model} in {task}, so there is nothing to plant; "
                    "use models and tasks of config/published/, or checkpoints of kind: hub"
                )
            percent = None
            if task == "offensiveness":
                percent = baseline.set_index("model").iloc[:, 0].get(model)
            fitted = _paper_table(cells, margin["refusal_pct"] / 100, coefficients, percent)
            table = _for_templates(fitted, own)
            tables.append(table.assign(model=model, task=task))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def rates_null(published: pd.DataFrame) -> pd.DataFrame:
    """Remove the persona effect: all prompts of a template get the mean rate over its personas.

    Rates by model, task and template do not change. The baseline prompt and an unlisted persona get the same mean.
    """
    persona = ~published["persona"].isin([BASELINE, UNLISTED])
    key = ["model", "task", "template"]
    mean = published[persona].groupby(key, as_index=False)["rate"].mean()
    return published.drop(columns="rate").merge(mean, on=key)[COLUMNS]


def _paper_table(cells, by_format, coefficients, baseline_percent) -> pd.DataFrame:
    """Rates of one model and task: personas (rows) by the paper's templates (columns format, template)."""
    group_of = np.arange(len(PROMPTS)) // (len(PROMPTS) // len(FORMATS))
    table7 = coefficients[coefficients["type"] == "prompt"].set_index("variable")["coef"]
    odds = np.exp(table7.reindex(PROMPTS).fillna(0.0).to_numpy())  # the reference prompt has no coefficient
    by_persona = (cells["refusals"] / cells["n"]).to_numpy()
    by_format = by_format.reindex(FORMATS).to_numpy()
    if by_persona.any() and by_format.any():
        rates = rake(by_persona, by_format * by_persona.mean() / by_format.mean(), group_of, odds)
    else:
        rates = np.zeros((len(by_persona), len(PROMPTS)))
    mean = rates.mean(axis=0)
    baseline = mean if baseline_percent is None else shifted(mean, baseline_percent / 100)
    return pd.DataFrame(
        np.vstack([rates, mean, baseline]),
        index=[*cells["persona"], UNLISTED, BASELINE],
        columns=pd.MultiIndex.from_arrays([np.array(FORMATS)[group_of], PROMPTS]),
    )


def rake(by_row: np.ndarray, by_group: np.ndarray, group_of: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Fit rates (R x C) whose mean is `by_row` in each row and `by_group` in each group of columns.

    Iterative proportional fitting (Deming and Stephan 1940) of the table row x column x (refused, not refused) to the
    margins row x refused, group x refused and row x column. `odds` (C) are the odds between the columns of a group,
    which are kept. Both margins must have the same mean. Raises ValueError if they cannot both be met, which happens
    only where the zeros of one leave too few cells for the other.
    """
    columns = len(group_of)
    member = np.equal.outer(np.arange(len(by_group)), group_of).astype(float)  # G x C
    per_row, per_group = by_row * columns, by_group * member.sum(1) * len(by_row)  # refusals, one prompt in each cell
    refused = np.ones((len(by_row), columns)) * odds
    kept = np.ones_like(refused)
    for _ in range(SWEEPS):
        for table, rows, groups in (
            (refused, per_row, per_group),
            (kept, columns - per_row, member.sum(1) * len(by_row) - per_group),
        ):
            table *= _ratio(rows, table.sum(1))[:, None]
            table *= _ratio(groups, member @ table.sum(0))[group_of]
        both = refused + kept
        refused, kept = refused / both, kept / both
        error = max(np.abs(refused.sum(1) - per_row).max(), np.abs(member @ refused.sum(0) - per_group).max())
        if error < TOLERANCE:
            return refused
    raise ValueError(f"raking did not converge: margins differ by {error:.3g} refusals after {SWEEPS} sweeps")


def _ratio(target: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.divide(target, found, out=np.zeros_like(found, dtype=float), where=found > 0)


def shifted(rates: np.ndarray, mean: float) -> np.ndarray:
    """Shift `rates` by one constant on the log-odds scale to the given mean; zeros stay zero unless all are zero."""
    positive = rates > 0
    share = mean * len(rates) / max(positive.sum(), 1)  # mean over the positive rates
    if not positive.any() or not 0 < share < 1:
        return np.full_like(rates, mean)
    odds = logit(rates[positive])
    out = np.zeros_like(rates)
    out[positive] = expit(odds + brentq(lambda by: expit(odds + by).mean() - share, -60, 60))
    return out


def _for_templates(fitted: pd.DataFrame, templates: pd.DataFrame) -> pd.DataFrame:
    """Rates of a study's templates, long: the paper's own by name and format, others by their format's mean."""
    by_format = fitted.T.groupby(level=0).mean().T
    parts = []
    for row in templates.itertuples():
        column = (row.format, row.template)
        rate = fitted[column] if column in fitted.columns else by_format[row.format]
        parts.append(pd.DataFrame({"persona": fitted.index, "template": row.template, "rate": rate.to_numpy()}))
    return pd.concat(parts, ignore_index=True)
