"""The functions that rules get from a study: what they return reaches a job as it is."""

import inspect
import re
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import ResourceList, Wildcards
from snakemake.rules import Rule
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from falserefusal.study.resources import read_gpus
from falserefusal.study.rules import Rules, any_of, untracked
from falserefusal.study.study import Study


@pytest.fixture
def rules(load):
    return lambda change="{}": Rules(load(change), Study.published())


def job(**names):
    return Wildcards(fromdict=names)


def test_the_wildcard_study_chooses_the_study(rules):
    seed = rules("seed: 7").of("seed")
    assert (seed(job(study="small")), seed(job(study="published")), seed(job())) == (7, 2025, 7)


def test_strings_of_a_config_come_as_they_are(rules):
    found = rules("title: '{a}'\nprompts: {system: 'Answer like {this}, <results>.'}")
    assert found.of("title")(job()) == "{a}"
    assert found.of("config.prompts.system")(job()) == "Answer like {this}, <results>."


def test_parts_of_a_config_come_as_plain_data(rules):
    found = rules()
    assert found.of("config.design")(job())["kind"] == "nested"
    assert found.of("config.tasks")(job())["offensiveness"]["source"] == {"kind": "embedded"}
    assert found.of_task("options")(job(task="offensiveness")) == ("offensive", "not offensive")


def test_methods_get_the_wildcards_they_name(rules):
    inputs = rules("judges: {j: {model: Qwen2.5-7B}}").of("verdict_inputs", "model", "look")
    assert inputs(job(model="m"))["judges"] == ["results/small/judges/j/m.parquet"]
    assert inputs(job(model="m", look="2"))["judges"] == ["results/small/interim/2/judges/j/m.parquet"]


def test_a_job_of_a_judge_needs_what_its_own_model_needs(rules):
    found = rules("models: [Gemma-2B]\njudges: {j: {model: Qwen2.5-7B}}")
    judged, asked = job(model="Gemma-2B", judge="j"), job(model="Gemma-2B")
    assert (found.needs("gpu")(judged, 1), found.needs("gpu")(asked, 1)) == (1, 0)
    assert found.planned_gpus(judged, None) == 1
    assert found.needs("mem_mb")(asked, 2) == 4500


def submitted(rules, wildcards):
    """What sbatch would be given for a job's GPUs and constraint, by the executor plugin itself."""
    resources = {"gpu": rules.needs("gpu")(wildcards, 1)}
    resources |= {name: answer(wildcards) for name, answer in rules.gpu_type.items()}
    asked = SimpleNamespace(
        resources=ResourceList(fromdict={k: v for k, v in resources.items() if v is not None}), threads=1
    )
    params = {"run_uuid": "", "slurm_logfile": "", "comment_str": "", "account": "", "partition": "", "workdir": ""}
    command = get_submit_command(asked, params) + set_gres_string(asked)
    return re.findall(r"--gpus=\S+|-C \S+", command)


def test_jobs_with_gpus_ask_for_the_type_that_the_cluster_knows(rules, monkeypatch):
    found = rules("models: [Gemma-2B]\njudges: {j: {model: Qwen2.5-7B}}")
    judged, asked = job(model="Gemma-2B", judge="j"), job(model="Gemma-2B")  # a stand-in needs no GPU
    assert found.gpu_type == {} and submitted(found, judged) == ["--gpus=1"] and submitted(found, asked) == []
    names = {"gpu_model": "a100", "constraint": "a100_80gb"}
    monkeypatch.setattr(
        "falserefusal.study.study.read_gpus", lambda path: {name: gpu | names for name, gpu in read_gpus(path).items()}
    )
    found = rules("models: [Gemma-2B]\njudges: {j: {model: Qwen2.5-7B}}")
    assert submitted(found, judged) == ["-C a100_80gb", "--gpus=a100:1"] and submitted(found, asked) == []


def test_snakemake_does_not_compare_untracked_params():
    """It compares those that depend on wildcards alone."""
    assert Rule._is_deriving_function(untracked(lambda wildcards: 1))
    assert not Rule._is_deriving_function(lambda wildcards: 1)
    assert untracked(lambda wildcards: wildcards.model)(job(model="m"), 4) == "m"
    assert list(inspect.signature(untracked(str)).parameters) == ["wildcards", "threads"]


def test_a_constraint_without_names_matches_nothing():
    assert any_of(["a.b", "c"]) == "a\\.b|c" and any_of([]) == "(?!)"
