"""The document with all tables, numbers and figures for a paper compiles, and nothing sticks out of its columns."""

import re
import shutil
import subprocess

import pytest

import tables_of_print as fixture
from falserefusal.figures.draw import draw_for_paper
from falserefusal.figures.registry import FigureSet
from falserefusal.report.paper import write_paper
from falserefusal.study.files import TEX_TABLES

EVERYTHING = {"sequential": True, "several_labellers": True, "annotated": True, "shrunken": True}
NEEDED = ("booktabs.sty", "colortbl.sty", "adjustbox.sty", "times.sty")


def latex(folder):
    """Run pdflatex twice, for the widths of tables and the labels, and return its log."""
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "paper.log").read_text(encoding="utf-8", errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["published", "rehearsal"])
def test_the_document_compiles_without_overfull_boxes(root, tmp_path, kind):
    if not shutil.which("pdflatex"):
        pytest.skip("no pdflatex: install texlive-latex-extra and texlive-fonts-recommended to run this test")
    for name in NEEDED:
        if not subprocess.run(["kpsewhich", name], capture_output=True, text=True, check=False).stdout.strip():
            pytest.skip(f"no {name}: install texlive-latex-extra and texlive-fonts-recommended to run this test")
    published = kind == "published"
    tables = fixture.published_tables(root) if published else fixture.run_tables(root)
    context = fixture.context(root, rehearsal=not published)
    figures = FigureSet(kind, **({} if published else EVERYTHING)).figures()
    drawn = draw_for_paper(figures, tables, context, tmp_path / "figures/paper")
    names = [name for name in TEX_TABLES if name in tables]
    write_paper(names, tables, drawn, context, tmp_path)
    log = latex(tmp_path)
    assert not re.findall(r"Overfull \\[hv]box.*|.*undefined.*|.*Missing character.*", log)
    floats = (tmp_path / "floats.tex").read_text(encoding="utf-8")
    assert floats.count(r"\includegraphics") == len(drawn)
    assert floats.count(r"\input") == len(names)
