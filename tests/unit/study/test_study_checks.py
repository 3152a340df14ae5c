"""Mistakes that follow from the config and its materials are found before the first job."""

import copy
import re

import pytest
import yaml

from falserefusal.common.errors import InputError
from falserefusal.estimation.sequential import QUANTITIES
from falserefusal.study.checks import check_study
from falserefusal.study.config import load_study
from falserefusal.texts.sources import KEYS, resolve

SCHEMA = "config/schemas/study.schema.yaml"
SEQUENTIAL = {"sequential": {"first": 20, "growth": 0.5}}


def check(root, monkeypatch, change=None, task=None):
    """Load and check a stand-in study of one embedded task, with changes to it or to the task."""
    monkeypatch.chdir(root)
    offensiveness = {"source": {"kind": "embedded"}, "rows_per_gold_label": 3}
    offensiveness["options"] = ["offensive", "not offensive"]
    config = {"study": "small", "checkpoints": {"kind": "standins"}, "tasks": {"offensiveness": offensiveness}}
    config["tasks"]["offensiveness"] |= task or {}
    check_study(load_study(config | copy.deepcopy(change or {}), root / SCHEMA, root), root)


def test_every_shipped_config_passes(root, monkeypatch):
    monkeypatch.chdir(root)
    for path in sorted((root / "config").glob("*.yaml")):
        check_study(load_study(yaml.safe_load(path.read_text()), root / SCHEMA, root), root)
    check(root, monkeypatch)


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({}, "base_url: missing; the backend openai needs the server's address"),
        ({"base_url": "http://user:sk-secret@x/v1"}, "base_url: leave user name, password"),
        ({"base_url": "http://x/v1", "api_key_env": "sk-secret"}, "api_key_env: not the name of an environment"),
        ({"base_url": "x/v1"}, "'x/v1' is not an address such as http"),
    ],
)
def test_a_servers_settings_are_checked_without_showing_a_key(root, monkeypatch, server, message):
    with pytest.raises(InputError, match=message) as error:
        check(root, monkeypatch, {"inference": {"backend": "openai", "server": server}})
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"personas": ["black"]}, "draws_per_row is 10, but task 'offensiveness' has only 9"),
        ({"design": {"kind": "blocked"}}, "needs either blocks_per_task or calls_per_task"),
        ({"design": {"kind": "blocked", "blocks_per_task": 136}}, "its 15 texts and 9 templates make only 135"),
        ({"design": {"balance": "balanced", "replacement": True}}, "needs replacement: false"),
        ({"design": SEQUENTIAL | {"baseline": False}}, "persona effects needs baseline prompts"),
        ({"inference": {"trust_remote_code": ["Qwen2-7b"]}}, "no model 'Qwen2-7b' in .*did you mean 'Qwen2-7B'"),
    ],
)
def test_errors_of_the_study(root, monkeypatch, change, message):
    with pytest.raises(InputError, match=message):
        check(root, monkeypatch, change)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"source": {"kind": "file", "path": "x.csv", "columns": {"gold_label": "label"}}}, "columns must give"),
        ({"source": {"kind": "popquorn", "sha256": "fb05"}}, "sha256 is 'fb05', but must be 64 hexadecimal digits"),
        ({"layout": "\n\nText: {txt}"}, "the layout of task 'offensiveness' has placeholders for txt"),
        ({"layout": "\n\nText:"}, "the layout of task 'offensiveness' has placeholders for nothing"),
    ],
)
def test_errors_of_a_task(root, monkeypatch, task, message):
    with pytest.raises(InputError, match=message):
        check(root, monkeypatch, task=task)


def test_looks_without_baseline_prompts_may_target_rates(root, monkeypatch):
    rates = {"estimation": {"targets": {"model rate": 0.03}}}
    check(root, monkeypatch, {"design": SEQUENTIAL | {"baseline": False}} | rates)


def test_the_guide_to_own_studies_is_right(root, monkeypatch, tmp_path):
    """Its example passes with the materials it describes, its sources are valid, and it names every key."""
    guide = (root / "docs/own_study.md").read_text()
    study, source = (yaml.safe_load(block) for block in re.findall("```yaml\n(.*?)```", guide, re.S))
    resolve(source["source"], "politeness")
    for kind, keys in KEYS.items():
        assert f"| `{kind}` |" in guide and all(f"`{key}`" in guide for key in keys)
    header = (root / "config/models.csv").read_text().splitlines()[0]
    row = "My-Model-7B,Mine,Mine1,7,me/mine,,false"  # the rest may stay empty
    models = f"{header}\n{row}{',' * (header.count(',') - row.count(','))}\n"
    personas = (root / "config/personas.csv").read_text() + "teacher,Work,A teacher,teacher,a\n"
    templates = (root / "config/templates.csv").read_text()
    own = "".join(line.replace("politeness", "toxicity") for line in templates.splitlines(True) if "politeness" in line)
    for name, content in {"models": models, "personas": personas, "templates": templates + own}.items():
        (tmp_path / f"{name}.csv").write_text(content)
    study["materials"] = {name: str(tmp_path / f"{name}.csv") for name in study["materials"]}
    monkeypatch.chdir(root)
    check_study(load_study(study, root / SCHEMA, root), root)


def test_the_schema_knows_the_targets_that_estimation_knows(root):
    schema = yaml.safe_load((root / SCHEMA).read_text())
    targets = schema["properties"]["estimation"]["properties"]["targets"]
    assert targets["propertyNames"]["enum"] == list(QUANTITIES)
