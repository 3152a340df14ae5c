"""Refusal rates with confidence intervals, as tidy tables: one row per combination of levels.

Every function takes `cells` (counts of one labeller) and, if a study has them, `outcomes`. With outcomes the intervals
account for responses that share a text. Without them (the paper prints only counts) responses count as independent.
`outcomes` may be a frame of OUTCOMES, a file of them that is read by model, or a ClusterTable made from them once with
all the levels that the tables need.

The rate of one cell pools its responses and has a Wilson interval. A mean gives every cell the same weight, whatever
its size. Its interval comes from those of the cells (MOVER), which stays valid when most cells have no refusal.
Columns: the levels, n and refusals (sums over what was pooled), rate, lo, hi (proportions), method.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes as ByModel
from falserefusal.common.printed import RATE_MEAN
from falserefusal.common.schemas import ALL, BASELINE, CELL_LEVELS
from falserefusal.statistics.clusters import (
    NO_SPREAD,
    ClusterTable,
    cluster_table,
    combinations,
    correlation,
    effective_responses,
    influence,
)
from falserefusal.statistics.intervals import mover, mover_difference, wilson_rare
from falserefusal.study.comparison import Comparison

FACTORS = [level for level in CELL_LEVELS if level != "labeller"]
MEAN = "mean"  # the model of a row that averages the models
NAMED_SCOPES = {"Llama 2/3/3.1": ["Llama2", "Llama3", "Llama3.1"]}  # generations that the paper's text averages
COLUMNS = ["n", "refusals", "rate", "lo", "hi", "method"]
NO_BASELINE = "; no baseline responses"

Outcomes: TypeAlias = pd.DataFrame | ByModel | ClusterTable


def rates(cells: pd.DataFrame, by: Sequence[str], outcomes: Outcomes | None = None) -> pd.DataFrame:
    """Pooled refusal rate of every combination of `by`; without "persona" in it, over the prompts with a persona."""
    frame, _ = cell_rates(cells, list(by), outcomes)
    return frame[[*by, *COLUMNS]]


def mean_rates(
    cells: pd.DataFrame, by: Sequence[str], over: Sequence[str], outcomes: Outcomes | None = None
) -> pd.DataFrame:
    """Unweighted mean of the rates by `by` and `over`, over the levels of `over`.

    Cells without responses cannot be averaged; `method` gives their number.
    """
    frame, moves = cell_rates(cells, [*by, *over], outcomes)
    return _means(frame, moves, list(by), list(over))


def rates_model_task(
    cells: pd.DataFrame, outcomes: Outcomes | None = None, printed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Rates by model and task, then a row per task with model "mean".

    Parameters
    ----------
    cells, outcomes : see the module.
    printed : the paper's Table 1 (wide, percent), if the study is compared with it.

    Returns
    -------
    Columns model, task, n, refusals, rate, lo, hi, method and, with `printed`, printed_pct (missing where the paper
    prints nothing).
    """
    frame, moves = cell_rates(cells, ["model", "task"], outcomes)
    table = pd.concat([frame, _means(frame, moves, ["task"], ["model"]).assign(model=MEAN)], ignore_index=True)
    table = table[["model", "task", *COLUMNS]]
    if printed is None:
        return table
    long = printed.melt("model", var_name="task", value_name="printed_pct")
    return table.merge(long, how="left", on=["model", "task"])


