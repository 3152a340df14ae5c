# Verdicts: every labeller's decision on every response. Judges and classifiers run first, as jobs of their own.


rule judge_prompts:
    input:
        unpack(of("judge_prompt_inputs", "judge", "model", "look")),
        code=library("judge_prompts.py"),
    output:
        prompts=FILES.judge_prompts("{judge}", "{model}"),
    log:
        FILES.log("judges/{judge}/{model}_prompts"),
    benchmark:
        FILES.benchmark("judges/{judge}/{model}_prompts")
    conda:
        "../../envs/analysis.yaml"
    params:
        tasks=of("tasks"),
        options=of("options"),
    message:
        "Write the prompts of the judge {wildcards.judge}: {wildcards.model}"
    script:
        "../scripts/judge_prompts.py"


rule judge_responses:
    input:
        unpack(of("judge_inputs", "judge", "model", "look")),
        turn=ancient(of("downloads.turn", "model", "judge", "classifier")),
        folder=ancient(of("downloads.folder", "model", "judge", "classifier")),
        code=library("responses.py"),
    output:
        responses=FILES.judge_responses("{judge}", "{model}"),
        provenance=FILES.judge_record("{judge}", "{model}"),
    log:
        FILES.log("judges/{judge}/{model}"),
    benchmark:
        FILES.benchmark("judges/{judge}/{model}")
    conda:
        f"../../envs/{STUDY.config.inference.environment}.yaml"
    threads: 4
    resources:
        **RULES.gpu_type,
        gpu=needs("gpu"),
        mem_mb=needs("mem_mb"),
        runtime=needs("runtime"),
    params:
        model=of("judge_settings", "judge"),
        inference=of("judge_inference", "judge"),
        early=False,
        store=files.STORE,
        gpus=RULES.planned_gpus,
        planned_batch_tokens=untracked(of("planned_batch_tokens", "model", "judge")),
    message:
        "Judge the responses of {wildcards.model}: {wildcards.judge} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/responses.py"


rule classify:
    input:
        unpack(of("classifier_inputs", "classifier", "model", "look")),
        turn=ancient(of("downloads.turn", "model", "judge", "classifier")),
        folder=ancient(of("downloads.folder", "model", "judge", "classifier")),
        code=library("classify.py"),
    output:
        scores=FILES.scores("{classifier}", "{model}"),
    log:
        FILES.log("classifiers/{classifier}/{model}"),
    benchmark:
        FILES.benchmark("classifiers/{classifier}/{model}")
    conda:
        "../../envs/inference.yaml"
    threads: 4
    resources:
        **RULES.gpu_type,
        gpu=needs("gpu"),
        mem_mb=needs("mem_mb"),
        runtime=needs("runtime"),
    params:
        classifier=of("classifier", "classifier"),
    message:
        "Classify the responses of {wildcards.model}: {wildcards.classifier} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/classify.py"


rule verdicts:
    input:
        unpack(of("verdict_inputs", "model", "look")),
        code=library("verdicts.py"),
    output:
        verdicts=FILES.verdicts("{model}"),
    log:
        FILES.log("verdicts/{model}"),
    benchmark:
        FILES.benchmark("verdicts/{model}")
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=of("config.rule_labellers"),
        tasks=of("tasks"),
        options=of("options"),
        judges=of("judge_prompts"),
        classifiers=list(STUDY.config.classifiers),
    message:
        "Label the responses: {wildcards.model}"
    script:
        "../scripts/verdicts.py"
