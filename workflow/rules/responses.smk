# Answers: one job per model. They go to a store beside the study, by content, so that no answer is paid for twice.


rule responses:
    input:
        unpack(checkpoint_of),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        phrases=STIMULI["refusal_phrases"] if EARLY_DECISION else [],
        code=library("responses.py"),
    output:
        responses="<results>/{study}/responses/{model}.parquet",
        provenance="<results>/{study}/responses/{model}.provenance.json",
    log:
        "<logs>/{study}/responses/{model}.log",
    conda:
        "../../envs/inference.yaml"
    threads: 1 if STANDINS else 4
    resources:
        gpu=0 if STANDINS else 1,
    params:
        model=model_row,
        inference=config["inference"],
        early=EARLY_DECISION,
        store="results/store",
    message:
        "Asking {wildcards.model}"
    script:
        "../scripts/responses.py"
