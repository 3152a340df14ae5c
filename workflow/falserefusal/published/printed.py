"""Read the paper's printed numbers, check them against each other, and turn them into cells of counts.

The heat maps of Figures 7 to 9 print the refusal rate of every task x model x persona cell with two decimals, and
Table 5 prints the number of prompts per cell. With a few thousand prompts, exactly one integer count rounds to the
printed percentage. So the cells are the paper's exact counts, not estimates of them.
"""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from falserefusal.common.errors import InputError
from falserefusal.common.files import line_of, read_csv, validate
from falserefusal.common.schemas import ALL, CELLS, FORMATS, REFERENCES, TASKS
from falserefusal.published.wordings import check_wording

PROMPTS = [f"p{number}" for number in range(1, 10)]
FACTORS = ("model", "task", "persona", "prompt")  # of Figure 5 and Table 7
QUOTED = [f"s{number:02}" for number in range(1, 73)]
HALF_PRINTED_DIGIT = 0.005 + 1e-9  # percentages are printed with two decimals

_task = pa.Column(str, pa.Check.isin(TASKS))
_percent = pa.Column(float, pa.Check.in_range(0, 100), coerce=True)
_n = pa.Column(int, pa.Check.gt(0), coerce=True)
_number = pa.Column(float, coerce=True)


def _frame(columns: dict, key: list[str]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, unique=key)


def schemas(models: list[str], personas: list[str]) -> dict[str, pa.DataFrameSchema]:
    """Return the schema of each file in config/published/, for the models and personas that may occur."""
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
        "fig1_baseline_offensiveness": _frame(
            {"model": model, "baseline_refusal_pct_read_from_vector": _percent}, ["model"]
        ),
        "figure5_importance": _frame({"factor": pa.Column(str), "importance": _number}, ["factor"]),
        "table7_logit": _frame(
            {"type": pa.Column(str, pa.Check.isin(FACTORS)), "variable": pa.Column(str), "coef": _number}
            | {"sig_p_lt_.01": pa.Column(str, nullable=True, coerce=True)},
            ["type", "variable"],
        ),
        "quoted_statements": _frame(
            {"id": pa.Column(str), "section": pa.Column(str, coerce=True), "quantity": pa.Column(str), "value": _number}
            | {"unit": pa.Column(str), "note": pa.Column(str, nullable=True, coerce=True)},
            ["id"],
        ),
    }


def _rows(models: list[str], personas: list[str]) -> dict[str, Sequence[tuple[str, ...]]]:
    """Return the keys of the rows that each file must have; other rows are errors."""
    by_model = list(itertools.product(models))
    levels = {"model": models, "task": TASKS, "persona": personas, "prompt": PROMPTS}
    references = {"prompt" if factor == "template" else factor: level for factor, level in REFERENCES.items()}
    return {
        "counts_task_model_persona": list(itertools.product(TASKS, models, personas)),
        "format_heatmaps": list(itertools.product(TASKS, models, FORMATS)),
        "table1_refusal_pct": by_model,
        "table6_prompt_n": list(itertools.product(PROMPTS)),
        "fig1_baseline_offensiveness": by_model,
        "figure5_importance": list(itertools.product(FACTORS)),
        "table7_logit": [
            (factor, level.capitalize() if factor in ("task", "persona") else level)  # as the table prints them
            for factor in FACTORS
            for level in levels[factor]
            if level != references[factor]
        ],
        "quoted_statements": list(itertools.product(QUOTED)),
    }


def read_printed(folder: str | Path, models: list[str], personas: list[str]) -> dict[str, pd.DataFrame]:
    """Read and check every file of printed numbers.

    Parameters
    ----------
    folder : the folder of the files, such as config/published
    models, personas : names that must occur, and no others

    Returns
    -------
    A frame for each file, by its name without .csv, and `table5` (number of prompts by persona and task).

    Raises
    ------
    InputError
        Names file, line and column of a missing column, an unknown name, a rate outside 0 to 100, an n below 1, a
        percentage that fits no integer count or several, and a quoted statement without a recipe. Names file and key
        of a missing row.
    """
    folder = Path(folder)
    printed, rows = {}, _rows(models, personas)
    for name, schema in schemas(models, personas).items():
        path = folder / f"{name}.csv"
        printed[name] = read_csv(path, schema, dtype=str)
        _check_rows(printed[name], schema.unique, rows[name], path)
    counts = printed["counts_task_model_persona"]
    source = folder / "counts_task_model_persona.csv"
    _check_counts(counts, source)
    printed["table5"] = _prompts_per_persona(counts, source)
    _check_format_n(printed["format_heatmaps"], printed["table6_prompt_n"], folder / "format_heatmaps.csv")
    quoted, source = printed["quoted_statements"], folder / "quoted_statements.csv"
    _check_wordings(quoted, models, personas, source)
    as_printed = read_csv(source, dtype=str)["value"]  # the number of printed digits is the printed precision
    quoted["decimals"] = as_printed.map(lambda value: len(value.partition(".")[2]))
    return printed


