"""The figure of the differences between studies, with their intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from falserefusal.figures.choices import EFFECT, RATE
from falserefusal.figures.context import Context
from falserefusal.figures.dots import Dot, Rows, grouped_rows, key, label_rows, whiskers
from falserefusal.figures.models import below
from falserefusal.figures.style import GREY, LEVEL_COLOURS, MARKERS, Page

NAME = "differences"
LEFT, ROW, GAP = 2.2, 0.16, 0.62  # inches; GAP: between the panel of points and that of importances
READING = (
    "Filled: the difference is not 0 after Holm's correction over the whole page; hollow: it may be 0. Line: 95% "
    "interval. Studies with the same prompts are paired by prompt, others by the texts that they share. A result "
    "without a line has no interval; the table says why."
)


def draw_differences(table: pd.DataFrame, studies: Sequence[str], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw a row for each result and a mark for each study; rates and effects have an axis in points.

    Parameters
    ----------
    table : from `estimation.studies.differences`
    studies : their names; the first is the reference
    context : notice of the studies

    Returns
    -------
    The figure and the numbers drawn, in the unit of their axis: study, result, of, unit, difference, lo, hi, differs.
    """
    drawn = _numbers(table)
    panels = [part for unit in ("points", "index") if len(part := drawn[drawn["unit"] == unit])]
    rows = [_rows(part) for part in panels]
    heights = [ROW * max(len(studies) - 1, 1) ** 0.5 * layout.height for layout in rows]
    source = f"Drawn from {NAME}.csv."
    body = sum(heights) + GAP * len(panels) + 0.15 + 0.14 * (len(studies) - 2)
    page = Page(context, f"Difference of each result from {studies[0]}", READING, source, body)
    top = 0.1
    for part, layout, height in zip(panels, rows, heights, strict=True):
        ax = page.axes(LEFT, top, page.width - LEFT - 0.25, height)
        label_rows(ax, layout, {name: name.partition(": ")[2] for name in layout.at}, {})
        ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
        for place, study in enumerate(studies[1:]):
            _marks(ax, part[part["study"] == study], layout, place, len(studies) - 1)
        ax.set_xlabel(f"{part['unit'].iloc[0]}, minus {studies[0]}", labelpad=2)
        top += height + GAP
    marks = [key(*_style(place), label=study) for place, study in enumerate(studies[1:])]
    page.figure.legend(handles=marks, **below(page))
    return page.figure, drawn


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The differences in the unit of their axis; without those that are undefined."""
    table = table[np.isfinite(table["difference"])].fillna({"model": "", "task": "", "factor": ""})
    points = table["quantity"].isin([RATE, EFFECT]).to_numpy()
    scale = np.where(points, 100.0, 1.0)
    levels = [table[name].astype(str).replace("mean", "mean of models") for name in ("model", "task", "factor")]
    of = [", ".join(filter(None, names)) for names in zip(*levels, strict=True)]
    drawn = pd.DataFrame({"study": table["other_study"], "result": table["quantity"]})
    drawn = drawn.assign(of=of, unit=np.where(points, "points", "index"))
    ends = {"difference": "difference", "lo": "d_lo", "hi": "d_hi"}
    drawn = drawn.assign(**{name: scale * table[column] for name, column in ends.items()})
    return drawn.assign(differs=table["p_holm"] <= 0.05)


def _rows(part: pd.DataFrame) -> Rows:
    """A row for each result, under a heading for each quantity."""
    return grouped_rows(dict(zip(_names(part), part["result"], strict=True)))


def _names(part: pd.DataFrame) -> pd.Series:
    return part["result"] + ": " + part["of"].where(part["of"] != "", part["result"])


def _marks(ax, part: pd.DataFrame, layout: Rows, place: int, studies: int) -> None:
    """The marks of one study, moved up or down within their rows."""
    colour, marker = _style(place)
    y = _names(part).map(layout.at).astype(float) + 0.6 * ((place + 0.5) / studies - 0.5)
    for differs in (True, False):
        own = part[part["differs"] == differs]
        whiskers(ax, y[own.index], own["difference"], own["lo"], own["hi"], Dot(colour, marker, hollow=not differs))


def _style(place: int) -> tuple[str, str]:
    return LEVEL_COLOURS[place % len(LEVEL_COLOURS)], MARKERS[place % len(MARKERS)]
