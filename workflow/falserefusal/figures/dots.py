"""Rows of dots with whiskers, which most figures consist of."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from falserefusal.figures.style import GREY, INK, VALUES, WARNING, ink

_CORRECTED: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": INK, "markeredgewidth": 0.8}


class NothingToDraw(Exception):
    """A figure's tables have no rows for it; the message names the table and the levels."""


class Rows(NamedTuple):
    """Vertical places of names and of group headings, from the top, in rows."""

    at: dict[str, float]
    headings: dict[str, float]
    height: float


def grouped_rows(groups: dict[str, str], heading: float = 1.0, gap: float = 0.35, names: bool = True) -> Rows:
    """Return a row for each name, under a heading for each group; names keep their order within a group.

    Parameters
    ----------
    groups : each name's group
    heading, gap : height of a heading and of the space before it, in rows
    names : whether groups have headings
    """
    at: dict[str, float] = {}
    headings: dict[str, float] = {}
    y = 0.0
    for group in dict.fromkeys(groups.values()):
        y += gap if at else 0.0
        if names and group:
            headings[group] = y
            y += heading
        for name in (name for name, member in groups.items() if member == group):
            at[name] = y
            y += 1.0
    return Rows(at, headings, y)


def label_rows(ax: Axes, rows: Rows, labels: dict[str, str], colours: dict[str, str], size: float = 7.0) -> None:
    """Write names at the left of `ax`, and headings in the colour of their group; y runs downwards."""
    ax.set_ylim(rows.height - 0.4, -0.6)
    ax.set_yticks(list(rows.at.values()), [labels.get(name, name) for name in rows.at], fontsize=size)
    ax.tick_params(axis="y", length=0, pad=3)
    ax.spines["left"].set_visible(False)
    for group, y in rows.headings.items():
        ax.annotate(
            group,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=size + 0.5,
            weight="bold",
            color=ink(colours.get(group, INK)),
            annotation_clip=False,
        )


def same_rows(ax: Axes, rows: Rows) -> None:
    """Give a further panel the same rows, without names."""
    ax.set_ylim(rows.height - 0.4, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


class Dot(NamedTuple):
    """Style of a dot."""

    colour: str
    marker: str = "o"
    hollow: bool = False
    size: float = 4.0


def whiskers(ax: Axes, y, estimate, lo, hi, dot: Dot) -> None:
    """Draw dots at `estimate` with lines from `lo` to `hi`; missing intervals and dots are left out."""
    y, estimate, lo, hi = (np.atleast_1d(np.asarray(values, dtype=float)) for values in (y, estimate, lo, hi))
    known = np.isfinite(lo) & np.isfinite(hi) & np.isfinite(estimate)
    if known.any():
        ax.hlines(y[known], lo[known], hi[known], color=dot.colour, linewidth=1.1, zorder=3, capstyle="butt")
    (dots,) = ax.plot(
        estimate,
        y,
        linestyle="none",
        marker=dot.marker,
        markersize=dot.size,
        markerfacecolor="white" if dot.hollow else dot.colour,
        markeredgecolor=dot.colour,
        markeredgewidth=0.9,
        zorder=4,
        clip_on=False,
    )
    shown = np.isfinite(estimate) & np.isfinite(y)
    name_marks(dots, map(value_text, estimate[shown], lo[shown], hi[shown]))


def name_marks(marks: Artist, texts: Iterable[str]) -> None:
    """Give each dot, bar or cell of an artist a text that the page shows at the pointer."""
    marks.set_gid(VALUES + "|".join(text.replace("|", "/") for text in texts))


def value_text(estimate: float, lo: float, hi: float) -> str:
    """Write the value of a dot and its interval, in the unit of the axis."""
    text = f"{estimate:.3g} ({lo:.3g} to {hi:.3g})" if np.isfinite([lo, hi]).all() else f"{estimate:.3g}"
    return text.replace("-", "−")


def printed_marks(ax: Axes, y, values, size: float = 5.5) -> None:
    """Draw printed values as hollow diamonds, in which the dots stay visible."""
    ax.plot(
        np.asarray(values, dtype=float),
        np.asarray(y, dtype=float),
        linestyle="none",
        marker="D",
        markersize=size,
        markerfacecolor="none",
        markeredgecolor=WARNING,
        markeredgewidth=0.8,
        zorder=5,
        clip_on=False,
    )


def corrected_marks(ax: Axes, y, values) -> None:
    """Draw rates corrected for labelling error as hollow squares."""
    y, values = np.asarray(y, dtype=float), np.asarray(values, dtype=float)
    ax.plot(values, y, linestyle="none", marker="s", markersize=3.2, zorder=5, clip_on=False, **_CORRECTED)


def corrected_key() -> Line2D:
    """Return the legend entry of `corrected_marks`."""
    return Line2D([], [], linewidth=0, marker="s", markersize=4, label="corrected for labelling error", **_CORRECTED)


def texts_right_of(ax: Axes, y, texts: list[str], size: float = 6.5) -> None:
    """Write a text to the right of `ax` in each row."""
    for row, text in zip(y, texts, strict=True):
        ax.annotate(
            text,
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            ha="left",
            va="center_baseline",
            fontsize=size,
            color=GREY,
            annotation_clip=False,
        )


def value_column(ax: Axes, y, texts: list[str], head: str, inches: float, size: float = 6.5) -> None:
    """Write a column of numbers with a heading, right-aligned `inches` to the right of `ax`."""
    for row, text in [(-0.85, head), *zip(y, texts, strict=True)]:
        ax.annotate(
            text,
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(72 * inches, 0),
            textcoords="offset points",
            ha="right",
            va="center_baseline",
            fontsize=size,
            color=GREY,
            annotation_clip=False,
        )


def key(colour: str = INK, marker: str = "o", label: str = "", hollow: bool = False, line: bool = True) -> Line2D:
    """Return a legend entry in the style of `whiskers`."""
    return Line2D(
        [],
        [],
        color=colour,
        marker=marker,
        markersize=4.5,
        markerfacecolor="white" if hollow else colour,
        markeredgecolor=colour,
        linewidth=1.1 if line else 0,
        label=label,
    )


def printed_key(label: str = "printed in the paper") -> Line2D:
    """Return the legend entry of `printed_marks`."""
    return Line2D(
        [], [], linewidth=0, marker="D", markersize=5.5, markerfacecolor="none", markeredgecolor=WARNING, label=label
    )


def in_order(frame: pd.DataFrame, column: str, order: list[str]) -> list[str]:
    """Return the levels that `column` has, in the given order; unknown ones come last."""
    present = list(dict.fromkeys(frame[column]))
    return [level for level in order if level in present] + [level for level in present if level not in order]


def rows_for(tables: dict[str, pd.DataFrame], table: str, optional: tuple[str, ...] = (), **levels) -> pd.DataFrame:
    """Return the rows of a table at the given levels (`task="nli"`); absent `optional` columns are added empty.

    Raises NothingToDraw if no row is left.
    """
    frame = tables[table]
    for column, level in levels.items():
        frame = frame[frame[column].isin([level] if isinstance(level, str) else level)]
    if frame.empty:
        where = ", ".join(f"{column} {level}" for column, level in levels.items() if isinstance(level, str))
        raise NothingToDraw(f"tables/{table}.csv has no rows" + (f" for {where}" if where else ""))
    return frame.assign(**{column: np.nan for column in optional if column not in frame}).reset_index(drop=True)
