"""How many jobs a study's models are asked in, and what each asks of a scheduler.

Snakemake needs both whenever it starts, and must get the same answer from the first start to the last. So they follow
from the config alone, not, as in `plan`, from what happens to be on this machine already.
"""

from math import ceil

from falserefusal.common.errors import InputError
from falserefusal.planning.estimate import ASSUMPTIONS, hours, job_resources, memory, network

LEAST_MINUTES = 30  # weights of 60 GB take their time from a busy disk
STANDIN = {"gpu": 0, "mem_mb": 3000, "runtime": LEAST_MINUTES}  # 100 to 200 MB of weights, on a processor
SERVED = {"gpu": 0, "mem_mb": 4000, "runtime": 24 * 60}  # the work is done elsewhere


def inference_jobs(models: list[dict], load: dict, card: dict, assume: dict, shards: int | dict | None) -> dict:
    """For each model: shards (jobs), and of each job gpu, mem_mb and runtime (minutes).

    models: rows of the models file; load: prompts, prompt_tokens and new_tokens of one model; card: a row of the cards
    file; assume: overrides of `ASSUMPTIONS`; shards: as the config has it, see `shards_of`.
    """
    assume = ASSUMPTIONS | assume
    jobs = {}
    for model in models:
        shape = network(model)
        parts = shards_of(model["model"], shards, hours(shape, load, card, assume)["shards"] or 1)
        part = {name: value / parts for name, value in load.items()}
        needs = job_resources(shape, part, card, assume | {"hours_per_shard": None})
        if needs["gpu"] is None:  # a machine without GPUs that the plan takes for too small: let it try
            needs = {"gpu": 0, "mem_mb": ceil(1000 * memory(shape, part, assume)["memory_gb"]), "runtime": 0}
        jobs[model["model"]] = {"shards": parts, **needs, "runtime": max(LEAST_MINUTES, needs["runtime"])}
    return jobs


def classifier_job(gpus: bool) -> dict:
    """What a job asks for that classifies a model's answers, where models are asked on GPUs or not.

    Some hundred million parameters and 200,000 short texts; it starts from the beginning if it ends early.
    """
    return {"gpu": 1, "mem_mb": 8000, "runtime": 3 * 60} if gpus else {"gpu": 0, "mem_mb": 8000, "runtime": 12 * 60}


def shards_of(model: str, shards: int | dict | None, planned: int = 1) -> int:
    """Jobs of a model: one number for all, or {model: number} (others get `planned`), or None for `planned`."""
    if isinstance(shards, dict):
        return shards.get(model, planned)
    return shards or planned


def check_shards(shards: int | dict | None, models: list[str]) -> None:
    """Raise InputError where a model has shards that the study does not have."""
    unknown = sorted(set(shards) - set(models)) if isinstance(shards, dict) else []
    if unknown:
        raise InputError(f"inference.shards: {', '.join(unknown)} not among the study's models: {', '.join(models)}")


def too_few_gpus(planned: int, allowed: int) -> str:
    """What to say of a job that is planned on more GPUs than this run may use."""
    return (
        f"needs {planned} GPUs by the plan, but a job of this run may use {allowed}: add --resources gpu={planned}, or "
        "set planning.card to the card that is here"
    )


def require_gpus(model: str, planned: int, allowed: int) -> None:
    """Raise InputError where Snakemake gave a job fewer GPUs than it asked for, which it does without a word."""
    if allowed < planned:
        raise InputError(f"{model}: {too_few_gpus(planned, allowed)}")


def grown(needs: dict, attempt: int, longest: float | None) -> dict:
    """What the `attempt`-th try of a job asks for: half as much memory again each time, and more time.

    No more time than twice `longest` hours (None: no limit), so that a job still fits the queue it was cut for; it
    need not get through, because what it has stored is not asked again.
    """
    limit = float("inf") if longest is None else max(LEAST_MINUTES, int(120 * longest))
    runtime = int(min(needs["runtime"] * attempt, limit))
    return {"gpu": needs["gpu"], "mem_mb": needs["mem_mb"] * (1 + attempt) // 2, "runtime": runtime}
