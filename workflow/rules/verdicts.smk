# Verdicts: every labeller's decision on every response. Judges and classifiers run first, as jobs of their own.


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
        prompts="<results>/{study}/judges/{model}_prompts.parquet",
    log:
        "<logs>/{study}/judges/{model}_prompts.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=list(config["tasks"]),
        options=OPTIONS,
    message:
        "Write the prompts of the judges: {wildcards.model}"
    script:
        "../scripts/judge_prompts.py"


rule judge_responses:
    input:
        unpack(weights_of_judge),
        prompts=[rules.judge_prompts.output.prompts],
        code=library("responses.py"),
    output:
        responses="<results>/{study}/judges/{judge}/{model}.parquet",
        provenance="<results>/{study}/judges/{judge}/{model}.provenance.json",
    log:
        "<logs>/{study}/judges/{judge}/{model}.log",
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
        "Judge the responses of {wildcards.model}: {wildcards.judge} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/responses.py"


rule classify:
    input:
        responses="<results>/{study}/responses/{model}.parquet",
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        weights="resources/classifiers/{classifier}.json",
        code=library("classify.py"),
    output:
        scores="<results>/{study}/classifiers/{classifier}/{model}.parquet",
    log:
        "<logs>/{study}/classifiers/{classifier}/{model}.log",
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
        "Classify the responses of {wildcards.model}: {wildcards.classifier} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/classify.py"


rule verdicts:
    input:
        **labelling_inputs("<results>/{study}/responses/{model}.parquet"),
        judges=expand("<results>/{{study}}/judges/{judge}/{{model}}.parquet", judge=config["judges"]),
        classifiers=expand("<results>/{{study}}/classifiers/{name}/{{model}}.parquet", name=config["classifiers"]),
    output:
        verdicts="<results>/{study}/verdicts/{model}.parquet",
    log:
        "<logs>/{study}/verdicts/{model}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=config["labellers"],
        tasks=list(config["tasks"]),
        options=OPTIONS,
        judges=list(config["judges"]),
        classifiers=list(config["classifiers"]),
    message:
        "Label the responses: {wildcards.model}"
    script:
        "../scripts/verdicts.py"
