"""The paper's claims as tests: effect, interval and verdict of each."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from falserefusal.figures.context import Context
from falserefusal.figures.dots import rows_for
from falserefusal.figures.style import GREY, WARNING, Page, number, plural, source_line

# a word, a colour and a symbol each, so that no reader depends on one of them
VERDICTS = {"supported": ("#00735c", "✓"), "contradicted": (WARNING, "✗"), "inconclusive": (GREY, "?")}


def draw_claims(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """One row a claim: statement, effect with interval on a scale of its own, verdict; from `claims`."""
    frame = rows_for(tables, "claims", ("effect", "lo", "hi"))
    counts = frame["verdict"].value_counts()
    message = f"Of {plural(len(frame), 'claim')}: " + ", ".join(
        f"{counts[v]} {v}" for v in dict.fromkeys(frame["verdict"])
    )
    wrapped = [textwrap.wrap(str(statement), 62) for statement in frame["statement"]]
    heights = [max(len(lines), 2) * 0.125 + 0.12 for lines in wrapped]
    page = Page(
        context,
        message,
        "Dot: effect; line: 95% interval; vertical line: no effect. Units differ, so each row has its own scale; "
        "tables/claims.csv gives units and tests.",
        source_line(["claims"], []),
        body=sum(heights) + 0.15,
    )
    ax = page.axes(0, 0.05, page.width, sum(heights))
    ax.set_xlim(0, page.width)
    ax.set_ylim(sum(heights), 0)
    ax.set_axis_off()
    left, right = 3.75, 5.55  # where the effects are drawn
    middle, reach = (left + right) / 2, (right - left) / 2
    ax.plot([middle, middle], [0, sum(heights)], color=GREY, linewidth=0.7, zorder=1)
    top = 0.0
    for row, lines, height in zip(frame.itertuples(), wrapped, heights, strict=True):
        y = top + height / 2
        ax.text(0.12, y, "\n".join(lines), va="center", fontsize=7, linespacing=1.15)
        colour, sign = next((VERDICTS[v] for v in VERDICTS if str(row.verdict).startswith(v)), (GREY, "–"))
        values = np.array([row.effect, row.lo, row.hi], dtype=float)
        largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        scaled = middle + reach * values / largest if largest > 0 else np.full(3, middle)
        if np.isfinite(values[1:]).all():
            ax.plot(scaled[1:], [y, y], color=colour, linewidth=1.3, zorder=3)
        if np.isfinite(values[0]):
            ax.plot(scaled[0], y, "o", color=colour, markersize=4.5, zorder=4)
            ax.text(right + 0.12, y - 0.06, _short(values[0]), va="center", fontsize=7)
            if np.isfinite(values[1:]).all():
                text = f"{_short(values[1])} to {_short(values[2])}"
                ax.text(right + 0.12, y + 0.065, text, va="center", fontsize=6, color=GREY)
        verdict = "\n".join(textwrap.wrap(str(row.verdict), 20))
        ax.text(6.72, y, f"{sign} ", va="center", ha="right", fontsize=9, color=colour, weight="bold")
        ax.text(6.74, y, verdict, va="center", fontsize=7, color=colour, weight="bold", linespacing=1.1)
        top += height
        ax.plot([0.1, page.width - 0.1], [top, top], color="#e6e6e6", linewidth=0.5, zorder=0)
    return page.figure, frame


def _short(value: float) -> str:
    """Three significant digits whatever the unit."""
    return number(value) if 0.1 <= abs(value) < 1000 or value == 0 else f"{value:.2g}".replace("-", "−")
