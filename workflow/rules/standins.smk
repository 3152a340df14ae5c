# Stand-ins: small checkpoints with planted refusal rates, and the comparison of the estimates with these rates.


rule standins:
    input:
        texts=expand("<results>/{study}/texts/{task}.parquet", study=STUDY, task=config["tasks"]),
        models=MATERIALS["models"],
        templates=MATERIALS["templates"],
        wordings="config/standins/personas.csv",
        sentences="config/standins/sentences.csv",
        counts=f"{PRINTED}/counts_task_model_persona.csv",
        formats=f"{PRINTED}/format_heatmaps.csv",
        baseline=f"{PRINTED}/fig1_baseline_offensiveness.csv",
        coefficients=f"{PRINTED}/table7_logit.csv",
        code=library("standins.py"),
    output:
        [directory(folder) for folder in STANDIN_FOLDERS],
    log:
        f"<logs>/{STUDY}/standins.log",
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        models=config["models"],
        tasks=config["tasks"],
        templates=config["templates"],
        plant=config["checkpoints"].get("plant"),
        seed=config["seed"],
        system=lambda wildcards: config["prompts"]["system"],
        system_role=config["inference"]["system_role"],
    message:
        f"Write the stand-ins: {STUDY}"
    script:
        "../scripts/standins.py"


rule planted:
    input:
        standins=STANDIN_FOLDERS,
        texts=expand("<results>/{study}/texts/{task}.parquet", study=STUDY, task=config["tasks"]),
        prompts=expand("<results>/{study}/prompts/{task}.parquet", study=STUDY, task=config["tasks"]),
        design=f"<results>/{STUDY}/design.parquet",
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        phrases=MATERIALS["refusal_phrases"],
        code=library("planted.py"),
    output:
        prompts=expand("<results>/{study}/planted/{model}.parquet", study=STUDY, model=config["models"]),
        cells=f"<results>/{STUDY}/planted/cells.csv",
        personas=f"<results>/{STUDY}/planted/personas.csv",
    log:
        f"<logs>/{STUDY}/planted.log",
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        models=config["models"],
        tasks=config["tasks"],
        personas=config["personas"],
        templates=config["templates"],
        article=config["prompts"]["article"],
        system=lambda wildcards: config["prompts"]["system"],
        system_role=config["inference"]["system_role"],
        notice=notice,
    message:
        f"Compute the planted rates: {STUDY}"
    script:
        "../scripts/planted.py"


rule planted_rates:
    input:
        rates=f"<results>/{STUDY}/tables/rates_task_model_persona.csv",
        planted=rules.planted.output.personas,
        code=library("planted_rates.py"),
    output:
        planted_rates=f"<results>/{STUDY}/tables/planted_rates.csv",
    log:
        f"<logs>/{STUDY}/planted_rates.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=notice,
    message:
        f"Check estimates against planted rates: {STUDY}"
    script:
        "../scripts/planted_rates.py"
