"""Effect of the choice of labeller, of "No" as an answer, and of correcting rates by annotation."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from falserefusal.common.numbers import index, points
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE, TASKS
from falserefusal.common.sentences import say
from falserefusal.figures.claims import mark_of
from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    Dot,
    NothingToDraw,
    grouped_rows,
    in_order,
    key,
    label_rows,
    name_marks,
    rows_for,
    same_rows,
    texts_right_of,
    value_column,
    whiskers,
)
from falserefusal.figures.models import (
    below,
    family_colours,
    label_models,
    label_width,
    model_rows,
    signed_points,
)
from falserefusal.figures.personas import attribute_colours, persona_rows, persona_width
from falserefusal.figures.style import (
    GREY,
    INK,
    LEVEL_COLOURS,
    MARKERS,
    Page,
    linear_axis,
    number,
    percent,
    rate_axis,
    rate_scale,
    source_line,
    task_title,
)

ROW = 0.165  # inches a row of dots takes
RANGE = "#f2d6a2"  # bar behind dots
DIFFERENCE, RATE, IMPORTANCE = "persona minus baseline", "mean rate of a persona", "importance of a factor"


def draw_no_answers(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw printed rates and the rates without possible "No" answers, one panel per task; from `no_answers`."""
    frame = rows_for(tables, "no_answers", ("share_of_refusals",))
    whole = frame[(frame["task"] == ALL) & (frame["rate"] > 0)]
    half = (whole["share_of_refusals"] > 0.5).sum()
    rest = whole.loc[~(whole["share_of_refusals"] > 0.5), "share_of_refusals"].dropna()
    shares = (rest.min(), rest.max()) if len(rest) else None
    message = say("no as an answer", models=len(whole), half=half, shares=shares)
    tasks = [*(task for task in dict.fromkeys(frame["task"]) if task != ALL), ALL]
    scale = rate_scale(frame[["rate_without", "rate"]])
    rows = model_rows(frame["model"], context)
    page = Page(
        context,
        message,
        "The paper's list counts a response that starts with “No,” or “No.” as a refusal, even to a yes/no question. "
        "Filled: printed rate; hollow: rate if all templates were refused as often as the one that is not a yes/no "
        "question; number: share of the refusals between the two, in %. A bound; its assumptions are on the page."
        + scale.note,
        source_line(["no_answers"], []),
        body=rows.height * ROW + 0.85,
    )
    left, gap, shade = label_width(context), 0.46, family_colours(context)
    width = (page.width - left - 0.4 - gap * (len(tasks) - 1)) / len(tasks)
    for i, task in enumerate(tasks):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * ROW)
        rate_axis(ax, scale)
        label_models(ax, rows, context) if i == 0 else same_rows(ax, rows)
        ax.set_title("Mean of the tasks" if task == ALL else task_title(task), pad=4)
        part = frame[frame["task"] == task]
        for cell in part.itertuples():
            y, colour = rows.at[cell.model], shade.get(context.models.get(cell.model, ""), INK)
            pair = [100 * cell.rate_without, 100 * cell.rate]
            ax.plot(pair, [y, y], color=colour, linewidth=1.4, alpha=0.4, zorder=2)
            whiskers(ax, y, pair[0], np.nan, np.nan, Dot(colour, hollow=True))
            whiskers(ax, y, pair[1], np.nan, np.nan, Dot(colour))
        shares = part["share_of_refusals"]
        texts_right_of(ax, part["model"].map(rows.at), [f"{100 * s:.0f}" if s == s else "–" for s in shares])
    marks = [key(GREY, label="printed rate", line=False)]
    marks.append(key(GREY, hollow=True, label="without possible “No” answers", line=False))
    page.figure.legend(handles=marks, **below(page, 2))
    return page.figure, frame


