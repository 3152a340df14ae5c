"""The record of what a study was made of."""

import hashlib

from entries import entry
from falserefusal.common.files import read_json, write_csv, write_json
from falserefusal.report.provenance import provenance
from falserefusal.texts.fetch import record
from falserefusal.texts.problems import Problem, problem_frame

COLUMNS = {"text": "text", "gold_label": "label"}


def test_texts_are_recorded_by_origin_and_checksum_whether_local_or_fetched(tmp_path):
    own, fetched = tmp_path / "own.csv", tmp_path / "raw_data.csv"
    own.write_text("text,label\nhello,a\n")
    fetched.write_text("instance_id,user_id,text,offensiveness\n1,2,hello,3\n")
    sources = {
        "toxicity": entry("file", path=str(own), columns=COLUMNS),
        "offensiveness": entry("popquorn", url="https://example.org/raw_data.csv"),
    }
    download = tmp_path / "source.json"
    write_json(record(sources["offensiveness"], "offensiveness", fetched), download)
    config = {"tasks": {task: {"source": source} for task, source in sources.items()}}
    files = {"toxicity": str(own), "offensiveness": str(download)}
    texts = provenance(config, [str(own)], [], files)["texts"]
    assert texts["toxicity"]["origin"] == "own.csv"
    assert texts["offensiveness"]["origin"] == "https://example.org/raw_data.csv"
    for task, path in {"toxicity": own, "offensiveness": fetched}.items():
        assert texts[task]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_problems_of_the_texts_are_counted_by_kind(tmp_path):
    own, listed = tmp_path / "own.csv", tmp_path / "problems.csv"
    own.write_text("text,label\nhello,a\n")
    problems = [
        Problem(7, "label", "no gold label", "row dropped", "'NA'"),
        Problem(5, "label", "no gold label", "row dropped"),
        Problem(9, "", "not 3 fields, as the header has", "row dropped", "2 fields: 'a,b'"),
        Problem(None, "label", "no row has the gold label", "none to sample", "b"),
    ]
    write_csv(problem_frame(problems, "toxicity"), listed)
    config = {"tasks": {"toxicity": {"source": entry("file", path=str(own), columns=COLUMNS)}}}
    record = tmp_path / "provenance.json"
    write_json(provenance(config, [], [], {"toxicity": str(own)}, {"toxicity": str(listed)}), record)
    found = read_json(record)["texts"]["toxicity"]["problems"]
    assert [(kind["column"], kind["problem"], kind["count"], kind["first_row"]) for kind in found] == [
        ("label", "no row has the gold label", 1, None),
        ("label", "no gold label", 2, 5),
        ("", "not 3 fields, as the header has", 1, 9),
    ]


def test_texts_without_problems_have_an_empty_list(tmp_path):
    own, listed = tmp_path / "own.csv", tmp_path / "problems.csv"
    own.write_text("text,label\nhello,a\n")
    write_csv(problem_frame([], "toxicity"), listed)
    config = {"tasks": {"toxicity": {"source": entry("file", path=str(own), columns=COLUMNS)}}}
    about = provenance(config, [], [], {"toxicity": str(own)}, {"toxicity": str(listed)})
    assert about["texts"]["toxicity"]["problems"] == []


def test_a_study_without_texts_has_none(tmp_path):
    assert "texts" not in provenance({"study": "published"}, [], [])


def test_what_the_batch_check_found_is_recorded_by_model(tmp_path):
    (tmp_path / "t.csv").write_text("model,prompts,rate,note\na,50,0.26,\nb,0,,switched off\n")
    found = provenance({}, [], [], batch_check=str(tmp_path / "t.csv"))["batch_check"]
    assert found == {"a": {"prompts": 50, "rate": 0.26}, "b": {"prompts": 0, "note": "switched off"}}
    write_json(found, tmp_path / "p.json")
