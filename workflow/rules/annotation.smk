# Annotation: draw a sample of responses for people to annotate, and validate the labellers against their annotations.


rule annotate:
    input:
        unpack(of("sample_inputs")),
        unpack(of("materials")),
        code=library("annotate.py"),
        template="workflow/falserefusal/annotation/page.html.jinja",
    output:
        sheet=FILES.annotation("sample.csv"),
        key=FILES.annotation("key.csv"),
        page=FILES.annotation("index.html"),
    log:
        FILES.log("annotate"),
    benchmark:
        FILES.benchmark("annotate")
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        options=of("options"),
        size=of("config.annotation.size"),
        shares=of("config.annotation.shares"),
        seed=of("seed"),
        study="{study}",
        banner=of("notice"),
    message:
        "Draw the annotation sample: {wildcards.study}"
    script:
        "../scripts/annotate.py"


rule validate:
    input:
        unpack(of("materials")),
        key=of("files.annotation_key"),
        annotations=of("annotation_files"),
        verdicts=of("verdict_files"),
        design=FILES.design,
        outcomes=FILES.outcomes,
        code=library("validate.py"),
    output:
        agreement=FILES.table("annotator_agreement"),
        validation=FILES.table("labeller_validation"),
        accuracy=FILES.table("labeller_accuracy"),
        rates=FILES.table("corrected_rates"),
        personas=FILES.table("corrected_personas"),
        differences=FILES.table("corrected_differences"),
        specificity=FILES.table("specificity_tests"),
        corrected_effects=FILES.table("corrected_effects"),
        corrected_importance=FILES.table("corrected_importance"),
        corrected_claims=FILES.table("corrected_claims"),
    log:
        FILES.log("validate"),
    benchmark:
        FILES.benchmark("validate")
    conda:
        "../../envs/analysis.yaml"
    params:
        labeller=of("headline"),
        models=of("reported_models"),
        seed=of("seed"),
        notice=of("notice"),
    message:
        "Compare labellers with the annotations: {wildcards.study}"
    script:
        "../scripts/validate.py"
