"""Inference jobs: how many, what each asks of a scheduler, and that a study's load follows from its config alone."""

import pytest
import yaml

from falserefusal.common.errors import InputError
from falserefusal.planning.estimate import ASSUMPTIONS, hours, job_resources
from falserefusal.planning.jobs import check_shards, grown, inference_jobs, require_gpus, shards_of
from falserefusal.planning.plan import find_card, load_cards, plan
from falserefusal.study.config import load_study
from falserefusal.study.materials import load_models
from falserefusal.study.workload import expected_load

MODEL = {
    "model": "m",
    "size_b": 7,
    "params_b": 7.0,
    "layers": 32,
    "kv_heads": 8,
    "head_dim": 128,
    "hidden": 4096,
    "vocab": 100_000,
}
CARD = {"card": "c", "kind": "gpu", "memory_gb": 24, "bandwidth_gb_s": 300, "bf16_tflops": 100}
LOAD = {"prompts": 200_000, "prompt_tokens": 2e7, "new_tokens": 1e7}


def study(root, name, **changes):
    config = yaml.safe_load((root / f"config/{name}.yaml").read_text()) | changes
    return load_study(config, root / "config/schemas/study.schema.yaml", root)


def jobs_of(model=MODEL, card=CARD, shards=None, **assume):
    return inference_jobs([model], LOAD, card, assume, shards)["m"]


def test_one_job_asks_for_what_the_plan_says():
    job = jobs_of()
    assert job == {"shards": 1, **job_resources(MODEL, LOAD, CARD, ASSUMPTIONS)}
    assert job["gpu"] == 1 and job["mem_mb"] == 8000 + 1100 * 14


def test_no_shard_is_longer_than_it_may_be():
    most = 1.0
    time = hours(MODEL, LOAD, CARD, ASSUMPTIONS)
    job = jobs_of(hours_per_shard=most)
    computing = time["prefill_hours"] + time["decode_hours"]
    assert job["shards"] == -(-computing // most) > 2
    each = computing / job["shards"] + ASSUMPTIONS["startup_minutes"] / 60
    assert job["runtime"] == pytest.approx(120 * each, abs=1)


def test_a_large_model_gets_several_gpus_in_every_shard():
    job = jobs_of(MODEL | {"params_b": 13.0}, shards=3)
    assert job["shards"] == 3 and job["gpu"] == 2


def test_a_job_that_was_given_fewer_gpus_than_it_asked_for_is_an_error():
    require_gpus("m", 2, 2)
    require_gpus("m", 0, 1)
    with pytest.raises(InputError, match=r"m: needs 2 GPUs by the plan, but .* may use 1: add --resources gpu=2"):
        require_gpus("m", 2, 1)


def test_a_processor_too_small_by_the_plan_may_still_try():
    job = jobs_of(card=CARD | {"kind": "cpu", "memory_gb": 8})
    assert job["gpu"] == 0 and job["mem_mb"] > 14_000 and job["shards"] == 1


@pytest.mark.parametrize(
    ("shards", "expected"), [(None, 5), (2, 2), ({"m": 3}, 3), ({"other": 3}, 5)], ids=["planned", "all", "own", "rest"]
)
def test_shards_as_the_config_has_them(shards, expected):
    assert shards_of("m", shards, planned=5) == expected


def test_shards_of_an_unknown_model_are_an_error():
    check_shards({"m": 2}, ["m"])
    with pytest.raises(InputError, match=r"inference.shards: Lama not among the study's models: Llama, Gemma"):
        check_shards({"Lama": 2}, ["Llama", "Gemma"])


def test_every_attempt_asks_for_more_but_fits_the_queue():
    needs = {"gpu": 1, "mem_mb": 20_000, "runtime": 300}
    assert grown(needs, 1, 4) == needs
    assert grown(needs, 2, 4) == {"gpu": 1, "mem_mb": 30_000, "runtime": 480}
    assert grown(needs, 3, None) == {"gpu": 1, "mem_mb": 40_000, "runtime": 900}


def test_the_load_is_that_of_the_plan_before_any_text_is_there(root):
    paper = study(root, "paper")
    load = expected_load(paper, {}, root)
    twins = 127_010 * 9 * (1 - 0.2939)  # expected templates among ten of 135 pairs
    assert load["prompts"] == pytest.approx(127_010 + twins / 10, rel=1e-3)
    assert load["new_tokens"] == pytest.approx(load["prompts"] * (0.3 * 128 + 0.7 * 8))


def test_texts_that_the_config_names_are_counted(root, monkeypatch):
    monkeypatch.chdir(root)
    few = study(root, "rehearsal")
    for task in few["tasks"].values():
        task["rows_per_gold_label"] = 7
    rows = 7 * (3 + 5 + 5)
    assert rows * 10 < expected_load(few, {}, root)["prompts"] < rows * 20
    few["design"] |= {"baseline": False, "draws_per_row": 4}
    assert expected_load(few, {}, root)["prompts"] == rows * 4


def test_the_plan_counts_the_shards_that_will_be_jobs(root):
    import pandas as pd

    cards = load_cards(root / "config/cards.csv")
    models = load_models(root / "config/models.csv", keep=["Gemma-2B", "Gemma2-27B"])
    work = pd.DataFrame([("nli", 1e5, float("nan"), 300.0, False)])
    work.columns = ["task", "prompts", "unique_prompts", "characters", "counted"]
    found = plan(models, work, cards, "L4-24GB", shards={"Gemma-2B": 1, "Gemma2-27B": 4})["models"]
    assert found["shards"].tolist() == [1, 4, 5]
    assert find_card(cards, "L4-24GB")["memory_gb"] == 24
    with pytest.raises(InputError, match="no card 'L5'"):
        find_card(cards, "L5")
