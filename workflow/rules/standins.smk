# Stand-ins for the models: small checkpoints with planted refusals, and the truth about them.


rule standins:
    input:
        texts=expand("<results>/{study}/texts/{task}.parquet", study=STUDY, task=config["tasks"]),
        models=MATERIALS["models"],
        templates=MATERIALS["templates"],
        wordings="config/standins/personas.csv",
        answers="config/standins/sentences.csv",
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
        system=config["prompts"]["system"],
        system_role=config["inference"]["system_role"],
    message:
        f"Writing the stand-ins of {STUDY}"
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
        code=library("truth.py"),
    output:
        prompts=expand("<results>/{study}/truth/{model}.parquet", study=STUDY, model=config["models"]),
        cells=f"<results>/{STUDY}/truth/cells.csv",
        personas=f"<results>/{STUDY}/truth/personas.csv",
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
        system=config["prompts"]["system"],
        system_role=config["inference"]["system_role"],
        notice=notice,
    message:
        f"Enumerating the planted truth of {STUDY}"
    script:
        "../scripts/truth.py"


rule truth:
    input:
        rates=f"<results>/{STUDY}/tables/rates_task_model_persona.csv",
        planted=rules.planted.output.personas,
        code=library("truth_table.py"),
    output:
        truth=f"<results>/{STUDY}/tables/planted_rates.csv",
    log:
        f"<logs>/{STUDY}/truth.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=notice,
    message:
        f"Holding the estimates of {STUDY} against its planted truth"
    script:
        "../scripts/truth_table.py"
