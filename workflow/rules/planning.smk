# Planning: estimate the cost of a study, and check that everything it needs is available. Neither downloads anything.


rule plan:
    """Estimate GPU hours, memory and disk before any download."""
    input:
        models=STUDY.config.materials.models,
        personas=STUDY.config.materials.personas,
        templates=STUDY.config.materials.templates,
        gpus=files.GPUS,
        instructions=[file for judge in STUDY.config.judges for file in STUDY.judge_files(judge)],
        code=library("plan.py"),
    output:
        models=STUDY.files.plan("models.csv"),
        gpus=STUDY.files.plan("gpus.csv"),
        json=STUDY.files.plan("plan.json"),
        text=STUDY.files.plan("plan.txt"),
    log:
        STUDY.files.log("plan"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study=STUDY.name,
        tasks=of("config.tasks"),
        models=of("models"),
        personas=of("personas"),
        templates=of("templates"),
        design=of("config.design"),
        samples=of("config.inference.independent_samples"),
        prompts=of("config.prompts"),
        seed=of("seed"),
        raw=files.TEXTS,
        gpu=of("config.planning.gpu"),
        assumptions=of("assumptions"),
        shape=of("standin_shape"),
        shards=of("shard_counts"),
        judges=of("config.judges"),
        servers=of("server_costs"),
        in_full_because=of("in_full_because"),
        recheck_share=of("config.inference.recheck_share"),
        classifiers=list(STUDY.config.classifiers),
        whole=untracked(lambda wildcards: "plan" in workflow.dag_settings.targets),  # a user asked for it
        from_hub=of("downloads.hub_ids"),
        keep_weights=of("keep_weights"),
    message:
        f"Estimate the cost: {STUDY.name}"
    script:
        "../scripts/plan.py"


# Runs on every invocation, because it has no output. Its table is not declared as one, because Snakemake deletes the
# outputs of a failed job.
rule preflight:
    """Check that everything the study needs is available."""
    input:
        models=STUDY.config.materials.models,
        plan=STUDY.files.plan("models.csv") if STUDY.fetched else [],
        code=library("preflight.py"),
    log:
        STUDY.files.log("preflight"),
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        tasks=of("config.tasks"),
        fetched=of("fetched"),
        classifiers=of("config.classifiers"),
        servers=of("server_settings"),
        quantization=of("config.inference.quantization"),
        raw=files.TEXTS,
        records="resources",
        hub_ids=of("downloads.hub_ids"),
        folder_in_use=of("downloads.home"),
        table=STUDY.files.plan("preflight.csv"),
        gpus={model: STUDY.gpus(model) for model in STUDY.fetched},
        gpu_limit=untracked(gpus_of_run) if STUDY.config.planning.compute_here else None,
        compute_here=STUDY.config.planning.compute_here,
        jobs=untracked(of("cluster_jobs")),
        slurm=untracked(slurm_of_run),
        slurm_too=True,
        demand=True,
    message:
        f"Check the requirements: {STUDY.name}"
    script:
        "../scripts/preflight.py"


# The same check before any inference, so that a problem of the last model is reported before the first one runs. It stops
# the run, or with --keep-going only the models with a problem. It does not check this machine's memory, nor Slurm where
# jobs do not go there.
use rule preflight as ready with:
    output:
        STUDY.files.plan("ready.csv"),
    log:
        STUDY.files.log("ready"),
    priority: 2  # before the downloads, so that all problems are reported at once
    params:
        table=lambda wildcards, output: output[0],
        gpu_limit=untracked(gpus_of_run),
        compute_here=False,
        slurm_too=False,
        demand=untracked(lambda wildcards: not workflow.execution_settings.keep_going),
