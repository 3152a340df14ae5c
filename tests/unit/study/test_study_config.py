"""A study's config is completed from the schema, and errors name the key."""

import copy

import pytest
import yaml

from falserefusal.common.dependencies import library_of
from falserefusal.common.errors import InputError
from falserefusal.study.config import load_study
from falserefusal.texts.sources import KEYS

SCHEMA = "config/schemas/study.schema.yaml"


@pytest.fixture
def config():
    task = {"source": {"kind": "embedded"}, "options": ["entailment", "contradiction", "neutral"]}
    return {"study": "small", "checkpoints": {"kind": "standins"}, "tasks": {"nli": task}}


def source(**keys):
    return {"tasks": {"nli": {"source": keys, "options": ["a", "b", "c"]}}}


def load(config, root):
    return load_study(copy.deepcopy(config), root / SCHEMA, root)


def test_defaults_come_from_the_schema(config, root):
    study = load(config, root)
    assert study["seed"] == 2025
    assert study["materials"]["personas"] == "config/personas.csv"
    assert len(study["models"]) == 16 and len(study["personas"]) == 15 and len(study["templates"]) == 9
    assert study["tasks"]["nli"]["rows_per_gold_label"] == 1000
    assert config.keys() == {"study", "checkpoints", "tasks"}, "the caller's config is not changed"


def test_true_and_false_may_come_from_the_command_line_as_words(config, root):
    assert load(config | {"allow_missing": "true"}, root)["allow_missing"] is True
    assert load(config | {"allow_missing": "false"}, root)["allow_missing"] is False
    assert load(config | {"title": "true"}, root)["title"] == "true"
    with pytest.raises(InputError, match="allow_missing: 'yes' is not of type 'boolean'"):
        load(config | {"allow_missing": "yes"}, root)


def test_a_servers_further_parameters_pass(config, root):
    server = {"base_url": "http://localhost:8000/v1", "extra_body": {"repetition_penalty": 1.0, "top_k": -1}}
    assert load(config | {"inference": {"backend": "openai", "server": server}}, root)["inference"]["server"] == server
    with pytest.raises(InputError, match=r"inference\.server\.extra_body: 3 is not of type"):
        load(config | {"inference": {"server": {"extra_body": 3}}}, root)
    with pytest.raises(InputError, match=r"remove 'max_tokens', .* \(inference\.max_new_tokens\)"):
        load(config | {"inference": {"server": server | {"extra_body": {"max_tokens": 5}}}}, root)


def test_every_shipped_config_is_valid(root):
    for path in sorted((root / "config").glob("*.yaml")):
        load(yaml.safe_load(path.read_text()), root)


def test_a_source_may_have_the_keys_that_reading_it_knows(root):
    schema = yaml.safe_load((root / SCHEMA).read_text())
    listed = {
        name.removeprefix("source_"): set(part["properties"]) - {"kind"}
        for name, part in schema["$defs"].items()
        if name.startswith("source_")
    }
    assert listed == KEYS


def test_names_keep_the_order_of_their_file(config, root):
    assert load(config | {"models": ["Gemma-2B", "Llama2-7B"]}, root)["models"] == ["Llama2-7B", "Gemma-2B"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modles": ["Llama2-7B"]}, "unknown key 'modles'; did you mean 'models'?"),
        ({"prompts": {"articel": "printed"}}, "prompts: unknown key 'articel'; did you mean 'article'?"),
        ({"seed": -1}, "seed: -1 is less than the minimum of 0"),
        ({"study": "published"}, "study"),
        ({"study": "../x"}, "study"),
        ({"models": ["GPT-2"]}, "models: GPT-2 not in"),
        ({"personas": ["elf"]}, "personas: elf not in"),
        ({"materials": {"personas": "nowhere.csv"}}, "materials.personas: no such file"),
        ({"tasks": {}}, "tasks"),
        ({"tasks": {"irony": {"source": {"kind": "embedded"}, "options": ["a", "b"]}}}, "no templates for task irony"),
        ({"tasks": {"nli": {"source": {"kind": "embedded"}, "options": ["a", "b"]}}}, "tasks.nli.options"),
        ({"tasks": {"nli": {"source": {}, "options": ["a", "b", "c"]}}}, "tasks.nli.source: 'kind' is a required"),
        (source(kind="embedded", path="x.csv"), "tasks.nli.source: unknown key 'path'; known keys: kind"),
        (source(kind="xnli", splt="test"), "tasks.nli.source: unknown key 'splt'; did you mean 'split'?"),
        (source(kind="xnli", split="dev"), "tasks.nli.source.split: 'dev' is not one of"),
        (source(kind="file", path="x.csv"), "tasks.nli.source: 'columns' is a required property"),
        (source(kind="file", path="x.csv", columns={}, colums={}), "unknown key 'colums'; did you mean 'columns'?"),
        ({"tasks": {"nli": {"source": {"kind": "embedded"}, "options": ["a", "b", "a"]}}}, "tasks.nli.options: ['a'"),
        ({"models": "Qwen2-7B"}, "models: 'Qwen2-7B' is neither all nor a list of names, such as [Qwen2-7B]"),
        ({"models": ["Qwen2-7B", "Qwen2-7B"]}, "models: ['Qwen2-7B', 'Qwen2-7B'] has non-unique elements"),
        ({"design": {"sequential": {"first": 20}}}, "design.sequential: 'growth' is a required property"),
        (
            {"design": {"sequential": {"first": 20, "grow": 1, "growth": 1}}},
            "unknown key 'grow'; did you mean 'growth'?",
        ),
        ({"estimation": {"targets": {"persona effcts": 0.02}}}, "estimation.targets: 'persona effcts' is not one of"),
    ],
)
def test_errors_name_the_key(config, root, change, message):
    with pytest.raises(InputError) as error:
        load(config | change, root)
    assert message in str(error.value)


def test_a_materials_file_without_rows_is_an_error_of_its_own(config, root, tmp_path):
    (tmp_path / "personas.csv").write_text("persona,group,printed,surface,article\n")
    with pytest.raises(InputError, match=r"personas\.csv: no rows below the header"):
        load(config | {"materials": {"personas": str(tmp_path / "personas.csv")}}, root)


def test_materials_saved_by_a_spreadsheet_are_read(config, root, tmp_path):
    """Excel writes a byte order mark before the first column's name."""
    models = tmp_path / "models.csv"
    models.write_text((root / "config/models.csv").read_text(), encoding="utf-8-sig")
    assert len(load(config | {"materials": {"models": str(models)}}, root)["models"]) == 16


def test_no_model_has_the_name_of_an_average(config, root, tmp_path):
    models = tmp_path / "models.csv"
    models.write_text((root / "config/models.csv").read_text().replace("\nGemma-2B,", "\nmean,"))
    change = {"materials": {"models": str(models)}}
    assert load(config | change | {"models": ["Llama2-7B"]}, root)["models"] == ["Llama2-7B"]
    with pytest.raises(InputError, match="models: mean means the mean of all models in tables"):
        load(config | change, root)


def test_library_of_a_script_follows_imports_through_modules(root, monkeypatch):
    monkeypatch.chdir(root)
    files = library_of("workflow/scripts/published_cells.py")
    assert "workflow/falserefusal/published/printed.py" in files
    assert "workflow/falserefusal/common/files.py" in files, "imported by printed.py, not only by the script"
    assert "workflow/falserefusal/study/config.py" not in files
    assert all((root / file).is_file() for file in files)