def draw_labeller_personas(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the effect of each persona under each labeller, or its rate if there is no baseline; `labeller_headline`."""
    frame = rows_for(tables, "labeller_headline", ("lo", "hi", "method"))
    paired = DIFFERENCE in set(frame["quantity"])
    frame = _quantity(frame, DIFFERENCE if paired else RATE)
    labellers = list(dict.fromkeys(frame["labeller"]))
    what = "the effect" if paired else "the mean rate"
    message = _largest_gap(frame, f"{what} of a persona", "points")
    rows = persona_rows(pd.Series(in_order(frame, "item", list(context.personas))), context)
    reading = "The same responses under each labeller. Mean over models and tasks; line: 95% interval. "
    reading += "Right of 0: more refusals with the persona than without." if paired else ""
    page = Page(
        context,
        message,
        reading,
        source_line(["labeller_headline"], frame["method"]),
        body=rows.height * (row := _row(labellers)) + 0.8,
    )
    column, left = 0.0 if context.narrow else 0.62, persona_width(context)
    ax = page.axes(left, 0.2, page.width - left - 0.2 - column * len(labellers), rows.height * row)
    ends = 100 * frame[["estimate", "lo", "hi"]].to_numpy(dtype=float)
    ends = ends[np.isfinite(ends)]
    axis = "difference, percentage points" if paired else "mean refusal rate (%)"
    linear_axis(ax, axis, min(ends.min(), 0), max(ends.max(), 0), zero_line=paired)
    label_rows(ax, rows, {}, attribute_colours(context))
    write = signed_points if paired else percent
    _by_labeller(page, ax, frame, rows.at, 100, write, column)
    return page.figure, frame


def draw_labeller_importance(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the importance of every factor under each labeller; from `labeller_headline`."""
    frame = _quantity(rows_for(tables, "labeller_headline", ("lo", "hi", "method")), IMPORTANCE)
    labellers = list(dict.fromkeys(frame["labeller"]))
    frame = frame.assign(item=frame["item"].map(context.say))
    first = frame[frame["labeller"] == labellers[0]].sort_values("estimate", ascending=False, kind="stable")["item"]
    message = _largest_gap(frame, "the importance of a factor", "")
    rows = grouped_rows(dict.fromkeys(first, ""))
    page = Page(
        context,
        message,
        "The same responses under each labeller. Symbol: Wasserstein index of the factor (0: no effect, 1: "
        "it determines every verdict); line: 95% interval.",
        source_line(["labeller_headline"], frame["method"]),
        body=rows.height * (row := max(0.3, _row(labellers))) + 0.8,
    )
    column, left = 0.0 if context.narrow else 0.62, 0.9
    ax = page.axes(left, 0.2, page.width - left - 0.2 - column * len(labellers), rows.height * row)
    linear_axis(ax, "importance (index)", 0, np.nanmax(frame[["estimate", "hi"]].to_numpy(dtype=float)))
    ax.set_xlim(left=0)
    label_rows(ax, rows, {}, {})
    _by_labeller(page, ax, frame, rows.at, 1, number, column)
    return page.figure, frame


def draw_labeller_claims(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw the conclusion and effect of every claim, one column per labeller; from `labeller_claims`."""
    frame = rows_for(tables, "labeller_claims", ("effect", "effect_unit", "lo", "hi"))
    labellers = list(dict.fromkeys(frame["labeller"]))
    conclusions = frame.pivot(index="claim", columns="labeller", values="conclusion")
    conclusions = conclusions.loc[list(dict.fromkeys(frame["claim"]))]
    same = (conclusions.nunique(axis=1) == 1).sum()
    message = say("claims by labeller", same=same, claims=len(conclusions))
    statements = frame.drop_duplicates("claim").set_index("claim")["statement"]
    width, left = 8.0, 3.4 if len(labellers) < 3 else 2.6
    column = (width - left - 0.15) / len(labellers)
    cells = {
        (cell.claim, cell.labeller): (textwrap.wrap(cell.conclusion, int(column * 14) - 2), _effect(cell))
        for cell in frame.itertuples()
    }
    wrapped = {claim: textwrap.wrap(str(statements[claim]), int(17.5 * (left - 0.25))) for claim in conclusions.index}
    heights = {
        claim: 0.14
        + max(0.125 * len(lines), *(_tall(*cells[claim, name]) for name in labellers if (claim, name) in cells))
        for claim, lines in wrapped.items()
    }
    head = 0.28
    page = Page(
        context,
        message,
        "Tests of the paper's claims on the same responses under each labeller: conclusion, effect and 95% interval. "
        "Grey band: the labellers lead to different conclusions.",
        source_line(["labeller_claims"], []),
        body=(total := head + sum(heights.values())) + 0.12,
    )
    ax = page.axes(0, 0.03, width, total)
    ax.set_xlim(0, width)
    ax.set_ylim(total, 0)
    ax.set_axis_off()
    for k, labeller in enumerate(labellers):
        ax.text(left + k * column, head / 2, labeller, va="center", fontsize=8, weight="bold")
    top = head
    for claim, lines in wrapped.items():
        height = heights[claim]
        if conclusions.loc[claim].nunique() > 1:
            ax.axhspan(top, top + height, xmin=0.1 / width, xmax=1 - 0.1 / width, color="#efefef", zorder=0)
        ax.text(0.15, top + height / 2, "\n".join(lines), va="center", fontsize=7, linespacing=1.15)
        for k, labeller in enumerate(labellers):
            if (claim, labeller) not in cells:
                continue
            words, effect = cells[claim, labeller]
            colour, sign = mark_of(conclusions.loc[claim, labeller])
            x, y = left + k * column, top + (height - _tall(words, effect)) / 2
            ax.text(x, y, sign, va="top", fontsize=7.5, color=colour, weight="bold")
            conclusion = "\n".join(words)
            ax.text(x + 0.14, y, conclusion, va="top", fontsize=7.5, color=colour, weight="bold", linespacing=1.1)
            ax.text(x + 0.14, y + 0.125 * len(words) + 0.01, "\n".join(effect), va="top", fontsize=6, color=GREY)
        top += height
        ax.plot([0.1, width - 0.1], [top, top], color="#e6e6e6", linewidth=0.5, zorder=1)
    return page.figure, frame


def draw_corrected_models(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by model and task before and after correction for the labeller's errors; from `corrected_rates`."""
    frame = _first_labeller(rows_for(tables, "corrected_rates", ("method",), group=ANY_PERSONA))
    frame = frame[(frame["task"] != ALL) & (frame["model"] != ALL)]
    if frame.empty:
        raise NothingToDraw("tables/corrected_rates.csv has no rates by model and task")
    tasks = in_order(frame, "task", list(TASKS))
    scale = rate_scale(frame[["rate", "corrected"]], frame["hi"])
    rows = model_rows(frame["model"], context)
    page = Page(
        context,
        _correction(frame[frame["model"] != "mean"]),
        _corrected_reading(frame) + scale.note,
        source_line(["corrected_rates"], frame["method"]),
        body=rows.height * (row := 0.24) + 0.8,
    )
    left, gap, shade = label_width(context), 0.8, family_colours(context)
    width = (page.width - left - 0.75 - gap * (len(tasks) - 1)) / len(tasks)
    for i, task in enumerate(tasks):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * row)
        label_models(ax, rows, context) if i == 0 else same_rows(ax, rows)
        ax.set_title(task_title(task), pad=4)
        rate_axis(ax, scale)
        part = frame[frame["task"] == task]
        _pairs(ax, part, part["model"].map(rows.at), [shade.get(context.models.get(m, ""), INK) for m in part["model"]])
    page.figure.legend(handles=_corrected_keys(), **below(page, 2))
    return page.figure, frame


def draw_corrected_personas(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by persona before and after correction for the labeller's errors; from `corrected_personas`."""
    frame = _first_labeller(rows_for(tables, "corrected_personas", ("method",)))
    order = in_order(frame, "persona", list(context.personas))
    rows = persona_rows(pd.Series([persona for persona in order if persona != BASELINE]), context)
    if BASELINE in order:
        rows = rows._replace(at={**rows.at, BASELINE: rows.height + 0.35}, height=rows.height + 1.35)
    page = Page(
        context,
        _correction(frame),
        _corrected_reading(frame),
        source_line(["corrected_personas"], frame["method"]),
        body=rows.height * (row := 0.2) + 0.8,
    )
    left, shade = persona_width(context), attribute_colours(context)
    ax = page.axes(left, 0.2, page.width - left - 0.9, rows.height * row)
    linear_axis(ax, "refusal rate (%)", 0, 100 * frame[["rate", "corrected", "hi"]].max(axis=None))
    ax.set_xlim(left=0)
    label_rows(ax, rows, {}, shade)
    _pairs(
        ax,
        frame,
        frame["persona"].map(rows.at),
        [shade.get(context.personas.get(p, ""), INK) for p in frame["persona"]],
    )
    page.figure.legend(handles=_corrected_keys(), **below(page, 2))
    return page.figure, frame


def draw_labeller_range(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by model and task, with their range under the labeller's errors elsewhere; from `labeller_range`."""
    frame = _with_range(rows_for(tables, "rates_model_task", ("lo", "hi", "method")), tables["labeller_range"])
    rows = model_rows(frame["model"], context)
    scale = rate_scale(frame[["rate", "lowest", "highest"]], frame["hi"])
    page = Page(
        context,
        say("moved: figure", most=_largest_move(frame)),
        "Dot: rate; line: 95% interval of sampling. Bar: from the lowest to the highest rate if the labeller errs as "
        "it did on other responses. Numbers: that range in %." + scale.note,
        source_line(["rates_model_task", "labeller_range"], frame["method"]),
        body=rows.height * (row := 0.2) + 0.8,
    )
    tasks = in_order(frame, "task", list(TASKS))
    left, gap, shade = label_width(context), 0.8, family_colours(context)
    width = (page.width - left - 0.75 - gap * (len(tasks) - 1)) / len(tasks)
    for i, task in enumerate(tasks):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * row)
        label_models(ax, rows, context) if i == 0 else same_rows(ax, rows)
        ax.set_title(task_title(task), pad=4)
        rate_axis(ax, scale)
        part = frame[frame["task"] == task]
        y = part["model"].map(rows.at)
        bars = ax.barh(y, 100 * (part["highest"] - part["lowest"]), 0.62, 100 * part["lowest"], color=RANGE, zorder=2)
        for bar, cell in zip(bars, part.itertuples(), strict=True):
            name_marks(bar, [f"{100 * cell.lowest:.3g} to {100 * cell.highest:.3g}"])
        for place, cell in zip(y, part.itertuples(), strict=True):
            dot = Dot(shade.get(context.models.get(cell.model, ""), INK))
            whiskers(ax, place, 100 * cell.rate, 100 * cell.lo, 100 * cell.hi, dot)
        ends = ((percent(low), percent(high)) for low, high in zip(part["lowest"], part["highest"], strict=True))
        texts_right_of(ax, y, [low if low == high else f"{low} to {high}" for low, high in ends])
    page.figure.legend(handles=[Patch(color=RANGE, label="range under the labeller's errors")], **below(page))
    return page.figure, frame


def _with_range(rates: pd.DataFrame, moved: pd.DataFrame) -> pd.DataFrame:
    """Add the lowest and highest rate of each model and task, and of the mean over models, to their `rates`."""
    moved = moved[moved["quantity"].isin(["refusal rate", "mean refusal rate"])].set_index("level")
    if moved.empty:
        raise NothingToDraw("tables/labeller_range.csv has no rates: the labeller's errors were not measured elsewhere")
    of_mean = rates["model"] == "mean"
    place = pd.Series(np.where(of_mean, rates["task"], rates["model"] + ", " + rates["task"]), index=rates.index)
    return rates.assign(**{end: place.map(moved[end]) for end in ("lowest", "highest")})


def _largest_move(frame: pd.DataFrame) -> float:
    """How far labelling errors could move a rate at most."""
    return float(np.maximum(frame["highest"] - frame["rate"], frame["rate"] - frame["lowest"]).max())


def _quantity(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    found = frame[(frame["quantity"] == quantity) & frame["estimate"].notna()].reset_index(drop=True)
    if found.empty:
        raise NothingToDraw(f"tables/labeller_headline.csv has no rows for {quantity}")
    return found


def _row(labellers: list[str]) -> float:
    """Height in inches of a row with one line per labeller."""
    return max(0.2, 0.085 * len(labellers))


def _largest_gap(frame: pd.DataFrame, what: str, unit: str) -> str:
    """Describe the largest difference between labellers in an estimate; without a unit it is an index."""
    by_item = frame.pivot(index="item", columns="labeller", values="estimate")
    largest = (by_item.max(axis=1) - by_item.min(axis=1)).max()
    gap = (points(largest, sign=False) if unit else index(largest)) if largest > 0 else ""
    return say("labellers differ", labellers=by_item.shape[1], gap=gap, what=what, unit=unit)


def _by_labeller(page: Page, ax, frame, at: dict, scale: float, write, column: float) -> None:
    """Draw a line for every labeller in each row, and a column of numbers (inches wide) to the right of the axes."""
    labellers = list(dict.fromkeys(frame["labeller"]))
    for k, labeller in enumerate(labellers):
        part = frame[frame["labeller"] == labeller]
        y = part["item"].map(at)
        offset = 0.27 * (2 * k - len(labellers) + 1) / max(len(labellers) - 1, 1)
        estimate, lo, hi = (scale * part[name] for name in ("estimate", "lo", "hi"))
        whiskers(ax, y + offset, estimate, lo, hi, Dot(LEVEL_COLOURS[k % 6], marker=MARKERS[k % 7], size=3.6))
        if column:
            value_column(ax, y, [write(value) for value in part["estimate"]], labeller, inches=column * (k + 1))
    columns = 3 if page.width < 4 else len(labellers)
    marks = [key(LEVEL_COLOURS[k % 6], MARKERS[k % 7], labeller) for k, labeller in enumerate(labellers)]
    page.figure.legend(handles=marks, **below(page, columns))


def _effect(cell) -> list[str]:
    """Return the effect of a claim and its interval as lines of text; none if the effect is unknown."""
    effect, lo, hi = (float(value) for value in (cell.effect, cell.lo, cell.hi))
    if not np.isfinite(effect):
        return []
    unit = "times" if cell.effect_unit == "ratio" else str(cell.effect_unit)
    found = [f"{number(effect)} {unit}"]
    return [*found, f"{number(lo)} to {number(hi)}"] if np.isfinite([lo, hi]).all() else found


def _tall(conclusion: list[str], effect: list[str]) -> float:
    """Height in inches of a conclusion with the effect below it."""
    return 0.125 * len(conclusion) + 0.1 * len(effect)


def _correction(frame: pd.DataFrame) -> str:
    """Describe how many rates the correction changes clearly, and by how much at most."""
    outside = ((frame["rate"] < frame["lo"]) | (frame["rate"] > frame["hi"])).sum()
    gap = (frame["corrected"] - frame["rate"]).abs().max()
    return say("corrections", outside=outside, rates=len(frame), gap=gap)


def _first_labeller(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first labeller, whose verdicts give the study's headline."""
    return frame[frame["labeller"] == frame["labeller"].iloc[0]].reset_index(drop=True)


def _corrected_reading(frame: pd.DataFrame) -> str:
    labeller = frame["labeller"].iloc[0]
    return (
        f"Labeller: {labeller}. Hollow: uncorrected rate; filled: rate corrected by annotated responses; line: 95% "
        "interval of the corrected rate; numbers: uncorrected → corrected rate in %."
    )


def _corrected_keys() -> list:
    return [key(GREY, hollow=True, label="uncorrected", line=False), key(GREY, label="corrected")]


def _pairs(ax, part: pd.DataFrame, y: pd.Series, shades: list[str]) -> None:
    """Draw the two rates of each row, the uncorrected one above."""
    for place, cell, colour in zip(y, part.itertuples(), shades, strict=True):
        whiskers(ax, place - 0.2, 100 * cell.rate, np.nan, np.nan, Dot(colour, hollow=True))
        whiskers(ax, place + 0.15, 100 * cell.corrected, 100 * cell.lo, 100 * cell.hi, Dot(colour))
    pairs = zip(part["rate"], part["corrected"], strict=True)
    texts_right_of(ax, y, [f"{percent(a)} → {percent(b)}" for a, b in pairs])
