# What a study will cost, and whether everything it needs is within reach; nothing is downloaded for either.


rule plan_study:
    input:
        models=STIMULI["models"],
        personas=STIMULI["personas"],
        templates=STIMULI["templates"],
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


def gpu_limit(wildcards, threads):
    """GPUs that jobs of this run may use; None: as many as they ask for, as on a cluster, or on a login node of one."""
    return workflow.global_resources.get("gpu").value if config["planning"]["compute_here"] else None


def gpus_of_fetched(model):
    """GPUs that the largest job of a fetched model asks for: to be asked, or to judge."""
    return max(jobs[model]["gpu"] for jobs in ([JUDGING] if STANDINS else [JOBS, JUDGING]) if model in jobs)


# It has no output, so it looks anew whenever it is asked; its table is none because Snakemake removes the outputs of a
# job that fails.
rule preflight:
    input:
        models=STIMULI["models"],
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
        table=f"results/{STUDY}/plan/preflight.csv",
        gpus={model: gpus_of_fetched(model) for model in FETCHED},
        gpu_limit=gpu_limit,
        compute_here=config["planning"]["compute_here"],
        demand=True,
    message:
        f"Checking what {STUDY} needs"
    script:
        "../scripts/preflight.py"
