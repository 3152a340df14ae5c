# The report of a study, and the record of what it was made from.


rule provenance:
    input:
        unpack(of("provenance_inputs")),
        code=library("provenance.py"),
    output:
        provenance=FILES.provenance,
    log:
        FILES.log("provenance"),
    benchmark:
        FILES.benchmark("provenance")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=of("record"),
    message:
        "Record the provenance: {wildcards.study}"
    script:
        "../scripts/provenance.py"


rule explorer:
    input:
        unpack(of("explorer_inputs")),
        code=library("explorer.py"),
    output:
        explorer=FILES.explorer,
    log:
        FILES.log("explorer"),
    benchmark:
        FILES.benchmark("explorer")
    conda:
        "../../envs/analysis.yaml"
    params:
        models=of("reported_models"),
        labellers=of("labellers"),
        layouts=of("layouts"),
        shared=of("shared_texts"),
        own=of("own_texts"),
        seed=of("seed"),
    message:
        "Collect the responses for the report: {wildcards.study}"
    script:
        "../scripts/explorer.py"


rule report:
    """The page of the study: findings, figures, tables, provenance."""
    input:
        unpack(of("report_inputs")),
        code=library("report.py"),
    output:
        page=STUDY.files.page,
        summary=STUDY.files.summary,
    log:
        STUDY.files.log("report"),
    benchmark:
        STUDY.files.benchmark("report")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
    message:
        f"Write the report: {STUDY.name}"
    script:
        "../scripts/report.py"


use rule report as published_report with:
    input:
        unpack(of_published("report_inputs")),
        code=library("report.py"),
    output:
        page=PUBLISHED.files.page,
        summary=PUBLISHED.files.summary,
    log:
        PUBLISHED.files.log("report"),
    benchmark:
        PUBLISHED.files.benchmark("report")
    params:
        about=of_published("about"),
    message:
        "Write the report: published"


rule archive:
    """Pack the study into one zip that can be cited: without texts, prompts and responses."""
    input:
        unpack(of("archive_inputs")),
        code=library("archive.py"),
    output:
        archive=STUDY.files.archive,
    log:
        STUDY.files.log("archive"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
        figures=of("figure_set"),
        verdicts_of=of("reported_models"),
    message:
        f"Pack the archive: {STUDY.name}"
    script:
        "../scripts/archive.py"
