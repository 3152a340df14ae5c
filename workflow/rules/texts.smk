# Texts: download each task's source once into resources/, read it, check it, sample it.


rule fetch_texts:
    input:
        code=library("fetch_texts.py"),
    output:
        record="resources/texts/{task}/source.json",
    log:
        "<logs>/fetch_texts/{task}.log",
    retries: 2
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        source=lambda wildcards: config["tasks"][wildcards.task]["source"],
        task="{task}",
        folder=lambda wildcards, output: str(Path(output.record).parents[1]),
    message:
        "Download the texts: {wildcards.task}"
    script:
        "../scripts/fetch_texts.py"


rule texts:
    input:
        source=lambda wildcards: text_source(wildcards.task),
        code=library("texts.py"),
    output:
        texts="<results>/{study}/texts/{task}.parquet",
        problems="<results>/{study}/texts/{task}_problems.csv",
    log:
        "<logs>/{study}/texts/{task}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        source=lambda wildcards: config["tasks"][wildcards.task]["source"],
        task="{task}",
        folder="resources/texts",
        rows_per_gold_label=lambda wildcards: config["tasks"][wildcards.task]["rows_per_gold_label"],
        seed=config["seed"],
    message:
        "Sample the texts: {wildcards.task}"
    script:
        "../scripts/texts.py"
