"""The study to copy: short files are enough, its dummies are named as none, and a copy of the folder is a study."""

import csv
import shutil

import pytest

import falserefusal as fr
from falserefusal.common.errors import InputError
from falserefusal.study.materials import load_personas, read_models
from falserefusal.study.study import Study

FOLDER = "config/template"


@pytest.fixture
def study(root):
    return fr.load_study(root / FOLDER / "study.yaml")


def test_it_asks_dummies_and_says_so(study):
    assert study.notice.startswith("DUMMY responses") and study.suffix == " (dummy)"
    assert not (study.fetched or study.servers or study.needs_check)
    assert study.checkpoint("often") == {} and study.load_settings("often")["backend"] == "dummy"
    assert all(job.gpu == 0 and job.shards == 1 for job in study.jobs.values())
    assert study.response_inputs("often")["design"]
    assert not study.variants  # two dummies are not one checkpoint


def test_its_files_are_short(root):
    for name, header in {"models": ["model", "dummy"], "personas": ["persona", "surface"]}.items():
        with (root / FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
            assert next(csv.reader(file)) == header
    personas = load_personas(root / FOLDER / "personas.csv").set_index("persona")
    assert personas.loc["engineer", "article"] == "an" and personas.loc["nurse", "article"] == "a"
    assert personas["group"].nunique() == 1 and (personas["printed"] == personas["surface"]).all()


def test_a_copy_is_a_study_of_its_own(root, tmp_path):
    shutil.copytree(root / FOLDER, tmp_path / "config/mine")
    config = tmp_path / "config/mine/study.yaml"
    text = config.read_text(encoding="utf-8").replace("config/template/", "config/mine/")
    config.write_text(text.replace("study: template", "study: mine"), encoding="utf-8")
    for name in ("gpus.csv", "models.csv"):
        shutil.copy(root / "config" / name, tmp_path / "config" / name)
    (tmp_path / "workflow").symlink_to(root / "workflow")
    assert fr.load_study(config, root=tmp_path).name == "mine"


def test_a_limit_is_named(study):
    config = study.config.model_dump(exclude_unset=True) | {"limit": 20}
    limited = Study.load(config, study.root)
    assert limited.notice == f"{study.notice}; TRIAL with at most 20 prompts per model"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("m,0.1,org/m", "is a dummy and has another source"),
        ("m,1.5,", "column 'dummy'"),
        ("m,,", "has no source: fill hub_id, or package .* or server, dummy or imported"),
    ],
)
def test_a_wrong_dummy_has_one_message(tmp_path, row, message):
    (tmp_path / "models.csv").write_text(f"model,dummy,hub_id\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_models("models.csv", tmp_path)


def test_dummies_and_models_are_not_in_one_study(study, root, tmp_path):
    shutil.copytree(root / "config", tmp_path / "config")
    (tmp_path / "workflow").symlink_to(root / "workflow")
    (tmp_path / FOLDER / "models.csv").write_text("model,dummy,hub_id\nm,,org/m\nd,0.1,\n", encoding="utf-8")
    with pytest.raises(InputError, match="models: d: dummies and models cannot be in one study"):
        Study.load(study.config.model_dump(exclude_unset=True), tmp_path)
