# Annotation: draw a sample of responses for people to annotate, and validate the labellers against their annotations.


rule annotate:
    input:
        verdicts=expand("<results>/{{study}}/verdicts/{model}.parquet", model=REPORTED_MODELS),
        responses=expand("<results>/{{study}}/responses/{model}.parquet", model=REPORTED_MODELS),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        models=MATERIALS["models"],
        code=library("annotate.py"),
        template="workflow/falserefusal/annotation/page.html.jinja",
    output:
        sheet="<results>/{study}/annotation/sample.csv",
        key="<results>/{study}/annotation/key.csv",
        page="<results>/{study}/annotation/index.html",
    log:
        "<logs>/{study}/annotate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=REPORTED_MODELS,
        options=OPTIONS,
        size=config["annotation"]["size"],
        shares=config["annotation"]["shares"],
        seed=config["seed"],
        study="{study}",
        banner=notice,
    message:
        "Draw the annotation sample: {wildcards.study}"
    script:
        "../scripts/annotate.py"


rule validate:
    input:
        key=ANNOTATION_KEY,
        annotations=ANNOTATIONS,
        verdicts=expand("<results>/{{study}}/verdicts/{model}.parquet", model=REPORTED_MODELS),
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        code=library("validate.py"),
    output:
        **dict(zip(VALIDATED.values(), tables(*VALIDATED).values())),
    log:
        "<logs>/{study}/validate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=REPORTED_MODELS,
        seed=config["seed"],
        notice=notice,
    message:
        "Compare labellers with the annotations: {wildcards.study}"
    script:
        "../scripts/validate.py"
