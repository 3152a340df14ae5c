"""Draw all figures of a study; write each as PNG, PDF, SVG and a CSV of the numbers drawn."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from falserefusal.common.files import atomic, write_text
from falserefusal.common.notice import write_table
from falserefusal.common.numbers import listing
from falserefusal.figures import (
    attributes,
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
from falserefusal.figures.style import MESSAGE, VALUES, Page, fit_for_paper, styled

MODULES = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (
        *(attributes, claims, comparison, importance, labelling),
        *(levels, models, personas, regression, sequential),
    )
}


def draw_figures(
    figures: list[Figure], tables: dict[str, pd.DataFrame], context: Context, directory: str | Path
) -> pd.DataFrame:
    """Write <name>.png, .pdf, .svg and .csv of each figure, and index.csv, which is returned.

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


def draw_for_paper(
    figures: list[Figure], tables: dict[str, pd.DataFrame], context: Context, directory: str | Path
) -> pd.DataFrame:
    """Write <name>_<width>.pdf and its caption, <name>_<width>.txt, at each width that a figure has in a paper.

    Parameters
    ----------
    figures, tables, context, directory : as for `draw_figures`

    Returns
    -------
    One row per file: name (with the width), width ("column" or "text"), caption, rows (number of rows drawn).
    """
    drawn_files = []
    with styled():
        for figure in figures:
            for width in figure.paper:
                canvas, drawn = draw_figure(figure, tables, replace(context, paper=width))
                fit_for_paper(canvas)
                name = f"{figure.name}_{width}"
                reading = getattr(canvas, "reading", "")
                parts = [context.banner and f"{context.banner}.", context.say(figure.caption), reading]
                caption = " ".join(filter(None, parts))
                save_pdf(canvas, Path(directory) / name)
                write_text(caption + "\n", Path(directory) / f"{name}.txt")
                drawn_files.append([name, width, caption, len(drawn)])
    return pd.DataFrame(drawn_files, columns=["name", "width", "caption", "rows"])


def save(canvas: Canvas, stem: Path) -> None:
    """Write PNG (200 dpi), PDF and SVG, without dates or versions, so that the same numbers give the same bytes."""
    with atomic(stem.with_name(stem.name + ".png")) as part:
        canvas.savefig(part, format="png", metadata={"Software": None})
    save_pdf(canvas, stem)
    drawing = StringIO()
    canvas.savefig(drawing, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    write_text(short_svg(drawing.getvalue()), stem.with_name(stem.name + ".svg"))


def save_pdf(canvas: Canvas, stem: Path) -> None:
    """Write PDF, without dates, so that the same numbers give the same bytes."""
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


def short_svg(svg: str) -> str:
    """Return an SVG of matplotlib without what no browser needs: comments, ids without reference, digits after 0.01.

    Texts get a font that every computer has, for computers without DejaVu Sans. Dots, bars and cells get their values
    as titles, which browsers show at the pointer.
    """
    svg = re.sub(rf'<g id="{VALUES}([^"]*)">.*?</g>', _with_values, svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n? *|<metadata>.*?</metadata>\n? *", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) | {MESSAGE}

    def short(tag: re.Match) -> str:
        text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", tag[0])
        text = re.sub(r"(?<=[0-9]\.[0-9]{2})[0-9]+", "", text)
        return text.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")

    return re.sub(r"\n *", "\n", re.sub(r"<[^!?>][^>]*>", short, svg))


def _with_values(marks: re.Match) -> str:
    """Put a title into each dot, bar or cell of a group; into none if there are more or fewer values than of these."""
    values = marks[1].split("|")
    tag = "use" if "<use " in marks[0] else "path"  # dots use a path that is defined before them
    if len(re.findall(f"<{tag} ", marks[0])) != len(values):
        return marks[0]
    titles = iter(values)
    named = rf"<{tag} ([^>]*?)/>"
    return re.sub(named, lambda mark: f"<{tag} {mark[1]}><title>{next(titles)}</title></{tag}>", marks[0])


def _draw(figure: Figure, tables: dict[str, pd.DataFrame], context: Context) -> tuple[Canvas, pd.DataFrame]:
    module, function = figure.function.split(".")
    draw = getattr(MODULES[module], function)
    try:
        absent = [name for name in figure.tables if name not in tables]
        if absent:
            raise NothingToDraw("this study has no " + listing([f"tables/{name}.csv" for name in absent]))
        return draw(tables, context, **dict(figure.options))
    except NothingToDraw as reason:
        if context.paper:  # where there is no title, the reason is the caption
            return Page(context, "", f"Nothing to draw: {reason}.", "", body=0.1).figure, pd.DataFrame()
        page = Page(context, f"Nothing to draw: {reason}", figure.caption, f"Study: {context.study}.", body=0.1)
        return page.figure, pd.DataFrame({"nothing_to_draw": []})
