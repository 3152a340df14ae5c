"""The paper's printed numbers: read, checked against each other, and turned into cells of counts.

The heat maps of Figures 7 to 9 print the refusal rate of every task x model x persona cell with two decimals,
and Table 5 prints how many prompts each cell holds. With n of a few thousand, two decimals of a percentage leave
exactly one integer count, so the cells below are the study's counts and not estimates of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from falserefusal.errors import InputError
from falserefusal.schemas import ALL, CELLS, FORMATS, TASKS
from falserefusal.tables import read_csv, validate

HALF_PRINTED_DIGIT = 0.005 + 1e-9  # percentages are printed with two decimals

_task = pa.Column(str, pa.Check.isin(TASKS))
_percent = pa.Column(float, pa.Check.in_range(0, 100), coerce=True)
_n = pa.Column(int, pa.Check.gt(0), coerce=True)
_number = pa.Column(float, coerce=True)


def _frame(columns: dict, key: list[str]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, unique=key)


def schemas(models: list[str], personas: list[str]) -> dict[str, pa.DataFrameSchema]:
    """The schema of each file under config/published/, given the names that may occur in it."""
    model, persona = pa.Column(str, pa.Check.isin(models)), pa.Column(str, pa.Check.isin(personas))
    by_task = {task: _percent for task in TASKS}
    return {
        "counts_task_model_persona": _frame(
            {"task": _task, "model": model, "persona": persona, "refusal_pct": _percent, "n": _n}
            | {"refusals": pa.Column(int, pa.Check.ge(0), coerce=True)},
            ["task", "model", "persona"],
        ),
        "format_heatmaps": _frame(
            {"task": _task, "model": model, "format": pa.Column(str, pa.Check.isin(FORMATS))}
            | {"refusal_pct": _percent, "n": _n},
            ["task", "model", "format"],
        ),
        "table1_refusal_pct": _frame({"model": model} | by_task, ["model"]),
        "table6_prompt_n": _frame({"prompt": pa.Column(str)} | {task: _n for task in TASKS}, ["prompt"]),
        "fig1_persona_free_offensiveness": _frame(
            {"model": model, "persona_free_refusal_pct_read_from_vector": _percent}, ["model"]
        ),
        "figure5_importance": _frame({"factor": pa.Column(str), "importance": _number}, ["factor"]),
        "table7_logit": _frame(
            {"type": pa.Column(str), "variable": pa.Column(str), "coef": _number}
            | {"sig_p_lt_.01": pa.Column(str, nullable=True, coerce=True)},
            ["type", "variable"],
        ),
        "quoted_statements": _frame(
            {"id": pa.Column(str), "section": pa.Column(str, coerce=True), "quantity": pa.Column(str), "value": _number}
            | {"unit": pa.Column(str), "note": pa.Column(str, nullable=True, coerce=True)},
            ["id"],
        ),
    }


def read_printed(folder: str | Path, models: list[str], personas: list[str]) -> dict[str, pd.DataFrame]:
    """Read and check every file of printed numbers.

    Returns the frames by file name (without .csv), `table5` (persona x task prompts) among them. Raises InputError
    naming file, line and column for a missing column, an unknown name, a rate outside 0 to 100, an n below 1, and
    a percentage that no integer count, or more than one, can give.
    """
    folder = Path(folder)
    printed = {}
    for name, schema in schemas(models, personas).items():
        path = folder / f"{name}.csv"
        as_printed = read_csv(path, dtype=str)
        printed[name] = validate(as_printed.copy(), schema, str(path))
        if name == "quoted_statements":  # the digits printed are the precision claimed
            printed[name]["decimals"] = as_printed["value"].map(lambda value: len(value.partition(".")[2]))
    counts = printed["counts_task_model_persona"]
    source = folder / "counts_task_model_persona.csv"
    _check_counts(counts, source)
    _check_complete(counts, ["task", "model", "persona"], source)
    printed["table5"] = _prompts_per_persona(counts, source)
    _check_format_n(printed["format_heatmaps"], printed["table6_prompt_n"], folder / "format_heatmaps.csv")
    return printed


def candidate_counts(percent: pd.Series, n: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest integer count whose rate out of `n` rounds to `percent` (largest < smallest: none does)."""
    low = np.ceil((percent - HALF_PRINTED_DIGIT) * n / 100).clip(lower=0)
    high = np.floor((percent + HALF_PRINTED_DIGIT) * n / 100).clip(upper=n)
    return low.to_numpy(int), high.to_numpy(int)


