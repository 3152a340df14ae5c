"""Dots, bars and cells of a figure have their values as titles, which a browser shows at the pointer."""

import re

import pytest

import tables_of_print as fixture
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet


@pytest.fixture(scope="module")
def titles(root, tmp_path_factory):
    """The titles in the SVG of each of three figures."""
    folder = tmp_path_factory.mktemp("drawn")
    tables = fixture.published_tables(root)
    name = "Llama|2<&7"  # as hostile as a name may be
    for table in tables.values():
        if "model" in table:
            table["model"] = table["model"].replace("Llama2-7B", name)
    context = fixture.context(root)
    context = type(context)(**(vars(context) | {"models": {name: "Llama"} | context.models}))
    wanted = ("figure03_persona_by_model", "figure05_importance", "labeller_range")
    figures = [figure for figure in FigureSet("published").figures() if figure.name in wanted]
    draw_figures(figures, tables, context, folder)
    return {name: re.findall("<title>([^<]*)</title>", (folder / f"{name}.svg").read_text("utf-8")) for name in wanted}


def test_each_cell_of_a_heat_map_has_its_names_and_its_value(titles, root):
    cells = titles["figure03_persona_by_model"]
    assert len(cells) == len(fixture.published_tables(root)["rates_model_persona"])
    assert all(re.fullmatch(r"[^:]+, [^:]+: [\d.e−]+ \([\d.e−]+ to [\d.e−]+\)", cell) for cell in cells), cells[:3]
    assert any(cell.startswith("Llama/2&lt;&amp;7, ") for cell in cells)


def test_bars_have_values(titles):
    assert [title for title in titles["figure05_importance"] if title.startswith("noise floor 0.")]
    assert [title for title in titles["labeller_range"] if re.fullmatch(r"[\d.]+ to [\d.]+", title)]
