"""Counts of the draws of each persona and template (the paper's Tables 5 and 6), and a test of their uniformity."""

import pandas as pd
from scipy.stats import chisquare

from falserefusal.common.schemas import BASELINE


def draw_counts(design: pd.DataFrame, factor: str, levels: list[str], tasks: list[str]) -> pd.DataFrame:
    """Count the draws of each level of `factor` (rows, in the order of `levels`) in each task (columns).

    factor "persona" gives Table 5, "template" Table 6. Baseline prompts are not counted. A task or level without a
    draw has 0.
    """
    drawn = design[design["persona"] != BASELINE].drop_duplicates(["task", "model", "block", "draw"])  # samples once
    counts = drawn.groupby([factor, "task"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=levels, columns=tasks, fill_value=0).astype("int64")
    return counts.rename_axis(index=factor, columns=None).reset_index()


def uniformity(counts: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Test for equal frequencies in each task column of a `draw_counts` table (Pearson's chi-square test).

    Returns task, factor, levels, n, chi2, df, p. By default a text draws without replacement, which makes the counts a
    little more even than independent draws. So a small p is a warning, and a p near 1 is normal in a balanced design.
    """
    rows = []
    for task in counts.columns.drop(factor):
        n = counts[task]
        test = chisquare(n) if len(n) > 1 and n.sum() else None
        chi2, p = (test.statistic, test.pvalue) if test else (0.0, 1.0)
        rows.append((task, factor, len(n), int(n.sum()), float(chi2), len(n) - 1, float(p)))
    return pd.DataFrame(rows, columns=["task", "factor", "levels", "n", "chi2", "df", "p"])
