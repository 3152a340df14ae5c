# The study `published`: check the paper's printed numbers, convert them into cells, and recompute its statements.


rule published_cells:
    input:
        printed=PRINTED_FILES,
        models=f"{PRINTED}/models.csv",
        personas=f"{PRINTED}/personas.csv",
        code=library("published_cells.py"),
    output:
        cells="<results>/published/cells.parquet",
        table5="<results>/published/tables/table5.csv",
        table6="<results>/published/tables/table6.csv",
        balance="<results>/published/tables/design_balance.csv",
    log:
        "<logs>/published/published_cells.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        printed=lambda wildcards, input: str(Path(input.printed[0]).parent),
    message:
        "Check the paper's printed numbers"
    script:
        "../scripts/published_cells.py"


rule statements:
    input:
        cells=rules.published_cells.output.cells,
        importance="<results>/published/tables/importance.csv",
        regression="<results>/published/tables/regression.csv",
        printed=PRINTED_FILES,
        models=f"{PRINTED}/models.csv",
        personas=f"{PRINTED}/personas.csv",
        code=library("statements.py"),
    output:
        statements="<results>/published/statements.csv",
        printed_check="<results>/published/tables/printed_check.csv",
    log:
        "<logs>/published/statements.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        printed=lambda wildcards, input: str(Path(input.printed[0]).parent),
    message:
        "Check the paper's statements against its printed cells"
    script:
        "../scripts/statements.py"


rule no_answers:
    input:
        format_heatmaps=f"{PRINTED}/format_heatmaps.csv",
        table6=f"{PRINTED}/table6_prompt_n.csv",
        table7=f"{PRINTED}/table7_logit.csv",
        templates="config/templates.csv",
        checked=rules.published_cells.output.cells,
        code=library("no_answers.py"),
    output:
        bounds="<results>/published/tables/no_answers.csv",
    log:
        "<logs>/published/no_answers.log",
    conda:
        "../../envs/analysis.yaml"
    message:
        "Bound how many printed refusals could be a plain “No”"
    script:
        "../scripts/no_answers.py"
