# What a study will cost, and whether everything it needs is within reach; nothing is downloaded for either.


rule plan_study:
    input:
        models=STIMULI["models"],
        personas=STIMULI["personas"],
        templates=STIMULI["templates"],
        cards="config/cards.csv",
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
    message:
        "Planning {wildcards.study}"
    script:
        "../scripts/plan.py"


def gpu_limit(wildcards, threads):
    """GPUs that jobs of this run may use; None: as many as they ask for, as on a cluster, or on a login node of one."""
    return workflow.global_resources.get("gpu").value if config["planning"]["compute_here"] else None


rule preflight_study:
    input:
        models=STIMULI["models"],
        plan=rules.plan_study.output.models,
        code=library("preflight.py"),
    output:
        preflight="<results>/{study}/plan/preflight.csv",
    log:
        "<logs>/{study}/preflight.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=config["tasks"],
        models=config["models"],
        raw="resources/texts",
        gpus={model: job["gpu"] for model, job in JOBS.items()},
        gpu_limit=gpu_limit,
        compute_here=config["planning"]["compute_here"],
    message:
        "Checking what {wildcards.study} needs"
    script:
        "../scripts/preflight.py"
