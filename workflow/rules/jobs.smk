# How many jobs each model is asked in, and what they need (from the config alone, so that no start changes it); and
# which models a study reports on.

from falserefusal.planning.estimate import ASSUMPTIONS, JUDGE_TOKENS, judge_load
from falserefusal.planning.jobs import SERVED, STANDIN, check_shards, classifier_job, grown, inference_jobs, shards_of

JUDGES = list(dict.fromkeys(judge["model"] for judge in config["judges"].values()))
# Whose weights come from a hub or a folder: stand-ins are written here (a judge is never one), a server has its own.
FETCHED = [] if SERVER else list(dict.fromkeys([*([] if STANDINS else config["models"]), *JUDGES]))
JUDGE_INSTRUCTIONS = "config/labelling/judge.txt"


def inference_jobs_of_study():
    """For each model asked: shards, and each shard's gpu, mem_mb and runtime; for each judge the same, of one job.

    A judge has a job for each model whose answers it judges.
    """
    models, shards = config["models"], config["inference"]["shards"]
    check_shards(shards, models)
    if SEQUENTIAL:
        if shards is not None:
            raise InputError("inference.shards: a study in rounds asks a model once a round, in one job; leave it out")
        shards = 1
    if SERVER:
        asking = {model: {"shards": shards_of(model, shards), **SERVED} for model in models}
        return asking, {model: {"shards": 1, **SERVED} for model in JUDGES}
    asking = {model: {"shards": shards_of(model, shards), **STANDIN} for model in models}
    if STANDINS and not JUDGES:
        return asking, {}
    from falserefusal.planning.plan import find_card, load_cards
    from falserefusal.study.workload import expected_load

    root = Path(workflow.basedir)
    card = find_card(load_cards(root / "config/cards.csv"), config["planning"]["card"])
    load = expected_load(config, PLANNING_ASSUMPTIONS, root)
    if not STANDINS:
        asked = [row for row in MODELS_FILE if row["model"] in models]
        asking = inference_jobs(asked, load, card, PLANNING_ASSUMPTIONS, shards)
    assume = {**PLANNING_ASSUMPTIONS, "max_new_tokens": JUDGE_TOKENS}
    judges = [row for row in MODELS_FILE if row["model"] in JUDGES]
    verdicts = judge_load(load, (root / JUDGE_INSTRUCTIONS).stat().st_size, {**ASSUMPTIONS, **assume})
    return asking, inference_jobs(judges, verdicts, card, assume, 1)


def needed_by(job, resource, attempt):
    """What the n-th attempt at a job needs."""
    return grown(job, attempt, config["planning"]["hours_per_shard"])[resource]


def needed(resource):
    """What the n-th attempt at an inference job asks a scheduler for."""
    return lambda wildcards, attempt: needed_by(JOBS[wildcards.model], resource, attempt)


def planned_gpus(wildcards, threads):
    """The GPUs an inference job asks for, whatever Snakemake makes of that.

    It takes `threads` only because Snakemake then leaves it out when it looks for changes: another card in the config
    must ask nobody again.
    """
    return JOBS[wildcards.model]["gpu"]


def gpus_of_run(wildcards, threads):
    """GPUs that jobs of this run may use; None: as many as they ask for, as on a cluster."""
    return workflow.global_resources.get("gpu").value


def gpus_of_fetched(model):
    """GPUs that the largest job of a fetched model asks for: to be asked, or to judge."""
    return max(jobs[model]["gpu"] for jobs in ([JUDGING] if STANDINS else [JOBS, JUDGING]) if model in jobs)


def judge_of(wildcards):
    """The model behind a judge's name."""
    return config["judges"][wildcards.judge]["model"]


def weights_of_judge(wildcards):
    """The record of a judge's fetched weights; nothing, if a server answers for it."""
    return {"weights": weights_record(judge_of(wildcards))} if judge_of(wildcards) in FETCHED else {}


def classifier_row(wildcards):
    """What fetching a classifier must know, as `model_row` says it of a model."""
    own = config["classifiers"][wildcards.classifier]
    row = {"model": f"classifier {wildcards.classifier}", "hub_id": own["hub_id"], "revision": own["revision"]}
    return {key: value for key, value in row.items() if value}


def shard_files(ending):
    """The files of all shards of a model."""

    def files(wildcards):
        parts = JOBS[wildcards.model]["shards"]
        folder = f"results/{wildcards.study}/shards/{wildcards.model}"
        return [f"{folder}/{part}-of-{parts}.{ending}" for part in range(1, parts + 1)]

    return files


def shard_of(wildcards):
    """Which of how many parts of the prompts a job asks, counted from 0."""
    part, _, parts = wildcards.part.partition("-of-")
    return [int(part) - 1, int(parts)]


def any_of(models):
    """A wildcard's constraint: one of these models; of none, nothing."""
    return "|".join(map(re.escape, models)) or "(?!)"


def judged_models():
    """The models a study reports on: all of it, or with allow_missing those whose answers are there."""
    if not config["allow_missing"]:
        return config["models"]
    if SEQUENTIAL:
        raise InputError("allow_missing: a study in rounds decides after every look whom to ask; finish it first")
    folder = Path("results") / STUDY / "responses"
    there = [model for model in config["models"] if (folder / f"{model}.parquet").exists()]
    if not there:
        raise InputError(f"allow_missing: no model of the study '{STUDY}' has its answers in {folder} yet")
    return there


try:
    JOBS, JUDGING = inference_jobs_of_study()
    JUDGED = judged_models()
except InputError as error:
    raise config_error(error) from None

CLASSIFYING = classifier_job(any(job["gpu"] for job in JOBS.values()))
SHARDED = [model for model in config["models"] if JOBS[model]["shards"] > 1]
WHOLE = [model for model in config["models"] if model not in SHARDED]
INFERENCE = {key: value for key, value in config["inference"].items() if key != "shards"}  # what can change an answer


# On a cluster these stay where Snakemake runs: seconds, at most a minute, for any study that a person can pay for.
localrules:
    published_cells,
    statements,
    published_provenance,
    draw_published_figures,
    published_report,
    texts,
    design,
    prompts,
    comparison,
    draw_figures,
    provenance,
    report,
