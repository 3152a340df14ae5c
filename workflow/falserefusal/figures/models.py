"""Rates by model: the paper's Table 1 with intervals, and rates with and without a persona (Figure 1)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from falserefusal.common.schemas import ANY_PERSONA
from falserefusal.common.sentences import say
from falserefusal.figures.colours import of_families
from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    Dot,
    NothingToDraw,
    Rows,
    corrected_key,
    corrected_marks,
    grouped_rows,
    in_order,
    key,
    label_rows,
    printed_key,
    printed_marks,
    rows_for,
    same_rows,
    texts_right_of,
    whiskers,
)
from falserefusal.figures.said import changes, highest_levels, scopes
from falserefusal.figures.style import (
    GREY,
    INK,
    Page,
    linear_axis,
    percent,
    rate_axis,
    rate_scale,
    source_line,
    task_title,
)

ROW = 0.165  # height of a row of dots in inches


def draw_model_task(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw rates by model, one panel per task, with the paper's printed values; from `rates_model_task`."""
    frame = _with_corrected(rows_for(tables, "rates_model_task", ("printed_pct", "lo", "hi", "method")), tables)
    tasks = list(dict.fromkeys(frame["task"]))
    own = frame[frame["model"].isin(context.models)]
    message = say(
        "tasks by model",
        tasks=len(tasks),
        models=own["model"].nunique(),
        lowest=own["rate"].min(),
        highest=own["rate"].max(),
        **highest_levels(scopes(tables, "task", by=("model",)), task_title),
    )

    rows = model_rows(frame["model"], context)
    marks = [printed_key("printed in the paper")] if frame["printed_pct"].notna().any() else []
    row, reading, sources = ROW, "number: rate in %.", ["rates_model_task"]
    scale = rate_scale(frame["rate"], frame["hi"], frame["printed_pct"] / 100, frame["corrected"])
    if frame["corrected"].notna().any():
        marks.append(corrected_key())
        row, sources = 0.215, [*sources, "corrected_rates"]
        reading += " Square below: rate corrected for labelling error; its interval is in the figure corrected_models."
    page = Page(
        context,
        message,
        f"Refusal rate under personas. Dot: rate; line: 95% interval; {reading}{scale.note}",
        source_line(sources, frame["method"]),
        body=rows.height * row + (0.8 if marks else 0.6),
    )
    left, gap = label_width(context), 0.5
    width = (page.width - left - 0.45 - gap * (len(tasks) - 1)) / len(tasks)
    shade = family_colours(context)
    for i, task in enumerate(tasks):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * row)
        rate_axis(ax, scale)
        label_models(ax, rows, context) if i == 0 else same_rows(ax, rows)
        ax.set_title(task_title(task), pad=4)
        part = frame[frame["task"] == task]
        y = part["model"].map(rows.at)
        for model, cell in part.groupby("model", sort=False):
            colour = shade.get(context.models.get(model, ""), INK)
            whiskers(ax, rows.at[model], 100 * cell["rate"], 100 * cell["lo"], 100 * cell["hi"], Dot(colour))
        printed_marks(ax, y, part["printed_pct"])
        corrected_marks(ax, y + 0.36, 100 * part["corrected"])
        texts_right_of(ax, y, [percent(rate) for rate in part["rate"]])
    if marks:
        page.figure.legend(handles=marks, **below(page, len(marks)))
    return page.figure, frame


