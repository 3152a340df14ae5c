# Judgements of every answer, joined with the design and counted by cell.


rule labels:
    input:
        responses="<results>/{study}/responses/{model}.parquet",
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        phrases=MATERIALS["refusal_phrases"],
        patterns="config/labelling/patterns.yaml",
        judged=expand("<results>/{{study}}/judged/{judge}/{{model}}.parquet", judge=config["judges"]),
        classified=expand("<results>/{{study}}/classified/{name}/{{model}}.parquet", name=config["classifiers"]),
        code=library("labels.py"),
    output:
        labels="<results>/{study}/labels/{model}.parquet",
    log:
        "<logs>/{study}/labels/{model}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=config["labellers"],
        tasks=list(config["tasks"]),
        labels=LABEL_WORDS,
        judges=list(config["judges"]),
        classifiers=list(config["classifiers"]),
    message:
        "Labelling the answers of {wildcards.model}"
    script:
        "../scripts/labels.py"


rule cells:
    input:
        labels=expand("<results>/{{study}}/labels/{model}.parquet", model=JUDGED),
        design=rules.design.output.design,
        code=library("cells.py"),
    output:
        outcomes="<results>/{study}/outcomes.parquet",
        cells="<results>/{study}/cells.parquet",
        missing="<results>/{study}/tables/missing.csv",
    log:
        "<logs>/{study}/cells.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        models=JUDGED,
        personas=config["personas"],
        templates=config["templates"],
        notice=notice,
    message:
        "Counting refusals of {wildcards.study}"
    script:
        "../scripts/cells.py"
