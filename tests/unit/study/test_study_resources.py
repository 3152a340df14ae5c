"""Inference jobs: how many, what each asks of a scheduler, and that a study's load follows from its config."""

import subprocess
import sys

import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.roofline import ASSUMPTIONS, hours, job_resources
from falserefusal.study.materials import ASSUMED_SIZE_B, Model
from falserefusal.study.resources import (
    Job,
    classifier_job,
    computed_job,
    find_gpu,
    jobs_from_text,
    read_gpus,
    require_gpus,
)
from falserefusal.study.workload import expected_load

SHAPE = {"params_b": 7.0, "layers": 32, "kv_heads": 8, "head_dim": 128, "hidden": 4096, "vocab": 100_000}
MODEL = Model(model="m", family="m", generation="m", hub_id="org/m", **SHAPE)
GPU = {"gpu": "g", "kind": "gpu", "memory_gb": 24, "bandwidth_gb_s": 300, "bf16_tflops": 100}
LOAD = {"prompts": 200_000, "prompt_tokens": 2e7, "new_tokens": 1e7}


def job_of(model=MODEL, gpu=GPU, shards=None, **assume):
    return computed_job(model, LOAD, gpu, ASSUMPTIONS | assume, shards)


def test_one_job_asks_for_what_the_estimate_says():
    job = job_of()
    assert job == Job(1, **job_resources(SHAPE, LOAD, GPU, ASSUMPTIONS))
    assert job.gpu == 1 and job.mem_mb == 8000 + 1100 * 14


