# The number of jobs per model and their resources (from the config alone, so that they are the same at every start), and
# the models that a study reports on.

from falserefusal.planning.estimate import ASSUMPTIONS, JUDGE_TOKENS, judge_load
from falserefusal.planning.jobs import SERVED, STANDIN, check_shards, classifier_job, grown, inference_jobs, shards_of

JUDGES = list(dict.fromkeys(judge["model"] for judge in config["judges"].values()))
# Models whose weights are downloaded or local; not stand-ins, which the workflow writes, and not models of a server.
FETCHED = [] if SERVER else list(dict.fromkeys([*([] if STANDINS else config["models"]), *JUDGES]))
JUDGE_INSTRUCTIONS = "config/labelling/judge.txt"


def inference_jobs_of_study():
    """Resources of all inference jobs of the study.

    Returns two dicts: for each model, the number of shards, and gpu, mem_mb and runtime of one shard; for each judge the
    same, of one job (a judge has one job for each model whose responses it labels).
    """
    models, shards = config["models"], config["inference"]["shards"]
    check_shards(shards, models)
    if SEQUENTIAL:
        if shards is not None:
            raise InputError(
                "inference.shards: remove it; with interim looks (design.sequential) a model has no shards"
            )
        shards = 1
    if SERVER:
        responding = {model: {"shards": shards_of(model, shards), **SERVED} for model in models}
        return responding, {model: {"shards": 1, **SERVED} for model in JUDGES}
    responding = {model: {"shards": shards_of(model, shards), **STANDIN} for model in models}
    if STANDINS and not JUDGES:
        return responding, {}
    from falserefusal.planning.plan import find_card, load_cards
    from falserefusal.study.workload import expected_load

    root = Path(workflow.basedir)
    card = find_card(load_cards(root / "config/cards.csv"), config["planning"]["card"])
    load = expected_load(config, PLANNING_ASSUMPTIONS, root)
    if not STANDINS:
        rows = [row for row in MODELS_FILE if row["model"] in models]
        responding = inference_jobs(rows, load, card, PLANNING_ASSUMPTIONS, shards)
    assume = {**PLANNING_ASSUMPTIONS, "max_new_tokens": JUDGE_TOKENS}
    judges = [row for row in MODELS_FILE if row["model"] in JUDGES]
    replies = judge_load(load, (root / JUDGE_INSTRUCTIONS).stat().st_size, {**ASSUMPTIONS, **assume})
    return responding, inference_jobs(judges, replies, card, assume, 1)


def needed_by(job, resource, attempt):
    """A resource of the n-th attempt at a job."""
    return grown(job, attempt, config["planning"]["hours_per_shard"])[resource]


def needed(resource):
    """A resource of the n-th attempt at an inference job, for the scheduler."""
    return lambda wildcards, attempt: needed_by(JOBS[wildcards.model], resource, attempt)


def planned_gpus(wildcards, threads):
    """The GPUs that an inference job needs by the plan.

    The argument `threads` makes Snakemake ignore this param when it looks for changes, so that another GPU type in the
    config re-runs no job.
    """
    return JOBS[wildcards.model]["gpu"]


def gpus_of_run(wildcards, threads):
    """The GPUs that jobs of this run may use; None means no limit, as on a cluster."""
    return workflow.global_resources.get("gpu").value


def gpus_of_fetched(model):
    """The GPUs of the largest job of a fetched model, as a model of the study or as a judge."""
    return max(jobs[model]["gpu"] for jobs in ([JUDGING] if STANDINS else [JOBS, JUDGING]) if model in jobs)


def judge_of(wildcards):
    """The model of a judge."""
    return config["judges"][wildcards.judge]["model"]


def weights_of_judge(wildcards):
    """The record of a judge's downloaded weights; nothing if a server runs it."""
    return {"weights": weights_record(judge_of(wildcards))} if judge_of(wildcards) in FETCHED else {}


def classifier_row(wildcards):
    """What downloading a classifier needs, in the form of `model_row`."""
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
    """A shard's number, counted from 0, and the number of shards."""
    part, _, parts = wildcards.part.partition("-of-")
    return [int(part) - 1, int(parts)]


def any_of(names):
    """A constraint of a wildcard: one of these names. Without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def reported_models():
    """The models that a study reports on: all, or with allow_missing those that have responses."""
    if not config["allow_missing"]:
        return config["models"]
    if SEQUENTIAL:
        raise InputError("allow_missing: not possible before the last interim look (design.sequential) is done")
    folder = Path("results") / STUDY / "responses"
    found = [model for model in config["models"] if (folder / f"{model}.parquet").exists()]
    if not found:
        raise InputError(f"allow_missing: no model of the study '{STUDY}' has responses in {folder} yet")
    return found


try:
    JOBS, JUDGING = inference_jobs_of_study()
    REPORTED_MODELS = reported_models()
except InputError as error:
    raise config_error(error) from None

CLASSIFYING = classifier_job(any(job["gpu"] for job in JOBS.values()))
SHARDED = [model for model in config["models"] if JOBS[model]["shards"] > 1]
WHOLE = [model for model in config["models"] if model not in SHARDED]
INFERENCE = {key: value for key, value in config["inference"].items() if key != "shards"}  # what can change a response


# Not sent to a cluster, because they take at most a minute.
localrules:
    published_cells,
    statements,
    published_provenance,
    published_figures,
    published_report,
    texts,
    design,
    prompts,
    comparison,
    figures,
    provenance,
    report,
