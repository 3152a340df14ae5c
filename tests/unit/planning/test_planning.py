"""The plan: its arithmetic by hand, its sums, and what it says when something is unknown or does not fit."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from falserefusal.common import roofline
from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.design.monte_carlo import draw, make_design
from falserefusal.planning.plan import (
    Judges,
    backend_hours,
    backend_text,
    counted_workload,
    early_text,
    expected_rows,
    expected_workload,
    plan,
    plan_json,
    plan_text,
    short_text,
)
from falserefusal.planning.served import with_server_costs
from falserefusal.prompts.rendering import Wording, prompt_parts, render
from falserefusal.study.config import Design
from falserefusal.study.materials import ASSUMED_SIZE_B, load_models
from falserefusal.study.resources import read_gpus

GPU = {"gpu": "c", "kind": "gpu", "memory_gb": 80, "bandwidth_gb_s": 1000, "bf16_tflops": 100}
MODEL = {"params_b": 7.0, "layers": 32, "kv_heads": 8, "head_dim": 128, "hidden": 4096, "vocab": 100_000}
LOAD = {"prompts": 1000, "prompt_tokens": 100_000, "new_tokens": 20_000}
ASSUME = roofline.ASSUMPTIONS | {"max_new_tokens": 100, "token_budget": 20_000}


@pytest.fixture(scope="module")
def gpus(root):
    return read_gpus(root / "config/gpus.csv")


@pytest.fixture(scope="module")
def models(root):
    return load_models(root / "config/models.csv")


def workload(prompts=1000.0, characters=400.0):
    return pd.DataFrame([("nli", prompts, float("nan"), characters, False)], columns=WORKLOAD)


WORKLOAD = ["task", "prompts", "unique_prompts", "characters", "counted"]


def test_tokens_by_hand():
    found = roofline.tokens(10, 400, ASSUME | {"responses_at_cap": 0.25, "short_response_tokens": 8})
    assert found == {"prompts": 10, "prompt_tokens": 10 * (100 + 25), "new_tokens": 10 * (0.25 * 100 + 0.75 * 8)}


def test_answers_are_never_longer_than_the_cap():
    assert roofline.tokens(1, 0, ASSUME | {"max_new_tokens": 4})["new_tokens"] == 4


def test_memory_by_hand():
    need = roofline.memory(MODEL, LOAD, ASSUME)
    assert need["disk_gb"] == need["weights_gb"] == 14
    assert need["kv_gb"] == pytest.approx(2 * 32 * 8 * 128 * 2 * 20_000 / 1e9)
    activations, logits = 16 * 4096 * 2 * 20_000 / 1e9, 2 * 4 * 100_000 * 100 / 1e9  # 100 prompts of 200 tokens
    assert need["memory_gb"] == pytest.approx(14 + need["kv_gb"] + activations + logits + 1)


@pytest.mark.parametrize(
    ("assumed", "weights", "disk"),
    [
        ({"dtype": "float32"}, 28, 14),
        ({"dtype": "bfloat16", "stored_bytes_per_parameter": 4.0}, 14, 28),
        ({"dtype": "auto", "stored_bytes_per_parameter": 4.0}, 28, 28),
        ({"quantization": "8bit"}, 7.35, 14),
    ],
)
def test_weights_follow_the_dtype(assumed, weights, disk):
    need = roofline.memory(MODEL, LOAD, ASSUME | assumed)
    assert need["weights_gb"] == pytest.approx(weights) and need["disk_gb"] == disk


def test_hours_by_hand():
    found = roofline.hours(MODEL, LOAD, GPU, ASSUME | {"startup_minutes": 6})
    prefill = 2 * 7e9 * 100_000 / (100e12 * 0.35)
    kv = 2 * 32 * 8 * 128 * 2 * 20_000 / 1e9
    traffic, arithmetic, launch = (14 + kv) / (1000 * 0.6), 2 * 7e9 * 100 / (100e12 * 0.35), 32 * 0.0008
    assert arithmetic > traffic and arithmetic > launch
    decode = 20_000 / 100 * arithmetic
    assert found["prefill_hours"] == pytest.approx(prefill / 3600)
    assert found["decode_hours"] == pytest.approx(decode / 3600)
    assert found["hours"] == found["gpu_hours"] == pytest.approx((prefill + decode) / 3600 + 0.1)


@pytest.mark.parametrize(
    ("gpu", "assumed", "step"),
    [
        ({"bandwidth_gb_s": 10}, {}, (14 + 2 * 32 * 8 * 128 * 2 * 20_000 / 1e9) / 6),  # bound by memory traffic
        ({"bf16_tflops": 10_000}, {"launch_ms_per_layer": 10}, 0.32),  # bound by launches
    ],
)
def test_a_step_takes_its_slowest_part(gpu, assumed, step):
    found = roofline.hours(MODEL, LOAD, GPU | gpu, ASSUME | assumed)
    assert found["decode_hours"] == pytest.approx(20_000 / 100 * step / 3600)


def test_launches_cost_nothing_on_a_processor():
    slow = ASSUME | {"launch_ms_per_layer": 1e6}
    assert roofline.hours(MODEL, LOAD, GPU | {"kind": "cpu"}, slow)["hours"] < 1


def test_a_small_batch_budget_comes_before_a_second_card():
    need = roofline.memory(MODEL, LOAD, ASSUME)["memory_gb"]
    half = roofline.memory(MODEL, LOAD, ASSUME | {"token_budget": 10_000})["memory_gb"]
    between = GPU | {"memory_gb": (need + half) / 2 / 0.9}
    assert roofline.fit(MODEL, LOAD, GPU, ASSUME) == (1, 20_000)
    assert roofline.fit(MODEL, LOAD, between, ASSUME) == (1, 10_000)
    assert roofline.fit(MODEL, LOAD, GPU | {"memory_gb": 10}, ASSUME)[0] == 2
    assert roofline.fit(MODEL, LOAD, GPU | {"memory_gb": 10, "kind": "cpu"}, ASSUME) == (None, 0)


def test_several_cards_add_memory_not_speed():
    one = roofline.hours(MODEL, LOAD, GPU | {"memory_gb": 200}, ASSUME)
    two = roofline.hours(MODEL, LOAD, GPU | {"memory_gb": 12}, ASSUME)
    assert (one["gpus"], two["gpus"]) == (1, 2)
    assert two["gpu_hours"] == 2 * two["hours"] and two["hours"] >= one["hours"]


def test_shards_are_at_most_as_long_as_asked_for_and_start_each():
    whole = roofline.hours(MODEL, LOAD, GPU, ASSUME)
    work = whole["prefill_hours"] + whole["decode_hours"]
    split = roofline.hours(MODEL, LOAD, GPU, ASSUME | {"hours_per_shard": work / 3.5})
    assert split["shards"] == 4
    assert split["hours"] == pytest.approx(work + 4 * ASSUME["startup_minutes"] / 60)


def test_what_a_job_asks_the_scheduler_for():
    assumed = ASSUME | {"startup_minutes": 60, "hours_per_shard": 0.001}
    time = roofline.hours(MODEL, LOAD, GPU, assumed)
    asked = roofline.job_resources(MODEL, LOAD, GPU | {"memory_gb": 12}, assumed)
    assert time["shards"] > 1 and asked["runtime"] == pytest.approx(120, abs=2)  # twice an hour's start
    assert (asked["gpu"], asked["mem_mb"]) == (2, 8000 + 1100 * 14)
    assert roofline.job_resources(MODEL, LOAD, GPU | {"kind": "cpu"}, ASSUME)["gpu"] == 0
    assert roofline.job_resources(MODEL, LOAD, GPU | {"kind": "cpu", "memory_gb": 1}, ASSUME)["gpu"] is None


def test_a_row_without_a_size_counts_the_assumed_one_and_says_so(models, gpus):
    unknown = models.head(1).assign(size_b=None, params_b=None)
    row = plan(unknown, workload(), gpus, "A100-80GB")["models"].iloc[0]
    assert row["params_b"] == ASSUMED_SIZE_B and "8 x 10^9 parameters are assumed" in row["note"]


@pytest.mark.parametrize(
    ("jobs", "gpus", "wall"),
    [
        ([(3, 1), (1, 1), (2, 1)], 1, 6),
        ([(3, 1), (1, 1), (2, 1)], 2, 3),
        ([(3, 1), (1, 1), (2, 1)], 8, 3),
        ([(3, 2), (1, 1), (2, 1)], 2, 5),
        ([(3, 2), (1, 1)], 1, None),
        ([(3, None)], 4, None),
        ([], 4, 0),
    ],
)
def test_wall_hours(jobs, gpus, wall):
    assert roofline.wall_hours(jobs, gpus) == wall


def test_the_estimate_is_quick_to_import(root):
    code = "import sys, falserefusal.common.roofline, falserefusal.design.sequential; print('numpy' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "workflow", capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_no_prompt_at_all_takes_no_time_to_answer():
    found = roofline.hours(MODEL, dict.fromkeys(LOAD, 0), GPU, ASSUME)
    assert found["prefill_hours"] == found["decode_hours"] == 0


def test_the_paper_on_the_paper(models, gpus):
    sizes = pd.DataFrame({"task": ["nli"], "persona_prompts": [30000], "baseline_prompts": [0.0]})
    load = expected_workload(sizes, {"nli": (200.0, 100.0)})
    assert load.loc[0, ["prompts", "characters", "counted"]].tolist() == [30000, 359, False]
    result = plan(models, load, gpus, "A100-80GB")
    table = result["models"].set_index("model")
    assert len(table) == 17 and (table.loc[models["model"], "prompts"] == 30000).all()
    assert table.loc["total", "prompts"] == 16 * 30000
    assert table.loc["total", "disk_gb"] == pytest.approx(2 * models["params_b"].sum())
    assert table.loc["total", "gpu_hours"] == pytest.approx(table["gpu_hours"].iloc[:-1].sum())
    assert table.loc["total", "memory_gb"] == table["memory_gb"].iloc[:-1].max()
    assert table.loc["Qwen2.5-32B", "weights_gb"] == pytest.approx(65.52)
    on = result["gpus"].set_index("gpu")
    assert on.loc["A100-80GB", "gpu_hours"] == pytest.approx(table.loc["total", "gpu_hours"])
    assert on.loc["A100-80GB", "wall_hours_1"] == pytest.approx(table.loc["total", "hours"])
    assert on.loc["A100-80GB", "wall_hours_16"] == pytest.approx(table["hours"].iloc[:-1].max())
    assert on.loc["RTX4090-24GB", "gpus"] > 1 and pd.isna(on.loc["RTX4090-24GB", "wall_hours_1"])
    assert pd.isna(on.loc["laptop-cpu", "gpu_hours"])


def test_a_mixture_of_tasks_and_twins():
    sizes = pd.DataFrame({"task": ["nli", "mood"], "persona_prompts": [30, 10], "baseline_prompts": [10.0, 10.0]})
    load = expected_workload(sizes, {"nli": (200.0, 100.0), "mood": (50.0, 50.0)}, {"nli": 25.0})
    assert load["prompts"].tolist() == [40, 20]
    assert load["characters"].tolist() == [25 + (30 * 200 + 10 * 100) / 40, 200 + 50]


@pytest.mark.parametrize("samples", [None, 3])
@pytest.mark.parametrize(
    "design",
    [
        {"kind": "nested", "draws_per_row": 6},
        {"kind": "nested", "draws_per_row": 6, "replacement": True, "baseline": False},
        {"kind": "blocked", "blocks_per_task": 20},
    ],
)
def test_prompts_are_counted_as_they_would_be_rendered(design, samples):
    texts, personas, templates, wording = small_study()
    design = Design.model_validate(design).model_dump()
    args = texts, personas["persona"].tolist(), templates, design, ["m1", "m2"], 1
    drawn = make_design(*args, samples)
    counted = counted_workload(
        draw(*args), {task: prompt_parts(texts[task], personas, templates, wording) for task in texts}, samples
    ).set_index("task")
    for task in texts:
        prompts = render(drawn, texts[task], personas, templates, wording)
        turns = ["\n".join(turn["content"] for turn in turns) for turns in prompts["messages"]]
        unique = pd.DataFrame({"turns": turns, "sample": prompts["sample"]}).drop_duplicates()
        baseline = ((drawn["task"] == task) & (drawn["persona"] == BASELINE)).sum()
        expected = [len(turns) - baseline, baseline, len(turns), len(unique), unique["turns"].str.len().mean(), True]
        assert counted.loc[task].tolist() == expected
        assert len(unique) < len(turns), "equal texts make equal prompts"


def test_counts_of_models_with_own_prompts_are_those_of_the_average_model():
    texts, personas, templates, wording = small_study()
    design = Design(kind="blocked", blocks_per_task=5, share_prompts=False).model_dump()
    parts = {task: prompt_parts(texts[task], personas, templates, wording) for task in texts}
    draws = draw(texts, personas["persona"].tolist(), templates, design, ["m1", "m2", "m3"], 1)
    assert counted_workload(draws, parts)["prompts"].tolist() == [20, 20]


def small_study():
    """Texts of two tasks (every second text is equal to another), personas, templates and wording."""
    words = [f"text {i // 2}" for i in range(20)]
    texts = {
        task: pd.DataFrame({"row_id": [f"{task}{i}" for i in range(20)], "text_id": words, "text": words, "task": task})
        for task in ("t1", "t2")
    }
    names = ["a", "b", "c", "d"]
    personas = pd.DataFrame({"persona": names, "surface": [f"one {name * 3}" for name in names], "article": "a"})
    rows = [
        (task, f"p{i}", "{persona}, {label1} or {label2}?" + "!" * i, "{label1} or {label2}?", "As {persona}." * i, "")
        for task in texts
        for i in range(3)
    ]
    columns = ["task", "template", "text", "baseline_text", "system_text", "baseline_system_text"]
    templates = pd.DataFrame(rows, columns=columns).assign(format="f")
    return texts, personas, templates, Wording(["x", "y"], " {text}", "printed", "Be brief.")


@pytest.mark.parametrize(
    ("source", "task", "per_label", "rows"),
    [
        ("xnli/test", "nli", 1000, 3000),
        ("xnli/validation", "nli", 1000, 2490),
        ("popquorn", "politeness", 1000, 5000),
        ("popquorn", "offensiveness", 1000, 4701),
        ("popquorn", "offensiveness", 60, 300),
    ],
)
def test_rows_before_the_download(source, task, per_label, rows):
    assert expected_rows(source, task, per_label) == rows


def test_rows_of_the_real_file(shared_dir):
    frame = pd.read_csv(shared_dir / "data/popquorn_offensiveness.csv")
    counts = frame["offensiveness"].value_counts().sort_index()
    assert expected_rows("popquorn", "offensiveness", 10**6) == counts.sum()
    assert expected_rows("popquorn", "offensiveness", 1500) == counts.clip(upper=1500).sum()


def test_equal_prompts_cost_once(models, gpus):
    whole = plan(models, workload(900.0), gpus, "A100-80GB")["models"].iloc[0]
    twice = workload(1000.0).assign(unique_prompts=900.0, counted=True)
    row = plan(models, twice, gpus, "A100-80GB")["models"].iloc[0]
    assert (row["prompts"], row["asked"]) == (1000, 900)
    assert row["prompt_tokens"] == whole["prompt_tokens"] and row["hours"] == whole["hours"]


def test_unknown_shapes_are_said_and_size_stands_in(models, gpus):
    blank = models.assign(params_b=None, kv_heads=None).head(1)
    result = plan(blank, workload(), gpus, "H100-80GB")
    row = result["models"].iloc[0]
    assert (row["params_b"], row["kv_gb"], row["note"]) == (7, 0, "kv_heads unknown, counted as 0")
    assert "Llama2-7B: kv_heads unknown" in plan_text(result, "s")


def test_a_judge_reads_every_answer(models, gpus):
    names = ["Gemma-2B", "Gemma-7B", "Gemma2-27B"]
    asked, judges = models[models["model"].isin(names[:2])], models[models["model"] == names[2]]
    alone = plan(asked, workload(1000.0, 400.0), gpus, "A100-80GB")["models"].iloc[-1]
    table = plan(
        asked,
        workload(1000.0, 400.0),
        gpus,
        "A100-80GB",
        judges=Judges(["strict"], judges, [800], [roofline.JUDGE_TOKENS]),
    )["models"]
    assert table["model"].tolist() == ["Gemma-2B", "Gemma-7B", "judge strict", "total"]
    judge = table.iloc[2]
    assert (judge["prompts"], judge["new_tokens"], judge["shards"]) == (2000, 2000 * roofline.JUDGE_TOKENS, 2)
    assert judge["prompt_tokens"] == alone["prompt_tokens"] + alone["new_tokens"] + 2000 * 200
    assert judge["memory_gb"] > 50 and table["hours"].iloc[-1] > alone["hours"]


LAB = {"lab": {"concurrency": 10, "price_in": 2.0, "price_out": 10.0}}


def test_a_model_behind_a_server_costs_no_gpu(models, gpus):
    asked = models[models["model"].isin(["Gemma-2B", "Gemma-7B"])].assign(server=[None, "lab"])
    asked = with_server_costs(asked, LAB)
    result = plan(
        asked, workload(1000.0, 400.0), gpus, "A100-80GB", judges=Judges(["Gemma-7B"], asked.tail(1), [800], [32])
    )
    table = result["models"].set_index("model")
    for name in ("Gemma-7B", "judge Gemma-7B"):
        assert (table.loc[name, ["disk_gb", "memory_gb", "gpus", "hours", "gpu_hours"]] == 0).all()
        assert table.loc[name, "note"] == "asked of the server 'lab'"
    assert table["asked"].tolist() == [1000, 1000, 2000, 4000]
    assert table.loc["total", "gpu_hours"] == table.loc["Gemma-2B", "gpu_hours"] > 0
    assert result["gpus"].set_index("gpu").loc["A100-80GB", "wall_hours_1"] == table.loc["Gemma-2B", "hours"]
    text = plan_text(result, "mixed")
    total = next(line for line in text.splitlines() if line.startswith("Total: "))
    assert short_text(text, "plan.txt") == f"Cost estimate: {total[7:]}\n  All of it: plan.txt"
    assert text.index("Gemma-2B") < text.index("Per model behind a server") < text.index("judge Gemma-7B")
    assert text.count("Gemma-7B") == 2, "in the table of servers alone"
    (total,) = [line.split() for line in text.splitlines() if line.strip().startswith("total ")]
    assert total[1] == "1,000", "of the models that are computed here"


def test_the_time_and_price_of_a_model_behind_a_server(models, gpus):
    asked = with_server_costs(models[models["model"] == "Gemma-7B"].assign(server="lab"), LAB)
    assume = {"responses_at_cap": 1.0, "max_new_tokens": 100, "chat_template_tokens": 0}
    assume |= {"server_first_token_seconds": 2.0, "server_tokens_per_second": 25.0}
    result = plan(asked, workload(36000.0, 400.0), gpus, "A100-80GB", assume)
    (row,) = result["servers"].to_dict("records")
    assert (row["requests"], row["prompt_tokens"], row["new_tokens"]) == (36000, 3_600_000, 3_600_000)
    assert row["hours"] == pytest.approx(36000 * (2 + 100 / 25) / 10 / 3600)
    assert row["price"] == pytest.approx(3.6 * 2 + 3.6 * 10)
    text = plan_text(result, "served")
    assert "43.20" in text and "6.00" in text
    for absent in ("GPU", "disk", "weights", "A100"):
        assert absent not in text
    unpriced = plan(with_server_costs(asked, {"lab": LAB["lab"] | {"price_out": None}}), workload(), gpus, "A100-80GB")
    assert "price unknown" in plan_text(unpriced, "s") and "set servers.lab.price_in and price_out" in plan_text(
        unpriced, "s"
    )


def test_early_decision_and_what_it_saves(models, gpus):
    asked = models[models["model"] == "Gemma-2B"]
    assume = {"responses_at_cap": 0.5, "max_new_tokens": 100, "short_response_tokens": 2}  # 51 tokens each
    judges = Judges(["strict"], asked, [800], [32])
    result = plan(asked, workload(1e6), gpus, "A100-80GB", assume, judges=judges)
    off = early_text(result, "structured reads whole responses", 0.1)
    assert "off: structured reads whole responses." in off
    assert "about 8.70 of the 51.00 M new tokens" in off  # 0.1 x 51 + 0.9 x 4 tokens each
    assert early_text(result, "", 1.0).startswith("Early decision is on: about 51.00 of the 51.00 M new tokens")


def test_stand_ins_have_a_shape_of_their_own(models, gpus):
    shape = {"params_b": 0.001, "layers": 2, "kv_heads": 2, "head_dim": 16, "hidden": 64, "vocab": 500}
    result = plan(models.assign(**shape), workload(), gpus, "laptop-cpu")
    assert result["models"]["disk_gb"].iloc[-1] == pytest.approx(16 * 0.002)


def test_the_disk_that_is_needed_with_and_without_keeping_the_weights(models, gpus):
    names = ["Gemma-2B", "Gemma-7B", "Gemma2-27B"]
    asked = models[models["model"].isin(names)].assign(params_b=[2, 7, 27])
    twice = pd.concat([asked, asked.tail(1).assign(model="variant")])
    result = plan(twice, workload(), gpus, "A100-80GB", judges=Judges(["strict"], asked.head(1), [800], [32]))
    hub_ids = asked["hub_id"].tolist()
    kept = "72.0 GB of weights on disk (with inference.keep_weights: false at most 54.0 GB at a time)"
    assert f", {kept}; " in plan_text(result, "s", hub_ids)
    deleted = "at most 54.0 GB of weights on disk at a time (72.0 GB with inference.keep_weights: true)"
    assert f", {deleted}; " in plan_text(result, "s", hub_ids, keep_weights=False)
    local = deleted.replace("54.0", "58.0")  # the smallest, which stays, and the largest
    assert f", {local}; " in plan_text(result, "s", hub_ids[1:], keep_weights=False)
    assert ", 72.0 GB of weights on disk; " in plan_text(result, "s", hub_ids[:1], keep_weights=False)


def test_the_text_says_where_its_numbers_come_from(models, gpus):
    text = plan_text(plan(models, workload(), gpus, "A100-80GB", {"max_new_tokens": 17}), "paper")
    for line in (
        "Nothing was downloaded",
        "expected, before any text is downloaded",
        "max_new_tokens: 17",
        "GPU hours on",
    ):
        assert line in text
    counted = workload().assign(counted=True, unique_prompts=900)
    assert "counted in the rendered prompts" in plan_text(plan(models, counted, gpus, "A100-80GB"), "paper")
    assert "a model does not fit on laptop-cpu" in plan_text(plan(models, workload(), gpus, "laptop-cpu"), "paper")


def test_json_is_strict_and_says_null_for_unknown(models, gpus):
    text = json.dumps(plan_json(plan(models, workload(), gpus, "laptop-cpu")), allow_nan=False)
    assert json.loads(text)["models"][-1]["gpu_hours"] is None


@pytest.mark.parametrize(
    ("gpu", "assumptions", "message"),
    [
        ("B300", {}, "planning.gpu: 'B300' is not in config/gpus.csv"),
        ("A100-80GB", {"max_tokens": 3}, "unknown assumption 'max_tokens'"),
        ("A100-80GB", {"dtype": "int3"}, "dtype is 'int3'"),
        ("A100-80GB", {"quantization": "2bit"}, "quantization is '2bit'"),
    ],
)
def test_what_cannot_be_planned_is_an_error(models, gpus, gpu, assumptions, message):
    with pytest.raises(InputError, match=message):
        plan(models, workload(), gpus, gpu, assumptions)


def test_a_source_nobody_counted_is_an_error():
    with pytest.raises(InputError, match="rows of 'snli' for task 'nli' is not known"):
        expected_rows("snli", "nli", 10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bandwidth_gb_s", "bandwidth", "column 'bandwidth_gb_s' is missing"),
        ("A100-80GB,gpu,80,", "A100-80GB,gpu,zero,", "column 'memory_gb': must be a number above 0, not 'zero'"),
        ("A100-80GB", "A100-40GB", "'A100-40GB' comes twice"),
    ],
)
def test_a_wrong_card_file_is_an_error(root, tmp_path, old, new, message):
    path = tmp_path / "gpus.csv"
    path.write_text((root / "config/gpus.csv").read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_gpus(path)


def test_each_backend_has_a_line_and_vllm_saves_computing_time_only(gpus, models):
    some = models[models["model"].isin(["Llama2-13B", "Qwen2.5-32B"])]
    result = plan(some, workload(200_000.0), gpus, "L4-24GB", {"vllm_time_share": 0.25})
    table = result["models"].iloc[:-1]
    computing = (table["gpus"] * (table["prefill_hours"] + table["decode_hours"])).sum()
    starting = (table["gpus"] * table["startup_hours"]).sum()
    assert table["gpus"].max() > 1 and computing > starting > 0
    hours = backend_hours(result)
    assert hours == pytest.approx({"transformers": computing + starting, "vllm": computing / 4 + starting})
    assert plan_json(result)["backend_hours"] == hours
    text = backend_text(result)
    assert f"transformers: {hours['transformers']:,.2f} GPU hours (the estimate above)" in text
    assert f"vllm: {hours['vllm']:,.2f} GPU hours (computing takes 0.25 times as long" in text
    assert "for other devices and models an assumption" in text


def test_a_backend_without_an_estimate_says_why(gpus, models):
    large = models[models["model"] == "Qwen2.5-32B"]
    assert backend_text(plan(large, workload(), gpus, "laptop-cpu")).count("a model does not fit") == 2
    text = backend_text(plan(large, workload(), gpus, "A100-80GB", {"quantization": "4bit"}))
    assert "vllm: not possible" in text and "GPU hours" in text


def test_the_share_of_vllm_is_the_one_that_was_measured(root):
    runs = pd.read_csv(root / "benchmarks/results/inference_cpu.csv")
    runs = runs[(runs["model"] == "pilot") & (runs["dtype"] == "float32")].pivot(
        index="repeat", columns="system", values="cpu_s"
    )
    measured = (runs["vllm"] / runs["transformers"]).median()
    assert roofline.ASSUMPTIONS["vllm_time_share"] == pytest.approx(measured, abs=0.005)
