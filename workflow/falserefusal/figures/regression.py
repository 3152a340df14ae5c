"""Coefficients of the main-effects logistic regression and of the paper's Table 7 (Figure 6)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    Dot,
    NothingToDraw,
    grouped_rows,
    key,
    label_rows,
    printed_key,
    printed_marks,
    rows_for,
    texts_right_of,
    whiskers,
)
from falserefusal.figures.models import below, family_colours, label_width
from falserefusal.figures.personas import attribute_colours
from falserefusal.figures.said import clear_coefficients
from falserefusal.figures.style import INK, Page, ink, linear_axis, number, source_line

ROW = 0.165
TERMS = ["persona", "task", "model", "template", "phrasing", "format"]  # the first two on the left


def draw_regression(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the log-odds of every level against its reference; from `regression` and `regression_firth`."""
    frame = rows_for(tables, "regression", ("lo", "hi", "printed", "printed_term_note", "method"))
    frame = _one_fit(pd.concat([frame, tables["regression_firth"]], ignore_index=True), context)
    # only the paper's own cells have such notes
    odd = frame.loc[frame["printed_term_note"].astype(str).str.startswith("outlier"), "level"]
    real = "the real " if context.model_suffix else ""  # printed values are about the models themselves
    odd = [f"{real}{level}" if level in context.models else level for level in odd]
    message = say("coefficients", odd=odd, **clear_coefficients(frame, context))
    reading = (
        "Log-odds of a refusal against the reference level of its factor, main effects only. Dot: estimate; line: "
    )
    reading += "95% interval; hollow: penalised (Firth) estimate, for a level without refusals or with refusals only."
    template = frame[frame["term"] == "template"]
    if template["printed"].notna().any() and template["coef"].isna().all():
        reading += " The fit of Table 7 also includes the template, so its values are larger."

    right = ~frame["term"].isin(["persona", "task"])
    sides = [side for side in (frame[~right], frame[right]) if len(side)]
    rows = [_rows(part, context) for part in sides]
    tall = max(r.height for r in rows) * ROW
    page = Page(
        context,
        message,
        reading,
        source_line(["regression", "regression_firth"], frame["method"]),
        body=tall + 0.8,
    )
    left, gap = max(label_width(context), 1.3), 0.55
    width = (page.width - left * len(sides) - gap * (len(sides) - 1) - 0.5) / len(sides)
    for i, (part, own) in enumerate(zip(sides, rows, strict=True)):
        ax = page.axes(left + i * (left + width + gap), 0.12, width, own.height * ROW)
        _panel(ax, part, own, context)
        y = [own.at[name] for name in _names(part)]
        texts_right_of(ax, y, [number(value) for value in part["coef"]])
    marks = [key(INK, label="this study")]
    if frame["printed"].notna().any():
        marks.append(printed_key("printed in Table 7"))
    page.figure.legend(handles=marks, **below(page, 2))
    return page.figure, frame


def _one_fit(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Return one row per level in drawing order: from the first fit, or from the next one if that is not finite."""
    reason = "; ".join(dict.fromkeys(frame["method"].astype(str)))
    frame = frame[~frame["term"].isin(["intercept", "fit"])]
    if frame.empty:
        raise NothingToDraw(f"tables/regression.csv has no coefficients ({reason})")
    finite = frame[np.isfinite(frame["coef"])].drop_duplicates(["term", "level"]).set_index(["term", "level"])
    first = frame.drop_duplicates(["term", "level"]).set_index(["term", "level"])
    separated = first.index.difference(first.index[np.isfinite(first["coef"])]).intersection(finite.index)
    first["penalised"] = first.index.isin(separated)
    for column in ("coef", "lo", "hi", "method"):
        first.loc[separated, column] = finite.loc[separated, column]
    first = first.reset_index()
    templates = sorted(first.loc[first["term"] == "template", "level"])
    for column, order in {"level": [*context.personas, *context.models, *templates], "term": TERMS}.items():
        place = {name: i for i, name in enumerate(order)}
        first = first.sort_values(column, key=lambda names, place=place: names.map(place).fillna(99), kind="stable")
    return first.reset_index(drop=True)


def _names(part: pd.DataFrame) -> list[str]:
    """Return the key of each row; the same level may occur in two terms."""
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
    shown = values[np.isfinite(values) & (np.abs(values) <= 14)]  # beyond e^14 a level has practically no refusals
    low, high = min(shown.min(initial=0.0), 0.0), max(shown.max(initial=1.0), 0.0)
    linear_axis(ax, "coefficient, log-odds", low, high, zero_line=True)
    label_rows(ax, rows, labels, shade)
    for name, row in zip(_names(part), part.itertuples(), strict=True):
        y, group = rows.at[name], next((g for g in shade if _in_group(row, g, context)), "")
        colour = shade.get(group, INK)
        lo, hi = np.clip([row.lo, row.hi], *ax.get_xlim())
        if low <= row.coef <= high:
            whiskers(ax, y, row.coef, lo, hi, Dot(colour, hollow=row.penalised))
        if low <= row.printed <= high:
            printed_marks(ax, [y], [row.printed])
        _beyond(ax, y, row, low, high, colour)


def _in_group(row, group: str, context: Context) -> bool:
    term, _, name = group.partition(" · ")
    return row.term == term and {"persona": context.personas, "model": context.models}[term].get(row.level) == name


def _beyond(ax: Axes, y: float, row, low: float, high: float, colour: str) -> None:
    """Write coefficients beyond the axis as numbers; drawing them would compress all others."""
    outside = {"": row.coef, "printed ": row.printed}
    outside = {word: value for word, value in outside.items() if np.isfinite(value) and not low <= value <= high}
    if not outside:
        return
    words = ", ".join(word + number(value) for word, value in outside.items())
    negative = max(outside.values(), key=abs) < 0
    drawn = [value for value in (row.coef, row.lo, row.hi) if low <= value <= high]
    if negative:
        x, text, side = max(drawn, default=low), f"◂ {words}", "left"
    else:
        x, text, side = min(drawn, default=high), f"{words} ▸", "right"
    shift = (3 if drawn else 0) * (1 if negative else -1)
    place: dict[str, Any] = {"xytext": (shift, 0), "textcoords": "offset points", "ha": side, "va": "center_baseline"}
    ax.annotate(text, (x, y), fontsize=6.2, color=ink(colour), **place)
