# The paper's printed numbers, checked and turned into cells: the study `published`.
PRINTED = "config/published"
PRINTED_FILES = [f"{PRINTED}/{name}.csv" for name in PRINTED_NAMES]


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
        "Checking the paper's printed numbers"
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
        "Holding the paper's quoted numbers against its printed cells"
    script:
        "../scripts/statements.py"
