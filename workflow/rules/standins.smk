# Stand-ins: small checkpoints with planted refusal rates, and the comparison of the estimates with these rates.


rule standins:
    input:
        texts=STUDY.text_files,
        models=STUDY.config.materials.models,
        templates=STUDY.config.materials.templates,
        wordings="config/standins/personas.csv",
        sentences="config/standins/sentences.csv",
        counts=files.printed("counts_task_model_persona"),
        formats=files.printed("format_heatmaps"),
        baseline=files.printed("fig1_baseline_offensiveness"),
        coefficients=files.printed("table7_logit"),
        code=library("standins.py"),
    output:
        [directory(folder) for folder in STUDY.standin_folders],
    log:
        STUDY.files.log("standins"),
    benchmark:
        STUDY.files.benchmark("standins")
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        models=of("models"),
        tasks=of("wordings"),
        templates=of("templates"),
        plant=of("config.checkpoints.plant"),
        seed=of("seed"),
        system=of("config.prompts.system"),
        system_role=of("config.inference.system_role"),
    message:
        f"Write the stand-ins: {STUDY.name}"
    script:
        "../scripts/standins.py"


rule planted:
    input:
        standins=STUDY.standin_folders,
        texts=STUDY.text_files,
        prompts=STUDY.prompt_files,
        design=STUDY.files.design,
        personas=STUDY.config.materials.personas,
        templates=STUDY.config.materials.templates,
        phrases=STUDY.config.refusal_phrases,
        code=library("planted.py"),
    output:
        prompts=[STUDY.files.planted(f"{model}.parquet") for model in STUDY.models],
        cells=STUDY.files.planted("cells.csv"),
        personas=STUDY.files.planted("personas.csv"),
    log:
        STUDY.files.log("planted"),
    benchmark:
        STUDY.files.benchmark("planted")
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        models=of("models"),
        tasks=of("wordings"),
        personas=of("personas"),
        templates=of("templates"),
        article=of("config.prompts.article"),
        system=of("config.prompts.system"),
        system_role=of("config.inference.system_role"),
        notice=of("notice"),
    message:
        f"Compute the planted rates: {STUDY.name}"
    script:
        "../scripts/planted.py"


rule planted_rates:
    input:
        rates=STUDY.files.table("rates_task_model_persona"),
        planted=STUDY.files.planted("personas.csv"),
        code=library("planted_rates.py"),
    output:
        planted_rates=STUDY.files.table("planted_rates"),
    log:
        STUDY.files.log("planted_rates"),
    benchmark:
        STUDY.files.benchmark("planted_rates")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=of("notice"),
    message:
        f"Check estimates against planted rates: {STUDY.name}"
    script:
        "../scripts/planted_rates.py"
