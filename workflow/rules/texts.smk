# Texts: download each task's source once into resources/, read it, check it, sample it.


rule fetch_texts:
    input:
        code=library("fetch_texts.py"),
    output:
        # update: the checksum of the first download must be there when the rule runs again
        record=update(files.text_record("{task}")),
    log:
        "results/logs/fetch_texts/{task}.log",
    retries: 2
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        source=of_task("source"),
        task="{task}",
        folder=lambda wildcards, output: str(Path(output.record).parents[1]),
    message:
        "Download the texts: {wildcards.task}"
    script:
        "../scripts/fetch_texts.py"


rule texts:
    input:
        source=of("text_source", "task"),
        code=library("texts.py"),
    output:
        texts=FILES.texts("{task}"),
        problems=FILES.text_problems("{task}"),
    log:
        FILES.log("texts/{task}"),
    benchmark:
        FILES.benchmark("texts/{task}")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        source=of_task("source"),
        task="{task}",
        folder=files.TEXTS,
        rows_per_gold_label=of_task("rows_per_gold_label"),
        seed=of("seed"),
    message:
        "Sample the texts: {wildcards.task}"
    script:
        "../scripts/texts.py"
