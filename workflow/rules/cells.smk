# Cells: count verdicts of each kind, join the verdicts with the design, and count refusals by model, task, persona and
# template. Models with more missing responses than allowed are left out from here on.


rule verdict_shares:
    input:
        verdicts=of("verdict_files"),
        design=FILES.design,
        code=library("verdict_shares.py"),
    output:
        **tables(*files.VERDICT_TABLES),
    log:
        FILES.log("verdict_shares"),
    wildcard_constraints:
        study=OWN,
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        labeller=of("headline"),
        notice=of("notice"),
    message:
        "Count verdicts: {wildcards.study}"
    script:
        "../scripts/verdict_shares.py"


rule cells:
    input:
        verdicts=of("verdict_files"),
        shares=FILES.table("verdict_shares"),
        categories=FILES.table("verdict_categories"),
        design=FILES.design,
        code=library("cells.py"),
    output:
        outcomes=FILES.outcomes,
        cells=FILES.cells,
    log:
        FILES.log("cells"),
    benchmark:
        FILES.benchmark("cells")
    wildcard_constraints:
        study=OWN,
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        personas=of("personas"),
        templates=of("templates"),
        labeller=of("headline"),
    message:
        "Count refusals: {wildcards.study}"
    script:
        "../scripts/cells.py"
