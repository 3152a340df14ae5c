"""Compare estimates with known values: the planted rates of a rehearsal, or the paper's printed values."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import NothingToDraw, rows_for, same_rows
from falserefusal.figures.models import family_colours, label_models, label_width, model_rows
from falserefusal.figures.said import inside_of_planted
from falserefusal.figures.style import (
    FAINT,
    GREY,
    INK,
    WARNING,
    Page,
    linear_axis,
    page_width,
    rate_scale,
    source_line,
    square_rate_axes,
    task_title,
)

RESULTS = ("reproduced", "not reproduced", "not testable")


def draw_planted_rates(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw estimated against planted rates of all cells, and their z-scores by model; from `planted_rates`."""
    frame = rows_for(tables, "planted_rates", ("lo", "hi", "z", "method"))
    counted, hits, certain = inside_of_planted(frame)
    message = say("planted rates", known=counted, inside=hits, certain=certain)
    inside = (frame["planted"] >= frame["lo"]) & (frame["planted"] <= frame["hi"])
    tasks = list(dict.fromkeys(frame["task"]))
    rows = model_rows(frame["model"], context)
    left, gap = label_width(context), 0.35
    scale = rate_scale(frame["planted"], frame[["estimate", "hi"]])
    page = Page(
        context,
        message,
        "Top: one mark per cell; on the diagonal, estimate and planted rate are equal; red × and line: the 95% "
        "interval misses the planted rate. Bottom: z-score, (estimate − planted) / standard error; grey band: ±1.96. "
        "Cells with a planted rate of 0 have no z-score.",
        source_line(["planted_rates"], frame["method"]),
        body=(side := (page_width(context) - left - 0.2 - gap * (len(tasks) - 1)) / len(tasks))
        + rows.height * 0.165
        + 1.3,
    )
    shade = family_colours(context)
    reach = max(4.0, frame["z"].abs().max())
    for i, task in enumerate(tasks):
        part, hit = frame[frame["task"] == task], inside[frame["task"] == task]
        x0 = left + i * (side + gap)
        ax = page.axes(x0, 0.2, side, side)
        square_rate_axes(ax, scale, "planted rate (%)", "estimated rate (%)" if i == 0 else "")
        ax.set_title(task_title(task), pad=4)
        for ok, colour in ((True, GREY), (False, WARNING)):
            own = part[(hit == ok) & part["lo"].notna()]
            ax.vlines(100 * own["planted"], 100 * own["lo"], 100 * own["hi"], color=colour, linewidth=0.5, alpha=0.5)
            ax.plot(100 * own["planted"], 100 * own["estimate"], zorder=4, clip_on=False, **_mark(ok, 2.0))
        low = page.axes(x0, side + 0.72, side, rows.height * 0.165)
        linear_axis(low, "z-score", -reach, reach, zero_line=True)
        low.axvspan(-1.96, 1.96, color="#efefef", zorder=0)
        label_models(low, rows, context) if i == 0 else same_rows(low, rows)
        for model, own in part.groupby("model", sort=False):
            colour = shade.get(context.models.get(model, ""), INK)
            low.plot(
                own["z"],
                np.full(len(own), rows.at[model]),
                linestyle="none",
                marker="|",
                markersize=6,
                color=colour,
                alpha=0.75,
            )
    return page.figure, frame


def draw_reproduction(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw this study's estimates against the paper's printed values, one panel per quantity; from `reproduction`."""
    every = rows_for(tables, "reproduction", ("lo", "hi", "method"))
    frame = every.dropna(subset=["printed", "estimate"])
    frame = frame[np.isfinite(frame["estimate"])].reset_index(drop=True)
    if frame.empty:
        raise NothingToDraw("no estimate of this study has a printed value to compare it with")
    counts = every.groupby("result")["values"].sum().astype(int)
    message = say("printed values", counts={result: counts.get(result, 0) for result in RESULTS})
    quantities = list(dict.fromkeys(frame["quantity"]))
    columns = 2 if len(quantities) in (2, 4) else min(3, len(quantities))
    gap, room = 0.65, 0.42 if context.paper else 0.3  # inches; room for the title
    step = room + 0.5
    side = (page_width(context) - 0.55 - 0.2 - gap * (columns - 1)) / columns
    depth = -(-len(quantities) // columns)
    page = Page(
        context,
        message,
        "On the diagonal both agree. Dot: reproduced, the difference is within the tolerance; red ×: not reproduced; "
        "grey: not testable. Line: 95% interval of this study. Panel titles: values drawn and how many are reproduced. "
        "Values that the study does not estimate are counted in the title only. If both studies measured the same "
        "rates, about 5% of the tested values would still not be reproduced.",
        source_line(["reproduction"], frame["method"]),
        body=depth * (side + step) + 0.1,
    )
    for i, quantity in enumerate(quantities):
        part = frame[frame["quantity"] == quantity]
        ax = page.axes(0.55 + (i % columns) * (side + gap), room + (i // columns) * (side + step), side, side)
        title = f"{quantity}: {len(part)} values, {(part['result'] == RESULTS[0]).sum()} reproduced"
        ax.set_title(textwrap.fill(title.replace(" x ", " × "), int(side * 14.5)), pad=4)
        _panel(ax, part)
    return page.figure, frame


def _panel(ax: Axes, part: pd.DataFrame) -> None:
    """Draw the values of one quantity."""
    rate = part["unit"].eq("rate").all()
    scale = 100 if rate else 1
    if rate:
        square_rate_axes(ax, rate_scale(part[["estimate", "printed"]], part["hi"]), "printed (%)", "this study (%)")
    else:
        values = part[["estimate", "lo", "hi", "printed"]].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        linear_axis(ax, "printed", values.min(), values.max())
        ax.set_ylim(ax.get_xlim())
        ax.grid(axis="y", color=FAINT, linewidth=0.5)
        ax.axline((0, 0), (1, 1), color=GREY, linewidth=0.7, zorder=1)
        ax.set_ylabel("this study", labelpad=2)
    for result, colour in zip(RESULTS, (INK, WARNING, GREY), strict=True):
        own = part[part["result"] == result]
        ax.vlines(scale * own["printed"], scale * own["lo"], scale * own["hi"], color=colour, linewidth=0.6, alpha=0.6)
        style = _mark(result != RESULTS[1], 2.6) | {"color": colour}
        ax.plot(scale * own["printed"], scale * own["estimate"], zorder=4, **style)


def _mark(hit: bool, size: float) -> dict:
    """Return the style of a mark: a dot if the interval contains the value, else a red cross."""
    shape = {"marker": "o", "markersize": size} if hit else {"marker": "x", "markersize": 1.8 * size}
    return {"linestyle": "none", "color": INK if hit else WARNING, "markeredgewidth": 0.9, **shape}