def candidate_counts(percent: pd.Series, n: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest count whose rate out of `n` rounds to `percent`; none does if they cross."""
    low = np.ceil((percent - HALF_PRINTED_DIGIT) * n / 100).clip(lower=0)
    high = np.floor((percent + HALF_PRINTED_DIGIT) * n / 100).clip(upper=n)
    return low.to_numpy(int), high.to_numpy(int)


def _fail(frame: pd.DataFrame, bad: np.ndarray, source: Path, column: str, why) -> None:
    """Raise InputError for the first row of `frame` that is marked `bad`; `why(row)` returns the reason."""
    if np.any(bad):
        at = int(np.flatnonzero(bad)[0])
        more = f" ({int(np.sum(bad)) - 1} more rows like it)" if np.sum(bad) > 1 else ""
        raise InputError(f"{source}: line {line_of(source, at)}, column '{column}': {why(frame.iloc[at])}{more}")


def _check_counts(counts: pd.DataFrame, source: Path) -> None:
    low, high = candidate_counts(counts["refusal_pct"], counts["n"])

    def rate(row) -> str:
        return f"{row.refusal_pct} percent of n = {row.n}"

    _fail(counts, high < low, source, "refusal_pct", lambda row: f"no integer count is {rate(row)}")
    _fail(counts, high > low, source, "refusal_pct", lambda row: f"more than one integer count is {rate(row)}")
    wrong = counts["refusals"].to_numpy() != low
    _fail(counts, wrong, source, "refusals", lambda row: f"{row.refusals} is not {rate(row)}")


def _check_rows(frame: pd.DataFrame, key: list[str], rows: Sequence[tuple[str, ...]], source: Path) -> None:
    """Raise InputError unless the keys of `frame` are exactly `rows`; the schema already rejects duplicates."""
    present, expected = list(frame[key].itertuples(index=False, name=None)), set(rows)

    def unknown(row) -> str:
        names = [names[-1] for names in rows if names[:-1] == tuple(row[column] for column in key[:-1])]
        return f"{row[key[-1]]!r} is not one of {textwrap.shorten(', '.join(names), 300, placeholder=' ...')}"

    _fail(frame, np.array([row not in expected for row in present]), source, key[-1], unknown)
    found = set(present)
    missing = [row for row in rows if row not in found]
    if missing:
        first = ", ".join(f"{column} {name!r}" for column, name in zip(key, missing[0], strict=True))
        more = f" ({len(missing) - 1} more rows are missing)" if len(missing) > 1 else ""
        raise InputError(f"{source}: the row with {first} is missing{more}")


def _check_wordings(quoted: pd.DataFrame, models: list[str], personas: list[str], source: Path) -> None:
    """Raise InputError for a quantity without a recipe, or with an unknown model, persona or task."""
    for at, quantity in enumerate(quoted["quantity"]):
        try:
            check_wording(quantity, models, personas)
        except InputError as error:
            raise InputError(f"{source}: line {line_of(source, at)}, column 'quantity': {error}") from None


def _prompts_per_persona(counts: pd.DataFrame, source: Path) -> pd.DataFrame:
    """Return Table 5: n by persona and task. All models got the same prompts, so n must not depend on the model."""
    spread = counts.groupby(["task", "persona"])["n"].transform("nunique")
    _fail(
        counts,
        spread.to_numpy() > 1,
        source,
        "n",
        lambda row: f"the number of prompts of {row.task} for {row.persona} differs between models",
    )
    table = counts.pivot_table(index="persona", columns="task", values="n", aggfunc="first", sort=False)
    return table.reset_index()[["persona", *TASKS]]


def _check_format_n(formats: pd.DataFrame, prompts: pd.DataFrame, source: Path) -> None:
    """Check that n of each response format is the sum of Table 6 over its prompts (p1-p3, p4-p6, p7-p9)."""
    form = [FORMATS[PROMPTS.index(prompt) // 3] for prompt in prompts["prompt"]]
    sums = prompts.groupby(np.array(form))[list(TASKS)].sum()
    expected = [sums.loc[row.format, row.task] for row in formats.itertuples()]
    _fail(
        formats,
        formats["n"].to_numpy() != np.array(expected),
        source,
        "n",
        lambda row: f"{row.n} is not the sum of Table 6 over the {row.format} prompts of {row.task}",
    )


def published_cells(printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return cells of counts: task x model x persona (exact) and task x model x format (nearest integer).

    The format cells have up to 16,737 prompts, so two counts may fit the printed percentage. The nearest one is taken;
    it is wrong by at most one refusal.
    """
    persona = printed["counts_task_model_persona"].assign(template=ALL, format=ALL)
    form = printed["format_heatmaps"].assign(persona=ALL, template=ALL)
    form["refusals"] = np.rint(form["refusal_pct"] * form["n"] / 100).astype(int)
    cells = pd.concat([persona, form], ignore_index=True).assign(labeller="phrase_list")
    return validate(cells[list(CELLS.columns)], CELLS, "published cells")


def table6(printed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return Table 6: prompts per template and task."""
    return printed["table6_prompt_n"].rename(columns={"prompt": "template"})
