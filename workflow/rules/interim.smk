# A study in rounds: after each, a rule decides which models have met their targets; only the others are asked again.
# A round's job answers and judges everything asked so far; the store makes that cost only what is new.


ruleorder: last_responses > responses
ruleorder: last_labels > labels


use rule responses as responses_round with:
    output:
        responses="<results>/{study}/rounds/{round}/responses/{model}.parquet",
        provenance="<results>/{study}/rounds/{round}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/rounds/{round}/responses/{model}.log",
    params:
        model=model_row,
        inference=INFERENCE,
        early=EARLY_DECISION,
        store="results/store",
        round="{round}",
    message:
        "Asking {wildcards.model}, round {wildcards.round}"


use rule labels as labels_round with:
    input:
        responses="<results>/{study}/rounds/{round}/responses/{model}.parquet",
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        phrases=MATERIALS["refusal_phrases"],
        patterns="config/labelling/patterns.yaml",
        code=library("labels.py"),
    output:
        labels="<results>/{study}/rounds/{round}/labels/{model}.parquet",
    log:
        "<logs>/{study}/rounds/{round}/labels/{model}.log",
    message:
        "Labelling the answers of {wildcards.model}, round {wildcards.round}"


checkpoint look:
    input:
        labels=labels_of_round,
        looks=earlier_looks,
        design=rules.design.output.design,
        code=library("look.py"),
    output:
        look="<results>/{study}/rounds/{round}/look.csv",
        models="<results>/{study}/rounds/{round}/next_models.txt",
    log:
        "<logs>/{study}/rounds/{round}/look.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        round="{round}",
        targets=config["estimation"]["targets"],
        labeller=main_labeller,
        personas=config["personas"],
        templates=config["templates"],
        notice=notice,
    message:
        "Looking at round {wildcards.round} of {wildcards.study}"
    script:
        "../scripts/look.py"


rule last_responses:
    input:
        lambda wildcards: from_last_round(wildcards, "responses", "parquet"),
        lambda wildcards: from_last_round(wildcards, "responses", "provenance.json"),
    output:
        responses="<results>/{study}/responses/{model}.parquet",
        provenance="<results>/{study}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/rounds/last_responses/{model}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "{wildcards.model} needs no further round"
    shell:
        "cp {input[0]} {output.responses} 2> {log} && cp {input[1]} {output.provenance} 2>> {log}"


rule last_labels:
    input:
        labels=lambda wildcards: from_last_round(wildcards, "labels", "parquet"),
    output:
        labels="<results>/{study}/labels/{model}.parquet",
    log:
        "<logs>/{study}/rounds/last_labels/{model}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Judgements of {wildcards.model} after its last round"
    shell:
        "cp {input.labels} {output.labels} 2> {log}"


rule trajectory:
    input:
        looks=all_looks,
        design=rules.design.output.design,
        code=library("trajectory.py"),
    output:
        trajectory="<results>/{study}/tables/interim_looks.csv",
        stopping="<results>/{study}/tables/sequential.csv",
    log:
        "<logs>/{study}/trajectory.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=notice,
    message:
        "What the rounds of {wildcards.study} spent and saved"
    script:
        "../scripts/trajectory.py"
