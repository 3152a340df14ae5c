"""The common style of all figures: page, colours, scales and number formats."""

import textwrap
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from falserefusal.common.numbers import listing
from falserefusal.figures.context import Context
from falserefusal.figures.registry import PAPER_WIDTHS

VALUES = "values:"  # begins the id of dots, bars or cells in the SVG; then what a reader sees at each, with | between
MESSAGE = "message"  # id of the title in the SVG, which the page writes as its own heading
WIDTH = 8.0  # inches: the text width of an A4 or letter page at 80 to 85 %
PAPER_SIZES = 6.0, 7.0  # points: the smallest and the largest text in a figure for a paper
MARGIN = 0.12
TITLE_SIZE = 10.5  # points
INK, GREY, FAINT, WARNING = "#1a1a1a", "#5f5f5f", "#dedede", "#9c1c00"

LEVEL_COLOURS = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a $ in the name of a model or persona is a $
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # texts are texts: smaller, and they can be searched and read aloud
    "svg.hashsalt": "falserefusal",
}


def styled():
    """Return the matplotlib context of all figures, independent of the user's matplotlibrc."""
    return rc_context(RC)


class Drawing(Figure):
    """A figure that keeps its reading guide, which becomes its caption in a paper."""

    reading: str = ""


class Page:
    """A figure with banner, message, reading guide and source.

    Axes are placed in inches from the left edge and from the top of the body. So rows have the same height for any
    number of models, and nothing depends on an automatic layout. For a paper, the width is the paper's, and message,
    reading guide and source are left out: the caption has them.
    """

    def __init__(self, context: Context, message: str, reading: str, source: str, body: float, width: float = WIDTH):
        self.width = width = page_width(context, width)
        message, reading = context.say(message), context.say(reading)
        self.figure = Drawing()
        self.figure.set_label(message)  # read by the index of the figures
        self.figure.reading = f"{reading} {methods_of(source)}".strip()
        if context.paper:
            message = reading = source = ""
        lines = [
            (_wrap(context.banner, width, 8.5, bold=True), 8.5, WARNING, "bold"),
            (_wrap(message, width, TITLE_SIZE, bold=True), TITLE_SIZE, INK, "bold"),
            (_wrap(reading, width, 7.5), 7.5, GREY, "normal"),
        ]
        source = _wrap(source, width, 6.5)
        head = sum(_height(text, size) for text, size, *_ in lines) + (0.04 if context.paper else 0.14)
        foot = _height(source, 6.5) + 0.06
        self.height = head + body + foot
        self.figure.set_size_inches(width, self.height)
        self.head, self.body = head, body
        top = 0.02 if context.paper else 0.07
        for text, size, colour, weight in filter(lambda line: line[0], lines):
            self._text(MARGIN, top, text, size, colour, weight).set_gid(MESSAGE if size == TITLE_SIZE else None)
            top += _height(text, size)
        self._text(MARGIN, head + body, source, 6.5, GREY, "normal")

    def _text(self, x: float, y: float, text: str, size: float, colour: str, weight: str) -> Text:
        return self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontsize=size,
            color=colour,
            weight=weight,
            va="top",
            ha="left",
            linespacing=1.2,
        )

    def axes(self, left: float, top: float, width: float, height: float, **options) -> Axes:
        """Add axes whose upper left corner is `left` and `top` inches into the body."""
        bottom = self.height - self.head - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box, **options)


def page_width(context: Context, width: float = WIDTH) -> float:
    """Return the width of a figure in inches; `width` is that of a figure that is not for a paper."""
    return PAPER_WIDTHS.get(context.paper, width)


def methods_of(source: str) -> str:
    """Return the sentence about the intervals of a `source_line`, or an empty text."""
    return source[source.index("Intervals: ") :] if "Intervals: " in source else ""


def fit_for_paper(figure: Figure) -> None:
    """Bring all text to the sizes that a paper can print."""
    smallest, largest = PAPER_SIZES
    for text in figure.findobj(Text):
        text.set_fontsize(min(max(text.get_fontsize(), smallest), largest))


def _wrap(text: str, width: float, size: float, bold: bool = False) -> str:
    """Wrap text to the page, by the typical width of a character of DejaVu Sans."""
    em = 0.60 if bold else 0.53
    characters = int((width - 2 * MARGIN) * 72 / (size * em))
    return "\n".join(textwrap.fill(line, characters) for line in text.split("\n"))


def _height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * size * 1.22 / 72 + 0.05 if text else 0.0


def ink(colour: str) -> tuple[float, float, float]:
    """Return a darker shade of a colour, for text, which needs more contrast than dots."""
    red, green, blue = to_rgb(colour)
    return 0.68 * red, 0.68 * green, 0.68 * blue


