"""The kinds of text source: what each stands for, and messages about mistakes in an entry."""

from pathlib import Path

import pytest
import yaml

from falserefusal.common.files import InputError
from falserefusal.texts.fetch import raw_path
from falserefusal.texts.sources import resolve


def test_embedded_needs_no_download(root, monkeypatch):
    monkeypatch.chdir(root)
    assert raw_path({"kind": "embedded"}, "nli", "resources") == Path("config/corpus/nli.csv")
    assert resolve({"kind": "embedded"}, "nli").content == ["premise", "hypothesis"]
    assert resolve({"kind": "embedded"}, "politeness").content == ["text"]


def test_a_path_may_start_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert raw_path({"kind": "xnli", "path": "~/nli.parquet"}, "nli", "resources") == tmp_path / "nli.parquet"


def test_embedded_has_no_other_task():
    with pytest.raises(InputError, match=r"task 'toxicity': the embedded corpus has nli, offensiveness, politeness"):
        resolve({"kind": "embedded"}, "toxicity")


def test_xnli_is_pinned_unless_a_revision_is_given():
    pinned = resolve({"kind": "xnli", "split": "test"}, "nli")
    assert pinned.hub[0] == "facebook/xnli" and len(pinned.hub[1]) == 40
    assert pinned.hub[2] == "en/test-00000-of-00001.parquet"
    assert pinned.gold_label_map == {"0": "entailment", "1": "neutral", "2": "contradiction"}
    assert resolve({"kind": "xnli", "revision": "main"}, "nli").hub[1] == "main"


def test_popquorn_reads_the_ratings_of_the_task():
    politeness = resolve({"kind": "popquorn"}, "politeness")
    assert politeness.url.endswith("/main/dataset/politeness_rating/raw_data.csv")
    assert politeness.columns["gold_label"] == "politeness"
    assert politeness.columns["id"] == ["instance_id", "user_id"]


def test_fetched_files_of_different_addresses_have_different_names():
    sources = [
        ({"kind": "popquorn"}, "politeness"),
        ({"kind": "popquorn", "url": "http://elsewhere/raw_data.csv"}, "politeness"),
        ({"kind": "xnli"}, "nli"),
        ({"kind": "xnli", "revision": "main"}, "nli"),
        ({"kind": "xnli", "split": "validation"}, "nli"),
    ]
    paths = {raw_path(source, task, "resources/texts") for source, task in sources}
    assert len(paths) == len(sources)
    assert all(path.parts[:2] == ("resources", "texts") for path in paths)


@pytest.mark.parametrize(
    ("source", "task", "message"),
    [
        ({}, "nli", "source kind None is not one of embedded, file, popquorn, xnli"),
        ({"kind": "snli"}, "nli", "source kind 'snli' is not one of"),
        (
            {"kind": "xnli", "splt": "test"},
            "nli",
            "unknown key splt in a source of kind xnli; known keys: path, revision, sha256, split",
        ),
        (
            {"kind": "embedded", "path": "x"},
            "nli",
            "unknown key path in a source of kind embedded; known keys: none besides kind",
        ),
        ({"kind": "xnli", "split": "dev"}, "nli", "no split 'dev', only test, validation, train"),
        ({"kind": "popquorn"}, "nli", "POPQUORN has politeness and offensiveness"),
        ({"kind": "file"}, "nli", "path is missing"),
        ({"kind": "file", "path": "x.csv"}, "nli", "names nothing"),
        ({"kind": "file", "path": "x.csv", "columns": {"text": "t"}}, "nli", "names text"),
        (
            {"kind": "file", "path": "x.csv", "columns": {"text": "t", "gold_label": "l"}, "quoting": "all"},
            "nli",
            "quoting",
        ),
    ],
)
def test_mistakes_in_a_source_are_explained(source, task, message):
    with pytest.raises(InputError, match=message):
        resolve(source, task)


def test_a_password_in_an_address_is_refused_and_not_shown():
    source = {"kind": "popquorn", "url": "https://me:hf_secret@host/raw_data.csv"}
    with pytest.raises(InputError, match="leave user name and password out") as error:
        resolve(source, "politeness")
    assert "hf_secret" not in str(error.value)


@pytest.mark.parametrize(("name", "separator", "quoting"), [("a.csv", ",", "minimal"), ("a.tsv", "\t", "none")])
def test_the_ending_of_a_file_sets_separator_and_quoting(name, separator, quoting):
    spec = resolve({"kind": "file", "path": name, "columns": {"text": "t", "gold_label": "l"}}, "politeness")
    assert (spec.separator, spec.quoting) == (separator, quoting)


def test_every_source_of_the_study_configs_resolves(root):
    studies = [yaml.safe_load(path.read_text()) for path in (root / "config").glob("*.yaml")]
    tasks = [(name, task["source"]) for study in studies for name, task in study.get("tasks", {}).items()]
    assert tasks
    for name, source in tasks:
        assert resolve(source, name).name
