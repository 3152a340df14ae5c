"""The headline numbers of a study as LaTeX macros."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from falserefusal.common.numbers import (
    decimals,
    interval_of_percent,
    interval_of_points,
    percent,
    points,
)
from falserefusal.common.schemas import ALL, ANY_PERSONA
from falserefusal.figures.context import Context
from falserefusal.figures.said import scopes
from falserefusal.figures.style import task_title
from falserefusal.report.latex import distinct, escape, letters
from falserefusal.report.tex_tables import WHOLE

Tables = dict[str, pd.DataFrame]
PREFIX = "FR"
INTERVAL = "Interval"  # ends the name of the macro of an interval
MEAN = "mean"


class Number(NamedTuple):
    """A number of the study: the parts of its name, its text and that of its interval (plain), and its source."""

    name: tuple[str, ...]
    value: str
    interval: str
    source: str


def numbers_of(tables: Tables, context: Context) -> list[Number]:
    """Return the headline numbers that the tables have."""
    made = (make(tables, context) for name, make in MAKERS.items() if name in tables and not tables[name].empty)
    return [number for numbers in made for number in numbers if number.value != "unknown"]


def macro_names(numbers: list[Number]) -> list[str]:
    """Return a distinct name in letters for each number, without the backslash.

    Names keep clear of the names of intervals, which are the number's name and "Interval".
    """
    names = distinct(PREFIX + "".join(letters(part) for part in number.name) for number in numbers)
    taken = {name + INTERVAL for name in names}
    return [name + "Value" if name in taken else name for name in names]


def numbers_file(tables: Tables, context: Context) -> str:
    r"""Return numbers.tex: the macros, each after a comment that names its table.

    In a study of stand-ins, \FRmark follows every number, so that no number of it can pass as a result.
    """
    numbers = numbers_of(tables, context)
    mark = r"\textsuperscript{stand-ins}" if context.banner else ""
    lines = [f"% Numbers of the study {_comment(context.study)}; input this file before \\begin{{document}}."]
    lines += [f"% {_comment(context.banner)}"] if context.banner else []
    lines += [rf"\newcommand{{\FRmark}}{{{mark}}}"]
    follow = r"\FRmark" if context.banner else ""
    for name, number in zip(macro_names(numbers), numbers, strict=True):
        lines += [f"% {_comment(context.say(number.source))}"]
        lines += [rf"\newcommand{{\{name}}}{{{escape(number.value)}{follow}}}"]
        if number.interval:
            lines += [rf"\newcommand{{\{name}{INTERVAL}}}{{{escape(number.interval)}{follow}}}"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _rate(row, estimate: float, name: tuple[str, ...], source: str) -> Number:
    lo, hi = float(row.lo), float(row.hi)
    known = math.isfinite(lo) and math.isfinite(hi)
    return Number(name, percent(estimate, lo, hi), interval_of_percent(lo, hi) if known else "", source)


def _difference(name: tuple[str, ...], estimate: float, lo: float, hi: float, source: str) -> Number:
    known = math.isfinite(lo) and math.isfinite(hi)
    return Number(name, points(estimate, lo, hi), interval_of_points(lo, hi) if known else "", source)


def _rates(tables: Tables, context: Context) -> Iterator[Number]:
    frame = tables["rates_model_task"]
    own = frame[frame["model"] != MEAN]
    source = "tables/rates_model_task.csv"
    yield Number(("Responses",), f"{int(own['n'].sum()):,}", "", f"sum of n in {source}")
    yield Number(("Refusals",), f"{int(own['refusals'].sum()):,}", "", f"sum of refusals in {source}")
    yield Number(("Models",), str(own["model"].nunique()), "", f"models in {source}")
    yield Number(("Tasks",), str(own["task"].nunique()), "", f"tasks in {source}")
    for row in frame.itertuples():
        mean = row.model == MEAN
        name = ("MeanRate", task_title(row.task)) if mean else ("Rate", row.model, task_title(row.task))
        where = f"{source}, model {context.model_label(row.model)}, task {row.task}"
        yield _rate(row, float(row.rate), name, f"refusal rate; {where}")


def _corrected(tables: Tables, context: Context) -> Iterator[Number]:
    frame = tables["corrected_rates"]
    frame = frame[(frame["labeller"] == frame["labeller"].iloc[0]) & (frame["group"] == ANY_PERSONA)]
    for row in frame[(frame["model"] == MEAN) & (frame["task"] != ALL)].itertuples():
        source = f"corrected mean rate; tables/corrected_rates.csv, labeller {row.labeller}, task {row.task}"
        yield _rate(row, float(row.corrected), ("CorrectedMeanRate", task_title(row.task)), source)


def _personas(tables: Tables, context: Context) -> Iterator[Number]:
    frame = tables["rates_persona"]
    frame = frame[frame["scope"] == frame["scope"].iloc[0]]
    yield Number(("Personas",), str(frame["persona"].nunique()), "", "personas in tables/rates_persona.csv")
    for row in frame.itertuples():
        source = f"mean refusal rate; tables/rates_persona.csv, scope {row.scope}, persona {row.persona}"
        yield _rate(row, float(row.rate), ("PersonaRate", row.persona), source)


def _effects(tables: Tables, context: Context) -> Iterator[Number]:
    for row in tables["effects_mean"].itertuples():
        name = ("MeanPersonaEffect",) if row.persona == ALL else ("PersonaEffect", row.persona)
        source = f"persona minus baseline, percentage points; tables/effects_mean.csv, persona {row.persona}"
        yield _difference(name, row.difference, row.lo, row.hi, source)


def _baseline(tables: Tables, context: Context) -> Iterator[Number]:
    frame = tables["rates_baseline"]
    for row in frame[frame["difference"].notna()].itertuples():
        where = f"tables/rates_baseline.csv, model {context.model_label(row.model)}, task {row.task}"
        name = ("BaselineDifference", row.model, task_title(row.task))
        source = f"persona minus baseline, percentage points; {where}"
        yield _difference(name, row.difference, row.d_lo, row.d_hi, source)


def _importance(tables: Tables, context: Context) -> Iterator[Number]:
    frame = tables["importance"]
    for row in frame[~frame["scope"].isin(context.models) & frame["index"].notna()].itertuples(index=False):
        values = [float(value) for value in (row.index, row.lo, row.hi)]
        digits = max(decimals(*values), 1)
        value, lo, hi = (f"{value:.{digits}f}".replace("-", "−") for value in values)
        name = ("Importance", row.factor) if row.scope == WHOLE else ("Importance", row.factor, task_title(row.scope))
        source = f"importance index; tables/importance.csv, factor {row.factor}, scope {row.scope}"
        yield Number(name, value, f"{lo} to {hi}" if math.isfinite(values[1] + values[2]) else "", source)


def _separations(tables: Tables, context: Context) -> Iterator[Number]:
    for factor in ("persona", "task", "model", "format"):
        for row in scopes(tables, factor).head(1).itertuples():
            if row.clear > 0:
                source = f"difference of two levels, percentage points; tables/separations.csv, factor {factor}, "
                source += f"{row.higher} minus {row.lower}"
                yield _difference(("LargestDifference", factor), row.difference, row.lo, row.hi, source)


def _claims(tables: Tables, context: Context) -> Iterator[Number]:
    conclusions = tables["claims"]["conclusion"]
    yield Number(("Claims",), str(len(conclusions)), "", "claims in tables/claims.csv")
    for word, count in conclusions.value_counts(sort=False).items():
        yield Number(("Claims", str(word)), str(count), "", f"conclusion {word} in tables/claims.csv")


def _reproduction(tables: Tables, context: Context) -> Iterator[Number]:
    for result, count in tables["reproduction"].groupby("result", sort=False)["values"].sum().items():
        yield Number(("Values", str(result)), f"{int(count):,}", "", f"result {result} in tables/reproduction.csv")


MAKERS: dict[str, Callable[[Tables, Context], Iterator[Number]]] = {
    "rates_model_task": _rates,
    "corrected_rates": _corrected,
    "rates_persona": _personas,
    "effects_mean": _effects,
    "rates_baseline": _baseline,
    "separations": _separations,
    "importance": _importance,
    "claims": _claims,
    "reproduction": _reproduction,
}
