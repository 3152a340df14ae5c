"""Coefficients of the main-effects logistic regression beside the paper's Table 7 (Figure 6)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    grouped_rows,
    key,
    label_rows,
    printed_key,
    printed_marks,
    rows_for,
    values_beside,
    whiskers,
)
from falserefusal.figures.models import below, family_colours, label_width
from falserefusal.figures.personas import attribute_colours
from falserefusal.figures.style import INK, Page, ink, linear_axis, number, source_line

ROW = 0.165
TERMS = ["persona", "task", "model", "template", "phrasing", "format"]  # the first two on the left


def draw_regression(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Log-odds of every level against its reference, with what Table 7 prints; from `regression`."""
    frame = rows_for(tables, "regression", ("lo", "hi", "printed", "method"))
    frame = frame[frame["coef"].notna() | frame["printed"].notna()]
    places = {"level": [*context.personas, *context.models], "term": TERMS}
    for column, order in places.items():
        place = {name: i for i, name in enumerate(order)}
        frame = frame.sort_values(column, key=lambda names, place=place: names.map(place).fillna(99), kind="stable")
    frame = frame.reset_index(drop=True)
    personas = frame[(frame["term"] == "persona") & frame["coef"].notna()]
    top = personas.sort_values("coef", ascending=False, kind="stable").head(2)
    message = "The largest persona coefficients are " if len(top) > 1 else "The persona coefficient is "
    message += " and ".join(f"“{row.level}” {number(row.coef)}" for row in top.itertuples())
    both = frame.dropna(subset=["printed", "lo", "hi"])
    if len(both):
        inside = ((both["printed"] >= both["lo"]) & (both["printed"] <= both["hi"])).sum()
        message += f"; {inside} of {len(both)} printed coefficients lie inside our intervals"

    right = ~frame["term"].isin(["persona", "task"])
    sides = [side for side in (frame[~right], frame[right]) if len(side)]
    rows = [_rows(part, context) for part in sides]
    tall = max(r.height for r in rows) * ROW
    page = Page(
        context,
        message,
        "Log-odds of a refusal against the reference level of its factor, main effects only. Dot: estimate; line: 95% "
        "interval; a number at the edge is a coefficient beyond the axis (a level without refusals).",
        source_line(["regression"], frame["method"]),
        body=tall + 0.8,
    )
    left, gap = max(label_width(context), 1.3), 0.55
    width = (page.width - left * len(sides) - gap * (len(sides) - 1) - 0.5) / len(sides)
    for i, (part, own) in enumerate(zip(sides, rows, strict=True)):
        ax = page.axes(left + i * (left + width + gap), 0.12, width, own.height * ROW)
        _panel(ax, part, own, context)
        y = [own.at[name] for name in _names(part)]
        values_beside(ax, y, [number(value) for value in part["coef"]])
    marks = [key(INK, label="this study")]
    if frame["printed"].notna().any():
        marks.append(printed_key("printed in Table 7"))
    page.figure.legend(handles=marks, **below(page, 2))
    return page.figure, frame


def _names(part: pd.DataFrame) -> list[str]:
    """A row's key: a level's name may occur under two terms."""
    return [f"{row.term}\t{row.level}" for row in part.itertuples()]


def _rows(part: pd.DataFrame, context: Context):
    groups = {}
    for name, row in zip(_names(part), part.itertuples(), strict=True):
        group = {"persona": context.personas, "model": context.models}.get(row.term, {}).get(row.level, row.term)
        groups[name] = f"{row.term} · {group}" if group != row.term else row.term
    return grouped_rows(groups)


def _panel(ax: Axes, part: pd.DataFrame, rows, context: Context) -> None:
    shade = {f"persona · {group}": colour for group, colour in attribute_colours(context).items()}
    shade |= {f"model · {group}": colour for group, colour in family_colours(context).items()}
    labels = {
        name: context.model_label(row.level) if row.term == "model" else row.level
        for name, row in zip(_names(part), part.itertuples(), strict=True)
    }
    values = part[["coef", "lo", "hi", "printed"]].to_numpy(dtype=float)
    shown = values[np.isfinite(values) & (np.abs(values) <= 12)]  # e^12: a level beyond has no refusals to speak of
    low, high = min(shown.min(initial=0.0), 0.0), max(shown.max(initial=1.0), 0.0)
    linear_axis(ax, "coefficient, log-odds", low, high, zero_line=True)
    label_rows(ax, rows, labels, shade)
    for name, row in zip(_names(part), part.itertuples(), strict=True):
        y, group = rows.at[name], next((g for g in shade if _in_group(row, g, context)), "")
        colour = shade.get(group, INK)
        lo, hi = np.clip([row.lo, row.hi], *ax.get_xlim())
        if low <= row.coef <= high:
            whiskers(ax, y, row.coef, lo, hi, colour)
        if low <= row.printed <= high:
            printed_marks(ax, [y], [row.printed])
        _beyond(ax, y, row.coef, row.printed, low, high, colour)


def _in_group(row, group: str, context: Context) -> bool:
    term, _, name = group.partition(" · ")
    return row.term == term and {"persona": context.personas, "model": context.models}[term].get(row.level) == name


def _beyond(ax: Axes, y: float, coef: float, printed: float, low: float, high: float, colour: str) -> None:
    """At the edge, the numbers of coefficients that would squeeze all others together if they were drawn."""
    outside = {"": coef, "printed ": printed}
    outside = {word: value for word, value in outside.items() if np.isfinite(value) and not low <= value <= high}
    if not outside:
        return
    words = ", ".join(word + number(value) for word, value in outside.items())
    negative = max(outside.values(), key=abs) < 0
    text, x, side = (f"◂ {words}", 0.01, "left") if negative else (f"{words} ▸", 0.99, "right")
    ax.text(x, y, text, transform=ax.get_yaxis_transform(), ha=side, va="center", fontsize=6.2, color=ink(colour))
