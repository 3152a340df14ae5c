"""Compute the number of jobs of each model and what each job requests from a scheduler.

Snakemake needs both whenever it starts, and they must be the same every time. So they depend on the config alone, not,
as in `plan`, on which texts are on this machine.
"""

from math import ceil

from falserefusal.common.errors import InputError
from falserefusal.planning.estimate import ASSUMPTIONS, hours, job_resources, memory, network

LEAST_MINUTES = 30  # reading weights of 60 GB from a busy disk takes long
STANDIN = {"gpu": 0, "mem_mb": 3000, "runtime": LEAST_MINUTES}  # 100 to 200 MB of weights, on a processor
SERVED = {"gpu": 0, "mem_mb": 4000, "runtime": 24 * 60}  # the server does the work


def inference_jobs(models: list[dict], load: dict, card: dict, assume: dict, shards: int | dict | None) -> dict:
    """Compute for each model its shards (number of jobs) and what each job needs: gpu, mem_mb and runtime (minutes).

    Parameters
    ----------
    models : list of dict
        Rows of the models file.
    load : dict
        prompts, prompt_tokens and new_tokens of one model.
    card : dict
        A row of the cards file.
    assume : dict
        Overrides of `ASSUMPTIONS`.
    shards : int, dict or None
        From the config, see `shards_of`.
    """
    assume = ASSUMPTIONS | assume
    jobs = {}
    for model in models:
        shape = network(model)
        parts = shards_of(model["model"], shards, hours(shape, load, card, assume)["shards"] or 1)
        part = {name: value / parts for name, value in load.items()}
        needs = job_resources(shape, part, card, assume | {"hours_per_shard": None})
        if needs["gpu"] is None:  # a machine without GPUs that is too small by the plan: try anyway
            needs = {"gpu": 0, "mem_mb": ceil(1000 * memory(shape, part, assume)["memory_gb"]), "runtime": 0}
        jobs[model["model"]] = {"shards": parts, **needs, "runtime": max(LEAST_MINUTES, needs["runtime"])}
    return jobs


def classifier_job(gpus: bool) -> dict:
    """Compute what a job needs that classifies a model's responses; gpus: whether models run on GPUs.

    Sized for some hundred million parameters and 200,000 short texts; a job that ends early starts from the beginning.
    """
    return {"gpu": 1, "mem_mb": 8000, "runtime": 3 * 60} if gpus else {"gpu": 0, "mem_mb": 8000, "runtime": 12 * 60}


def shards_of(model: str, shards: int | dict | None, planned: int = 1) -> int:
    """Number of jobs of a model. shards: one number for all, {model: number}, or None; the default is `planned`."""
    if isinstance(shards, dict):
        return shards.get(model, planned)
    return shards or planned


def check_shards(shards: int | dict | None, models: list[str]) -> None:
    """Raise InputError if `shards` lists a model that the study does not have."""
    unknown = sorted(set(shards) - set(models)) if isinstance(shards, dict) else []
    if unknown:
        raise InputError(f"inference.shards: {', '.join(unknown)} not among the study's models: {', '.join(models)}")


def too_few_gpus(planned: int, allowed: int) -> str:
    """The message about a job that is planned on more GPUs than this run may use."""
    return (
        f"needs {planned} GPUs by the plan, but a job of this run may use {allowed}: add --resources gpu={planned}, or "
        "set planning.card to the card that is here"
    )


def require_gpus(model: str, planned: int, allowed: int) -> None:
    """Raise InputError if Snakemake gave a job fewer GPUs than it asked for, which it does silently."""
    if allowed < planned:
        raise InputError(f"{model}: {too_few_gpus(planned, allowed)}")


def grown(needs: dict, attempt: int, longest: float | None) -> dict:
    """Compute what attempt number `attempt` of a job asks for: 50% more memory each time, and more time.

    The time is at most twice `longest` hours (None: no limit), so that a job still fits its queue. The job need not
    finish in it, because responses that it has stored are not generated again.
    """
    limit = float("inf") if longest is None else max(LEAST_MINUTES, int(120 * longest))
    runtime = int(min(needs["runtime"] * attempt, limit))
    return {"gpu": needs["gpu"], "mem_mb": needs["mem_mb"] * (1 + attempt) // 2, "runtime": runtime}
