# The report of a study, and the record of what it was made from.


rule provenance:
    input:
        unpack(of("provenance_inputs")),
        code=library("provenance.py"),
    output:
        provenance=FILES.provenance,
    log:
        FILES.log("provenance"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=of("record"),
    message:
        "Record the provenance: {wildcards.study}"
    script:
        "../scripts/provenance.py"


rule report:
    input:
        unpack(of("report_inputs")),
        template="workflow/falserefusal/report/page.html.jinja",
        style="workflow/falserefusal/report/page.css",
        code=library("report.py"),
    output:
        page=FILES.page,
    log:
        FILES.log("report"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
    message:
        "Write the report: {wildcards.study}"
    script:
        "../scripts/report.py"
