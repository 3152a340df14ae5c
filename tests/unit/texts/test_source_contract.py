"""The contract of a text source, checked on every registered kind."""

import subprocess
import sys
from pathlib import Path

import pytest

import entries
from falserefusal.texts.fetch import raw_path
from falserefusal.texts.sources import KINDS, SCALES, Source, resolve

DIGEST = "0123456789abcdef" * 4
# for each kind a task, and what a config may say
ENTRIES = {
    "embedded": ("nli", {}),
    "xnli": ("nli", {"split": "validation", "revision": "main"}),
    "popquorn": ("politeness", {"url": "https://host/raw_data.csv"}),
    "file": ("toxicity", {"path": "mine.csv", "columns": {"text": "t", "gold_label": "l"}, "scale": [1, 2]}),
}


@pytest.fixture(params=KINDS)
def kind(request):
    assert request.param in ENTRIES, f"add an entry for the kind {request.param} to ENTRIES"
    return request.param


@pytest.fixture
def task(kind):
    return ENTRIES[kind][0]


@pytest.fixture
def entry(kind):
    return entries.entry(kind, **ENTRIES[kind][1])


def test_an_entry_resolves_to_the_same_source_every_time(entry, task):
    before = dict(entry)
    source = resolve(entry, task)
    assert isinstance(source, Source) and source == resolve(entry, task)
    assert entry == before, "the entry is not changed"


def test_a_source_has_a_name_an_origin_and_columns(entry, task):
    source = resolve(entry, task)
    assert source.name and source.origin
    assert set(source.columns) - {"id"} == {"gold_label", *source.content}
    assert source.content in (["text"], ["premise", "hypothesis"])
    assert source.content == (["premise", "hypothesis"] if task == "nli" else ["text"])


def test_a_source_has_just_one_place(entry, task):
    source = resolve(entry, task)
    assert [source.path, source.url, source.hub].count(None) == 2


def test_gold_labels_are_strings_of_the_scale(entry, task):
    source = resolve(entry, task)
    assert source.scale is None or all(isinstance(gold_label, str) for gold_label in source.scale)
    assert task not in SCALES or source.scale == SCALES[task]
    assert set(source.gold_label_map.values()) <= set(source.scale or source.gold_label_map.values())


def test_a_local_copy_takes_the_place_of_the_download(kind, entry, task):
    if "path" not in entry:
        pytest.skip("has no path")
    given = {**ENTRIES[kind][1], "path": "~/copy.csv", "sha256": f"sha256:{DIGEST.upper()}"}
    copy = entries.entry(kind, **given)
    source = resolve(copy, task)
    assert source.origin == source.path == str(Path("~/copy.csv").expanduser()) and source.sha256 == DIGEST
    assert raw_path(copy, task, "resources") == Path(source.path)


def test_listing_kinds_imports_no_pandas(root):
    code = "import sys; from falserefusal.texts.sources import KINDS; sys.exit('pandas' in sys.modules or not KINDS)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "workflow")}).returncode == 0
