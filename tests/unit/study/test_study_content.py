"""Content of files as params of rules, and of weights as settings of their download."""

import json
from types import SimpleNamespace

import pytest

from falserefusal.common.hub import content_of
from falserefusal.study.checks import _packages
from falserefusal.study.rules import content_of_code, content_of_data


def test_data_and_code_are_told_apart_and_each_is_known_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["config/phrases.txt", "workflow/a.py", "workflow/b.py"]
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("one")
    assert list(content_of_data(files)) == files[:1]
    data, code = content_of_data(files), content_of_code(files)
    assert content_of_code(reversed(files)) == code
    (tmp_path / files[0]).write_text("two")
    assert content_of_data(files) != data and content_of_code(files) == code
    (tmp_path / files[2]).write_text("two")
    assert content_of_code(files) != code


def test_the_settings_of_a_download_have_the_content_of_a_local_folder_and_no_other(load, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    models = tmp_path / "models.csv"
    models.write_text(f"model,hub_id\nHere,{tmp_path}/model\nGone,{tmp_path}/gone\nHub,org/model\n")
    study = load(f"materials: {{models: {models}}}\ncheckpoints: {{kind: hub}}\nmodels: all")
    assert study.fetch_settings("Here") == study.load_settings("Here") | {"content": [content_of(tmp_path / "model")]}
    assert study.fetch_settings("Gone") == study.load_settings("Gone")
    assert study.fetch_settings("Hub") == study.load_settings("Hub"), "else each hub model would be fetched again"


@pytest.mark.parametrize("edited", [False, True])
def test_edited_weights_of_a_package_are_named(tmp_path, edited):
    row = SimpleNamespace(package="p==1", weights="w/model", weights_record="w/model.json")
    assert not list(_packages({"a": row}, tmp_path)), "not fetched yet"
    (tmp_path / "w/model").mkdir(parents=True)
    (tmp_path / "w/model/model.safetensors").write_text("one")
    (tmp_path / "w/model.json").write_text(json.dumps({"revision": content_of(tmp_path / "w/model")}))
    if edited:
        (tmp_path / "w/model/model.safetensors").write_text("two")
    found = list(_packages({"a": row, "b": row}, tmp_path))
    assert (
        found == ["w/model: changed since it was fetched; remove w/model and w/model.json to fetch it again"] * edited
    )
