# The Monte Carlo design, and the prompts it asks for.


rule design:
    input:
        texts=expand("<results>/{{study}}/texts/{task}.parquet", task=config["tasks"]),
        templates=MATERIALS["templates"],
        code=library("design.py"),
    output:
        design="<results>/{study}/design.parquet",
        table5="<results>/{study}/tables/table5.csv",
        table6="<results>/{study}/tables/table6.csv",
        balance="<results>/{study}/tables/design_balance.csv",
    log:
        "<logs>/{study}/design.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=list(config["tasks"]),
        personas=config["personas"],
        templates=config["templates"],
        models=config["models"],
        design=config["design"],
        seed=config["seed"],
        notice=notice,
    message:
        "Drawing the Monte Carlo design of {wildcards.study}"
    script:
        "../scripts/design.py"


rule prompts:
    input:
        design=rules.design.output.design,
        texts="<results>/{study}/texts/{task}.parquet",
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        code=library("prompts.py"),
    output:
        prompts="<results>/{study}/prompts/{task}.parquet",
    log:
        "<logs>/{study}/prompts/{task}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        task="{task}",
        personas=config["personas"],
        templates=config["templates"],
        labels=lambda wildcards: config["tasks"][wildcards.task]["labels"],
        layout=lambda wildcards: config["tasks"][wildcards.task]["layout"],
        article=config["prompts"]["article"],
        system=config["prompts"]["system"],
    message:
        "Rendering the {wildcards.task} prompts"
    script:
        "../scripts/prompts.py"