def _fail(frame: pd.DataFrame, bad: np.ndarray, source: Path, column: str, why) -> None:
    """Raise for the first row of `frame` marked `bad`; `why(row)` says what is wrong with it."""
    if np.any(bad):
        at = int(np.flatnonzero(bad)[0])
        more = f" ({int(np.sum(bad)) - 1} more rows like it)" if np.sum(bad) > 1 else ""
        raise InputError(f"{source}: line {at + 2}, column '{column}': {why(frame.iloc[at])}{more}")


def _check_counts(counts: pd.DataFrame, source: Path) -> None:
    low, high = candidate_counts(counts["refusal_pct"], counts["n"])

    def says(row) -> str:
        return f"{row.refusal_pct} percent of n = {row.n}"

    _fail(counts, high < low, source, "refusal_pct", lambda row: f"no integer count is {says(row)}")
    _fail(counts, high > low, source, "refusal_pct", lambda row: f"more than one integer count is {says(row)}")
    wrong = counts["refusals"].to_numpy() != low
    _fail(counts, wrong, source, "refusals", lambda row: f"{row.refusals} is not {says(row)}")


def _check_complete(frame: pd.DataFrame, key: list[str], source: Path) -> None:
    full = pd.MultiIndex.from_product([frame[column].drop_duplicates() for column in key])
    missing = full.difference(pd.MultiIndex.from_frame(frame[key]), sort=False)
    if len(missing):
        raise InputError(f"{source}: {len(missing)} cells are missing, first {' / '.join(missing[0])}")


def _prompts_per_persona(counts: pd.DataFrame, source: Path) -> pd.DataFrame:
    """Table 5: n by persona and task. All models saw the same prompts, so n must not depend on the model."""
    spread = counts.groupby(["task", "persona"])["n"].transform("nunique")
    _fail(
        counts,
        spread.to_numpy() > 1,
        source,
        "n",
        lambda row: f"models disagree on how many prompts {row.task} has for {row.persona}",
    )
    table = counts.pivot_table(index="persona", columns="task", values="n", aggfunc="first", sort=False)
    return table.reset_index()[["persona", *TASKS]]


def _check_format_n(formats: pd.DataFrame, prompts: pd.DataFrame, source: Path) -> None:
    """The n of a response format must be the sum of Table 6 over its three prompts (p1-p3, p4-p6, p7-p9)."""
    number = prompts["prompt"].str.extract(r"^p([1-9])$")[0].astype(float)
    if number.isna().any() or len(prompts) != 9:
        raise InputError(f"{source.with_name('table6_prompt_n.csv')}: column 'prompt' must hold p1 to p9")
    sums = prompts.groupby(np.array(FORMATS)[((number - 1) // 3).astype(int)])[list(TASKS)].sum()
    expected = [sums.loc[row.format, row.task] for row in formats.itertuples()]
    _fail(
        formats,
        formats["n"].to_numpy() != np.array(expected),
        source,
        "n",
        lambda row: f"{row.n} is not the sum of Table 6 over the {row.format} prompts of {row.task}",
    )


def published_cells(printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Cells of counts: task x model x persona (exact), and task x model x format (nearest integer; see below).

    The format cells hold up to 16,737 prompts, where two decimals leave up to two integers; the nearest one is
    taken, off by at most one refusal.
    """
    persona = printed["counts_task_model_persona"].assign(template=ALL, format=ALL)
    form = printed["format_heatmaps"].assign(persona=ALL, template=ALL)
    form["refusals"] = np.rint(form["refusal_pct"] * form["n"] / 100).astype(int)
    cells = pd.concat([persona, form], ignore_index=True).assign(labeller="paper")
    return validate(cells[list(CELLS.columns)], CELLS, "published cells")


def table6(printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Table 6: prompts per template and task, under the names of this project."""
    return printed["table6_prompt_n"].rename(columns={"prompt": "template"})
