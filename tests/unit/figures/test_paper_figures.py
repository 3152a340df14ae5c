"""Figures for a paper have the width of a column or of the text, and text that can be read in print."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

import tables_of_print as fixture
from drawn_texts import problems_of
from falserefusal.figures.draw import _draw, draw_for_paper
from falserefusal.figures.registry import PAPER_WIDTHS, FigureSet
from falserefusal.figures.style import fit_for_paper, rate_axis, rate_scale, styled

EVERYTHING = {"sequential": True, "several_labellers": True, "annotated": True, "shrunken": True}


@pytest.fixture(scope="module")
def drawn(root, tmp_path_factory):
    """The figures of both kinds of study for a paper: (file, row of the list of files)."""
    found = []
    for kind in ("published", "rehearsal"):
        folder = tmp_path_factory.mktemp(kind)
        published = kind == "published"
        tables = fixture.published_tables(root) if published else fixture.run_tables(root)
        figures = FigureSet(kind, **({} if published else EVERYTHING)).figures()
        index = draw_for_paper(figures, tables, fixture.context(root, rehearsal=not published), folder)
        assert (index["rows"] > 0).all()
        found += [(folder / f"{row.name}.pdf", row) for row in index.itertuples(index=False)]
    return found


def contents(path):
    """Return the drawing operators of a PDF of matplotlib, uncompressed."""
    parts = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", path.read_bytes(), flags=re.DOTALL):
        try:
            parts.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return b"\n".join(part for part in parts if b" Tf" in part or b" re" in part)


def sizes_of_text(path):
    """Return the sizes in points of all text in a PDF.

    No matrix may scale them: matplotlib writes one for rotated text (Tm) and for whole drawings (cm).
    """
    text = contents(path)
    scales = {
        float(np.hypot(float(a), float(b)))
        for a, b in re.findall(rb"([-\d.]+) ([-\d.]+) [-\d.]+ [-\d.]+ [-\d.]+ [-\d.]+ (?:Tm|cm)", text)
    }
    assert all(abs(scale - 1) < 1e-3 for scale in scales), scales
    return [float(size) for size in re.findall(rb"/F\S+ ([\d.]+) Tf", text)]


def test_the_smallest_text_in_every_pdf_is_six_points(drawn):
    for path, _ in drawn:
        sizes = sizes_of_text(path)
        assert len(sizes) > 5, path.name
        assert min(sizes) >= 6 and max(sizes) <= 7, (path.name, min(sizes), max(sizes))


def test_every_pdf_has_the_width_of_its_name_and_fits_a_page(drawn):
    for path, row in drawn:
        _, _, width, height = map(float, re.search(rb"/MediaBox \[ ?([-\d. ]+) ?\]", path.read_bytes())[1].split())
        assert path.stem.endswith(f"_{row.width}")
        assert abs(width / 72 - PAPER_WIDTHS[row.width]) < 0.01, path.name
        assert height / 72 < 8.5, path.name


@pytest.mark.parametrize("kind", [pytest.param("published", marks=pytest.mark.slow), "rehearsal"])
def test_no_text_leaves_a_figure_for_a_paper_or_covers_another(root, kind):
    published = kind == "published"
    tables = fixture.published_tables(root) if published else fixture.run_tables(root)
    context = fixture.context(root, rehearsal=not published)
    with styled():
        for figure in FigureSet(kind, **({} if published else EVERYTHING)).figures():
            for width in figure.paper:
                canvas, _ = _draw(figure, tables, replace(context, paper=width))
                fit_for_paper(canvas)
                FigureCanvasAgg(canvas).draw()
                problems = problems_of(canvas)
                assert not problems, f"{figure.name}, {width}: {problems[:5]}"


def test_captions_are_written_and_have_the_notice_of_a_rehearsal(drawn):
    for path, row in drawn:
        caption = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        assert caption == row.caption and len(caption) > 40 and "None" not in caption
        assert caption.startswith(fixture.BANNER) == ("rehearsal" in str(path.parent))
    captions = {row.name: row.caption for path, row in drawn}
    assert "Right:" in captions["figure01_baseline_text"] and "Right:" not in captions["figure01_baseline_column"]


def test_a_figure_without_rows_says_so_in_its_caption(root, tmp_path):
    figure = next(figure for figure in FigureSet("published").figures() if figure.name == "figure05_importance")
    tables = fixture.published_tables(root)
    tables["importance"] = tables["importance"].head(0)
    index = draw_for_paper([figure], tables, fixture.context(root), tmp_path)
    assert (index["rows"] == 0).all() and index["caption"].str.contains("Nothing to draw").all()


def test_wide_intervals_have_grey_cells(root):
    from falserefusal.figures.personas import draw_persona_by_model

    tables = fixture.published_tables(root)
    rates = tables["rates_model_persona"].copy()
    first = rates.index[0]
    rates.loc[first, ["rate", "lo", "hi"]] = 0.4, 0.3, 0.5
    rates.loc[rates.index[1], ["rate", "lo", "hi"]] = 0.4, 0.39, 0.41
    with styled():
        canvas, _ = draw_persona_by_model(
            tables | {"rates_model_persona": rates}, replace(fixture.context(root), paper="text")
        )
    cells = canvas.axes[0].collections[0].get_facecolor()
    assert np.ptp(cells[0][:3]) < 0.01 < np.ptp(cells[1][:3])


def test_the_scale_of_rates_follows_their_span():
    assert rate_scale([0, 0.001, 0.5]).log
    assert not rate_scale([0, 0.01, 0.5]).log
    assert not rate_scale([0, 0, 0], [0.1]).log
    assert rate_scale(pd.Series([0.1, np.nan]), pd.Series([0.3, np.nan])).top == pytest.approx(30)
    assert rate_scale([0.001, 0.5]).note and not rate_scale([0.1, 0.5]).note


@pytest.mark.parametrize("rates", [[0.0, 0.001, 0.9], [0.0, 0.2, 0.3], [0.0, 0.0]])
def test_zero_and_the_largest_rate_are_on_either_axis(rates):
    ax = Canvas(figsize=(4, 2)).add_subplot()
    rate_axis(ax, rate_scale(rates))
    low, high = ax.get_xlim()
    assert low < 0 and high > 100 * max(rates)
    assert ax.get_xscale() == ("symlog" if rates[-1] == 0.9 else "linear")
