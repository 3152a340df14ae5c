# What a study will cost, and whether everything it needs is within reach; nothing is downloaded for either.


rule plan_study:
    input:
        models=MATERIALS["models"],
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        cards="config/cards.csv",
        instructions=JUDGE_INSTRUCTIONS,
        code=library("plan.py"),
    output:
        models="<results>/{study}/plan/models.csv",
        cards="<results>/{study}/plan/cards.csv",
        json="<results>/{study}/plan/plan.json",
        text="<results>/{study}/plan/plan.txt",
    log:
        "<logs>/{study}/plan.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study="{study}",
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
        "Planning {wildcards.study}"
    script:
        "../scripts/plan.py"


# It has no output, so it looks anew whenever it is asked; its table is none because Snakemake removes the outputs of a
# job that fails.
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
        f"Checking what {STUDY} needs"
    script:
        "../scripts/preflight.py"


# The same before any model is asked: what model 16 lacks is said before model 1 is asked for hours, and ends the run
# there, or with --keep-going is left for the end. Not this machine's memory: a job may try.
use rule preflight as ready with:
    output:
        f"<results>/{STUDY}/plan/ready.csv",
    log:
        f"<logs>/{STUDY}/ready.log",
    priority: 2  # before the downloads, one of which would end the run with its own trouble alone
    params:
        table=lambda wildcards, output: output[0],
        gpu_limit=gpus_of_run,
        compute_here=False,
        demand=lambda wildcards, threads: not workflow.execution_settings.keep_going,
