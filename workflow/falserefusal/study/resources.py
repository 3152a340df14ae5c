"""How many jobs a study's models are asked in, and what each job asks of a scheduler.

Snakemake needs both whenever it starts, and must get the same answer from the first start to the last. So they follow
from config and materials, not, as in the cost estimate, from what happens to be on this machine already. Only the cores
of a machine without GPUs are those of the first start, and recorded (`Study.keep_cores`). A run finds jobs once and
hands them to its jobs (JOBS), because texts of the user's own have to be read for them.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.common.roofline import (
    ASSUMPTIONS,
    BATCH_TOKENS,
    fit,
    hours,
    job_resources,
    judge_load,
    memory,
)
from falserefusal.labelling.judge_prompt import load_judge_prompt
from falserefusal.study.config import Config
from falserefusal.study.files import GPUS
from falserefusal.study.materials import Model
from falserefusal.study.problems import hint
from falserefusal.study.workload import expected_load

GPU_NUMBERS = ("memory_gb", "bandwidth_gb_s", "bf16_tflops")
SMALL = 1.0  # 10^9 parameters; a smaller model is fastest on one thread, with other jobs next to it
LEAST_PROMPTS = 50  # of a shard that is there only to use a core: to start it takes as long as 20 prompts
GPU_TYPE = ("gpu_model", "constraint")  # columns that may be missing: the cluster's names of a GPU
JOB_THREADS = 4  # of a job with a model or a classifier
LEAST_MINUTES = 30  # weights of 60 GB take their time from a busy disk


@dataclass(frozen=True)
class Job:
    """What one inference job asks for, and in how many jobs (shards) of this size its model is asked.

    batch_tokens: prompt and new tokens of a batch that the memory has room for, by the cost estimate.
    """

    shards: int
    gpu: int
    mem_mb: int
    runtime: int  # minutes
    batch_tokens: int = field(default=BATCH_TOKENS, compare=False)

    def attempt(self, number: int, longest: float | None) -> "Job":
        """What the `number`-th attempt (from 1) asks for: half as much memory again each time, and more time.

        No more time than twice `longest` hours (None: no limit), so that a job still fits the queue it was cut for; it
        need not get through, because what it has stored is not asked again.
        """
        limit = float("inf") if longest is None else max(LEAST_MINUTES, int(120 * longest))
        runtime = int(min(self.runtime * number, limit))
        return replace(self, mem_mb=self.mem_mb * (1 + number) // 2, runtime=runtime)


Jobs = tuple[dict[str, Job], dict[str, Job]]  # by name: of each model that is asked, and of each model that is a judge
JOBS = "FALSEREFUSAL_JOBS"  # the environment variable from which the jobs of a run read Jobs
STANDIN = Job(
    1, gpu=0, mem_mb=3000, runtime=LEAST_MINUTES, batch_tokens=8192
)  # 100 to 200 MB of weights, on a processor
SERVED = Job(1, gpu=0, mem_mb=4000, runtime=24 * 60)  # the work is done elsewhere
# What a stand-in is, whatever the model whose name it carries: about a million parameters in one layer.
STANDIN_SHAPE = {"params_b": 0.001, "layers": 1, "kv_heads": 2, "head_dim": 64, "hidden": 144, "vocab": 2000}


def classifier_job(gpus: bool) -> Job:
    """What a job asks for that classifies a model's responses, where models are asked on GPUs or not.

    Some hundred million parameters and 200,000 short texts; it starts from the beginning if it ends early.
    """
    return Job(1, 1, 8000, 3 * 60) if gpus else Job(1, 0, 8000, 12 * 60)


def assumptions(config: Config) -> dict[str, Any]:
    """What the cost estimate takes from the config, in place of its own assumptions."""
    given = {
        "max_new_tokens": config.inference.max_new_tokens,
        "dtype": config.inference.dtype,
        "quantization": config.inference.quantization,
        "hours_per_shard": config.planning.hours_per_shard,
    }
    budget = config.inference.batch_tokens
    return given | ({"token_budget": budget} if budget else {})


def jobs_of(config: Config, asked: Sequence[str], models: Mapping[str, Model], root: Path, cores: int = 1) -> Jobs:
    """The jobs of each model that is asked, and of each model that is a judge.

    A judge has a job for each model whose responses it judges. `models` holds the rows of both, by name; `cores` are
    those of the machine that all jobs share, 1 if they are on different machines. Jobs of a model that is several
    judges have room for the longest of their prompts and replies.
    """
    judging = list(dict.fromkeys(judge.model for judge in config.judges.values()))
    standins = config.checkpoints.kind == "standins"
    shards = 1 if config.design.sequential else config.inference.shards
    asks, judges = {}, {}
    for name in asked:
        if standins or not models[name].loads_weights:
            light = standins or models[name].is_dummy
            asks[name] = replace(STANDIN if light else SERVED, shards=_shards(name, shards, 1))
    for name in judging:
        if not models[name].loads_weights:
            judges[name] = SERVED
    computed = [name for name in asked if name not in asks]
    computed_judges = [name for name in judging if name not in judges]
    if computed or computed_judges:
        gpu = find_gpu(read_gpus(root / GPUS), config.planning.gpu)
        assume = ASSUMPTIONS | assumptions(config)
        load = expected_load(config, assume, root)
        shared = Cores(cores, len(computed))
        asks |= {name: computed_job(models[name], load, gpu, assume, shards, shared) for name in computed}
        for name in computed_judges:
            own = [judge for judge in config.judges.values() if judge.model == name]
            prompts = [load_judge_prompt(root / judge.prompt) for judge in own]
            short = assume | {"max_new_tokens": max(prompt.max_new_tokens for prompt in prompts)}
            judged = judge_load(load, max(prompt.characters for prompt in prompts), short)
            judges[name] = computed_job(models[name], judged, gpu, short, 1)
    return {name: asks[name] for name in asked}, {name: judges[name] for name in judging}


@dataclass(frozen=True)
class Cores:
    """The cores of a machine without GPUs, and the models that share them, of which small ones have one core a job."""

    number: int
    models: int

    def share(self, cpu: dict[str, Any], parts: int) -> dict[str, Any]:
        """The processor with the memory of one of the jobs that run at a time; `parts`: jobs of each model."""
        return cpu | {"memory_gb": cpu["memory_gb"] / max(1, min(self.number, self.models * parts))}

    def parts(self, shape: dict[str, Any], load: dict[str, float], cpu: dict[str, Any], assume: dict[str, Any]) -> int:
        """Jobs of a small model that use its share of the cores, fewer if prompts or memory do not suffice for them."""
        most = max(1, min(self.number // self.models, int(load["prompts"] // LEAST_PROMPTS)))
        fits = (parts for parts in range(most, 1, -1) if fit(shape, load, self.share(cpu, parts), assume)[0])
        return next(fits, 1)


ONE_CORE = Cores(1, 1)


def jobs_as_text(jobs: Jobs) -> str:
    """Jobs as JSON, for `jobs_from_text`."""
    return json.dumps([{name: astuple(job) for name, job in part.items()} for part in jobs])


def jobs_from_text(text: str) -> Jobs:
    """Jobs from what `jobs_as_text` wrote."""
    asks, judges = ({name: Job(*job) for name, job in part.items()} for part in json.loads(text))
    return asks, judges


def computed_job(
    model: Model,
    load: dict[str, float],
    gpu: dict[str, Any],
    assume: dict[str, Any],
    shards: int | Mapping[str, int] | None,
    cores: Cores = ONE_CORE,
) -> Job:
    """The job of a model that is computed here or on the cluster.

    load: prompts, prompt_tokens and new_tokens of the model; gpu: a row of `read_gpus`; assume: all of
    `roofline.ASSUMPTIONS`; shards: as the config has it; cores: of a machine without GPUs.
    """
    shape, small = model.shape, gpu["kind"] == "cpu" and model.params < SMALL
    planned = hours(shape, load, gpu, assume)["shards"] or 1
    parts = _shards(model.model, shards, max(planned, cores.parts(shape, load, gpu, assume) if small else 1))
    part = {name: value / parts for name, value in load.items()}
    needs = job_resources(shape, part, gpu, {**assume, "hours_per_shard": None})
    if needs["gpu"] is None:  # a machine without GPUs that the estimate takes for too small: let it try
        needs = {"gpu": 0, "mem_mb": ceil(1000 * memory(shape, part, assume)["memory_gb"]), "runtime": 0}
    budget = fit(shape, part, cores.share(gpu, parts) if small else gpu, assume)[1] or assume["token_budget"] // 8
    return Job(parts, needs["gpu"], needs["mem_mb"], max(LEAST_MINUTES, needs["runtime"]), budget)


def _shards(model: str, shards: int | Mapping[str, int] | None, planned: int) -> int:
    if isinstance(shards, Mapping):
        return shards.get(model, planned)
    return shards or planned


def threads_of(model: Model, standin: bool) -> int:
    """Processor threads of an inference job."""
    return 1 if standin or model.is_dummy or model.params < SMALL else JOB_THREADS


def read_gpus(path: str | Path) -> dict[str, dict[str, Any]]:
    """GPUs as data, by name.

    gpu, kind (gpu or cpu), memory_gb, bandwidth_gb_s, bf16_tflops (dense), gpu_model and constraint ("": none), source.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    for column in ("gpu", "kind", *GPU_NUMBERS, "source"):
        if column not in (reader.fieldnames or []):
            raise InputError(f"{path}: column '{column}' is missing")
    gpus: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["gpu"] in gpus:
            raise InputError(f"{path}: '{row['gpu']}' comes twice")
        numbers = {column: _above_zero(row, column, path) for column in GPU_NUMBERS}
        names = {column: (row.get(column) or "").strip() for column in GPU_TYPE}
        if not re.fullmatch(r"[A-Za-z0-9_.]*", names["gpu_model"]):  # the executor plugin accepts no other
            raise InputError(
                f"{path}: {row['gpu']}, column 'gpu_model': letters, digits, _ and . only, not {names['gpu_model']!r}; "
                "leave it empty and put a feature of the nodes into the column 'constraint'"
            )
        gpus[row["gpu"]] = row | numbers | names
    return gpus


def _above_zero(row: Mapping[str, str], column: str, path: str | Path) -> float:
    try:
        number = float(row[column])
    except (TypeError, ValueError):
        number = 0.0
    if not number > 0:
        raise InputError(f"{path}: {row['gpu']}, column '{column}': must be a number above 0, not {row[column]!r}")
    return number


def find_gpu(gpus: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """One GPU by name; raises InputError for a name that is not there."""
    if name not in gpus:
        raise InputError(f"planning.gpu: '{name}' is not in {GPUS}; {hint(name, gpus)}")
    return gpus[name]


def too_few_gpus(planned: int, allowed: int) -> str:
    """What to say of a job that is planned on more GPUs than this run may use."""
    return (
        f"needs {planned} GPUs according to the cost estimate, but a job of this run may use {allowed}: add "
        f"--resources gpu={planned}, or set planning.gpu to the GPU of this machine"
    )


def require_gpus(model: str, planned: int, allowed: int) -> None:
    """Raise InputError where Snakemake gave a job fewer GPUs than it asked for, which it does without a word."""
    if allowed < planned:
        raise InputError(f"{model}: {too_few_gpus(planned, allowed)}")
