"""Precision and cost of a sequential study: the interval of each target at each interim look."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import in_order, key, rows_for
from falserefusal.figures.models import below, family_colours
from falserefusal.figures.personas import panel_grid
from falserefusal.figures.style import FAINT, INK, LEVEL_COLOURS, MARKERS, Page, ink, source_line


def draw_sequential(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the half-width of each target's interval against the responses so far, by model; from `interim_looks`."""
    frame = rows_for(tables, "interim_looks")
    spent = frame.groupby("model")["calls"].max()
    looks = int(frame["interim_look"].nunique())
    message = say("interim looks", models=len(spent), fewest=int(spent.min()), most=int(spent.max()), looks=looks)
    grid = panel_grid(in_order(frame, "model", list(context.models)), context)
    quantities = list(dict.fromkeys(frame["quantity"]))
    head = 0.34 if context.model_suffix else 0.22
    tall, step = 1.05, 1.05 + 0.2 + head
    page = Page(
        context,
        message,
        "Half-width of the 95% interval at each interim look, in points (hundredths). A line ends where the model "
        "stopped: it met its targets, or the design was complete.",
        source_line(["interim_looks"], []),
        body=len(grid) * step + 0.45,
    )
    left, gap = 0.45, 0.14
    width = (page.width - left - 0.12) / max(len(models) for models in grid) - gap
    half = 100 * (frame["hi"] - frame["lo"]) / 2
    high, far = 1.08 * half.max(), 1.1 * frame["calls"].max()
    shade = family_colours(context)
    for i, models in enumerate(grid):
        for j, model in enumerate(models):
            ax = page.axes(left + j * (width + gap), i * step + head, width, tall)
            ax.set_xlim(0, far)
            ax.set_ylim(0, high if np.isfinite(high) and high > 0 else 1)
            ax.grid(color=FAINT, linewidth=0.5)
            ax.tick_params(labelsize=6, length=2, pad=1.5)
            ax.locator_params(axis="x", nbins=3)
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            colour = ink(shade.get(context.models.get(model, ""), INK))
            ax.set_title(context.model_label(model).replace(" ", "\n", 1), pad=2, fontsize=7, color=colour)
            ax.set_xlabel("responses" if i == len(grid) - 1 else "", labelpad=1)
            if j == 0:
                ax.set_ylabel("half-width", labelpad=2)
            else:
                ax.set_yticklabels([])
            for k, quantity in enumerate(quantities):
                own = frame["model"].eq(model) & frame["quantity"].eq(quantity)
                x, y = frame.loc[own, "calls"], half[own]
                ax.plot(x, y, color=LEVEL_COLOURS[k % 6], linewidth=1.0, marker=MARKERS[k % 7], markersize=2.4)
    marks = [key(LEVEL_COLOURS[k % 6], MARKERS[k % 7], quantity) for k, quantity in enumerate(quantities)]
    page.figure.legend(handles=marks, **below(page, min(len(marks), 4)))
    return page.figure, frame
