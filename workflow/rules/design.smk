# The Monte Carlo design: which personas and templates each text is combined with.


rule design:
    input:
        texts=of("text_files"),
        templates=of("config.materials.templates"),
        code=library("design.py"),
    output:
        design=FILES.design,
        table5=FILES.table("table5"),
        table6=FILES.table("table6"),
        balance=FILES.table("design_balance"),
    log:
        FILES.log("design"),
    benchmark:
        FILES.benchmark("design")
    wildcard_constraints:
        study=OWN,
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=of("tasks"),
        personas=of("personas"),
        templates=of("templates"),
        models=of("models"),
        design=of("config.design"),
        samples=of("config.inference.independent_samples"),
        seed=of("seed"),
        limit=of("config.limit"),
        notice=of("notice"),
    message:
        "Draw the Monte Carlo design: {wildcards.study}"
    script:
        "../scripts/design.py"
