"""Refusal rates with limits, as tidy tables: one row per combination of levels.

Every function takes `cells` (counts, one labeller) and, where a study has judged draws, `outcomes`. With outcomes the
limits allow for answers that share a text; without them (the paper prints counts only) answers count as independent.
`outcomes` may be the draws themselves or a ClusterTable made of them once, finer than all the tables asked of it.

A rate of one cell pools its answers and has Wilson limits. A mean gives every cell it runs over the same weight,
whatever its size, and has limits recovered from those of the cells (MOVER), which stay honest where most cells have no
refusal. Columns: the levels, n, refusals (sums over what was pooled), rate, lo, hi (proportions), method.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE, CELL_LEVELS
from falserefusal.statistics.clusters import (
    NO_SPREAD,
    ClusterTable,
    cluster_table,
    combinations,
    correlation,
    effective_answers,
    influence,
)
from falserefusal.statistics.intervals import mover, mover_difference, wilson_rare

FACTORS = [level for level in CELL_LEVELS if level != "labeller"]
MEAN = "mean"  # the model of a row that averages the models
NAMED_SCOPES = {"Llama 2/3/3.1": ["Llama2", "Llama3", "Llama3.1"]}  # generations the paper averages in its text
COLUMNS = ["n", "refusals", "rate", "lo", "hi", "method"]

Outcomes = pd.DataFrame | ClusterTable


def rates(cells: pd.DataFrame, by: Sequence[str], outcomes: Outcomes | None = None) -> pd.DataFrame:
    """Pooled refusal rate of every combination of `by`; without "persona" in it, of the prompts with a persona."""
    frame, _ = cell_rates(cells, list(by), outcomes)
    return frame[[*by, *COLUMNS]]


def mean_rates(
    cells: pd.DataFrame, by: Sequence[str], over: Sequence[str], outcomes: Outcomes | None = None
) -> pd.DataFrame:
    """Mean of the rates by `by` and `over`, over the levels of `over`, each cell with the same weight.

    Cells without any answer cannot be averaged; `method` says how many there are.
    """
    frame, moves = cell_rates(cells, [*by, *over], outcomes)
    return _means(frame, moves, list(by), list(over))


def rates_model_task(
    cells: pd.DataFrame, outcomes: Outcomes | None = None, printed: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Rates by model and task, then a row per task with model "mean".

    `printed` is the paper's Table 1 (wide, percent); column printed_pct is empty where it prints nothing.
    """
    frame, moves = cell_rates(cells, ["model", "task"], outcomes)
    table = pd.concat([frame, _means(frame, moves, ["task"], ["model"]).assign(model=MEAN)], ignore_index=True)
    table = table[["model", "task", *COLUMNS]]
    if printed is None:
        return table.assign(printed_pct=np.nan)
    long = printed.melt("model", var_name="task", value_name="printed_pct")
    return table.merge(long, how="left", on=["model", "task"])


