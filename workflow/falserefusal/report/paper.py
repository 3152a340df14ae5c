"""Write what a paper about a study needs: tables and numbers as LaTeX, and a document that shows all of it."""

from pathlib import Path

import pandas as pd

from falserefusal.common.files import write_text
from falserefusal.figures.context import Context
from falserefusal.report.latex import Tabular, escape, floating
from falserefusal.report.tex_numbers import INTERVAL, macro_names, numbers_file, numbers_of
from falserefusal.report.tex_tables import TEX, Tables

# \FRpath is the way from the document to results/<study>.
COMMANDS = r"""\usepackage{booktabs}
\usepackage{colortbl}
\usepackage[export]{adjustbox}
\providecommand{\FRpath}{.}
\providecommand{\FRinterval}[2]{{\scriptsize[#1, #2]}}
\providecommand{\FRwide}[1]{\cellcolor[gray]{0.88}#1}
"""
HEAD = (
    r"""\documentclass[11pt,twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{times}
\usepackage{textcomp}
\usepackage[a4paper,margin=2.5cm,columnsep=0.6cm]{geometry}
\extrafloats{200}
"""
    + COMMANDS
    + r"""\input{\FRpath/numbers}
\begin{document}
"""
)


def write_paper(names: list[str], tables: Tables, figures: pd.DataFrame, context: Context, home: str | Path) -> None:
    """Write tables/tex/*.tex, numbers.tex, floats.tex and paper.tex.

    Parameters
    ----------
    names : the tables to write, keys of `TEX`
    tables : the study's tables by name
    figures : the rows of `draw_for_paper`
    context : names and notices of the study
    home : the folder of the study's results
    """
    home = Path(home)
    floats = []
    for name in names:
        tabular, caption = _tabular(name, tables, context)
        notice = f"% {context.banner}\n" if context.banner else ""
        write_text(notice + tabular.text(), home / f"tables/tex/{name}.tex")
        if tabular.rows:
            floats.append(_table_float(name, caption))
    for row in figures[figures["rows"] > 0].itertuples():
        body = rf"\includegraphics[max totalheight=0.85\textheight]{{\FRpath/figures/paper/{row.name}.pdf}}"
        floats.append(floating(body, escape(row.caption), f"fig:{row.name}", row.width == "text", "figure"))
    write_text("\n".join(floats), home / "floats.tex")
    write_text(numbers_file(tables, context), home / "numbers.tex")
    write_text(_document(tables, context), home / "paper.tex")


def _tabular(name: str, tables: Tables, context: Context) -> tuple[Tabular, str]:
    """Return a table and its caption in plain text."""
    caption = context.say(TEX[name].caption)
    if context.banner:
        caption = f"{context.banner}. {caption}"
    if tables[name].empty:
        return Tabular("l", [r"no rows \\"], []), caption
    return TEX[name].make(tables, context), caption


def _table_float(name: str, caption: str) -> str:
    size = r"max width=\linewidth,max totalheight=0.85\textheight"
    table = rf"\input{{\FRpath/tables/tex/{name}}}"
    box = rf"\begin{{adjustbox}}{{{size}}}{table}\end{{adjustbox}}"
    body = rf"\footnotesize\setlength{{\tabcolsep}}{{3pt}}{box}"
    return floating(body, escape(caption), f"tab:{name}", TEX[name].wide, "table")


def _document(tables: Tables, context: Context) -> str:
    """Return a document that shows every number, table and figure, to copy from."""
    numbers = numbers_of(tables, context)
    lines = [HEAD, rf"\section*{{Tables and figures of {escape(context.study)}}}"]
    lines += [escape(context.banner), ""] if context.banner else []
    lines += [r"\input{\FRpath/floats}", r"\clearpage", r"\onecolumn", r"\section*{Numbers}"]
    lines += [r"\footnotesize\setlength{\parindent}{0pt}\raggedright"]
    for name, number in zip(macro_names(numbers), numbers, strict=True):
        interval = rf" (95\% interval \{name}{INTERVAL})" if number.interval else ""
        lines.append(rf"\texttt{{\textbackslash {name}}}: \{name}{interval}\par")
    return "\n".join([*lines, r"\end{document}", ""])
