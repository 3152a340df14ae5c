"""The kinds of text source: what each stands for."""

from pathlib import Path

import pytest

from entries import entry
from falserefusal.common.files import InputError
from falserefusal.texts.fetch import raw_path
from falserefusal.texts.sources import resolve
from falserefusal.texts.sources.popquorn import COMMIT


def test_embedded_needs_no_download(root, monkeypatch):
    monkeypatch.chdir(root)
    assert raw_path(entry("embedded"), "nli", "resources") == Path("config/corpus/nli.csv")
    assert resolve(entry("embedded"), "nli").content == ["premise", "hypothesis"]
    assert resolve(entry("embedded"), "politeness").content == ["text"]


def test_a_path_may_start_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert raw_path(entry("xnli", path="~/nli.parquet"), "nli", "resources") == tmp_path / "nli.parquet"


@pytest.mark.parametrize(
    ("kind", "tasks"), [("embedded", "nli, politeness, offensiveness"), ("popquorn", "politeness, offensiveness")]
)
def test_a_task_without_texts_is_an_error_that_names_the_others(kind, tasks):
    with pytest.raises(InputError, match=f"{kind} has texts for {tasks}; use kind: file"):
        resolve(entry(kind), "toxicity")


def test_xnli_is_pinned_unless_a_revision_is_given():
    pinned = resolve(entry("xnli", split="test"), "nli")
    assert pinned.hub[0] == "facebook/xnli" and len(pinned.hub[1]) == 40
    assert pinned.hub[2] == "en/test-00000-of-00001.parquet"
    assert pinned.gold_label_map == {"0": "entailment", "1": "neutral", "2": "contradiction"}
    assert resolve(entry("xnli", revision="main"), "nli").hub[1] == "main"


def test_popquorn_reads_the_ratings_of_the_task():
    politeness = resolve(entry("popquorn"), "politeness")
    assert politeness.url.endswith(f"/{COMMIT}/dataset/politeness_rating/raw_data.csv")
    assert politeness.columns["gold_label"] == "politeness"
    assert politeness.columns["id"] == ["instance_id", "user_id"]


def test_fetched_files_of_different_addresses_have_different_names():
    sources = [
        (entry("popquorn"), "politeness"),
        (entry("popquorn", url="http://elsewhere/raw_data.csv"), "politeness"),
        (entry("xnli"), "nli"),
        (entry("xnli", revision="main"), "nli"),
        (entry("xnli", split="validation"), "nli"),
    ]
    paths = {raw_path(source, task, "resources/texts") for source, task in sources}
    assert len(paths) == len(sources)
    assert all(path.parts[:2] == ("resources", "texts") for path in paths)


@pytest.mark.parametrize(("name", "separator", "quoting"), [("a.csv", ",", "minimal"), ("a.tsv", "\t", "none")])
def test_the_ending_of_a_file_sets_separator_and_quoting(name, separator, quoting):
    spec = resolve(entry("file", path=name, columns={"text": "t", "gold_label": "l"}), "politeness")
    assert (spec.separator, spec.quoting) == (separator, quoting)
