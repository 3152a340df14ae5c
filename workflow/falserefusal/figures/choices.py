"""The figure of a study's choices: how far each one moves the headline results, next to their sampling errors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import Dot, Rows, label_rows, same_rows, whiskers
from falserefusal.figures.style import FAINT, GREY, INK, WIDTH, Page

RATE, EFFECT = "refusal rate", "mean persona effect"
MOST_RATES = 4  # panels of models and tasks; with more, the means over models are drawn
LEFT, GAP, ROW = 1.62, 0.16, 0.19  # inches
CLEAR, OTHER = "#D55E00", INK
READING = (
    "Change of each result from the study's own settings to one other setting, on the same prompts, with its 95 % "
    "interval from texts. Grey band: 95 % interval of the result itself (number under each heading). Orange square: "
    "the change differs from 0 after Holm's correction over the whole table. Hollow: no verdict changed. Filled dot "
    "without a line: no interval, because too few texts are refused."
)


def specification_curve(table: pd.DataFrame, context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw a row for each choice and a panel for each headline result.

    Parameters
    ----------
    table : the table choices.
    context : names and notices of the study.

    Returns
    -------
    The figure and the rows that it shows.
    """
    table = table.fillna({"model": "", "task": "", "factor": ""})
    panels = _panels(table)
    shown = pd.concat([_rows_of(table, key) for key in panels], ignore_index=True)
    choices = list(dict.fromkeys(table["choice"]))
    rows = Rows({name: float(k) for k, name in enumerate(choices)}, {}, float(len(choices)))
    rates = [panel for panel in panels if panel[0] in (RATE, EFFECT)]
    lines = [rates, panels[len(rates) :]]
    height = ROW * rows.height
    source = "Drawn from tables/choices.csv. Intervals: paired by prompt, Student's limits from texts."
    page = Page(context, _message(shown), READING, source, 2 * (height + 0.85))
    for number, line in enumerate(lines):
        width = (WIDTH - LEFT - 0.15 - GAP * (len(line) - 1)) / max(len(line), 1)
        for k, key in enumerate(line):
            part = _rows_of(table, key)
            alike = shown[shown["quantity"] == RATE] if key[0] == RATE else part  # rates have one scale
            ax = page.axes(LEFT + k * (width + GAP), 0.32 + number * (height + 0.85), width, height)
            _panel(ax, part, rows, _reach(alike), context)
            if k == 0:
                label_rows(ax, rows, {name: name.replace("_", " ") for name in choices}, {})
            else:
                same_rows(ax, rows)
    return page.figure, shown


def _panels(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """The results that have a panel: rates (of models, if they are few), effect, importances."""
    keys = list(dict.fromkeys(table[["quantity", "model", "task", "factor"]].itertuples(index=False, name=None)))
    single = [key for key in keys if key[0] == RATE and key[1] != "mean"]
    left_out = single if len(single) > MOST_RATES else [key for key in keys if key[0] == RATE and key[1] == "mean"]
    return [key for key in keys if key not in left_out]


def _rows_of(table: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    return table[(table[["quantity", "model", "task", "factor"]] == list(key)).all(axis=1)]


def _reach(part: pd.DataFrame) -> float:
    """The largest distance from 0 that is drawn, with some room."""
    ends = [part["d_lo"], part["d_hi"], part["difference"], part["lo"] - part["default"], part["hi"] - part["default"]]
    return 1.08 * float(np.abs(ends).max(where=np.isfinite(ends), initial=0)) or 1.0


def _panel(ax: Axes, part: pd.DataFrame, rows: Rows, reach: float, context: Context) -> None:
    """One result: its own interval as a band, and a dot for each choice."""
    own = part.iloc[0]
    quantity, scale = own["quantity"], 1.0 if own["factor"] else 100.0
    if np.isfinite([own["lo"], own["hi"]]).all():
        ax.axvspan(scale * (own["lo"] - own["default"]), scale * (own["hi"] - own["default"]), color=FAINT, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    for row in part.itertuples():
        clear, unmoved = row.p_holm <= 0.05, row.verdicts_changed == 0
        dot = Dot(CLEAR if clear else OTHER, "s" if clear else "o", hollow=unmoved, size=4.5 if clear else 3.5)
        whiskers(ax, rows.at[row.choice], scale * row.difference, scale * row.d_lo, scale * row.d_hi, dot)
    ax.set_xlim(-scale * reach, scale * reach)
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel("points" if scale == 100 else "index", labelpad=2)
    value = "undefined" if not np.isfinite(own["default"]) else f"{scale * own['default']:.3g}"
    value = value.replace("-", "−") + (" %" if quantity == RATE else " points" if quantity == EFFECT else "")
    heads = {
        RATE: f"{context.model_label(own['model'])}\n{own['task']}, {value}",
        EFFECT: f"mean persona effect\n{value}",
    }
    ax.set_title(heads.get(quantity, f"importance: {own['factor']}\n{value}"), fontsize=7, pad=3)


def _message(table: pd.DataFrame) -> str:
    """What was found: only choices that move a result beyond sampling error are named."""
    moved = table[table["p_holm"] <= 0.05]
    names = list(dict.fromkeys(moved["choice"].str.replace("_", " ")))
    return say("choices", choices=table["choice"].nunique(), moved=names)
