# Planning: estimate the cost of a study, and check that everything it needs is available. Neither downloads anything.


rule plan:
    input:
        models=MATERIALS["models"],
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        cards="config/cards.csv",
        instructions=JUDGE_INSTRUCTIONS,
        code=library("plan.py"),
    output:
        models=f"<results>/{STUDY}/plan/models.csv",
        cards=f"<results>/{STUDY}/plan/cards.csv",
        json=f"<results>/{STUDY}/plan/plan.json",
        text=f"<results>/{STUDY}/plan/plan.txt",
    log:
        f"<logs>/{STUDY}/plan.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study=STUDY,
        tasks=config["tasks"],
        models=config["models"],
        personas=config["personas"],
        templates=config["templates"],
        design=config["design"],
        prompts=config["prompts"],
        seed=config["seed"],
        raw="resources/texts",
        card=config["planning"]["card"],
        assumptions=PLANNING_ASSUMPTIONS,
        shape=STANDIN_SHAPE if STANDINS else None,
        shards={model: job["shards"] for model, job in JOBS.items()},
        judges=[] if SERVER else JUDGES,
        classifiers=list(config["classifiers"]),
    message:
        f"Estimate the cost: {STUDY}"
    script:
        "../scripts/plan.py"


# Runs on every invocation, because it has no output. Its table is not declared as one, because Snakemake deletes the
# outputs of a failed job.
rule preflight:
    input:
        models=MATERIALS["models"],
        plan=f"<results>/{STUDY}/plan/models.csv" if FETCHED else [],
        code=library("preflight.py"),
    log:
        f"<logs>/{STUDY}/preflight.log",
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        tasks=config["tasks"],
        fetched=FETCHED,
        classifiers=config["classifiers"],
        server=config["inference"].get("server", {}) if SERVER else None,
        quantization=None if SERVER else config["inference"]["quantization"],
        raw="resources/texts",
        records="resources",
        table=f"results/{STUDY}/plan/preflight.csv",
        gpus={model: gpus_of_fetched(model) for model in FETCHED},
        gpu_limit=gpus_of_run if config["planning"]["compute_here"] else None,
        compute_here=config["planning"]["compute_here"],
        demand=True,
    message:
        f"Check the requirements: {STUDY}"
    script:
        "../scripts/preflight.py"


# The same check before any inference, so that a problem of the last model is reported before the first one runs. It stops
# the run, or with --keep-going only the models with a problem. It does not check this machine's memory.
use rule preflight as ready with:
    output:
        f"<results>/{STUDY}/plan/ready.csv",
    log:
        f"<logs>/{STUDY}/ready.log",
    priority: 2  # before the downloads, so that all problems are reported at once
    params:
        table=lambda wildcards, output: output[0],
        gpu_limit=gpus_of_run,
        compute_here=False,
        demand=lambda wildcards, threads: not workflow.execution_settings.keep_going,
