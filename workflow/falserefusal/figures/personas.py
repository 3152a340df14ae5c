"""Rates by persona: means over models (Figure 2), by model over tasks (Figure 3), all cells of a task (7 to 9)."""

import pandas as pd
import seaborn
from matplotlib.collections import PatchCollection
from matplotlib.colors import SymLogNorm
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
    rows_for,
    same_rows,
    texts_right_of,
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
    percent,
    rate_axis,
    source_line,
    task_title,
)

ROW = 0.165


def draw_persona_mean(tables: dict[str, pd.DataFrame], context: Context) -> tuple[Figure, pd.DataFrame]:
    """Draw mean rates by persona, one panel per group of models with its own scale; from `rates_persona`."""
    frame = rows_for(tables, "rates_persona", ("lo", "hi", "method"))
    families = [family for family in dict.fromkeys(context.models.values()) if family in set(frame["scope"])]
    panels = [frame["scope"].iloc[0], *families][:5]  # the first scope is the whole study
    frame = frame[frame["scope"].isin(panels)]
    ranked = frame[frame["scope"] == panels[0]].sort_values("rate", ascending=False, kind="stable")
    found = separation(scopes(tables, "persona"), "“{}”".format)
    message = say("levels differ", s=found, noun="persona", verb="is refused")

    rows = persona_rows(ranked.sort_values("rate", ascending=False, kind="stable")["persona"], context)
    page = Page(
        context,
        message,
        "Unweighted mean over the models and tasks of each panel. Dot: mean rate; line: 95% interval. Each panel has "
        "its own linear scale; personas are sorted within their attribute by the first panel.",
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

    personas = in_order(frame, "persona", list(context.personas))
    columns = grouped_rows({p: context.personas.get(p, "") for p in personas}, names=False, gap=0.25)
    rows = model_rows(frame["model"], context)
    row, head, width = 0.26, 0.72, 8.4
    page = Page(
        context,
        message,
        "Each cell: mean refusal rate over the tasks in % (also the colour, on a logarithmic scale above 0.1%) and "
        "its 95% interval.",
        source_line(["rates_model_persona"], frame["method"]),
        body=rows.height * row + head + 0.1,
        width=width,
    )
    left = label_width(context)
    ax = page.axes(left, head, width - left - 0.12, rows.height * row)
    ax.set_xlim(-0.5, columns.height - 0.5)
    label_models(ax, rows, context)
    ax.set_ylim(rows.height - 0.5, -0.5)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    norm = SymLogNorm(linthresh=0.1, linscale=0.5, vmin=0, vmax=100)
    cells = list(frame.itertuples())
    boxes = [Rectangle((columns.at[c.persona] - 0.48, rows.at[c.model] - 0.48), 0.96, 0.96) for c in cells]
    patches = PatchCollection(
        boxes, cmap=seaborn.color_palette("Blues", as_cmap=True), norm=norm, edgecolor=FAINT, linewidth=0.4
    )
    patches.set_array([100 * c.rate for c in cells])
    ax.add_collection(patches)
    for c in cells:
        x, y = columns.at[c.persona], rows.at[c.model]
        contrast = _on(patches.cmap(norm(100 * c.rate)))
        ax.text(x, y - 0.17, percent(c.rate), ha="center", va="center", fontsize=7, color=contrast)
        if pd.notna(c.lo) and pd.notna(c.hi):
            span = f"{percent(c.lo)}–{percent(c.hi)}"
            ax.text(x, y + 0.24, span, ha="center", va="center", fontsize=5, color=contrast)
    shade = attribute_colours(context)
    for persona, x in columns.at.items():
        colour = ink(shade.get(context.personas.get(persona, ""), INK))
        ax.text(x - 0.25, 0.4, persona, rotation=38, ha="left", va="bottom", fontsize=7, color=colour, weight="bold")
    return page.figure, frame


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

    grid = panel_grid(in_order(frame, "model", list(context.models)), context)
    names = in_order(frame, "persona", list(context.personas))
    rows = grouped_rows({persona: context.personas.get(persona, "") for persona in names}, names=False)
    head, foot = 0.32 if context.model_suffix else 0.2, 0.32
    tall, wide = rows.height * 0.118, 8.4
    page = Page(
        context,
        message,
        "One panel per model. Dot: refusal rate; line: 95% interval; number: rate in %; colour: attribute. "
        "The scale is linear below 0.1% and the same in every panel.",
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
            rate_axis(ax, "refusal rate (%)" if i == len(grid) - 1 else "")
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