def _with_corrected(frame: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Add the corrected rates of the first labeller; they are missing if no responses were annotated."""
    if "corrected_rates" not in tables:
        return frame.assign(corrected=np.nan)
    rates = tables["corrected_rates"]
    rates = rates[(rates["labeller"] == rates["labeller"].iloc[0]) & (rates["group"] == ANY_PERSONA)]
    return frame.merge(rates[["model", "task", "corrected"]], on=["model", "task"], how="left")


def draw_baseline(
    tables: dict[str, pd.DataFrame], context: Context, task: str = "offensiveness"
) -> tuple[Figure, pd.DataFrame]:
    """Draw rates with and without a persona for one task, and their difference; from `rates_baseline`."""
    frame = rows_for(
        tables, "rates_baseline", ("baseline_lo", "baseline_hi", "d_lo", "d_hi", "difference", "method"), task=task
    )
    frame = frame[frame["baseline_rate"].notna()]
    if frame.empty:
        raise NothingToDraw(f"tables/rates_baseline.csv has no baseline rate for {task}")
    sure = frame["d_lo"].notna() & frame["d_hi"].notna()
    up, down = changes(frame)
    message = say("persona or none", task=task_title(task), known=bool(sure.all()), up=up, down=down, models=len(frame))

    rows = model_rows(frame["model"], context)
    scale = rate_scale(frame[["baseline_rate", "persona_rate"]], frame[["baseline_hi", "hi"]])
    page = Page(
        context,
        message,
        (
            "Hollow: prompts without a persona; filled: prompts with one; number: difference in percentage points."
            if context.narrow
            else "Left: hollow = prompts without a persona, filled = prompts with one. Right: persona minus baseline "
            "in percentage points."
        )
        + scale.note
        + ("" if sure.all() else " Dots without a line have no interval, because their sample size is not known."),
        source_line(["rates_baseline"], frame["method"]),
        body=rows.height * ROW + 0.75,
    )
    left, gap = label_width(context), 0.85
    width = page.width - left - gap - 0.5
    share = page.width - left - 0.5 if context.narrow else 0.58 * width
    first = page.axes(left, 0.12, share, rows.height * ROW)
    rate_axis(first, scale)
    shade = family_colours(context)
    label_models(first, rows, context)
    for cell in frame.itertuples():
        y, colour = rows.at[cell.model], shade.get(context.models.get(cell.model, ""), INK)
        pair = [100 * cell.baseline_rate, 100 * cell.persona_rate]
        first.plot(pair, [y, y], color=colour, linewidth=0.8, alpha=0.35, zorder=2)
        whiskers(first, y - 0.17, pair[0], 100 * cell.baseline_lo, 100 * cell.baseline_hi, Dot(colour, hollow=True))
        whiskers(first, y + 0.17, pair[1], 100 * cell.lo, 100 * cell.hi, Dot(colour))
    y, differences = frame["model"].map(rows.at), [signed_points(value) for value in frame["difference"]]
    page.figure.legend(handles=[key(GREY, hollow=True, label="baseline"), key(GREY, label="persona")], **below(page, 2))
    if context.narrow:
        texts_right_of(first, y, differences)
        return page.figure, frame
    second = page.axes(left + 0.58 * width + gap, 0.12, 0.42 * width, rows.height * ROW)
    _differences(second, frame, rows, context)
    texts = [f"{percent(a)} → {percent(b)}" for a, b in zip(frame["baseline_rate"], frame["persona_rate"], strict=True)]
    texts_right_of(first, y, texts)
    texts_right_of(second, y, differences)
    return page.figure, frame


def _differences(ax, frame: pd.DataFrame, rows: Rows, context: Context) -> None:
    """Draw persona minus baseline for each model, in percentage points."""
    reach = 100 * frame[["difference", "d_lo", "d_hi"]].to_numpy(dtype=float)
    reach = np.abs(reach[np.isfinite(reach)]).max(initial=1.0)
    linear_axis(ax, "difference, percentage points", -reach, reach, zero_line=True)
    same_rows(ax, rows)
    shade = family_colours(context)
    for cell in frame.itertuples():
        dot = Dot(shade.get(context.models.get(cell.model, ""), INK))
        whiskers(ax, rows.at[cell.model], 100 * cell.difference, 100 * cell.d_lo, 100 * cell.d_hi, dot)


def draw_shrunken_effects(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw raw and shrunken persona effects, a row for each model; from `effects_shrunken`."""
    frame = rows_for(tables, "effects_shrunken", ("method",))
    ends = {"low": frame["shrunken"].min(), "high": frame["shrunken"].max()}
    message = say("shrunken effects", **ends, raw_low=frame["difference"].min(), raw_high=frame["difference"].max())
    rows, row = model_rows(frame["model"], context), 0.26
    page = Page(
        context,
        message,
        "Each dot is a persona: its refusal rate minus that of the same prompts without a persona. Hollow: raw; "
        "filled: shrunken towards what models and personas have in common. The intervals are in the table.",
        source_line(["effects_shrunken"], frame["method"]),
        body=rows.height * row + 0.8,
    )
    left, shade = label_width(context), family_colours(context)
    ax = page.axes(left, 0.2, page.width - left - 0.2, rows.height * row)
    effects = 100 * frame[["difference", "shrunken"]]
    linear_axis(
        ax,
        f"persona effect ({'' if context.narrow else 'percentage '}points)",
        effects.min(axis=None),
        effects.max(axis=None),
        zero_line=True,
    )
    label_models(ax, rows, context)
    y, none = frame["model"].map(rows.at), np.full(len(frame), np.nan)
    tint = frame["model"].map(context.models).map(shade).fillna(INK)
    whiskers(ax, y - 0.18, effects["difference"], none, none, Dot(GREY, hollow=True, size=3))
    for colour in dict.fromkeys(tint):
        own = (tint == colour).to_numpy()
        whiskers(ax, y[own] + 0.18, effects["shrunken"][own], none[own], none[own], Dot(colour, size=3))
    keys = [key(GREY, hollow=True, line=False, label="raw"), key(INK, line=False, label="shrunken")]
    page.figure.legend(handles=keys, **below(page, 2))
    return page.figure, frame


def model_rows(models: pd.Series, context: Context):
    """Return rows by family in the study's order; the mean comes last, without a heading."""
    order = in_order(pd.DataFrame({"model": models}), "model", list(context.models))
    return grouped_rows({model: context.models.get(model, "") for model in order})


def label_models(ax, rows, context: Context) -> None:
    """Write model names, with the study's suffix, and coloured headings of families."""
    label_rows(ax, rows, {model: context.model_label(model) for model in rows.at}, family_colours(context))


def family_colours(context: Context) -> dict[str, str]:
    """Return a colour for each family of the study."""
    return of_families(context.models.values())


def label_width(context: Context) -> float:
    """Width in inches of the longest model name at 7 pt."""
    longest = max((len(context.model_label(model)) for model in context.models), default=8)
    return 0.3 + 0.058 * longest


def signed_points(value: float) -> str:
    """Write a difference of proportions in percentage points with its sign: +14.1, −11.3, 0."""
    if not np.isfinite(value):
        return "–"
    points = 100 * value
    if points == 0:
        return "0"
    return (f"{points:+.2f}" if abs(points) < 1 else f"{points:+.1f}").replace("-", "−")


def below(page: Page, columns: int = 1) -> dict:
    """Return the position of a legend of the whole page: at the bottom right of the body."""
    foot = page.height - page.head - page.body
    return {
        "loc": "lower right",
        "bbox_to_anchor": (1 - 0.1 / page.width, (foot - 0.02) / page.height),
        "ncols": columns,
        "borderaxespad": 0,
        "handletextpad": 0.5,
        "columnspacing": 1.2,
    }
