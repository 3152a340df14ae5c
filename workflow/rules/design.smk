# The Monte Carlo design: which personas and templates each text is combined with.


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
        "Draw the Monte Carlo design: {wildcards.study}"
    script:
        "../scripts/design.py"
