# Answers: one job per model, or one per shard of a model. They go to a store beside the study, by content, so that no
# answer is paid for twice: whatever ends a job, the next one goes on where it stopped.


rule responses:
    input:
        unpack(checkpoint_of),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        phrases=MATERIALS["refusal_phrases"] if EARLY_DECISION else [],
        # ancient: that it was looked up again is no reason to ask again
        ready=ancient(f"<results>/{STUDY}/plan/ready.csv") if FETCHED or SERVER or config["classifiers"] else [],
        code=library("responses.py"),
    output:
        responses="<results>/{study}/responses/{model}.parquet",
        provenance="<results>/{study}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/responses/{model}.log",
    wildcard_constraints:
        model=any_of(WHOLE),
    conda:
        "../../envs/inference.yaml"
    threads: threads_of
    resources:
        gpu=needed("gpu"),
        mem_mb=needed("mem_mb"),
        runtime=needed("runtime"),
    params:
        model=model_row,
        inference=INFERENCE,
        early=EARLY_DECISION,
        store="results/store",
        shard=[0, 1],
        gpus=planned_gpus,
    message:
        "Asking {wildcards.model} (GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
    script:
        "../scripts/responses.py"


use rule responses as responses_shard with:
    output:
        responses="<results>/{study}/shards/{model}/{part}.parquet",
        provenance="<results>/{study}/shards/{model}/{part}.provenance.json",
    log:
        "<logs>/{study}/responses/{model}/{part}.log",
    wildcard_constraints:
        model=any_of(SHARDED),
        part=r"\d+-of-\d+",
    params:
        shard=shard_of,
    message:
        "Asking {wildcards.model}, shard {wildcards.part} "
        "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"


rule gather_responses:
    input:
        responses=shard_files("parquet"),
        provenance=shard_files("provenance.json"),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        code=library("gather_responses.py"),
    output:
        responses="<results>/{study}/responses/{model}.parquet",
        provenance="<results>/{study}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/responses/{model}.log",
    wildcard_constraints:
        model=any_of(SHARDED),
    localrule: True
    conda:
        "../../envs/inference.yaml"
    message:
        "Putting the answers of {wildcards.model} together"
    script:
        "../scripts/gather_responses.py"
