"""Importance of each factor for the refusal rate: the Wasserstein index (Figure 5)."""

import pandas as pd
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.colours import of_tasks
from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    Dot,
    Rows,
    grouped_rows,
    in_order,
    key,
    label_rows,
    name_marks,
    printed_key,
    printed_marks,
    rows_for,
    texts_right_of,
    whiskers,
)
from falserefusal.figures.models import below, label_models, label_width, model_rows
from falserefusal.figures.said import importance_of
from falserefusal.figures.style import (
    GREY,
    INK,
    MARKERS,
    Page,
    linear_axis,
    number,
    source_line,
)

OPTIONAL = ("lo", "hi", "floor_q95", "printed", "method")
ROW = 0.21


def draw_importance(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the index of every factor, over the whole study and within each task; from `importance`."""
    frame = rows_for(tables, "importance", OPTIONAL)
    frame = frame[~frame["scope"].isin(context.models)]
    frame = frame.assign(factor=frame["factor"].map(context.say))
    whole = frame[frame["scope"] == "all"]
    ranked = whole.dropna(subset=["index"]).sort_values("index", ascending=False, kind="stable")
    message = say("importance", **importance_of(tables, context.say))
    message = message[0].upper() + message[1:]  # a heading can begin with the name of a factor

    factors = [*ranked["factor"], *(f for f in dict.fromkeys(frame["factor"]) if f not in set(ranked["factor"]))]
    scopes = [] if context.narrow else in_order(frame[frame["scope"] != "all"], "scope", [])
    rows = grouped_rows(dict.fromkeys(factors, ""), names=False)
    tall = max(len(factors) * max(ROW, 0.085 * max(len(scopes), 1)), 0.8)
    page = Page(
        context,
        message,
        "Wasserstein index as the paper defines it: 0 = the factor does not change the refusal rate, 1 = it determines "
        "every verdict. Line: 95% interval; grey bar: noise floor, 95% quantile of the index under permutation.",
        source_line(["importance"], frame["method"]),
        body=tall + 0.95,
    )
    left, gap = 0.95, 0.75
    width = (page.width - left - gap - 0.35) / 2 if scopes else page.width - left - 0.4
    ax = page.axes(left, 0.2, width, tall)
    _index_panel(ax, rows, "whole study")
    y = whole["factor"].map(rows.at)
    _floor(ax, y, whole)
    whiskers(ax, y, whole["index"], whole["lo"], whole["hi"], Dot(INK))
    printed_marks(ax, y, whole["printed"])
    texts_right_of(ax, y, [number(value) for value in whole["index"]])
    marks = [key(INK, label="this study")]
    if whole["printed"].notna().any():
        marks += [printed_key("printed in Figure 5")]
    if scopes:
        ax = page.axes(left + width + gap, 0.2, width, tall)
        _index_panel(ax, rows, "within one task")
        ax.set_yticklabels([])
        shade = of_tasks(scopes)
        spread = 0.27 if len(scopes) > 1 else 0.0
        for k, scope in enumerate(scopes):
            part = frame[frame["scope"] == scope]
            y = part["factor"].map(rows.at) + spread * (2 * k - len(scopes) + 1) / max(len(scopes) - 1, 1)
            colour, marker = shade[scope], MARKERS[k % 7]
            whiskers(ax, y, part["index"], part["lo"], part["hi"], Dot(colour, marker))
            marks.append(key(colour, marker, scope))
    page.figure.legend(handles=marks, **below(page, len(marks)))
    return page.figure, frame


def draw_importance_by_model(
    tables: dict[str, pd.DataFrame], context: Context, factor: str = "persona"
) -> tuple[Figure, pd.DataFrame]:
    """Draw the index of one factor within each model; from `importance`."""
    frame = rows_for(tables, "importance", OPTIONAL, factor=factor, scope=list(context.models))
    above = (frame["index"] > frame["floor_q95"]).sum()
    message = say("importance by model", factor=factor, above=above, models=frame["index"].notna().sum())
    rows = model_rows(frame["scope"], context)
    page = Page(
        context,
        message,
        f"Wasserstein index of {factor} in each model's own responses. Line: 95% interval; grey bar: noise floor, 95% "
        "quantile of the index under permutation. A model without refusals has no index (–).",
        source_line(["importance"], frame["method"]),
        body=rows.height * 0.165 + 0.55,
    )
    left = label_width(context)
    width = page.width - left - 0.5
    ax = page.axes(left, 0.05, width, rows.height * 0.165)
    y = frame["scope"].map(rows.at)
    reach = frame[["index", "hi", "floor_q95"]].max(axis=None)
    linear_axis(ax, "index", 0, reach)
    label_models(ax, rows, context)
    _floor(ax, y, frame)
    whiskers(ax, y, frame["index"], frame["lo"], frame["hi"], Dot(INK))
    texts_right_of(ax, y, [number(value) for value in frame["index"]])
    return page.figure, frame


def _index_panel(ax, rows: Rows, title: str) -> None:
    linear_axis(ax, "importance index", 0, 1)
    label_rows(ax, rows, {}, {}, size=7.5)
    ax.set_title(title, pad=4)


def _floor(ax, y, frame: pd.DataFrame) -> None:
    """Draw the noise floor, the 95% quantile of the index under permutation, as a bar behind the dot."""
    bars = ax.barh(y, frame["floor_q95"].fillna(0), height=0.6, color="#cfcfcf", zorder=1, linewidth=0)
    for bar, floor in zip(bars, frame["floor_q95"], strict=True):
        name_marks(bar, [f"noise floor {floor:.3g}"])
    ax.plot(frame["floor_q95"], y, linestyle="none", marker="|", markersize=9, color=GREY, zorder=2)
