"""The study to copy: short files are enough, its dummies are named as none, and a copy of the folder is a study."""

import csv
import shutil

import pytest

import falserefusal as fr
from falserefusal.common.errors import InputError
from falserefusal.inference.dummy_engine import DummyEngine
from falserefusal.study import workload
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


@pytest.mark.parametrize("name", ["template", "german"])
def test_a_copy_is_a_study_of_its_own(root, tmp_path, name):
    shutil.copytree(root / "config" / name, tmp_path / "config/mine")
    config = tmp_path / "config/mine/study.yaml"
    text = config.read_text(encoding="utf-8").replace(f"config/{name}/", "config/mine/")
    config.write_text(text.replace(f"study: {name}", "study: mine"), encoding="utf-8")
    for name in ("gpus.csv", "models.csv"):
        shutil.copy(root / "config" / name, tmp_path / "config" / name)
    (tmp_path / "workflow").symlink_to(root / "workflow")
    assert fr.load_study(config, root=tmp_path).name == "mine"


def test_texts_of_the_users_own_file_are_on_the_page_unless_he_says_no(study, load):
    assert study.shared_texts == study.own_texts == ["toxicity"]
    config = study.config.model_dump(exclude_unset=True)
    config["tasks"]["toxicity"]["source"]["may_be_shared"] = False
    assert Study.load(config, study.root).shared_texts == []
    published = "tasks: {offensiveness: {source: {kind: popquorn}}}"
    assert load("checkpoints: {kind: hub}\n" + published).shared_texts == []
    assert load().shared_texts == ["offensiveness"] and load().own_texts == []


def test_a_large_file_of_texts_is_not_read_at_the_start(root, study, monkeypatch, tmp_path):
    broken = tmp_path / "texts.csv"
    broken.write_text("id,text\n1,Hello\n", encoding="utf-8")
    config = study.config.model_dump(exclude_unset=True)
    config["tasks"]["toxicity"]["source"]["path"] = str(broken)
    with pytest.raises(InputError, match="no column 'gold_label'"):
        Study.load(config, root)
    monkeypatch.setattr(workload, "SMALL_FILE", 5)
    assert Study.load(config, root).tasks == ("toxicity",)


@pytest.mark.parametrize(("language", "refusal"), [("de", "Es tut mir leid, aber"), ("fr", "je ne peux pas")])
def test_dummies_refuse_in_the_language_of_the_study(root, tmp_path, language, refusal):
    config = fr.load_study(root / "config/german/study.yaml").config.model_dump(exclude_unset=True)
    config["language"] = language
    if language == "fr":
        (tmp_path / "phrases.txt").write_text("je ne peux pas\ndésolé\n", encoding="utf-8")
        config["materials"]["refusal_phrases"] = str(tmp_path / "phrases.txt")
    settings = Study.load(config, root).load_settings("oft") | {"system_role": "native", "dummy": 1.0}
    engine = DummyEngine(settings, None)
    engine.prepare(engine.render([[{"role": "user", "content": "A oder B?"}]], ["p"]), ["p"])
    [response] = list(engine.generate(["k"], None, [True]))[1][1].values()
    assert response.text.startswith(refusal)


@pytest.mark.parametrize(
    ("question", "offered"),
    [("Is it A or B?", ["A", "B"]), ("Is A Bee polite or impolite?", ["polite", "impolite"]), ("Able Bees?", [])],
)
def test_a_dummy_names_options_that_the_prompt_has_as_words(study, question, offered):
    own = {"dummy": 0.0, "options": [["A", "B"], ["polite", "impolite"]], "system_role": "native"}
    engine = DummyEngine(study.load_settings("often") | own, None)
    turns = [[{"role": "user", "content": f"{question} {number}"}] for number in range(30)]
    engine.prepare(engine.render(turns, ["p"] * 30), ["p"] * 30)
    found = {response.text for response in list(engine.generate(["k"] * 30, None, [True] * 30))[1][1].values()}
    assert found == (set(offered) or {"This is a fixed response."})


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
    with pytest.raises(InputError, match="models: d: a study has either dummies or real models"):
        Study.load(study.config.model_dump(exclude_unset=True), tmp_path)