class RateScale(NamedTuple):
    """The axis of rates: logarithmic if they span two decades, else linear from 0 to `top` percent."""

    log: bool
    top: float

    @property
    def note(self) -> str:
        """Return what a reader has to know about the scale, as a sentence with a space before it, or nothing."""
        return " The scale is linear below 0.1%." if self.log else ""


def rate_scale(rates, *limits) -> RateScale:
    """Choose the scale of some rates.

    Parameters
    ----------
    rates : the rates that are drawn, as proportions; those that are not 0 decide between the scales
    limits : what else has to be on the axis, such as upper limits
    """
    drawn = np.concatenate([np.asarray(values, dtype=float).ravel() for values in (rates, *limits)])
    rates = np.asarray(rates, dtype=float).ravel()
    rates = rates[np.isfinite(rates) & (rates > 0)]
    top = 100 * drawn[np.isfinite(drawn)].max(initial=0.0)
    return RateScale(len(rates) > 0 and rates.max() >= 100 * rates.min(), top or 100.0)


def rate_axis(ax: Axes, scale: RateScale, label: str = "refusal rate (%)") -> None:
    """Make the x axis of rates in percent.

    A logarithmic axis is linear up to 0.1% and ends at 100%, so that 0, 0.05 and 90% are legible.
    """
    if not scale.log:
        linear_axis(ax, label, 0, scale.top)
        ax.set_xlim(-0.025 * scale.top, 1.04 * scale.top)
        ax.locator_params(axis="x", nbins=4)
        return
    ax.set_xscale("symlog", linthresh=0.1, linscale=0.55)
    ax.set_xlim(-0.035, 140)
    ax.xaxis.set_major_locator(FixedLocator([0, 0.1, 1, 10, 100]))
    small = _inches(ax) < 1  # 0 and 0.1 would touch
    ax.xaxis.set_major_formatter(FixedFormatter(["0", "" if small else "0.1", "1", "10", "100"]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="x", color=FAINT, linewidth=0.5, zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel(label, labelpad=2)


def square_rate_axes(ax: Axes, scale: RateScale, x_label: str, y_label: str) -> None:
    """Make both axes like `rate_axis`, and draw the diagonal on which both values agree."""
    rate_axis(ax, scale, x_label)
    if scale.log:
        ax.set_yscale("symlog", linthresh=0.1, linscale=0.55)
        ax.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        ax.minorticks_off()
    else:
        ax.locator_params(axis="y", nbins=4)
    ax.set_ylim(ax.get_xlim())
    ax.grid(axis="y", color=FAINT, linewidth=0.5, zorder=0)
    far = ax.get_xlim()[1]
    ax.plot([0, far], [0, far], color=GREY, linewidth=0.7, zorder=1)
    ax.set_ylabel(y_label, labelpad=2)


def _inches(ax: Axes) -> float:
    """Return the width of some axes in inches."""
    figure = ax.get_figure(root=True)
    return float(ax.get_position().width * figure.get_size_inches()[0]) if figure else 0.0


def linear_axis(ax: Axes, label: str, low: float, high: float, zero_line: bool = False) -> None:
    """Make the x axis linear, with a margin at both ends."""
    if not np.isfinite([low, high]).all() or high <= low:
        low, high = 0.0, 1.0
    room = 0.04 * (high - low)
    ax.set_xlim(low - room, high + room)
    ax.locator_params(axis="x", nbins=6 if _inches(ax) > 1.5 else 4)
    ax.grid(axis="x", color=FAINT, linewidth=0.5, zorder=0)
    ax.set_axisbelow(True)
    if zero_line:
        ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    ax.set_xlabel(label, labelpad=2)


def percent(rate: float) -> str:
    """Write a proportion in percent without the sign, with useful digits: 0, <0.01, 0.06, 4.2, 76.5."""
    if not np.isfinite(rate):
        return "–"
    value = 100 * rate
    if value == 0:
        return "0"
    if abs(value) < 0.005:
        return "<0.01"
    return f"{value:.2f}" if abs(value) < 0.995 else f"{value:.1f}"


def number(value: float) -> str:
    """Write an index or coefficient with two decimals and a true minus sign."""
    return "–" if not np.isfinite(value) else f"{value:.2f}".replace("-", "−")


def task_title(task: str) -> str:
    """Write a task as the start of a sentence."""
    return "NLI" if task == "nli" else task.capitalize()


def source_line(names: list[str], methods: list[str]) -> str:
    """Name the tables of the numbers, and the methods of their intervals from the column method."""
    parts = [part for method in dict.fromkeys(methods) if isinstance(method, str) for part in method.split("; ")]
    methods = [part for part in dict.fromkeys(parts) if part and not part.startswith("not fitted")]
    text = "Drawn from " + listing([f"tables/{name}.csv" for name in names]) + "."
    return text + (f" Intervals: {'; '.join(methods)}." if methods else "")
