"""The tables of a study as LaTeX: what each shows, how wide it is, and its caption."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from falserefusal.common.numbers import decimals, p_value, percent, points
from falserefusal.common.schemas import ALL, ANY_PERSONA, FORMATS
from falserefusal.figures.context import Context
from falserefusal.figures.dots import in_order
from falserefusal.figures.personas import WIDE, is_wide
from falserefusal.figures.style import task_title
from falserefusal.report.latex import Tabular, escape

Tables = dict[str, pd.DataFrame]
NO_VALUE = "--"
WHOLE = "all"  # scope of the importance in the whole study
GREY = rf"Grey: the interval is wider than {100 * WIDE:.0f} points."
PAIR = "rl"  # an estimate and its interval


class TexTable(NamedTuple):
    """A table of a paper: its tabular, whether it takes both columns, and its caption (plain text)."""

    make: Callable[[Tables, Context], Tabular]
    wide: bool
    caption: str


def bare(text: str) -> str:
    """Return a percentage without its sign, as LaTeX; the head of the column has the sign."""
    return NO_VALUE if text == "unknown" else escape(text.removesuffix("%"))


def rate(estimate: float, lo: float, hi: float) -> list[str]:
    """Return the cells of a rate and its interval in percent, shaded if the interval is wide."""
    return _pair(bare(percent(estimate, lo, hi)), [bare(percent(end, lo, hi)) for end in (lo, hi)], is_wide(lo, hi))


def difference(estimate: float, lo: float, hi: float) -> list[str]:
    """Return the cells of a difference of rates and its interval in percentage points."""
    return _pair(bare(points(estimate, lo, hi)), [bare(points(end, lo, hi)) for end in (lo, hi)], is_wide(lo, hi))


def plain_number(value: float, lo: float, hi: float) -> list[str]:
    """Return the cells of an index or a coefficient and its interval."""
    return _pair(_rounded(value, lo, hi), [_rounded(end, lo, hi) for end in (lo, hi)], wide=False)


def _rounded(value: float, lo: float, hi: float) -> str:
    if not math.isfinite(value):
        return NO_VALUE
    return escape(f"{value:.{max(decimals(value, lo, hi), 1)}f}".replace("-", "−"))


def _pair(estimate: str, ends: list[str], wide: bool) -> list[str]:
    cells = [estimate, "" if NO_VALUE in ends else rf"\FRinterval{{{ends[0]}}}{{{ends[1]}}}"]
    return [rf"\FRwide{{{cells[0]}}}", rf"\FRwide{{{cells[1]}}}"] if wide else cells


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _over_pairs(names: Iterable[str], first: Iterable[str] = ("",)) -> str:
    """Return a line of the head, in which each name is above an estimate and its interval."""
    return _line([*first, *(rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in names)])


def _by_model(frame: pd.DataFrame, context: Context, cells: Callable[[pd.DataFrame], list[str]]) -> list[list[str]]:
    """Return a row for each model, under a heading for each family; the mean comes last, after a rule."""
    rows: list[list[str]] = []
    family = ""
    for model in in_order(frame, "model", list(context.models)):
        own = context.models.get(model, "")
        if own and own != family:
            rows.append([escape(own)])
        elif family and not own:
            rows.append([])
        family = own
        rows.append([escape(context.model_label(model)), *cells(frame[frame["model"] == model])])
    return rows


def _by_persona(
    frame: pd.DataFrame, context: Context, cells: Callable[[pd.DataFrame], list[str]], column: str = "persona"
) -> list[list[str]]:
    """Return a row for each persona, under a heading for each attribute."""
    rows: list[list[str]] = []
    attribute = ""
    for persona in in_order(frame, column, list(context.personas)):
        own = context.personas.get(persona, "")
        if own != attribute:
            rows.append([escape(own)] if own else [])
        attribute = own
        rows.append(["all personas" if persona == ALL else escape(persona), *cells(frame[frame[column] == persona])])
    return rows


def _cell(part: pd.DataFrame, columns: tuple[str, str, str], write: Callable[..., list[str]]) -> list[str]:
    """Return the cells of the only row of `part`, or empty cells."""
    if part.empty:
        return [NO_VALUE, ""]
    row = part.iloc[0]
    return write(*(float(row[name]) if name in part and pd.notna(row[name]) else math.nan for name in columns))


def _rates_model_task(tables: Tables, context: Context) -> Tabular:
    frame = tables["rates_model_task"]
    tasks = list(dict.fromkeys(frame["task"]))
    rows = _by_model(
        frame,
        context,
        lambda part: [cell for task in tasks for cell in _cell(part[part["task"] == task], ("rate", "lo", "hi"), rate)],
    )
    return Tabular("l" + PAIR * len(tasks), [_over_pairs(escape(task_title(task)) for task in tasks)], rows)


def _rates_persona(tables: Tables, context: Context) -> Tabular:
    frame = tables["rates_persona"]
    frame = frame[frame["scope"] == frame["scope"].iloc[0]] if len(frame) else frame
    rows = _by_persona(frame, context, lambda part: _cell(part, ("rate", "lo", "hi"), rate))
    return Tabular("l" + PAIR, [_over_pairs([r"mean rate (\%)"])], rows)


def _rates_baseline(tables: Tables, context: Context) -> Tabular:
    frame = tables["rates_baseline"]
    frame = frame[frame["baseline_rate"].notna()]
    rows: list[list[str]] = []
    for task, part in frame.groupby("task", sort=False):
        rows.append([escape(task_title(str(task)))])
        for model in in_order(part, "model", list(context.models)):
            own = part[part["model"] == model]
            cells = _cell(own, ("baseline_rate", "baseline_lo", "baseline_hi"), rate)
            cells += _cell(own, ("persona_rate", "lo", "hi"), rate)
            rows.append([escape(context.model_label(model)), *cells, *_cell(own, DIFFERENCE, difference)])
    return Tabular("l" + PAIR * 3, [_over_pairs(["baseline", "persona", "difference"])], rows)


DIFFERENCE = ("difference", "d_lo", "d_hi")


def _levels_of(name: str, factor: str) -> Callable[[Tables, Context], Tabular]:
    """Make a table of rates by model, with a column for each task and level of a factor."""

    def make(tables: Tables, context: Context) -> Tabular:
        frame = tables[name]
        tasks, levels = list(dict.fromkeys(frame["task"])), in_order(frame, factor, list(FORMATS))

        def cells(part: pd.DataFrame) -> list[str]:
            found = [part[(part["task"] == task) & (part[factor] == level)] for task in tasks for level in levels]
            return [_cell(own, ("rate", "lo", "hi"), rate)[0] for own in found]

        count = len(levels)
        over = [rf"\multicolumn{{{count}}}{{c}}{{{escape(task_title(task))}}}" for task in tasks]
        rules = [rf"\cmidrule(lr){{{2 + i * count}-{1 + (i + 1) * count}}}" for i in range(len(tasks))]
        head = [_line(["", *over]), " ".join(rules), _line(["", *[escape(level) for level in levels] * len(tasks)])]
        return Tabular("l" + "r" * count * len(tasks), head, _by_model(frame, context, cells))

    return make


def _importance(tables: Tables, context: Context) -> Tabular:
    frame = tables["importance"]
    frame = frame[~frame["scope"].isin(context.models)]
    scopes = list(dict.fromkeys(frame["scope"]))
    rows = []
    for factor in dict.fromkeys(frame["factor"]):
        own = frame[frame["factor"] == factor]
        found = [_cell(own[own["scope"] == scope], ("index", "lo", "hi"), plain_number) for scope in scopes]
        rows.append([escape(context.say(factor)), *(cell for pair in found for cell in pair)])
    names = ["whole study" if scope == WHOLE else task_title(scope) for scope in scopes]
    return Tabular("l" + PAIR * len(scopes), [_over_pairs(escape(name) for name in names)], rows)


def _regression(tables: Tables, context: Context) -> Tabular:
    frame = tables["regression"]
    frame = frame[~frame["term"].isin(["intercept", "fit"]) & np.isfinite(frame["coef"])]
    order = {name: place for place, name in enumerate([*context.personas, *context.models])}
    frame = frame.sort_values("level", key=lambda names: names.map(order).fillna(0), kind="stable")
    rows: list[list[str]] = []
    for term, part in frame.groupby("term", sort=False):
        rows.append([escape(context.say(str(term)))])
        for row in part.itertuples():
            level = context.model_label(row.level) if term == "model" else row.level
            cells = plain_number(float(row.coef), float(row.lo), float(row.hi))
            rows.append([escape(level), *cells, bare(p_value(float(row.p)))])
    return Tabular("l" + PAIR + "r", [_over_pairs(["log-odds"])[:-3] + r" & $p$ \\"], rows)


def _effects_mean(tables: Tables, context: Context) -> Tabular:
    def cells(part: pd.DataFrame) -> list[str]:
        found = _cell(part, ("difference", "lo", "hi"), difference)
        return [*found, bare(p_value(float(part["p"].iloc[0])))]

    head = [_over_pairs(["difference"])[:-3] + r" & $p$ \\"]
    return Tabular("l" + PAIR + "r", head, _by_persona(tables["effects_mean"], context, cells))


def _corrected_rates(tables: Tables, context: Context) -> Tabular:
    frame = tables["corrected_rates"]
    frame = frame[(frame["group"] == ANY_PERSONA) & (frame["task"] != ALL) & (frame["model"] != ALL)]
    frame = frame[frame["labeller"] == frame["labeller"].iloc[0]] if len(frame) else frame
    tasks = list(dict.fromkeys(frame["task"]))

    def cells(part: pd.DataFrame) -> list[str]:
        found = []
        for task in tasks:
            own = part[part["task"] == task]
            found += [_cell(own, ("rate", "", ""), rate)[0], *_cell(own, ("corrected", "lo", "hi"), rate)]
        return found

    over = [rf"\multicolumn{{3}}{{c}}{{{escape(task_title(task))}}}" for task in tasks]
    rules = [rf"\cmidrule(lr){{{2 + 3 * i}-{4 + 3 * i}}}" for i in range(len(tasks))]
    under = _line(["", *["before", r"\multicolumn{2}{c}{corrected}"] * len(tasks)])
    return Tabular(
        "l" + ("r" + PAIR) * len(tasks), [_line(["", *over]), " ".join(rules), under], _by_model(frame, context, cells)
    )


def _claims(tables: Tables, context: Context) -> Tabular:
    rows = []
    for row in tables["claims"].itertuples():
        unit = row.effect_unit if isinstance(row.effect_unit, str) else ""
        estimate, interval = plain_number(float(row.effect), float(row.lo), float(row.hi))
        shown = [estimate, interval, escape(unit if estimate != NO_VALUE else "")]
        rows.append([escape(row.statement), *shown, escape(row.conclusion)])
    head = [r"claim & \multicolumn{3}{c}{effect} & conclusion \\"]
    return Tabular(r">{\raggedright}p{2.7in}rll>{\raggedright\arraybackslash}p{0.95in}", head, rows)


def _reproduction(tables: Tables, context: Context) -> Tabular:
    frame = tables["reproduction"]
    results = ("reproduced", "not reproduced", "not testable")
    rows = []
    for quantity, part in frame.groupby("quantity", sort=False):
        counts = part.groupby("result")["values"].sum()
        rows.append([escape(context.say(str(quantity))), *(f"{int(counts.get(result, 0)):,}" for result in results)])
    return Tabular(r">{\raggedright}p{1.3in}rrr", [_line(["reproduced:", "yes", "no", "not testable"])], rows)


TEX: dict[str, TexTable] = {
    "rates_model_task": TexTable(
        _rates_model_task, True, f"Refusal rate (%) under personas by model and task, with 95% intervals. {GREY}"
    ),
    "rates_persona": TexTable(
        _rates_persona, False, f"Mean refusal rate by persona over models and tasks, with 95% intervals. {GREY}"
    ),
    "rates_baseline": TexTable(
        _rates_baseline,
        True,
        "Refusal rate (%) without a persona (baseline) and with one, and the difference in percentage points, with "
        f"95% intervals. {GREY}",
    ),
    "rates_format": TexTable(
        _levels_of("rates_format", "format"),
        True,
        f"Refusal rate (%) under personas by model, task and response format. {GREY}",
    ),
    "importance": TexTable(
        _importance, True, "Importance of each factor for refusal: Wasserstein index, with 95% intervals."
    ),
    "regression": TexTable(
        _regression,
        False,
        "Logistic regression of refusal: log-odds against the reference level of each factor, with 95% intervals. "
        "Levels without a finite estimate are left out.",
    ),
    "effects_mean": TexTable(
        _effects_mean,
        False,
        "Effect of each persona on the refusal rate, in percentage points against the same prompts without a persona: "
        f"mean over models and tasks, with 95% intervals. {GREY}",
    ),
    "labeller_rates": TexTable(
        _levels_of("labeller_rates", "labeller"),
        True,
        f"Refusal rate (%) of the same responses under each labeller. {GREY}",
    ),
    "corrected_rates": TexTable(
        _corrected_rates,
        True,
        "Refusal rate (%) by model and task, before and after correction for the labeller's errors, with the 95% "
        f"interval of the corrected rate. {GREY}",
    ),
    "claims": TexTable(_claims, True, "The paper's claims as tests: effect with its 95% interval, and conclusion."),
    "reproduction": TexTable(
        _reproduction, False, "How many of the paper's printed values this study reproduces, by quantity."
    ),
}
