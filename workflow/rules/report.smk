# The report of a study, and the record of what it was made from.


rule published_provenance:
    input:
        data=[*PRINTED_FILES, f"{PRINTED}/models.csv", f"{PRINTED}/personas.csv"],
        checked=rules.published_cells.output.cells,  # no record of numbers that fail the check
        code=library("provenance.py"),
    output:
        provenance="<results>/published/provenance.json",
    log:
        "<logs>/published/provenance.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        config={"study": PUBLISHED, **PUBLISHED_CHANCE},
    message:
        "Record the provenance: published"
    script:
        "../scripts/provenance.py"


use rule published_provenance as provenance with:
    input:
        data=[*MATERIALS.values(), *expand("<results>/{study}/texts/{task}.parquet", study=STUDY, task=config["tasks"])],
        labelling=["config/labelling/patterns.yaml", *(["config/labelling/judge.txt"] if config["judges"] else [])],
        people=[ANNOTATION_KEY, *ANNOTATIONS] if ANNOTATIONS else [],
        texts=[text_source(task) for task in config["tasks"]],
        responses=expand("<results>/{study}/responses/{model}.provenance.json", study=STUDY, model=REPORTED_MODELS),
        code=library("provenance.py"),
    output:
        provenance=f"<results>/{STUDY}/provenance.json",
    log:
        f"<logs>/{STUDY}/provenance.log",
    params:
        config=config,
    message:
        f"Record the provenance: {STUDY}"


rule published_report:
    input:
        tables=reported(PUBLISHED),
        figures=rules.published_figures.output.index,
        drawings=rules.published_figures.output.figures,
        template=PAGE_TEMPLATE,
        provenance=rules.published_provenance.output.provenance,
        models=f"{PRINTED}/models.csv",
        code=library("report.py"),
    output:
        page="<results>/published/report/index.html",
    log:
        "<logs>/published/report.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        **report_params(PUBLISHED),
    message:
        "Write the report: published"
    script:
        "../scripts/report.py"


use rule published_report as report with:
    input:
        tables=reported(STUDY),
        figures=rules.figures.output.index,
        drawings=rules.figures.output.figures,
        template=PAGE_TEMPLATE,
        provenance=rules.provenance.output.provenance,
        disagreements=f"<results>/{STUDY}/disagreements.csv" if len(LABELLERS) > 1 else [],
        refusals=f"<results>/{STUDY}/refusals.csv",
        models=MATERIALS["models"],
        code=library("report.py"),
    output:
        page=f"<results>/{STUDY}/report/index.html",
    log:
        f"<logs>/{STUDY}/report.log",
    params:
        **report_params(STUDY),
    message:
        f"Write the report: {STUDY}"
