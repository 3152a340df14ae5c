"""The record of what a study was made of."""

import hashlib

from entries import entry
from falserefusal.common.files import write_json
from falserefusal.report.provenance import provenance
from falserefusal.texts.fetch import record


def test_texts_are_recorded_by_origin_and_checksum_whether_local_or_fetched(tmp_path):
    columns = {"text": "text", "gold_label": "label"}
    own, fetched = tmp_path / "own.csv", tmp_path / "raw_data.csv"
    own.write_text("text,label\nhello,a\n")
    fetched.write_text("instance_id,user_id,text,offensiveness\n1,2,hello,3\n")
    sources = {
        "toxicity": entry("file", path=str(own), columns=columns),
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


def test_a_study_without_texts_has_none(tmp_path):
    assert "texts" not in provenance({"study": "published"}, [], [])
