"""Mistakes in config and materials are named before any work starts: which file, which place, what to do."""

import shutil
import subprocess

import pytest
import yaml

from falserefusal.common.errors import InputError
from falserefusal.study.checks import check_keys
from falserefusal.study.study import Study
from permissions import bound_by_permissions, open_folder

FILES = {
    "personas": "config/personas.csv",
    "templates": "config/templates.csv",
    "models": "config/models.csv",
    "phrases": "config/refusal_phrases.txt",
}
OWN_PHRASES = {"refusal_phrases": FILES["phrases"]}
HEADERS = {
    "personas": "persona,group,printed,surface,article\n",
    "templates": "task,template,phrasing,format,text,baseline_text\n",
}
MORE = {"personas": "other,g,Z,other person,a\n", "templates": ""}  # one persona alone cannot be drawn ten times


def read_rows():
    from pathlib import Path

    file = Path(__file__).resolve().parents[2] / "suites" / "bad_inputs.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def copy_materials(root, folder):
    """Copy the config files to a folder, with a list of refusal phrases of the study's own."""
    shutil.copytree(root / "config", folder / "config")
    languages = "workflow/falserefusal/labelling/languages"
    shutil.copytree(root / languages, folder / languages)
    shutil.copy(root / languages / "en/refusal_phrases.txt", folder / FILES["phrases"])


@pytest.fixture(scope="module")
def place(root, tmp_path_factory):
    """A folder with the materials, each of which a test may replace."""
    folder = tmp_path_factory.mktemp("materials")
    copy_materials(root, folder)
    return folder


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row["name"])
def test_a_bad_input_is_refused_with_its_place(place, small, monkeypatch, row):
    monkeypatch.chdir(place)
    content = {name: bytes.fromhex(text) for name, text in row.get("bytes", {}).items()}
    content |= {name: text.encode() for name, text in row.get("whole", {}).items()}
    content |= {name: f"{HEADERS[name]}{rows}{MORE[name]}".encode() for name, rows in row.get("file", {}).items()}
    content |= {row["folder"]: None} if "folder" in row else {}
    kept = {}
    try:
        for name, data in content.items():
            path = place / FILES.get(name, name)
            kept[path] = path.read_bytes() if path.exists() else None
            path.unlink(missing_ok=True)
            path.mkdir() if data is None else path.write_bytes(data)
        config = (
            {"models": ["Gemma-2B"], "materials": {"refusal_phrases": FILES["phrases"]}}
            | small(row.get("change", "{}"))
            | row.get("config", {})
        )
        with pytest.raises(InputError) as error:
            Study.load(config, source="own.yaml")
    finally:
        for path, data in kept.items():
            path.rmdir() if path.is_dir() else path.unlink()
            if data is not None:
                path.write_bytes(data)
    lines = str(error.value).splitlines()
    assert row["says"] in str(error.value) and "pydantic" not in str(error.value)
    assert len(lines) <= 2 and max(map(len, lines)) < 400


def test_a_key_that_a_config_file_has_twice_is_named(tmp_path):
    twice = tmp_path / "twice.yaml"
    twice.write_text("study: a\ninference: {seed: 1}\ntasks:\n  nli: {}\n  nli: {}\n")
    with pytest.raises(InputError, match=r"twice\.yaml: line 5: 'nli' is also in line 4; keep one"):
        check_keys([tmp_path / "absent.yaml", twice])
    twice.write_text("a: {b: 1, c: [{b: 1}, {b: 2}]}\nb: 3\n")
    check_keys([twice])


def test_a_file_that_may_not_be_read_is_named(root, small, monkeypatch):
    own = {"source": {"kind": "file", "path": "own.csv", "columns": {"gold_label": "score", "text": "body"}}}
    config = small() | {"models": ["Gemma-2B"], "checkpoints": {"kind": "hub"}, "materials": OWN_PHRASES}
    config["tasks"]["offensiveness"] |= own
    with open_folder() as place:
        copy_materials(root, place)
        (place / "own.csv").write_text("body,score\nhello,3\n")
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        place.chmod(0o777)
        monkeypatch.chdir(place)
        Study.load(config)
        for path in ("own.csv", *FILES.values()):
            (place / path).chmod(0)
            with bound_by_permissions(), pytest.raises(InputError, match=rf"{path}.* may not be read .*permission"):
                Study.load(config)
            (place / path).chmod(0o644)


@pytest.mark.parametrize("folder", ["", "results", "results/small", "results/store"])
def test_results_that_may_not_be_written_are_named(root, small, monkeypatch, folder):
    with open_folder() as place:
        copy_materials(root, place)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        place.chmod(0o777)
        (place / folder).mkdir(parents=True, exist_ok=True)
        for parent in (place / folder).relative_to(place).parents:
            (place / parent).chmod(0o777)
        (place / folder).chmod(0o555)
        monkeypatch.chdir(place)
        with bound_by_permissions(), pytest.raises(InputError, match=rf"{folder or '.'}: you may not write to this"):
            Study.load(small())


@pytest.mark.parametrize("name", ["results", "results/small", "results/store"])
def test_a_file_in_place_of_a_folder_of_results_is_named(place, small, monkeypatch, name):
    monkeypatch.chdir(place)
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    try:
        with pytest.raises(InputError, match=f"{name}: is a file, but results need a folder"):
            Study.load(small())
    finally:
        shutil.rmtree(place / "results") if (place / "results").is_dir() else path.unlink()
