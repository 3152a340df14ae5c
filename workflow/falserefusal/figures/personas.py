"""Rates by persona: means over models (Figure 2), by model over tasks (Figure 3), all cells of a task (7 to 9)."""

from typing import Any

import pandas as pd
import seaborn
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from falserefusal.common.sentences import say
from falserefusal.figures.colours import of_attributes
from falserefusal.figures.context import Context
from falserefusal.figures.dots import (
    Dot,
    grouped_rows,
    in_order,
    label_rows,
    name_marks,
    rows_for,
    same_rows,
    texts_right_of,
    value_text,
    whiskers,
)
from falserefusal.figures.models import family_colours, label_models, label_width, model_rows
from falserefusal.figures.said import scopes, separation
from falserefusal.figures.style import (
    FAINT,
    INK,
    Page,
    ink,
    linear_axis,
    page_width,
    percent,
    rate_axis,
    rate_scale,
    source_line,
    task_title,
)

ROW = 0.165
WIDE = 0.1  # width of a 95% interval from which a cell is grey in a figure for a paper


def is_wide(lo: float, hi: float) -> bool:
    """Return whether an interval of a rate is so wide that the rate should not be read as exact."""
    return bool(hi - lo > WIDE)


def draw_persona_mean(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw mean rates by persona, one panel per group of models with its own scale; from `rates_persona`."""
    frame = rows_for(tables, "rates_persona", ("lo", "hi", "method"))
    families = [family for family in dict.fromkeys(context.models.values()) if family in set(frame["scope"])]
    panels = [frame["scope"].iloc[0], *families]  # the first scope is the whole study
    panels = panels[: 1 if context.narrow else 4 if context.paper else 5]
    frame = frame[frame["scope"].isin(panels)]
    ranked = frame[frame["scope"] == panels[0]].sort_values("rate", ascending=False, kind="stable")
    found = separation(scopes(tables, "persona"), "“{}”".format)
    message = say("levels differ", s=found, noun="persona", verb="is refused")

    rows = persona_rows(ranked.sort_values("rate", ascending=False, kind="stable")["persona"], context)
    page = Page(
        context,
        message,
        "Unweighted mean over the models and tasks of each panel. Dot: mean rate; line: 95% interval."
        if context.narrow
        else "Unweighted mean over the models and tasks of each panel. Dot: mean rate; line: 95% interval. Each panel "
        "has its own linear scale; personas are sorted within their attribute by the first panel.",
        source_line(["rates_persona"], frame["method"]),
        body=rows.height * ROW + 0.62,
    )
    left, gap, shade = persona_width(context), 0.5, attribute_colours(context)
    width = (page.width - left - 0.45 - gap * (len(panels) - 1)) / len(panels)
    for i, scope in enumerate(panels):
        ax = page.axes(left + i * (width + gap), 0.2, width, rows.height * ROW)
        part = frame[(frame["scope"] == scope) & frame["persona"].isin(rows.at)]
        linear_axis(ax, "mean refusal rate (%)", 0, 100 * part[["rate", "hi"]].max(axis=None))
        ax.set_xlim(left=0)
        label_rows(ax, rows, {}, shade) if i == 0 else same_rows(ax, rows)
        ax.set_title(scope, pad=4)
        for cell in part.itertuples():
            colour = shade.get(context.personas.get(cell.persona, ""), INK)
            whiskers(ax, rows.at[cell.persona], 100 * cell.rate, 100 * cell.lo, 100 * cell.hi, Dot(colour))
        texts_right_of(ax, part["persona"].map(rows.at), [percent(rate) for rate in part["rate"]])
    return page.figure, frame


def draw_persona_by_model(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw a heat map of mean rates over tasks by model and persona, with intervals; from `rates_model_persona`."""
    frame = rows_for(tables, "rates_model_persona", ("lo", "hi", "method"), model=list(context.models))
    compared = scopes(tables, "persona", by=("model",))
    compared = compared[compared["model"].isin(frame["model"])]
    ends = {"low": frame["rate"].min(), "high": frame["rate"].max(), "models": frame["model"].nunique()}
    message = say("personas by model", differ=(compared["clear"] > 0).sum(), **ends)

    return _heat_map(
        frame,
        context,
        message,
        "Each cell: mean refusal rate over the tasks in % (also the colour",
        "rates_model_persona",
    ), frame


def _heat_map(frame: pd.DataFrame, context: Context, message: str, reading: str, table: str) -> Figure:
    """Draw a cell for each model and persona; intervals are written, or for a paper, wide ones have grey cells."""
    personas = in_order(frame, "persona", list(context.personas))
    columns = grouped_rows({p: context.personas.get(p, "") for p in personas}, names=False, gap=0.25)
    rows = model_rows(frame["model"], context)
    scale = rate_scale(frame["rate"])
    paper = bool(context.paper)
    row, width = 0.17 if paper else 0.26, page_width(context, 8.4)
    head = 0.08 + 0.056 * max(map(len, personas)) if paper else 0.72
    left = label_width(context)
    numbered = not paper or (width - left - 0.12) / columns.height >= 0.27
    page = Page(
        context,
        message,
        reading
        + (", on a logarithmic scale above 0.1%)" if scale.log else ")")
        + ("." if paper else " and its 95% interval.")
        + (f" Grey: the 95% interval is wider than {100 * WIDE:.0f} points." if paper else ""),
        source_line([table], frame["method"]),
        body=rows.height * row + head + 0.1,
        width=width,
    )
    ax = page.axes(left, head, width - left - 0.12, rows.height * row)
    ax.set_xlim(-0.5, columns.height - 0.5)
    label_models(ax, rows, context)
    ax.set_ylim(rows.height - 0.5, -0.5)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    norm = SymLogNorm(linthresh=0.1, linscale=0.5, vmin=0, vmax=100) if scale.log else Normalize(0, scale.top)
    cells = list(frame.itertuples())
    blues, greys = (seaborn.color_palette(name, as_cmap=True) for name in ("Blues", "Greys"))
    shares = [float(norm(100 * c.rate)) for c in cells]
    wide = [paper and is_wide(c.lo, c.hi) for c in cells]
    tints = [greys(0.1 + 0.45 * share) if grey else blues(share) for share, grey in zip(shares, wide, strict=True)]
    boxes = [Rectangle((columns.at[c.persona] - 0.48, rows.at[c.model] - 0.48), 0.96, 0.96) for c in cells]
    drawn = ax.add_collection(PatchCollection(boxes, facecolor=tints, edgecolor=FAINT, linewidth=0.4))
    name_marks(drawn, (_name_of(cell, context) for cell in cells))
    for c, tint in zip(cells, tints, strict=True) if numbered else ():
        x, y = columns.at[c.persona], rows.at[c.model]
        contrast = _on(tint)
        ax.text(
            x,
            y if paper else y - 0.17,
            percent(c.rate),
            ha="center",
            va="center",
            fontsize=6.2 if paper else 7,
            color=contrast,
        )
        if not paper and pd.notna(c.lo) and pd.notna(c.hi):
            span = f"{percent(c.lo)}–{percent(c.hi)}"
            ax.text(x, y + 0.24, span, ha="center", va="center", fontsize=5, color=contrast)
    shade = attribute_colours(context)
    place: dict[str, Any] = {"rotation": 90, "ha": "center"} if paper else {"rotation": 38, "ha": "left"}
    top = min(rows.at.values()) - 0.6
    for persona, x in columns.at.items():
        colour = ink(shade.get(context.personas.get(persona, ""), INK))
        x, y = (x, top) if paper else (x - 0.25, 0.4)
        ax.text(x, y, persona, va="bottom", fontsize=7, color=colour, weight="bold", **place)
    return page.figure


def _name_of(cell: Any, context: Context) -> str:
    """A cell of a heat map as text: model, persona, rate and interval in percent."""
    return f"{context.model_label(cell.model)}, {cell.persona}: " + value_text(
        100 * cell.rate, 100 * cell.lo, 100 * cell.hi
    )


def _on(background: tuple[float, ...]) -> str:
    """Return black or white, whichever has more contrast (WCAG) on `background`."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in background[:3]]
    return "white" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.179 else INK


def draw_persona_cells(tables: dict[str, pd.DataFrame], context: Context, task: str) -> tuple[Figure, pd.DataFrame]:
    """Draw all rates of a task, one panel per model, a row of panels per family; from `rates_task_model_persona`."""
    frame = rows_for(tables, "rates_task_model_persona", ("lo", "hi", "method"), task=task)
    compared = scopes(tables, "persona", by=("task", "model"))
    differ = ((compared["task"] == task) & (compared["clear"] > 0)).sum()
    ends = {"low": frame["rate"].min(), "high": frame["rate"].max(), "models": frame["model"].nunique()}
    message = say("personas by model in a task", task=task_title(task), differ=differ, **ends)

    if context.paper:
        reading = f"Each cell: refusal rate for {task_title(task)} in % (also the colour"
        return _heat_map(frame, context, message, reading, "rates_task_model_persona"), frame
    scale = rate_scale(frame["rate"], frame["hi"])
    grid = panel_grid(in_order(frame, "model", list(context.models)), context)
    names = in_order(frame, "persona", list(context.personas))
    rows = grouped_rows({persona: context.personas.get(persona, "") for persona in names}, names=False)
    head, foot = 0.32 if context.model_suffix else 0.2, 0.32
    tall, wide = rows.height * 0.118, 8.4
    page = Page(
        context,
        message,
        "One panel per model, all on the same scale. Dot: refusal rate; line: 95% interval; number: rate in %; "
        "colour: attribute." + scale.note,
        source_line(["rates_task_model_persona"], frame["method"]),
        body=len(grid) * (tall + head + 0.14) + foot - 0.1,
        width=wide,
    )
    left, numbers = persona_width(context) - 0.2, 0.36
    step = (wide - left - 0.08) / max(len(models) for models in grid)
    shade, family_shade = attribute_colours(context), family_colours(context)
    for i, models in enumerate(grid):
        for j, model in enumerate(models):
            ax = page.axes(left + j * step, i * (tall + head + 0.14) + head, step - numbers, tall)
            part = frame[(frame["model"] == model) & frame["persona"].isin(rows.at)]
            rate_axis(ax, scale, "refusal rate (%)" if i == len(grid) - 1 else "")
            ax.xaxis.label.set_fontsize(6.5)
            ax.tick_params(axis="x", labelsize=5.5, pad=1, length=2)
            if j == 0:
                label_rows(ax, rows, {}, {}, size=6)
                for label, persona in zip(ax.get_yticklabels(), rows.at, strict=True):
                    label.set_color(ink(shade.get(context.personas.get(persona, ""), INK)))
            else:
                same_rows(ax, rows)
            title = context.model_label(model).replace(" ", "\n", 1)
            ax.set_title(title, pad=2, fontsize=7, color=ink(family_shade.get(context.models.get(model, ""), INK)))
            y = part["persona"].map(rows.at)
            tint = part["persona"].map(context.personas).map(shade).fillna(INK)
            for colour in dict.fromkeys(tint):
                own = part[tint == colour]
                rate, lo, hi = (100 * own[column] for column in ("rate", "lo", "hi"))
                whiskers(ax, y[tint == colour], rate, lo, hi, Dot(colour, size=2.6))
            texts_right_of(ax, y, [percent(rate) for rate in part["rate"]], size=5.8)
    return page.figure, frame


def panel_grid(models: list[str], context: Context, columns: int = 6) -> list[list[str]]:
    """Arrange one panel per model: a row per family, unless most rows would be nearly empty."""
    families: dict[str, list[str]] = {}
    for model in models:
        families.setdefault(context.models.get(model, ""), []).append(model)
    columns = min(columns, len(models))
    if len(models) < 3 * len(families):
        families = {"": models}
    return [members[i : i + columns] for members in families.values() for i in range(0, len(members), columns)]


def persona_rows(personas: pd.Series, context: Context):
    """Return rows by attribute in the study's order; within an attribute, in the order given."""
    order = list(dict.fromkeys(context.personas.values()))
    ranked = sorted(personas, key=lambda p: order.index(context.personas[p]) if p in context.personas else len(order))
    return grouped_rows({persona: context.personas.get(persona, "") for persona in ranked})


def attribute_colours(context: Context) -> dict[str, str]:
    """Return a colour for each attribute of the study's personas."""
    return of_attributes(context.personas.values())


def persona_width(context: Context) -> float:
    """Width in inches of the longest persona name at 7 pt."""
    return 0.35 + 0.056 * max((len(persona) for persona in context.personas), default=8)
