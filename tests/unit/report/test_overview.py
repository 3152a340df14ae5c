"""The list of all studies, and the findings of a study on the terminal."""

import re
from types import SimpleNamespace

from falserefusal.report.headline import Card
from falserefusal.report.overview import read_summary, summary_text, write_index, write_summary

CARDS = [
    Card("5 of 9", "claims <hold>", "x"),
    Card("3.1%", "of task a", "x", True),
    Card("no difference", "None.", "x"),
]


def add(results, name, kind="run", banner=""):
    folder = results / name / "report"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("a page")
    study = SimpleNamespace(name=name, kind=kind, title=f"Title of {name}", banner=banner)
    write_summary(folder / "summary.json", study, "What kind.", CARDS)
    return folder / "summary.json"


def test_all_studies_are_listed_rehearsals_last_and_marked(tmp_path):
    add(tmp_path, "a-test", "rehearsal", "REHEARSAL: nothing real")
    add(tmp_path, "pilot")
    (tmp_path / "store").mkdir()
    page = write_index(tmp_path).read_text()
    assert re.findall('<h2><a href="(.*?)"', page) == ["pilot/report/index.html", "a-test/report/index.html"]
    assert page.count("REHEARSAL: nothing real") == 1 and "claims &lt;hold&gt;" in page
    assert not re.search(r"(src|href)=.?(https?:)?//", page), "no request to another place"


def test_a_study_without_a_page_or_with_a_broken_summary_is_not_listed(tmp_path):
    assert write_index(tmp_path) is None
    add(tmp_path, "gone").with_name("index.html").unlink()
    add(tmp_path, "broken").write_text("{")
    assert write_index(tmp_path) is None and not (tmp_path / "index.html").exists()


def test_findings_of_single_tasks_are_left_to_the_page(tmp_path):
    summary = read_summary(add(tmp_path, "pilot"))
    assert summary_text(summary).splitlines() == [
        "pilot: Title of pilot",
        "  5 of 9 claims <hold>",
        "  no difference: None.",
    ]
