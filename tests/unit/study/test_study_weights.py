"""Weights that are deleted after use: which there are, in which order, and what waits for them."""

import re

import pytest

from falserefusal.common.errors import InputError

HUB = """
checkpoints: {kind: hub}
models: [Llama2-7B, Gemma-2B, Qwen2-7B]
inference: {keep_weights: false}
judges: {first: {model: Gemma-2B}, second: {model: Llama3-8B}}
classifiers:
  c: {hub_id: org/c, categories: {x: refused, y: not_refused}}
  here: {hub_id: ./c, categories: {x: refused, y: not_refused}}
"""
IN_USE = "resources/weights_in_use/small/"


def test_models_come_before_judges_and_judges_before_classifiers(load):
    downloads = load(HUB).downloads
    assert [f"{key.use} {key.weights}" for key in downloads.in_order] == [
        "models Llama2-7B",
        "models Qwen2-7B",
        "models Gemma-2B",
        "judges Gemma-2B",
        "judges Llama3-8B",
        "classifiers c",
    ]
    assert downloads.results_before("models", "Llama2-7B") == []
    responses = [f"results/small/responses/{model}.parquet" for model in ("Llama2-7B", "Qwen2-7B", "Gemma-2B")]
    assert downloads.results_before("judges", "Gemma-2B") == responses
    judged = [path.replace("responses", "judges/first") for path in responses]
    assert downloads.results_before("judges", "Llama3-8B") == responses + judged
    assert downloads.folders_before("models", "Gemma-2B") == [f"{IN_USE}models/Llama2-7B", f"{IN_USE}models/Qwen2-7B"]
    assert downloads.source("models", "Gemma-2B") == {"model": "Gemma-2B", "hub_id": "google/gemma-2b-it"}


def test_every_job_waits_for_its_own_weights(load):
    downloads = load(HUB).downloads
    assert downloads.folder("Gemma-2B") == f"{IN_USE}models/Gemma-2B"
    assert downloads.folder("Llama2-7B", "first") == f"{IN_USE}judges/Gemma-2B"
    assert downloads.folder("Llama2-7B", None, "c") == f"{IN_USE}classifiers/c"
    assert downloads.turn("Llama2-7B", "second") == "results/small/weights_turns/judges/Llama3-8B"
    assert downloads.folder("Llama2-7B", None, "here") == [], "a folder of the user"
    assert downloads.recorded_folder("Gemma-2B", None) == f"{IN_USE}models/Gemma-2B"
    assert downloads.recorded_folder("Llama3-8B", None) == f"{IN_USE}judges/Llama3-8B"
    assert downloads.recorded_folder(None, "c") == f"{IN_USE}classifiers/c"
    assert downloads.home == "resources/weights_in_use/small"


def test_kept_weights_need_no_order(load):
    study = load(HUB.replace("false", "true"))
    assert study.downloads.folder("Gemma-2B") == study.downloads.turn("Gemma-2B") == []
    assert study.downloads.recorded_folder("Llama3-8B", None) == [] and study.downloads.home is None
    assert len(study.weight_records) == 6
    assert load(HUB).weight_records == ["resources/classifiers/here.json"], "what can be fetched before a run"
    assert load(HUB).inference == study.inference, "no response depends on it"


def test_models_of_one_checkpoint_share_its_weights(load, tmp_path):
    rows = ["model,hub_id,revision,system_prompt", "A,org/a,,", "Kind,org/a,,Be kind.", "Old,org/a,abc,", "Mine,./a,,"]
    (tmp_path / "own.csv").write_text("\n".join(rows) + "\n")
    change = "{checkpoints: {kind: hub}, inference: {keep_weights: false}, materials: {models: %s/own.csv}}"
    downloads = load(change % tmp_path).downloads
    assert [key.weights for key in downloads.in_order] == ["A", "Old"]
    assert downloads.folder("Kind") == downloads.folder("A") and downloads.folder("Mine") == []
    assert downloads.results_before("models", "Old") == [
        f"results/small/responses/{name}.parquet" for name in ("A", "Kind")
    ]
    assert downloads.source("models", "Old")["revision"] == "abc"


def test_a_judge_does_not_lend_its_weights_to_a_standin_of_its_name(load):
    downloads = load("{models: [Gemma-2B], inference: {keep_weights: false}, judges: {j: {model: Gemma-2B}}}").downloads
    assert [key.use for key in downloads.in_order] == ["judges"]
    assert downloads.folder("Gemma-2B") == [] and downloads.folder("Gemma-2B", "j") == f"{IN_USE}judges/Gemma-2B"


def test_a_sequential_study_keeps_its_weights(load):
    message = "inference.keep_weights: a sequential study asks every model again after each look; set it to true"
    with pytest.raises(InputError, match=re.escape(message)):
        load("{inference: {keep_weights: false}, design: {sequential: {first: 3, growth: 0.5}}}")
