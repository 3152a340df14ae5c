# The study `published`: check the paper's printed numbers, convert them into cells, and recompute its statements.


rule published_cells:
    input:
        printed=files.PRINTED_FILES,
        models=PUBLISHED.materials["models"],
        personas=PUBLISHED.materials["personas"],
        code=library("published_cells.py"),
    output:
        cells=PUBLISHED.files.cells,
        table5=PUBLISHED.files.table("table5"),
        table6=PUBLISHED.files.table("table6"),
        balance=PUBLISHED.files.table("design_balance"),
    log:
        PUBLISHED.files.log("published_cells"),
    benchmark:
        PUBLISHED.files.benchmark("published_cells")
    localrule: True
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
        cells=PUBLISHED.files.cells,
        importance=PUBLISHED.files.table("importance"),
        regression=PUBLISHED.files.table("regression"),
        printed=files.PRINTED_FILES,
        models=PUBLISHED.materials["models"],
        personas=PUBLISHED.materials["personas"],
        code=library("statements.py"),
    output:
        statements=PUBLISHED.files.statements,
        printed_check=PUBLISHED.files.table("printed_check"),
    log:
        PUBLISHED.files.log("statements"),
    benchmark:
        PUBLISHED.files.benchmark("statements")
    localrule: True
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
        format_heatmaps=files.printed("format_heatmaps"),
        table6=files.printed("table6_prompt_n"),
        table7=files.printed("table7_logit"),
        templates="config/templates.csv",
        checked=PUBLISHED.files.cells,
        code=library("no_answers.py"),
    output:
        bounds=PUBLISHED.files.table("no_answers"),
    log:
        PUBLISHED.files.log("no_answers"),
    benchmark:
        PUBLISHED.files.benchmark("no_answers")
    conda:
        "../../envs/analysis.yaml"
    message:
        "Bound how many printed refusals could be a plain “No”"
    script:
        "../scripts/no_answers.py"
