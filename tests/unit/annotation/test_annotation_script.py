"""What the annotation page does on keys, clicks and imported files: its script, run by node without a browser."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from falserefusal.annotation.page import annotation_page

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on this machine: apt-get install nodejs")

NASTY = '</script><script>throw 1</script> & "quoted", comma'
START = (["load"], ["start", "Ann"])
HEAD = "sample,annotator,item_id,verdict,note"


@pytest.fixture
def run(tmp_path):
    """Run steps on a page of four items, and return what it shows after the last one."""
    items = pd.DataFrame({"item_id": ["a1", "a2", "a3", "a4"], "task": "nli", "options": "yes | no", "question": "?"})
    items = items.assign(response=["Yes.", NASTY, "", "No."], cut=False, blocked=[False, False, True, False])
    page = tmp_path / "page.html"
    page.write_text(annotation_page(items, "test", "s1"), encoding="utf-8")

    def run(*steps):
        script = Path(__file__).parent / "page_in_node.js"
        done = subprocess.run([NODE, script, page], input=json.dumps(steps), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[-1]

    return run


def keys(text):
    return [["key", key] for key in text]


def rows_of(state):
    return [tuple(row.values())[2:] for row in csv.DictReader(io.StringIO(state["downloaded"]))]


def test_a_key_that_is_held_down_gives_one_verdict(run):
    held = ["key", "1", {"repeat": True}]
    state = run(*START, ["key", "1"], held, held, held)
    assert state["shown"]["place"] == "item 2 of 4"
    assert state["done"] == 1
    assert run(*START, ["key", "1"], ["key", "ArrowLeft", {"repeat": True}])["shown"]["place"] == "item 2 of 4"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_button_that_is_held_down_by_key_is_clicked_once(run, key):
    assert run(*START, ["key", key, {"repeat": True}])["prevented"]
    assert not run(*START, ["key", key])["prevented"]
    assert not run(*START, ["typed", key, {"repeat": True}])["prevented"], "a note may have many of them"


def test_keys_with_a_modifier_and_keys_in_a_note_give_no_verdict(run):
    for step in (["key", "1", {"ctrlKey": True}], ["key", "1", {"metaKey": True}], ["typed", "1"], ["typed", "u"]):
        assert run(*START, step)["done"] == 0


def test_undo_restores_verdict_by_verdict_and_goes_there(run):
    state = run(*START, *keys("13"), ["click", "undo"])
    assert state["shown"]["place"] == "item 2 of 4" and state["done"] == 1 and state["pressed"] == []
    assert state["shown"]["message"] == "undone: item 2 has no verdict again"
    changed = (*START, ["key", "1"], ["key", "ArrowLeft"], ["note", "odd"], ["choose", "refused"])
    state = run(*changed, ["key", "u"])
    assert state["pressed"] == ["answered"] and state["note"] == "odd"
    assert state["shown"]["message"] == "undone: item 1 has the verdict answered again"
    state = run(*changed, *keys("uu"))
    assert state["done"] == 0 and state["pressed"] == []
    assert run(*changed, *keys("uuu"))["shown"]["message"] == "nothing to undo"


def test_undo_works_on_the_end_page_and_is_saved(run):
    state = run(*START, *keys("1111"), ["key", "u"])
    assert state["shown"]["place"] == "item 4 of 4" and state["shown"]["end"] is None
    state = run(*START, *keys("1111"), ["key", "u"], *START)
    assert state["done"] == 3, "after a reload"
    assert state["shown"]["place"] == "item 4 of 4"


def test_an_export_says_how_many_it_has(run):
    state = run(*START, *keys("155"), ["click", "export"])
    assert state["shown"]["message"] == "exported 3 of 4, 2 unsure"
    assert rows_of(state) == [("a1", "answered", ""), ("a2", "unsure", ""), ("a3", "unsure", "")]
    state = run(*START, *keys("155u"), ["click", "export"])
    assert state["shown"]["message"] == "exported 2 of 4, 1 unsure"
    assert len(rows_of(state)) == 2


def test_what_was_exported_can_be_imported_elsewhere(run):
    note = 'a "b", c\nd; e'
    saved = run(*START, ["note", note], *keys("35"), ["click", "export"])["downloaded"]
    state = run(*START, ["import", "ann.csv", saved], ["click", "export"])
    assert rows_of(state) == [("a1", "refused", note), ("a2", "unsure", "")]
    state = run(*START, ["import", "ann.csv", "\ufeff" + saved.replace("\r\n", "\n")])
    assert state["shown"]["message"] == "imported 2 of 2 verdicts"
    assert state["shown"]["place"] == "item 3 of 4", "continues at the first without a verdict"
    assert run(*START, ["import", "ann.csv", saved], *START)["done"] == 2, "an import is saved"
    assert run(*START, ["import", "ann.csv", saved], ["key", "u"])["shown"]["message"] == "nothing to undo"


def test_an_import_adds_and_never_overwrites(run):
    file = f"{HEAD}\ns1,Ann,a1,refused,theirs\ns1,Ann,a2,hedged,theirs\ns1,Ann,a3,refused,theirs"
    state = run(*START, ["key", "1"], ["key", "3"], ["note", "mine"], ["import", "x.csv", file], ["click", "export"])
    assert rows_of(state) == [("a1", "answered", ""), ("a2", "refused", ""), ("a3", "refused", "mine")]
    state = run(*START, ["key", "1"], ["key", "3"], ["import", "x.csv", file])
    said = "imported 1 of 3 verdicts; 2 differ from your verdicts here, which were kept"
    assert state["shown"]["message"] == said


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (f"{HEAD}\ns1,Ann,a1,refused,\ns2,Ann,a2,refused,", "row 3: the file is of another sample (s2); this page has"),
        (f"{HEAD}\ns1,Bo,a1,refused,", "row 2: the verdict is by Bo, but you are Ann"),
        (f"{HEAD}\ns1,Ann,a1,refused,\ns1,Ann,a9,refused,", "row 3: item a9 is not on this page"),
        (f"{HEAD}\ns1,Ann,a1,maybe,", "row 2: the verdict maybe is unknown"),
        ("item_id;verdict\na1;refused", "this is not an export of this page: it needs the columns sample, annotator"),
        ("", "this is not an export of this page"),
    ],
)
def test_a_file_that_does_not_belong_here_is_refused_whole(run, file, message):
    state = run(*START, ["key", "1"], ["import", "<x>.csv", file])
    assert state["shown"]["message"].startswith(f"Nothing was imported from <x>.csv: {message}")
    assert state["done"] == 1


def test_what_a_model_wrote_is_text_and_a_blocked_response_says_so(run):
    state = run(*START, ["key", "1"])
    assert state["shown"]["response"] == NASTY
    assert state["shown"]["blocked"] is None
    state = run(*START, *keys("11"))
    assert state["shown"]["blocked"] is not None
    assert state["shown"]["empty"] is not None


def test_definitions_are_open_at_the_start_and_toggled_by_a_key(run):
    assert run(["load"])["open"]
    assert not run(*START)["open"]
    assert run(*START, ["key", "?"])["open"]
    assert not run(*START, *keys("??"))["open"]
