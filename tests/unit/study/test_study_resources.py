"""Inference jobs: how many, what each asks of a scheduler, and that a study's load follows from its config."""

import subprocess
import sys

import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.roofline import ASSUMPTIONS, hours, job_resources
from falserefusal.study.materials import ASSUMED_SIZE_B, Model
from falserefusal.study.resources import (
    Cores,
    Job,
    classifier_job,
    computed_job,
    find_gpu,
    jobs_from_text,
    read_gpus,
    require_gpus,
)
from falserefusal.study.study import Study
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
        InputError, match=r"m: needs 2 GPUs according to the cost estimate, but .* may use 1: add --resources gpu=2"
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
        (
            "gpu,kind,memory_gb,bandwidth_gb_s,bf16_tflops,gpu_model,source\nA,gpu,1,1,1,a100-sxm4,s\n",
            "A, column 'gpu_model': letters, digits, _ and . only, not 'a100-sxm4'; leave it empty .* 'constraint'",
        ),
    ],
)
def test_what_is_wrong_with_the_gpus_is_said(tmp_path, text, message):
    (tmp_path / "gpus.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_gpus(tmp_path / "gpus.csv")


def test_names_of_the_cluster_may_be_missing(root, tmp_path):
    (tmp_path / "gpus.csv").write_text("gpu,kind,memory_gb,bandwidth_gb_s,bf16_tflops,source\nA,gpu,80,1,1,s\n")
    [gpu] = read_gpus(tmp_path / "gpus.csv").values()
    assert gpu["gpu_model"] == gpu["constraint"] == ""
    assert {gpu["gpu_model"] + gpu["constraint"] for gpu in read_gpus(root / "config/gpus.csv").values()} == {""}


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
print([path for path in read if path.endswith(".tsv") or "corpus" in path])
"""
    run = [sys.executable, "-c", code, study.jobs_as_text]
    done = subprocess.run(run, cwd=root, env={"PYTHONPATH": "workflow"}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{study.jobs_as_text} True False", "[]"]
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


@pytest.fixture
def named(monkeypatch):
    """GPUs with the names of a cluster, as if they were in config/gpus.csv."""
    names = {"gpu_model": "l4", "constraint": "l4_24gb"}
    monkeypatch.setattr("falserefusal.study.study.read_gpus", lambda path: {"L4-24GB": GPU | names})
    return names


def test_what_a_cluster_is_asked_for_follows_the_plan(load, named):
    study = load(
        "checkpoints: {kind: hub}\nmodels: [Gemma-2B, Qwen2.5-32B]\nplanning: {gpu: L4-24GB}\n"
        "judges: {a: {model: Qwen2.5-7B}}\nclassifiers: {c: {hub_id: org/c, categories: {x: refused, y: not_refused}}}"
    )
    jobs = study.cluster_jobs
    assert set(jobs) == {"Gemma-2B", "Qwen2.5-32B", "judge Qwen2.5-7B", "classifier c"}
    large = study.jobs["Qwen2.5-32B"]
    own = {"gpu": 4, "mem_mb": large.mem_mb, "runtime": large.runtime, "threads": 4}
    assert jobs["Qwen2.5-32B"] == own | named
    assert [jobs[name]["gpu"] for name in ("Gemma-2B", "judge Qwen2.5-7B", "classifier c")] == [1, 1, 1]


def test_a_study_without_gpus_names_no_type(load, named):
    study = load("models: [Gemma-2B]\nplanning: {gpu: L4-24GB}")
    assert study.gpu_type == {} and set(study.cluster_jobs["Gemma-2B"]) == {"gpu", "mem_mb", "runtime", "threads"}


def test_a_judge_has_a_job_of_its_own_size(load):
    study = load("models: [Gemma-2B]\njudges: {a: {model: Qwen2.5-7B}, b: {model: Qwen2.5-7B}}")
    assert list(study.judge_jobs) == ["Qwen2.5-7B"] and study.judge_jobs["Qwen2.5-7B"].gpu == 1
    assert study.jobs["Gemma-2B"].gpu == 0 and study.gpus("Qwen2.5-7B") == 1


CPU = {"gpu": "c", "kind": "cpu", "memory_gb": 16, "bandwidth_gb_s": 50, "bf16_tflops": 0.5}
SMALL = MODEL.model_copy(update={"params_b": 0.135, "layers": 30.0, "kv_heads": 3.0, "head_dim": 64.0, "hidden": 576.0})


@pytest.mark.parametrize(
    ("model", "prompts", "cores", "expected"),
    [
        (SMALL, 10_000, Cores(8, 1), 8),
        (SMALL, 10_000, Cores(1, 1), 1),
        (SMALL, 10_000, Cores(8, 4), 2),
        (SMALL, 10_000, Cores(2, 4), 1),
        (SMALL, 199, Cores(8, 1), 3),
        (SMALL, 20, Cores(8, 1), 1),
        (SMALL.model_copy(update={"params_b": 0.95}), 10_000, Cores(64, 1), 4),
        (MODEL, 10_000, Cores(8, 1), 1),
    ],
    ids=["a core each", "one core", "shared", "more models than cores", "few prompts", "fewer", "memory", "large"],
)
def test_a_small_model_uses_the_cores_of_a_machine_without_gpus(model, prompts, cores, expected):
    load = {"prompts": prompts, "prompt_tokens": 100 * prompts, "new_tokens": 10 * prompts}
    assert computed_job(model, load, CPU, ASSUMPTIONS, None, cores).shards == expected
    assert computed_job(model, load, CPU, ASSUMPTIONS, 3, cores).shards == 3, "the config decides"
    assert computed_job(model, load, CPU, ASSUMPTIONS, {"m": 2}, cores).shards == 2
    assert computed_job(model, load, GPU, ASSUMPTIONS, None, cores).shards == 1


def test_a_batch_has_the_tokens_that_the_memory_has_room_for():
    large = GPU | {"memory_gb": 80}
    tokens = [job_of(gpu=gpu).batch_tokens for gpu in (large, GPU, GPU | {"memory_gb": 20})]
    assert (
        tokens[0] == ASSUMPTIONS["token_budget"] and tokens == sorted(tokens, reverse=True) and tokens[-1] < tokens[0]
    )
    assert job_of(gpu=CPU | {"memory_gb": 8}).batch_tokens == ASSUMPTIONS["token_budget"] // 8
    few = {"prompts": 10_000, "prompt_tokens": 1e6, "new_tokens": 1e5}
    alone, eight = (computed_job(SMALL, few, CPU, ASSUMPTIONS, None, Cores(n, 1)) for n in (1, 8))
    assert eight.batch_tokens < alone.batch_tokens, "eight jobs share the memory"


PROCESSOR = """
checkpoints: {kind: hub}
planning: {gpu: laptop-cpu}
tasks: {offensiveness: {rows_per_gold_label: 50}}
"""


@pytest.fixture
def on_processor(load, tmp_path):
    (tmp_path / "m.csv").write_text("model,hub_id,size_b\nsmall,org/s,0.1\nother,org/o,0.1\n")
    own = f"{PROCESSOR}materials: {{models: {tmp_path}/m.csv}}\n"
    return lambda change="", models="[small]", **options: load(f"{own}models: {models}\n{change}", **options)


def test_the_cores_of_the_first_start_decide_until_the_study_is_complete(on_processor, root, tmp_path, monkeypatch):
    loaded = on_processor(cores=4)
    study = Study(loaded.config, loaded.rows, loaded.asked, root, 4)
    monkeypatch.chdir(tmp_path)  # results are where Snakemake works
    assert study.shards("small") == ["1-of-4", "2-of-4", "3-of-4", "4-of-4"] and study.threads("small") == 1
    study.keep_cores()
    for cores in (1, 16):
        later = Study(study.config, study.rows, study.asked, root, cores)
        later.keep_cores()
        assert later.jobs["small"].shards == 4
        assert later.planned_batch_tokens("small") == study.planned_batch_tokens("small")


def test_what_the_user_sets_goes_before_the_cores(on_processor):
    assert on_processor("inference: {shards: 2}", cores=8).jobs["small"].shards == 2
    both = on_processor("inference: {shards: {other: 3}}", "[small, other]", cores=8)
    assert [both.jobs[name].shards for name in both.models] == [4, 3]
    assert on_processor("design: {sequential: {first: 5, growth: 1}}", cores=8).jobs["small"].shards == 1
    assert on_processor().jobs["small"].shards == 1


def test_batch_tokens_follow_from_the_plan_where_the_config_has_none(load):
    hub = "checkpoints: {kind: hub}\nmodels: [Llama2-7B]\nplanning: {gpu: %s}\n"
    large, small = (load(hub % gpu) for gpu in ("A100-80GB", "L4-24GB"))
    assert large.planned_batch_tokens("Llama2-7B") == 16384 and large.inference["batch_tokens"] is None
    assert small.planned_batch_tokens("Llama2-7B") < 16384
    own = load(hub % "A100-80GB" + "inference: {batch_tokens: 500}")
    assert own.inference["batch_tokens"] == 500 and own.assumptions["token_budget"] == 500
