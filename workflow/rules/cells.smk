# Cells: join the verdicts with the design and count refusals by model, task, persona and template.


rule cells:
    input:
        verdicts=of("verdict_files"),
        design=FILES.design,
        code=library("cells.py"),
    output:
        outcomes=FILES.outcomes,
        cells=FILES.cells,
        missing=FILES.table("missing"),
    log:
        FILES.log("cells"),
    benchmark:
        FILES.benchmark("cells")
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        personas=of("personas"),
        templates=of("templates"),
        notice=of("notice"),
    message:
        "Count refusals: {wildcards.study}"
    script:
        "../scripts/cells.py"
