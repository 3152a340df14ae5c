# Prompts: fill in the templates for every row of the design.


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
        options=lambda wildcards: config["tasks"][wildcards.task]["options"],
        layout=lambda wildcards: config["tasks"][wildcards.task]["layout"],
        article=config["prompts"]["article"],
        system=lambda wildcards: config["prompts"]["system"],
    message:
        "Render the prompts: {wildcards.task}"
    script:
        "../scripts/prompts.py"