def printed_table1(table1: pd.DataFrame, quoted: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """The printed Table 1, as far as a study has the same models and tasks, with the quoted means as a row "mean".

    Parameters
    ----------
    table1 : the paper's Table 1 (wide, percent).
    quoted : the numbers quoted in the paper's text (columns quantity, value).
    comparison : what of the study coincides with the paper. Without all models of the paper there is no row "mean".
    """
    table1 = table1.loc[table1["model"].isin(comparison.models), ["model", *comparison.tasks]]
    if not comparison.has(RATE_MEAN):
        return table1
    value = quoted.set_index(quoted["quantity"].str.lower())["value"]
    means = {task: value[f"mean over models of refusal rate, {task}"] for task in table1.columns.drop("model")}
    return pd.concat([table1, pd.DataFrame([{"model": MEAN, **means}])], ignore_index=True)


def table1(model_task: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as printed: models in rows, tasks in columns, percent with two decimals, the mean last."""
    wide = model_task.assign(percent=(100 * model_task["rate"]).round(2))
    order = {column: list(model_task[column].drop_duplicates()) for column in ("model", "task")}
    wide = wide.pivot(index="model", columns="task", values="percent").loc[order["model"], order["task"]]
    return wide.rename_axis(columns=None).reset_index()


def rates_persona(
    cells: pd.DataFrame,
    scopes: Mapping[str, Sequence[str]],
    groups: Mapping[str, str],
    outcomes: Outcomes | None = None,
) -> pd.DataFrame:
    """Mean rate of each persona over the models of each scope and all tasks.

    Parameters
    ----------
    cells, outcomes : see the module.
    scopes : models of each scope, as `model_scopes` returns them.
    groups : group of each persona.

    Raises
    ------
    InputError for a persona without a group, or a scope without responses.
    """
    frame, moves = cell_rates(cells, ["persona", "model", "task"], outcomes)
    frame = frame[frame["persona"] != BASELINE]
    unknown = sorted(set(frame["persona"]) - set(groups))
    if unknown:
        raise InputError(f"personas {', '.join(unknown)} have responses but no group: add them to the list of personas")
    parts = []
    for scope, models in scopes.items():
        inside = frame[frame["model"].isin(list(models))]
        if inside.empty:
            raise InputError(f"scope '{scope}': none of its models ({', '.join(models)}) has responses")
        parts.append(_means(inside, moves, ["persona"], ["model", "task"], {"model": len(models)}).assign(scope=scope))
    table = pd.concat(parts, ignore_index=True)
    table["group"] = table["persona"].map(dict(groups))
    return table[["scope", "persona", "group", *COLUMNS]]


def model_scopes(models: pd.DataFrame) -> dict[str, list[str]]:
    """Groups of models: all, each family and generation of at least two, and those that the paper's text averages."""
    scopes = {"all models": list(models["model"])}
    for column in ("family", "generation"):
        for name, part in models.groupby(column, sort=False):
            if 1 < len(part) < len(models):
                scopes.setdefault(str(name), list(part["model"]))
    for name, generations in NAMED_SCOPES.items():
        part = models[models["generation"].isin(generations)]
        if len(part) > 1:
            scopes[name] = list(part["model"])
    return scopes


def rates_model_persona(cells: pd.DataFrame, outcomes: Outcomes | None = None) -> pd.DataFrame:
    """Mean rate over tasks of every model and persona."""
    return _without_baseline(mean_rates(cells, ["model", "persona"], ["task"], outcomes))


def rates_task_model_persona(cells: pd.DataFrame, outcomes: Outcomes | None = None) -> pd.DataFrame:
    """Rate of every task, model and persona."""
    return _without_baseline(rates(cells, ["task", "model", "persona"], outcomes))


def rates_format(cells: pd.DataFrame, outcomes: Outcomes | None = None) -> pd.DataFrame:
    """Rate of every task, model and response format, over prompts with a persona."""
    return rates(cells, ["task", "model", "format"], outcomes)


def rates_baseline(
    cells: pd.DataFrame, outcomes: Outcomes | None = None, printed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Rate with and without a persona, and their difference, by task and model.

    With outcomes the difference is paired through the texts: both rates come from the same texts, and its interval uses
    their correlation.

    Parameters
    ----------
    cells, outcomes : see the module.
    printed : columns task, model, baseline_rate, for models without baseline responses. These rates were printed
        without their n, so they and the difference have no confidence interval.

    Returns
    -------
    Columns task, model, baseline_rate, baseline_n, baseline_lo, baseline_hi, persona_rate, n, lo, hi, difference, d_lo,
    d_hi, method.
    """
    frame, moves = cell_rates(cells, ["task", "model", "persona"], outcomes, arms=True)
    baseline = frame["persona"] == BASELINE
    table = frame[~baseline].merge(
        frame[baseline], how="left", on=["task", "model"], suffixes=("", "_baseline"), sort=False
    )
    known = table["n_baseline"].notna().to_numpy()
    shared = np.zeros(len(table))
    if moves is not None:
        left, right = (moves[:, table.loc[known, column].astype(int)] for column in ("column", "column_baseline"))
        sd = np.sqrt((left**2).sum(0) * (right**2).sum(0))
        shared[known] = np.divide((left * right).sum(0), sd, out=np.zeros_like(sd), where=sd > NO_SPREAD**2)
    d_lo, d_hi = mover_difference(
        table["rate"],
        (table["lo"], table["hi"]),
        table["rate_baseline"],
        (table["lo_baseline"], table["hi_baseline"]),
        shared,
    )
    pairing = "; difference MOVER" if moves is None else "; difference MOVER, correlation of shared texts"
    columns = {
        "task": table["task"],
        "model": table["model"],
        "baseline_rate": table["rate_baseline"],
        "baseline_n": table["n_baseline"].astype("Int64"),
        "baseline_lo": table["lo_baseline"],
        "baseline_hi": table["hi_baseline"],
        "persona_rate": table["rate"],
        "n": table["n"],
        "lo": table["lo"],
        "hi": table["hi"],
        "difference": table["rate"] - table["rate_baseline"],
        "d_lo": d_lo,
        "d_hi": d_hi,
        "method": table["method"] + np.where(known, pairing, NO_BASELINE),
    }
    result = pd.DataFrame(columns)
    return result if printed is None else _with_printed_baseline(result, printed)


def _with_printed_baseline(table: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Fill unknown baseline rates, and the differences to them, with printed rates."""
    value = table[["task", "model"]].merge(printed, how="left", on=["task", "model"])["baseline_rate"]
    fill = table["baseline_rate"].isna() & value.notna()
    table.loc[fill, "baseline_rate"] = value[fill]
    table.loc[fill, "difference"] = table["persona_rate"] - table["baseline_rate"]
    method = table["method"].str.replace(NO_BASELINE, "; baseline rate as printed, without its n", regex=False)
    return table.assign(method=table["method"].where(~fill, method))


def cell_rates(
    cells: pd.DataFrame, by: list[str], outcomes: Outcomes | None, arms: bool = False
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Rates by `by` with confidence intervals, and the influence of texts on them.

    Parameters
    ----------
    cells, outcomes : see the module.
    by : levels of the rows.
    arms : True to pool all personas into one level, "*", next to the baseline.

    Returns
    -------
    frame : the columns of `rates`, effective (effective number of responses) and column (column of moves for the row).
    moves : influence (C, K) of texts; None without outcomes.
    """
    if outcomes is None:
        counts = _pool(cells, by, arms)
        frame = counts.assign(rate=counts["refusals"] / counts["n"])
        effective, moves, method = counts["n"], None, "binomial: Wilson"
    else:
        table = _persona_arms(_as_table(outcomes, by), by, arms)
        frame, moves = table.totals(), influence(table)
        effective, method = effective_responses(table, moves), "clustered by text: Wilson at the effective n"
    lo, hi = wilson_rare(frame["rate"] * effective, effective)
    frame = frame.assign(lo=lo, hi=hi, method=method, effective=effective, column=np.arange(len(frame)))
    return frame, moves


def _as_table(outcomes: Outcomes, by: list[str]) -> ClusterTable:
    """Counts per text and cell, with the levels `by` and persona."""
    if isinstance(outcomes, ClusterTable):
        missing = [level for level in [*by, "persona"] if level not in outcomes.cells]
        if missing:
            raise InputError(f"the table of counts per text has no level {', '.join(missing)}")
        return outcomes
    return cluster_table(outcomes, list(dict.fromkeys([*by, "persona"])))


def _persona_arms(table: ClusterTable, by: list[str], arms: bool) -> ClusterTable:
    """Counts by `by`: persona pooled into one level (arms), or without baseline prompts unless `by` has the persona."""
    baseline = (table.cells["persona"] == BASELINE).to_numpy()
    if arms:
        two = table.cells.assign(persona=np.where(baseline, BASELINE, ALL))
        table = ClusterTable(table.texts, table.strata, two, table.n, table.refusals)
    elif "persona" not in by:
        table = table.keep(~baseline)
        if table.cells.empty:
            raise InputError("outcomes: every prompt is baseline, so there is no rate with a persona")
    return table.merge(by)


def _pool(cells: pd.DataFrame, by: list[str], arms: bool) -> pd.DataFrame:
    """Counts by `by`, from cells that have these levels and count no response twice."""
    missing = [column for column in [*CELL_LEVELS, "n", "refusals"] if column not in cells]
    if missing:
        raise InputError(f"cells: no column {', '.join(map(repr, missing))}")
    if cells["labeller"].nunique() > 1:
        raise InputError("cells: they have verdicts of several labellers; choose one")
    summed = cells[FACTORS] == ALL
    usable = cells[~summed[by].any(axis=1)]
    if usable.empty:
        raise InputError(f"cells: no row has the levels {', '.join(by)}")
    # cells may hold several margins of the same responses (the paper prints cells by persona and by format): use those
    # with the persona, because only there the baseline prompts can be left out, and of these the coarsest
    pattern = summed.loc[usable.index].astype(int)
    rank = pattern["persona"] * len(FACTORS) - pattern.sum(axis=1)
    best = pattern[rank == rank.min()].iloc[0]
    chosen = usable[(pattern == best).all(axis=1)]
    baseline = chosen["persona"] == BASELINE
    if arms:
        chosen = chosen.assign(persona=np.where(baseline, BASELINE, ALL))
    elif "persona" not in by:
        chosen = chosen[~baseline]
    groups, code = combinations(chosen, by)
    n, refusals = (np.bincount(code, chosen[column], len(groups)).astype(int) for column in ("n", "refusals"))
    if (n <= 0).any() or (refusals > n).any() or (refusals < 0).any():
        bad = groups[(n <= 0) | (refusals > n) | (refusals < 0)].iloc[0]
        raise InputError(f"cells: {' / '.join(map(str, bad))} has no responses, or more refusals than responses")
    return groups.assign(n=n, refusals=refusals)


def _means(
    frame: pd.DataFrame, moves: np.ndarray | None, by: list[str], over: list[str], sizes: dict[str, int] | None = None
) -> pd.DataFrame:
    """Unweighted means of the rows of `frame` within `by`; `sizes`: number of levels of a factor, if not all occur."""
    expected = int(np.prod([(sizes or {}).get(factor, frame[factor].nunique()) for factor in over]))
    clustered = "" if moves is None else "clustered by text: "
    rows = []
    for names, part in frame.groupby(by, sort=False, observed=True):
        shared = None if moves is None else correlation(moves[:, part["column"]])
        lo, hi = mover(1 / len(part), part["rate"], part["lo"], part["hi"], shared)
        method = f"{clustered}mean of {len(part)} cells, MOVER on Wilson limits"
        if len(part) < expected:
            method += f"; {expected - len(part)} of {expected} cells have no responses"
        row = dict(zip(by, names, strict=True)) | {"n": part["n"].sum(), "refusals": part["refusals"].sum()}
        rows.append(row | {"rate": part["rate"].mean(), "lo": max(float(lo), 0), "hi": min(float(hi), 1)})
        rows[-1]["method"] = method
    return pd.DataFrame(rows)


def _without_baseline(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["persona"] != BASELINE].reset_index(drop=True)
