"""The paper's claims as tests: effect, interval and conclusion of each."""

import textwrap
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falserefusal.common.notice import suffixed
from falserefusal.common.sentences import say
from falserefusal.figures.context import Context
from falserefusal.figures.dots import rows_for
from falserefusal.figures.style import FAINT, GREY, INK, WARNING, Page, number, source_line

# each has a word, a colour and a symbol, so that no reader depends on colour
CONCLUSIONS = {"supported": ("#00735c", "✓"), "contradicted": (WARNING, "✗"), "inconclusive": (GREY, "?")}


def draw_claims(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw one row per claim: statement, effect with interval on its own scale, conclusion; from `claims`."""
    frame = rows_for(tables, "claims", ("effect", "effect_unit", "lo", "hi", "note"))
    counts = frame["conclusion"].value_counts()
    message = say("claims", counts={word: counts[word] for word in dict.fromkeys(frame["conclusion"])})
    if context.paper:
        return _for_paper(frame, context, message), frame
    wrapped = [textwrap.wrap(str(statement), 62) for statement in frame["statement"]]
    name = suffixed(context.models, context.model_suffix)
    notes = [textwrap.wrap(name(note), 80) if isinstance(note, str) else [] for note in frame["note"]]
    heights = [max(0.12 * len(a) + 0.1 * len(b), 0.25) + 0.16 for a, b in zip(wrapped, notes, strict=True)]
    page = Page(
        context,
        message,
        "Dot: effect; line: 95% interval; vertical line: no effect (0, or a ratio of 1). Units differ, so each row has "
        "its own scale. The rule of each conclusion is in tables/claims.csv.",
        source_line(["claims"], []),
        body=sum(heights) + 0.15,
    )
    ax = page.axes(0, 0.05, page.width, sum(heights))
    ax.set_xlim(0, page.width)
    ax.set_ylim(sum(heights), 0)
    ax.set_axis_off()
    left, right = 4.0, 5.5  # inches between which the effects are drawn
    middle, reach = (left + right) / 2, (right - left) / 2
    ax.plot([middle, middle], [0, sum(heights)], color=GREY, linewidth=0.7, zorder=1)
    top = 0.0
    for row, lines, note, height in zip(frame.itertuples(), wrapped, notes, heights, strict=True):
        y = top + height / 2
        ax.text(0.12, top + 0.07, "\n".join(lines), va="top", fontsize=7, linespacing=1.15)
        below = top + 0.09 + 0.12 * len(lines)
        ax.text(0.12, below, "\n".join(note), va="top", fontsize=5.8, linespacing=1.15, color=GREY)
        colour, sign = mark_of(str(row.conclusion))
        values, unit = _values(row)
        _mark(ax, y, middle + reach * _along(values, ratio=unit == "ratio"), values, colour)
        if np.isfinite(values[0]):
            ax.text(right + 0.12, y - 0.06, f"{_short(values[0])} {unit}", va="center", fontsize=7)
            if np.isfinite(values[1:]).all():
                text = f"{_short(values[1])} to {_short(values[2])}"
                ax.text(right + 0.12, y + 0.065, text, va="center", fontsize=6, color=GREY)
        conclusion = "\n".join(textwrap.wrap(str(row.conclusion), 20))
        ax.text(6.78, y, f"{sign} ", va="center", ha="right", fontsize=9, color=colour, weight="bold")
        ax.text(6.8, y, conclusion, va="center", fontsize=7, color=colour, weight="bold", linespacing=1.1)
        top += height
        ax.plot([0.1, page.width - 0.1], [top, top], color="#e6e6e6", linewidth=0.5, zorder=0)
    return page.figure, frame


def _for_paper(frame: pd.DataFrame, context: Context, message: str) -> Figure:
    """Draw the claims for a paper, without remarks; in a column, conclusion and effect are below the claim."""
    at = PLACES[context.paper]
    blocks = [_block(row, at) for row in frame.itertuples()]
    details = [max(len(block.conclusion), len(block.values)) for block in blocks]
    above = [len(block.claim) if at.below else 0 for block in blocks]
    lines = [max(len(block.claim), a + d) for block, a, d in zip(blocks, above, details, strict=True)]
    heights = [LINE * count + 0.12 for count in lines]
    page = Page(
        context,
        message,
        "Dot: effect; line: 95% interval; vertical line: no effect (0, or a ratio of 1). Each claim has its own scale.",
        source_line(["claims"], []),
        body=sum(heights) + 0.1,
    )
    ax = page.axes(0, 0, page.width, sum(heights))
    ax.set_xlim(0, page.width)
    ax.set_ylim(sum(heights), 0)
    ax.set_axis_off()
    middle, reach = (at.left + at.right) / 2, (at.right - at.left) / 2
    top = 0.0
    for row, block, over, detail, height in zip(frame.itertuples(), blocks, above, details, heights, strict=True):
        colour, _ = mark_of(str(row.conclusion))
        below = top + 0.06 + LINE * over
        places = (0.08, top + 0.06, block.claim, INK), (at.conclusion, below, block.conclusion, colour)
        for x, y, text, ink in (*places, (at.values, below, block.values, GREY)):
            ax.text(x, y, "\n".join(text), va="top", fontsize=6.2, linespacing=1.15, color=ink)
        values, unit = _values(row)
        ax.plot([middle, middle], [below, below + LINE * detail], color=GREY, linewidth=0.6, zorder=1)
        _mark(ax, below + LINE * detail / 2, middle + reach * _along(values, ratio=unit == "ratio"), values, colour)
        top += height
        ax.plot([0.08, page.width - 0.08], [top, top], color=FAINT, linewidth=0.5, zorder=0)
    return page.figure


class _Places(NamedTuple):
    """Inches from the left edge at which the parts of a claim begin; left and right: of the drawn effect."""

    claim_ends: float
    conclusion: float
    left: float
    right: float
    values: float
    below: bool  # conclusion and effect are below the claim, not next to it


class _Block(NamedTuple):
    """The lines of text of a claim."""

    claim: list[str]
    conclusion: list[str]
    values: list[str]


LINE = 0.112  # inches from one line to the next in a paper
LETTER = 0.048  # inches: width of a letter there
PLACES = {
    "column": _Places(2.95, 0.08, 0.95, 1.6, 1.68, True),
    "text": _Places(2.8, 2.9, 3.8, 4.8, 4.9, False),
}


def _block(row, at: _Places) -> _Block:
    _, sign = mark_of(str(row.conclusion))
    values, unit = _values(row)
    effect = textwrap.wrap(f"{_short(values[0])} {unit}", 26) if np.isfinite(values[0]) else []
    if np.isfinite(values[1:]).all():
        effect.append(f"{_short(values[1])} to {_short(values[2])}")
    return _Block(
        textwrap.wrap(str(row.statement), int((at.claim_ends - 0.08) / LETTER)),
        textwrap.wrap(f"{sign} {row.conclusion}", int((at.left - at.conclusion) / LETTER)),
        effect,
    )


def _values(row) -> tuple[np.ndarray, str]:
    """The effect of a claim with the limits of its interval, and their unit."""
    values = np.array([row.effect, row.lo, row.hi], dtype=float)
    return values, row.effect_unit if isinstance(row.effect_unit, str) else ""


def _mark(ax: Axes, y: float, scaled: np.ndarray, values: np.ndarray, colour: str) -> None:
    """Draw an effect and its interval, as far as they are known."""
    if np.isfinite(values[1:]).all():
        ax.plot(scaled[1:], [y, y], color=colour, linewidth=1.3, zorder=3)
    if np.isfinite(values[0]):
        ax.plot(scaled[0], y, "o", color=colour, markersize=4.5, zorder=4)


def mark_of(conclusion: str) -> tuple[str, str]:
    """Return the colour and the symbol of a conclusion, which may be qualified ("supported on one scale only")."""
    return next((mark for word, mark in CONCLUSIONS.items() if conclusion.startswith(word)), (GREY, "–"))


def _along(values: np.ndarray, ratio: bool) -> np.ndarray:
    """Scale the values of one row to -1 to 1, with no effect at 0; ratios are on the log scale."""
    values = np.log(np.maximum(values, 0.01)) if ratio else values  # smaller ratios are drawn at 0.01
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return values / largest if largest > 0 else np.zeros_like(values)


def _short(value: float) -> str:
    """Write a number with two decimals; small and large ones with two significant digits."""
    return number(value) if 0.1 <= abs(value) < 1000 or value == 0 else f"{value:.2g}".replace("-", "−")
