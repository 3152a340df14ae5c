# Cells: join the verdicts with the design and count refusals by model, task, persona and template.


rule cells:
    input:
        verdicts=expand("<results>/{{study}}/verdicts/{model}.parquet", model=REPORTED_MODELS),
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
        models=REPORTED_MODELS,
        personas=config["personas"],
        templates=config["templates"],
        notice=notice,
    message:
        "Count refusals: {wildcards.study}"
    script:
        "../scripts/cells.py"
