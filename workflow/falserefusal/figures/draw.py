"""Draw all figures of a study; write each as PNG, PDF and a CSV of the numbers drawn."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from falserefusal.common.files import atomic
from falserefusal.common.notice import write_table
from falserefusal.figures import (
    claims,
    comparison,
    importance,
    labelling,
    levels,
    models,
    personas,
    regression,
    sequential,
)
from falserefusal.figures.context import Context
from falserefusal.figures.dots import NothingToDraw
from falserefusal.figures.registry import Figure
from falserefusal.figures.style import Page, listing, styled

MODULES = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (claims, comparison, importance, labelling, levels, models, personas, regression, sequential)
}


def draw_figures(
    figures: list[Figure], tables: dict[str, pd.DataFrame], context: Context, directory: str | Path
) -> pd.DataFrame:
    """Write <name>.png, .pdf and .csv of each figure, and index.csv, which is returned.

    Parameters
    ----------
    figures : the figures to draw, from `FigureSet.figures`
    tables : the study's tables by name
    context : names and notices of the study
    directory : folder of the files

    Returns
    -------
    The index, one row per figure: name, counterpart, caption, message (the title without the banner), tables, rows
    (number of rows drawn). A figure whose tables are absent or have no rows for it is written as a page that says so
    (rows 0), because the workflow has promised the file.
    """
    directory = Path(directory)
    index = []
    with styled():
        for figure in figures:
            canvas, drawn = draw_figure(figure, tables, context)
            message = context.say(str(canvas.get_label()))
            save(canvas, directory / figure.name)
            named = [column for column in ("model", "scope", "level") if column in drawn]
            drawn = drawn.assign(**{column: drawn[column].map(context.model_label) for column in named})
            write_table(drawn, directory / f"{figure.name}.csv", context.banner)
            index.append(
                [
                    figure.name,
                    figure.counterpart,
                    context.say(figure.caption),
                    message,
                    " ".join(figure.tables),
                    len(drawn),
                ]
            )
    columns = ["name", "counterpart", "caption", "message", "tables", "rows"]
    index = pd.DataFrame(index, columns=columns)
    write_table(index, directory / "index.csv", context.banner)
    return index


def save(canvas: Canvas, stem: Path) -> None:
    """Write PNG (200 dpi) and PDF, without dates or versions, so that the same numbers give the same bytes."""
    with atomic(stem.with_name(stem.name + ".png")) as part:
        canvas.savefig(part, format="png", metadata={"Software": None})
    with atomic(stem.with_name(stem.name + ".pdf")) as part:
        canvas.savefig(part, format="pdf", metadata={"CreationDate": None, "Title": stem.name})


def draw_figure(figure: Figure, tables: dict[str, pd.DataFrame], context: Context) -> tuple[Canvas, pd.DataFrame]:
    """Draw one figure; return it with the numbers drawn. If its tables are absent or empty, it says so."""
    with styled():
        canvas, drawn = _draw(figure, tables, context)
        if not figure.name.endswith("claims"):  # claims keep the words of the paper
            for text in canvas.findobj(Text):
                text.set_text(context.say(text.get_text()))
    return canvas, drawn


def _draw(figure: Figure, tables: dict[str, pd.DataFrame], context: Context) -> tuple[Canvas, pd.DataFrame]:
    module, function = figure.function.split(".")
    draw = getattr(MODULES[module], function)
    try:
        absent = [name for name in figure.tables if name not in tables]
        if absent:
            raise NothingToDraw("this study has no " + listing([f"tables/{name}.csv" for name in absent]))
        return draw(tables, context, **dict(figure.options))
    except NothingToDraw as reason:
        page = Page(context, f"Nothing to draw: {reason}", figure.caption, f"Study: {context.study}.", body=0.1)
        return page.figure, pd.DataFrame({"nothing_to_draw": []})