def test_no_shard_is_longer_than_it_may_be():
    time = hours(SHAPE, LOAD, GPU, ASSUMPTIONS)
    job = job_of(hours_per_shard=1.0)
    computing = time["prefill_hours"] + time["decode_hours"]
    assert job.shards == -(-computing // 1) > 2
    each = computing / job.shards + ASSUMPTIONS["startup_minutes"] / 60
    assert job.runtime == pytest.approx(120 * each, abs=1)


def test_a_large_model_gets_several_gpus_in_every_shard():
    job = job_of(MODEL.model_copy(update={"params_b": 13.0}), shards=3)
    assert job.shards == 3 and job.gpu == 2


def test_a_processor_too_small_by_the_estimate_may_still_try():
    job = job_of(gpu=GPU | {"kind": "cpu", "memory_gb": 8})
    assert job.gpu == 0 and job.mem_mb > 14_000 and job.shards == 1


@pytest.mark.parametrize(
    ("shards", "expected"), [(None, 7), (2, 2), ({"m": 3}, 3), ({"other": 3}, 7)], ids=["planned", "all", "own", "rest"]
)
def test_shards_as_the_config_has_them(shards, expected):
    planned = job_of(hours_per_shard=1.0).shards
    assert job_of(shards=shards, hours_per_shard=1.0).shards == (planned if expected == 7 else expected)


def test_every_attempt_asks_for_more_but_fits_the_queue():
    job = Job(1, gpu=1, mem_mb=20_000, runtime=300)
    assert job.attempt(1, 4) == job
    assert job.attempt(2, 4) == Job(1, 1, 30_000, 480)
    assert job.attempt(3, None) == Job(1, 1, 40_000, 900)


def test_a_job_that_was_given_fewer_gpus_than_it_asked_for_is_an_error():
    require_gpus("m", 2, 2)
    require_gpus("m", 0, 1)
    with pytest.raises(
        InputError, match=r"m: needs 2 GPUs by the cost estimate, but .* may use 1: add --resources gpu=2"
    ):
        require_gpus("m", 2, 1)


def test_a_classifier_gets_a_gpu_where_models_do():
    assert classifier_job(True) == Job(1, 1, 8000, 180) and classifier_job(False) == Job(1, 0, 8000, 720)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu,kind\nA,gpu\n", "column 'memory_gb' is missing"),
        (
            "gpu,kind,memory_gb,bandwidth_gb_s,bf16_tflops,source\nA,gpu,80,x,1,s\n",
            "A, column 'bandwidth_gb_s': must be a",
        ),
        ("gpu,kind,memory_gb,bandwidth_gb_s,bf16_tflops,source\nA,gpu,1,1,1,s\nA,gpu,1,1,1,s\n", "'A' comes twice"),
    ],
)
def test_what_is_wrong_with_the_gpus_is_said(tmp_path, text, message):
    (tmp_path / "gpus.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_gpus(tmp_path / "gpus.csv")


def test_a_gpu_by_name(root):
    gpus = read_gpus(root / "config/gpus.csv")
    assert find_gpu(gpus, "L4-24GB")["memory_gb"] == 24
    with pytest.raises(
        InputError, match=r"planning\.gpu: 'L5-24GB' is not in config/gpus\.csv; did you mean 'L4-24GB'"
    ):
        find_gpu(gpus, "L5-24GB")


PAPER = """
checkpoints: {kind: hub}
tasks:
  nli: {source: {kind: xnli}, options: [a, b, c], layout: "{premise} {hypothesis}"}
  politeness: {source: {kind: popquorn}, options: [a, b]}
  offensiveness: {source: {kind: popquorn}, rows_per_gold_label: 1000}
"""


def test_the_load_before_any_text_is_there(load, root):
    study = load(PAPER)
    found = expected_load(study.config, ASSUMPTIONS, root)
    baseline = 127_010 * 9 * (1 - 0.2939)  # expected templates among ten of 135 pairs
    assert found["prompts"] == pytest.approx(127_010 + baseline / 10, rel=1e-3)
    assert found["new_tokens"] == pytest.approx(found["prompts"] * (0.3 * 128 + 0.7 * 8))


def test_texts_that_come_with_the_workflow_are_counted(load, root):
    study = load("tasks: {offensiveness: {rows_per_gold_label: 7}}")
    rows = 7 * 5
    assert rows * 10 < expected_load(study.config, ASSUMPTIONS, root)["prompts"] < rows * 20
    study = load("tasks: {offensiveness: {rows_per_gold_label: 7}}\ndesign: {baseline: false, draws_per_row: 4}")
    assert expected_load(study.config, ASSUMPTIONS, root)["prompts"] == rows * 4
    several = "inference: {temperature: 0.5, samples_per_prompt: 3}\ndesign: {baseline: false, draws_per_row: 4}"
    study = load("tasks: {offensiveness: {rows_per_gold_label: 7}}\n" + several)
    assert expected_load(study.config, ASSUMPTIONS, root)["prompts"] == rows * 4 * 3


def test_texts_of_a_users_file_are_counted(load, root, tmp_path):
    (tmp_path / "own.tsv").write_text("body\tscore\n" + "".join(f"text {i}\t{i % 2 + 1}\n" for i in range(20)))
    source = f"{{kind: file, path: {tmp_path}/own.tsv, columns: {{gold_label: score, text: body}}}}"
    study = load(f"tasks: {{offensiveness: {{source: {source}, rows_per_gold_label: 4}}}}\ndesign: {{baseline: false}}")
    assert expected_load(study.config, ASSUMPTIONS, root)["prompts"] == 8 * 10


def test_the_start_of_a_job_reads_no_texts(load, small, root, tmp_path):
    (tmp_path / "own.tsv").write_text("body\tscore\n" + "".join(f"text {i}\t{i % 2 + 1}\n" for i in range(20)))
    own = f"{{source: {{kind: file, path: {tmp_path}/own.tsv, columns: {{gold_label: score, text: body}}}}}}"
    embedded = "{source: {kind: embedded}, options: [a, b]}"
    change = f"checkpoints: {{kind: hub}}\ntasks: {{offensiveness: {own}, politeness: {embedded}}}"
    study = load(change)
    code = f"""
import sys
from falserefusal.study.study import Study
read = []
sys.addaudithook(lambda event, args: read.append(str(args[0])) if event == "open" else None)
study = Study.load({small(change)!r}, check=False, jobs=sys.argv[1])
print(study.jobs_as_text, study.shard_counts != {{}}, "pandas" in sys.modules)
print([path for path in read if path.endswith((".tsv", ".csv", ".txt"))])
"""
    run = [sys.executable, "-c", code, study.jobs_as_text]
    done = subprocess.run(run, cwd=root, env={"PYTHONPATH": "workflow"}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{study.jobs_as_text} True False", "['config/models.csv']"]
    assert jobs_from_text(study.jobs_as_text) == (study.jobs, study.judge_jobs)


def test_jobs_of_a_study(load):
    hub = "checkpoints: {kind: hub}\nmodels: [Gemma-2B, Qwen2.5-32B]\nplanning: {gpu: L4-24GB, hours_per_shard: 0.02}"
    study = load(hub)
    assert study.jobs["Gemma-2B"].gpu == 1 and study.jobs["Qwen2.5-32B"].gpu == 4
    assert study.sharded == ("Qwen2.5-32B",) and study.shards("Gemma-2B") == ["1-of-1"]
    assert load(hub + "\ninference: {shards: {Gemma-2B: 3}}").shards("Gemma-2B") == ["1-of-3", "2-of-3", "3-of-3"]
    assert load(hub + "\ndesign: {sequential: {first: 5, growth: 1}}").sharded == ()
    assert load("inference: {shards: 2}\nmodels: [Gemma-2B]").jobs["Gemma-2B"] == Job(2, 0, 3000, 30)


def test_the_size_of_a_model_that_names_none_is_assumed(load, tmp_path):
    (tmp_path / "m.csv").write_text("model,hub_id,size_b\nunknown,org/u,\nknown,org/k,8\n")
    study = load(f"checkpoints: {{kind: hub}}\nmaterials: {{models: {tmp_path}/m.csv}}")
    assert study.jobs["unknown"] == study.jobs["known"]
    assert study.rows["unknown"].params == ASSUMED_SIZE_B


def test_a_judge_has_a_job_of_its_own_size(load):
    study = load("models: [Gemma-2B]\njudges: {a: {model: Qwen2.5-7B}, b: {model: Qwen2.5-7B}}")
    assert list(study.judge_jobs) == ["Qwen2.5-7B"] and study.judge_jobs["Qwen2.5-7B"].gpu == 1
    assert study.jobs["Gemma-2B"].gpu == 0 and study.gpus("Qwen2.5-7B") == 1
