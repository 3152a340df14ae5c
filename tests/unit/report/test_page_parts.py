"""Drawings, sentences and citations of the page: small, unique, escaped, the same for the same inputs."""

import hashlib
import re
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml

import tables_of_print as fixture
from falserefusal.common.notice import BANNER
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet
from falserefusal.report.build import MAX_CSV, SCRIPTS, Study, _csv, build_report
from falserefusal.report.drawings import drawing, inline
from falserefusal.report.present import sort_key
from falserefusal.report.reuse import bibtex, facts
from falserefusal.report.short import in_short
from falserefusal.study.files import PAGE

DRAWING = """<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="576pt" height="300pt" viewBox="0 0 576 300"
xmlns="http://www.w3.org/2000/svg"><defs><style>* { color: red }</style><path id="c" d=""/></defs><g>
<g><text x="8" y="14" transform="rotate(-0 8 14)">BANNER</text></g>
<g id="message"><text transform="translate(8 27)">A</text>
<text transform="translate(8 40)">title</text></g><g><use xlink:href="#c" clip-path="url(#c)"/></g></g></svg>"""


@pytest.fixture(scope="module")
def drawn(root, tmp_path_factory):
    """Two figures with many marks, with the title that each has."""
    folder = tmp_path_factory.mktemp("drawn")
    chosen = [f for f in FigureSet("published").figures() if f.name in ("figure05_importance", "figure07_nli")]
    return folder, draw_figures(chosen, fixture.published_tables(root), fixture.context(root), folder)


def test_a_drawing_loses_its_title_and_style_and_the_banner_moves_down():
    svg = inline(DRAWING, "mine", "a <b> title", 'said "so" & more')
    tree = ElementTree.fromstring(svg)
    assert "A" not in [node.text for node in tree.iter()] and "style>" not in svg
    height = 2 * 1.22 * 10.5
    assert [float(part) for part in tree.get("viewBox").split()] == pytest.approx(
        [0, height, 576, 300 - height], abs=1e-2
    )
    (banner,) = [node for node in tree.iter() if node.get("transform") == f"translate(0 {height:.2f})"]
    assert "".join(banner.itertext()).strip() == "BANNER"
    assert tree[0].text == "a <b> title" and tree[1].text == 'said "so" & more'
    assert 'href="#mine-c"' in svg and 'clip-path="url(#mine-c)"' in svg and 'id="mine-c"' in svg
    assert "width=" not in svg and tree.get("role") == "img"


def test_the_banner_of_a_rehearsal_is_seen_in_every_drawing(root, tmp_path):
    chosen = [f for f in FigureSet("rehearsal").figures() if f.name in ("planted_rates", "figure05_importance")]
    index = draw_figures(chosen, fixture.run_tables(root), fixture.context(root, rehearsal=True), tmp_path)
    for row in index.itertuples():
        tree = ElementTree.fromstring(drawing(tmp_path, row.name, row.message, row.caption)["svg"])
        top = float(tree.get("viewBox").split()[1])
        (moved,) = [
            g
            for g in tree.iter()
            if g.get("transform", "").startswith("translate(0 ") and BANNER in "".join(g.itertext())
        ]
        assert float(moved.get("transform")[12:-1]) == pytest.approx(top, abs=0.01) and top > 10


def test_drawings_of_a_page_are_svg_with_different_ids(drawn):
    folder, index = drawn
    parts = [drawing(folder, row.name, row.message, row.caption) for row in index.itertuples()]
    assert all(part["svg"] and not part["png"] for part in parts)
    ids = [name for part in parts for name in re.findall(r' id="([^"]+)"', part["svg"])]
    assert len(ids) == len(set(ids)) > 4
    used = {
        name for part in parts for name in re.findall(r'href="#([^"]+)|url\(#([^)]+)', part["svg"]) for name in name
    }
    assert used - {""} <= set(ids)
    assert all(
        row.message.split(":")[0] not in part["svg"].split("</desc>")[1]
        for part, row in zip(parts, index.itertuples(), strict=True)
    )


def test_a_drawing_is_a_picture_where_that_is_smaller_or_the_svg_is_broken(drawn, tmp_path):
    folder, index = drawn
    name = index["name"][0]
    (tmp_path / f"{name}.png").write_bytes(b"x")
    for svg in ((folder / f"{name}.svg").read_text(encoding="utf-8"), "<svg>\x00"):
        (tmp_path / f"{name}.svg").write_text(svg, encoding="utf-8")
        assert drawing(tmp_path, name, "t", "d") == {"svg": "", "png": "eA=="}


