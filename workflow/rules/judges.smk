# Labellers that are models themselves: judges, asked like any model, and classifiers.


rule judge_prompts:
    input:
        responses="<results>/{study}/responses/{model}.parquet",
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        templates=MATERIALS["templates"],
        instructions=JUDGE_INSTRUCTIONS,
        code=library("judge_prompts.py"),
    output:
        prompts="<results>/{study}/judged/{model}_prompts.parquet",
    log:
        "<logs>/{study}/judged/{model}_prompts.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=list(config["tasks"]),
        labels=LABEL_WORDS,
    message:
        "Writing what judges are asked about {wildcards.model}"
    script:
        "../scripts/judge_prompts.py"


rule judge_answers:
    input:
        unpack(weights_of_judge),
        prompts=[rules.judge_prompts.output.prompts],
        code=library("responses.py"),
    output:
        responses="<results>/{study}/judged/{judge}/{model}.parquet",
        provenance="<results>/{study}/judged/{judge}/{model}.provenance.json",
    log:
        "<logs>/{study}/judged/{judge}/{model}.log",
    conda:
        "../../envs/inference.yaml"
    threads: 4
    resources:
        gpu=lambda wildcards, attempt: needed_by(JUDGING[judge_of(wildcards)], "gpu", attempt),
        mem_mb=lambda wildcards, attempt: needed_by(JUDGING[judge_of(wildcards)], "mem_mb", attempt),
        runtime=lambda wildcards, attempt: needed_by(JUDGING[judge_of(wildcards)], "runtime", attempt),
    params:
        model=lambda wildcards: MODEL_ROWS[judge_of(wildcards)],
        inference={**INFERENCE, "max_new_tokens": JUDGE_TOKENS, "temperature": 0},
        early=False,
        store="results/store",
        gpus=lambda wildcards, threads: JUDGING[judge_of(wildcards)]["gpu"],
    message:
        "{wildcards.judge} judges the answers of {wildcards.model}"
    script:
        "../scripts/responses.py"


rule classify:
    input:
        responses="<results>/{study}/responses/{model}.parquet",
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        weights="resources/classifiers/{classifier}.json",
        code=library("classify.py"),
    output:
        scores="<results>/{study}/classified/{classifier}/{model}.parquet",
    log:
        "<logs>/{study}/classified/{classifier}/{model}.log",
    conda:
        "../../envs/inference.yaml"
    threads: 4
    resources:
        gpu=lambda wildcards, attempt: needed_by(CLASSIFYING, "gpu", attempt),
        mem_mb=lambda wildcards, attempt: needed_by(CLASSIFYING, "mem_mb", attempt),
        runtime=lambda wildcards, attempt: needed_by(CLASSIFYING, "runtime", attempt),
    params:
        classifier=lambda wildcards: config["classifiers"][wildcards.classifier],
    message:
        "{wildcards.classifier} classifies the answers of {wildcards.model} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/classify.py"
