# Prompts: fill in the templates for every row of the design.


rule prompts:
    input:
        design=FILES.design,
        texts=FILES.texts("{task}"),
        personas=of("config.materials.personas"),
        templates=of("config.materials.templates"),
        code=library("prompts.py"),
    output:
        prompts=FILES.prompts("{task}"),
    log:
        FILES.log("prompts/{task}"),
    benchmark:
        FILES.benchmark("prompts/{task}")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        task="{task}",
        personas=of("personas"),
        templates=of("templates"),
        options=of_task("options"),
        layout=of_task("layout"),
        article=of("config.prompts.article"),
        system=of("config.prompts.system"),
    message:
        "Render the prompts: {wildcards.task}"
    script:
        "../scripts/prompts.py"
