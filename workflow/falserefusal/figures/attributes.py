"""Attributes that personas cross: rates and main effects of their levels, and interactions."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.colours import of_attributes
from falserefusal.figures.context import Context
from falserefusal.figures.dots import Dot, grouped_rows, key, label_rows, rows_for, same_rows, texts_right_of, whiskers
from falserefusal.figures.models import below, signed_points
from falserefusal.figures.said import attributes_of, interactions_of
from falserefusal.figures.style import GREY, INK, Page, linear_axis, percent, source_line

ROW = 0.19


def draw_attributes(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the rate and the main effect of each level of each attribute, means over models and tasks."""
    rates = rows_for(tables, "rates_attribute", ("method",), model="mean").astype({"level": str})
    effects = tables["effects_attribute"].astype({"levels": str})
    effects = effects[(effects["model"] == "mean") & (effects["kind"] == "main effect")]
    named = {"attributes": "attribute", "levels": "level", "lo": "effect_lo", "hi": "effect_hi"}
    effects = effects.rename(columns=named | {"difference": "effect"})
    frame = rates[["attribute", "level", "rate", "lo", "hi"]].merge(
        effects[["attribute", "level", "effect", "effect_lo", "effect_hi"]], how="left", on=["attribute", "level"]
    )
    methods = [*rates["method"], *effects["method"]]
    page = _page(
        context,
        say("attributes differ", **attributes_of(tables)),
        "Means over models and tasks. Left: refusal rate over all personas with the level. Right: main effect, which "
        "is the rate of the level minus the mean over the levels of its attribute. Lines: 95% intervals.",
        source_line(["rates_attribute", "effects_attribute"], methods),
        frame,
    )
    _panels(page, frame.assign(expected=np.nan), "main effect (points)")
    return page.figure, frame


def draw_interactions(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the rate of each combination of levels, the sum of its main effects, and how far the two are apart."""
    found = rows_for(tables, "effects_attribute", ("method",), model="mean", kind="interaction")
    named = {"attributes": "attribute", "levels": "level", "lo": "effect_lo", "hi": "effect_hi"}
    columns = ["attribute", "level", "rate", "expected", "effect", "effect_lo", "effect_hi"]
    frame = found.astype({"levels": str}).rename(columns=named | {"difference": "effect"})[columns]
    page = _page(
        context,
        say("attributes interact", **interactions_of(tables)),
        "Means over models and tasks. Left: refusal rate of each combination of levels (filled), and the rate that its "
        "main effects add up to (hollow). Right: the interaction, which is the difference of the two, with its 95% "
        "interval.",
        source_line(["effects_attribute"], list(found["method"])),
        frame,
    )
    _panels(page, frame.assign(lo=np.nan, hi=np.nan), "interaction (points)")
    keys = [key(INK, line=False, label="rate"), key(GREY, hollow=True, line=False, label="mean plus main effects")]
    page.figure.legend(handles=keys, **below(page, 2))
    return page.figure, frame


def _page(context: Context, message: str, reading: str, source: str, frame: pd.DataFrame) -> Page:
    return Page(context, message, reading, source, body=_rows(frame).height * ROW + 0.8)


def _rows(frame: pd.DataFrame):
    """Rows by attribute, named by their numbers, because two attributes may have the same level."""
    return grouped_rows({str(k): group for k, group in enumerate(frame["attribute"])})


def _panels(page: Page, frame: pd.DataFrame, effect: str) -> None:
    """Draw rates at the left and effects at the right, in rows of level within attribute.

    frame : attribute, level, rate, lo, hi, expected, effect, effect_lo, effect_hi; missing values are not drawn.
    effect : the title of the axis of effects.
    """
    rows, shade = _rows(frame), of_attributes(frame["attribute"])
    names = {str(k): name for k, name in enumerate(frame["level"])}
    y = pd.Series([rows.at[name] for name in names])
    left, gap = 0.4 + 0.058 * max(map(len, [*names.values(), *shade])), 0.75
    width = (page.width - left - gap - 0.6) / 2
    points = 100 * frame.drop(columns=["attribute", "level"])
    rates, effects = ["rate", "lo", "hi", "expected"], ["effect", "effect_lo", "effect_hi"]
    for k, (of_panel, title) in enumerate(((rates, "mean refusal rate (%)"), (effects, effect))):
        ax = page.axes(left + k * (width + gap), 0.2, width, rows.height * ROW)
        low, high = points[of_panel].min(axis=None), points[of_panel].max(axis=None)
        linear_axis(ax, title, low if k else 0, high, zero_line=bool(k))
        same_rows(ax, rows) if k else label_rows(ax, rows, names, shade)
        if not k:
            none = np.full(len(frame), np.nan)
            whiskers(ax, y, points["expected"], none, none, Dot(GREY, hollow=True, size=4.5))
        for name, colour in shade.items():
            own = (frame["attribute"] == name).to_numpy()
            estimate, lo, hi = (points.loc[own, column] for column in of_panel[:3])
            whiskers(ax, y[own], estimate, lo, hi, Dot(colour))
        write = signed_points if k else percent
        texts_right_of(ax, y, [write(value) for value in frame[of_panel[0]]])
