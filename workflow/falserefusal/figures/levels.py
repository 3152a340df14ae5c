"""Rates of each model at several levels of one factor: response formats (Figures 4, 10, 11) and labellers."""

import pandas as pd
from matplotlib.figure import Figure

from falserefusal.common.numbers import points
from falserefusal.common.schemas import FORMATS
from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import Dot, in_order, key, rows_for, same_rows, value_column, whiskers
from falserefusal.figures.models import below, label_models, label_width, model_rows
from falserefusal.figures.said import highest_levels, scopes
from falserefusal.figures.style import (
    LEVEL_COLOURS,
    MARKERS,
    Page,
    percent,
    rate_axis,
    rate_scale,
    source_line,
    task_title,
)

ROW = 0.26


def draw_format(tables: dict[str, pd.DataFrame], context: Context, task: str) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by response format and model for one task; from `rates_format`."""
    frame = rows_for(tables, "rates_format", ("lo", "hi", "method"), task=task)
    levels = in_order(frame, "format", list(FORMATS))
    name = task_title(task)
    compared = scopes(tables, "format", by=("task", "model"))
    most = highest_levels(compared[compared["task"] == task])
    message = say("formats by model", task=name, formats=len(levels), **most)
    page = _levels(
        context,
        [(name, frame)],
        "format",
        levels,
        message,
        "Rate under personas by response format: unforced (free text), semi-forced (asked for the option only), forced "
        "(told to choose an option). "
        "Symbol: rate; line: 95% interval" + ("." if context.narrow else "; numbers: rates in %."),
        source_line(["rates_format"], frame["method"]),
    )
    return page.figure, frame


def draw_labellers(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by labeller, model and task; from `labeller_rates`."""
    frame = rows_for(tables, "labeller_rates", ("lo", "hi", "method"))
    labellers = list(dict.fromkeys(frame["labeller"]))
    rates = frame.pivot(index=["model", "task"], columns="labeller", values="rate")
    largest = (rates.max(axis=1) - rates.min(axis=1)).max()
    gap = points(largest, sign=False) if largest > 0 else ""
    message = say("labellers differ", labellers=len(labellers), gap=gap, what="rates", unit="points")
    page = _levels(
        context,
        list(frame.groupby("task", sort=False)),
        "labeller",
        labellers,
        message,
        "The same responses under each labeller. Symbol: refusal rate; line: 95% interval.",
        source_line(["labeller_rates"], frame["method"]),
    )
    return page.figure, frame


def _levels(context: Context, panels, factor: str, levels: list[str], message: str, reading: str, source: str) -> Page:
    """Draw panels with a row per model, in which each level has its own line, colour and symbol."""
    rows = model_rows(pd.concat([frame["model"] for _, frame in panels]), context)
    row = max(ROW, 0.085 * len(levels))
    every = pd.concat([frame for _, frame in panels])
    scale = rate_scale(every["rate"], every["hi"])
    page = Page(context, message, reading + scale.note, source, body=rows.height * row + 0.8)
    numbered = len(panels) == 1 and not context.narrow
    column = 0.62
    numbers = column * len(levels) + 0.12 if numbered else 0.1
    left, gap = label_width(context), 0.3
    width = (page.width - left - numbers - gap * (len(panels) - 1)) / len(panels)
    offsets = {level: 0.27 * (2 * i - len(levels) + 1) / max(len(levels) - 1, 1) for i, level in enumerate(levels)}
    for i, (title, frame) in enumerate(panels):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * row)
        rate_axis(ax, scale)
        label_models(ax, rows, context) if i == 0 else same_rows(ax, rows)
        if len(panels) > 1:
            ax.set_title(task_title(title), pad=4)
        for k, level in enumerate(levels):
            part = frame[frame[factor] == level]
            y = part["model"].map(rows.at)
            rate, lo, hi = (100 * part[name] for name in ("rate", "lo", "hi"))
            whiskers(ax, y + offsets[level], rate, lo, hi, Dot(LEVEL_COLOURS[k % 6], marker=MARKERS[k % 7], size=3.6))
            if numbered:
                value_column(ax, y, [percent(rate) for rate in part["rate"]], level, inches=column * (k + 1))
    marks = [key(LEVEL_COLOURS[k % 6], MARKERS[k % 7], level) for k, level in enumerate(levels)]
    page.figure.legend(handles=marks, **below(page, len(levels)))
    return page
