# Interim looks of a sequential design. After each look, only the models that have not met their targets continue. The jobs
# of a look cover all prompts so far; the store makes them pay only for the new ones.


ruleorder: last_responses > responses
ruleorder: last_verdicts > verdicts


use rule responses as interim_responses with:
    output:
        responses="<results>/{study}/interim/{look}/responses/{model}.parquet",
        provenance="<results>/{study}/interim/{look}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/interim/{look}/responses/{model}.log",
    params:
        look="{look}",
    message:
        "Generate responses: {wildcards.model}, look {wildcards.look}"


use rule verdicts as interim_verdicts with:
    input:
        **labelling_inputs("<results>/{study}/interim/{look}/responses/{model}.parquet"),
    output:
        verdicts="<results>/{study}/interim/{look}/verdicts/{model}.parquet",
    log:
        "<logs>/{study}/interim/{look}/verdicts/{model}.log",
    message:
        "Label the responses: {wildcards.model}, look {wildcards.look}"


checkpoint interim_look:
    input:
        verdicts=verdicts_of_look,
        looks=earlier_looks,
        design=rules.design.output.design,
        code=library("interim_look.py"),
    output:
        look="<results>/{study}/interim/{look}/interim_look.csv",
        models="<results>/{study}/interim/{look}/next_models.txt",
    log:
        "<logs>/{study}/interim/{look}/interim_look.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        look="{look}",
        targets=config["estimation"]["targets"],
        labeller=main_labeller,
        personas=config["personas"],
        templates=config["templates"],
        notice=notice,
    message:
        "Decide which models continue: {wildcards.study}, look {wildcards.look}"
    script:
        "../scripts/interim_look.py"


rule last_responses:
    input:
        lambda wildcards: from_last_look(wildcards, "responses", "parquet"),
        lambda wildcards: from_last_look(wildcards, "responses", "provenance.json"),
    output:
        responses="<results>/{study}/responses/{model}.parquet",
        provenance="<results>/{study}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/interim/last_responses/{model}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Copy the responses of the last look: {wildcards.model}"
    shell:
        "cp {input[0]} {output.responses} 2> {log} && cp {input[1]} {output.provenance} 2>> {log}"


rule last_verdicts:
    input:
        verdicts=lambda wildcards: from_last_look(wildcards, "verdicts", "parquet"),
    output:
        verdicts="<results>/{study}/verdicts/{model}.parquet",
    log:
        "<logs>/{study}/interim/last_verdicts/{model}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Copy the verdicts of the last look: {wildcards.model}"
    shell:
        "cp {input.verdicts} {output.verdicts} 2> {log}"


rule interim_looks:
    input:
        looks=all_looks,
        design=rules.design.output.design,
        code=library("interim_looks.py"),
    output:
        **tables("interim_looks", "sequential"),
    log:
        "<logs>/{study}/interim_looks.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        notice=notice,
    message:
        "Summarise the interim looks: {wildcards.study}"
    script:
        "../scripts/interim_looks.py"