@pytest.mark.parametrize(
    "cell, key",
    [
        ("12", ""),
        ("−1,234.5", "-1234.5"),
        ("<0.001", "0"),
        (">−0.001", "0"),
        ("∞", "Infinity"),
        ("−∞", "-Infinity"),
        ("", ""),
    ],
)
def test_cells_are_sorted_by_their_number(cell, key):
    assert sort_key(cell) == key


def test_a_table_is_a_file_inside_the_page_unless_it_is_large():
    table = pd.DataFrame({"a": ['x"</a>,\n', "y"], "rate": [1 / 3, None]})
    address = _csv(table, BANNER)
    assert not set(address) & set('"<>\n') and "study" in address and "0.333333" in address
    assert _csv(pd.DataFrame({"a": ["x" * 100] * (MAX_CSV // 100)}), "") == ""


def test_in_short_names_personas_only_where_they_are_separated(root):
    tables = fixture.published_tables(root)
    said = in_short(tables, "published", False, [], 0)
    assert list(said) == ["Asked", "Found", "Limits"]
    assert said["Asked"].startswith("16 models gave ") and "points (" in said["Found"]
    few = tables["separations"].assign(refusals=4)
    assert in_short(tables | {"separations": few}, "run", False, [], 1)["Found"].startswith("4 refusals: too few")
    effect = pd.DataFrame(
        {"model": ["mean"], "persona": ["any persona"], "difference": [0.1], "lo": [0.05], "hi": [0.2]}
    )
    found = in_short(tables | {"effects_mean": effect}, "run", False, [], 0)["Found"]
    assert found.startswith("Naming a persona clearly raises the refusal rate")
    assert "effect" not in in_short(tables | {"effects_mean": effect, "separations": few}, "run", False, [], 0)["Found"]
    assert in_short({}, "run", False, [], 0) == {}


def test_the_paper_and_the_repository_are_cited(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    paper, own = bibtex(citation, "2026")
    assert paper.startswith("@inproceedings{plazadelarco2025,") and "Röttger, Paul and Scherrer, Nino" in paper
    assert own.startswith("@software{") and "year = {2026}" in own and "version = {0.1.0}" in own
    assert all(entry.count("{") == entry.count("}") for entry in (paper, own))
    assert bibtex({}, "") == []


def test_facts_come_from_the_provenance():
    model = {"device": {"name": "cpu", "threads": 2}, "seconds": 120, "revision": "sha256:1"}
    provenance = {"config": {"seed": 7}, "models": {"a": model, "b": model}, "data": {"x.csv": {"sha256": "1"}}}
    provenance |= {"code": {"commit": "abc", "date": "2026-01-02", "edited": True}, "versions": {"numpy": "2"}}
    found = facts(provenance, "mine", False)
    assert found["command"] == "snakemake --cores 2 --configfile config/mine.yaml"
    assert found["hardware"] == "CPU (2 threads)" and found["time for responses"] == "4 minutes"
    assert found["seed"] == "7" and found["date of the code"] == "2026-01-02" and found["weights"] == "sha256:1"
    assert facts({}, "published", True) == {"command": "snakemake --cores 2 published"}


@pytest.mark.parametrize("edited", [True, False])
def test_a_page_of_edited_code_says_so(root, drawn, tmp_path, edited):
    folder, index = drawn
    about = {"code": {"commit": "0123456789abcdef", "edited": edited}}
    build_report(tmp_path / "x.html", Study("x", "run"), fixture.published_tables(root), index, folder, about)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert ("edited after commit 0123456789ab." in text) == edited
    assert len(text) < 3_000_000 and text.count("<svg") == 2


def test_code_of_others_is_unchanged_and_every_file_of_the_page_is_an_input(root):
    home = root / "workflow/falserefusal/report"
    listed = re.findall(r"^\| (\S+\.js) .*\| ([0-9a-f]{64}) \|$", (home / "vendor/README.md").read_text(), flags=re.M)
    assert {name for name, _ in listed} == {path.name for path in (home / "vendor").glob("*.js")}
    for name, checksum in listed:
        assert hashlib.sha256((home / "vendor" / name).read_bytes()).hexdigest() == checksum
    assert {str(home / name) for name in SCRIPTS} <= {str(root / path) for path in PAGE}


def test_a_study_whose_responses_were_all_stored_says_so():
    remark = "nothing was generated: every response was in the store"
    assert facts({"models": {"a": {"device": remark}}}, "mine", False)["hardware"] == remark
    cpu = {"name": "cpu", "threads": 1}
    assert facts({"models": {"a": {"device": cpu}}}, "mine", False)["hardware"] == "CPU (1 thread)"
    assert facts({"models": {"a": {}}}, "mine", False)["hardware"] == "a server"