def with_printed_means(table1: pd.DataFrame, quoted: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """The printed Table 1 with a row "mean" of the means that the paper's text quotes; `quoted`: its quoted numbers.

    They are means over all of its models: a study of other `models` has none to stand beside its own.
    """
    if set(models) != set(table1["model"]):
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
    """Mean rate of each persona over the models of each scope and all tasks. `groups`: persona to attribute."""
    frame, moves = cell_rates(cells, ["persona", "model", "task"], outcomes)
    frame = frame[frame["persona"] != BASELINE]
    unknown = sorted(set(frame["persona"]) - set(groups))
    if unknown:
        raise InputError(f"personas {', '.join(unknown)} have answers but no group: add them to the list of personas")
    parts = []
    for scope, models in scopes.items():
        inside = frame[frame["model"].isin(list(models))]
        if inside.empty:
            raise InputError(f"scope '{scope}': none of its models ({', '.join(models)}) has answers")
        parts.append(_means(inside, moves, ["persona"], ["model", "task"], {"model": len(models)}).assign(scope=scope))
    table = pd.concat(parts, ignore_index=True)
    table["group"] = table["persona"].map(dict(groups))
    return table[["scope", "persona", "group", *COLUMNS]]


def model_scopes(models: pd.DataFrame) -> dict[str, list[str]]:
    """Named groups of models: all, each family and each generation of at least two, and those the paper averages."""
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

    With outcomes the difference is paired through the texts: both rates come from the same ones, and its limits use
    their correlation. Where only a printed rate is known (`printed`: task, model, baseline_rate), it and the
    difference have no limits, because it was printed without the number of answers behind it.
    Columns task, model, baseline_rate, baseline_n, baseline_lo, baseline_hi, persona_rate, n, lo, hi, difference, d_lo, d_hi, method.
    """
    frame, moves = cell_rates(cells, ["task", "model", "persona"], outcomes, arms=True)
    free = frame["persona"] == BASELINE
    table = frame[~free].merge(frame[free], how="left", on=["task", "model"], suffixes=("", "_pf"), sort=False)
    known = table["n_pf"].notna().to_numpy()
    shared = np.zeros(len(table))
    if moves is not None:
        left, right = (moves[:, table.loc[known, column].astype(int)] for column in ("column", "column_pf"))
        sd = np.sqrt((left**2).sum(0) * (right**2).sum(0))
        shared[known] = np.divide((left * right).sum(0), sd, out=np.zeros_like(sd), where=sd > NO_SPREAD**2)
    d_lo, d_hi = mover_difference(
        table["rate"], (table["lo"], table["hi"]), table["rate_pf"], (table["lo_pf"], table["hi_pf"]), shared
    )
    pairing = "; difference MOVER" if moves is None else "; difference MOVER, correlation of shared texts"
    columns = {
        "task": table["task"],
        "model": table["model"],
        "baseline_rate": table["rate_pf"],
        "baseline_n": table["n_pf"].astype("Int64"),
        "baseline_lo": table["lo_pf"],
        "baseline_hi": table["hi_pf"],
        "persona_rate": table["rate"],
        "n": table["n"],
        "lo": table["lo"],
        "hi": table["hi"],
        "difference": table["rate"] - table["rate_pf"],
        "d_lo": d_lo,
        "d_hi": d_hi,
        "method": table["method"] + np.where(known, pairing, "; no baseline answers"),
    }
    result = pd.DataFrame(columns)
    if printed is not None:
        value = result[["task", "model"]].merge(printed, how="left", on=["task", "model"])["baseline_rate"]
        fill = ~known & value.notna().to_numpy()
        result.loc[fill, "baseline_rate"] = value[fill]
        result.loc[fill, "difference"] = result["persona_rate"] - result["baseline_rate"]
        note = "; baseline rate as printed, without its n"
        result.loc[fill, "method"] = table.loc[fill, "method"] + note
    return result


def cell_rates(
    cells: pd.DataFrame, by: list[str], outcomes: Outcomes | None, arms: bool = False
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Rates by `by` with limits, and the influence of texts on them (None without outcomes).

    Beside the columns of `rates`: effective, how many independent answers the rate is worth; column, which column of
    the influence belongs to the row. `arms`: all personas are one level, "*".
    """
    if outcomes is None:
        counts = _pool(cells, by, arms)
        frame = counts.assign(rate=counts["refusals"] / counts["n"])
        effective, moves, method = counts["n"], None, "binomial: Wilson"
    else:
        table = _persona_arms(_as_table(outcomes, by), by, arms)
        frame, moves = table.totals(), influence(table)
        effective, method = effective_answers(table, moves), "clustered by text: Wilson at the effective n"
    lo, hi = wilson_rare(frame["rate"] * effective, effective)
    frame = frame.assign(lo=lo, hi=hi, method=method, effective=effective, column=np.arange(len(frame)))
    return frame, moves


def _as_table(outcomes: Outcomes, by: list[str]) -> ClusterTable:
    if isinstance(outcomes, ClusterTable):
        missing = [level for level in [*by, "persona"] if level not in outcomes.cells]
        if missing:
            raise InputError(f"the table of counts per text does not tell {', '.join(missing)} apart")
        return outcomes
    return cluster_table(outcomes, list(dict.fromkeys([*by, "persona"])))


def _persona_arms(table: ClusterTable, by: list[str], arms: bool) -> ClusterTable:
    free = (table.cells["persona"] == BASELINE).to_numpy()
    if arms:
        two = table.cells.assign(persona=np.where(free, BASELINE, ALL))
        table = ClusterTable(table.texts, table.strata, two, table.n, table.refusals)
    elif "persona" not in by:
        table = table.keep(~free)
        if table.cells.empty:
            raise InputError("outcomes: every prompt is baseline, so there is no rate with a persona")
    return table.merge(by)


def _pool(cells: pd.DataFrame, by: list[str], arms: bool) -> pd.DataFrame:
    """Counts by `by` from the cells that tell these levels apart and no answer twice."""
    missing = [column for column in [*CELL_LEVELS, "n", "refusals"] if column not in cells]
    if missing:
        raise InputError(f"cells: no column {', '.join(map(repr, missing))}")
    if cells["labeller"].nunique() > 1:
        raise InputError("cells: judged by several labellers; choose one")
    summed = cells[FACTORS] == ALL
    usable = cells[~summed[by].any(axis=1)]
    if usable.empty:
        raise InputError(f"cells: no row tells {', '.join(by)} apart")
    # cells may hold several margins of the same answers (the paper prints persona cells and format cells): take the
    # margin that names the persona, because only it can leave the baseline prompts out, and of those the coarsest
    pattern = summed.loc[usable.index].astype(int)
    rank = pattern["persona"] * len(FACTORS) - pattern.sum(axis=1)
    best = pattern[rank == rank.min()].iloc[0]
    chosen = usable[(pattern == best).all(axis=1)]
    free = chosen["persona"] == BASELINE
    if arms:
        chosen = chosen.assign(persona=np.where(free, BASELINE, ALL))
    elif "persona" not in by:
        chosen = chosen[~free]
    groups, code = combinations(chosen, by)
    n, refusals = (np.bincount(code, chosen[column], len(groups)).astype(int) for column in ("n", "refusals"))
    if (n <= 0).any() or (refusals > n).any() or (refusals < 0).any():
        bad = groups[(n <= 0) | (refusals > n) | (refusals < 0)].iloc[0]
        raise InputError(f"cells: {' / '.join(map(str, bad))} has no answers, or more refusals than answers")
    return groups.assign(n=n, refusals=refusals)


def _means(
    frame: pd.DataFrame, moves: np.ndarray | None, by: list[str], over: list[str], sizes: dict[str, int] | None = None
) -> pd.DataFrame:
    """Unweighted means of the rows of `frame` within `by`; `sizes`: how many levels a factor has, if not those seen."""
    expected = int(np.prod([(sizes or {}).get(factor, frame[factor].nunique()) for factor in over]))
    clustered = "" if moves is None else "clustered by text: "
    rows = []
    for names, part in frame.groupby(by, sort=False, observed=True):
        shared = None if moves is None else correlation(moves[:, part["column"]])
        lo, hi = mover(1 / len(part), part["rate"], part["lo"], part["hi"], shared)
        method = f"{clustered}mean of {len(part)} cells, MOVER on Wilson limits"
        if len(part) < expected:
            method += f"; {expected - len(part)} of {expected} cells have no answers"
        row = dict(zip(by, names, strict=True)) | {"n": part["n"].sum(), "refusals": part["refusals"].sum()}
        rows.append(row | {"rate": part["rate"].mean(), "lo": max(float(lo), 0), "hi": min(float(hi), 1)})
        rows[-1]["method"] = method
    return pd.DataFrame(rows)


def _without_baseline(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["persona"] != BASELINE].reset_index(drop=True)
