# What the choice of a labeller changes, and what people say of the labellers.


rule label_comparison:
    input:
        labels=expand("<results>/{{study}}/labels/{model}.parquet", model=JUDGED),
        responses=expand("<results>/{{study}}/responses/{model}.parquet", model=JUDGED),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        code=library("label_comparison.py"),
    output:
        agreement="<results>/{study}/tables/labeller_agreement.csv",
        categories="<results>/{study}/tables/labeller_categories.csv",
        disagreements="<results>/{study}/disagreements.csv",
        refusals="<results>/{study}/refusals.csv",
    log:
        "<logs>/{study}/label_comparison.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=JUDGED,
        most=60,
        refusals=5,
        seed=config["seed"],
        notice=notice,
    message:
        "Where the labellers of {wildcards.study} part"
    script:
        "../scripts/label_comparison.py"


rule labeller_effects:
    input:
        unpack(judged),
        unpack(materials_of),
        code=library("labeller_effects.py"),
    output:
        **tables("labeller_headline", "labeller_claims"),
    log:
        "<logs>/{study}/labeller_effects.log",
    wildcard_constraints:
        study=STUDY,
    conda:
        "../../envs/analysis.yaml"
    params:
        labellers=LABELLERS,
        models=lambda wildcards: names_of(wildcards, "models"),
        personas=lambda wildcards: names_of(wildcards, "personas"),
        permutations=config["estimation"]["permutations"],
        seed=config["seed"],
        notice=notice,
    message:
        "The headline of {wildcards.study} under each labeller"
    script:
        "../scripts/labeller_effects.py"


rule no_answers:
    input:
        format_heatmaps=f"{PRINTED}/format_heatmaps.csv",
        table6=f"{PRINTED}/table6_prompt_n.csv",
        table7=f"{PRINTED}/table7_logit.csv",
        templates="config/templates.csv",
        checked=rules.published_cells.output.cells,
        code=library("no_answers.py"),
    output:
        bounds="<results>/published/tables/no_answers.csv",
    log:
        "<logs>/published/no_answers.log",
    conda:
        "../../envs/analysis.yaml"
    message:
        "How many printed refusals could be an answer of no"
    script:
        "../scripts/no_answers.py"


rule annotate:
    input:
        labels=expand("<results>/{{study}}/labels/{model}.parquet", model=JUDGED),
        responses=expand("<results>/{{study}}/responses/{model}.parquet", model=JUDGED),
        prompts=expand("<results>/{{study}}/prompts/{task}.parquet", task=config["tasks"]),
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        models=MATERIALS["models"],
        code=library("annotation.py"),
        template="workflow/falserefusal/annotation/page.html.jinja",
    output:
        sheet="<results>/{study}/annotation/sample.csv",
        key="<results>/{study}/annotation/key.csv",
        page="<results>/{study}/annotation/index.html",
    log:
        "<logs>/{study}/annotation.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=JUDGED,
        labels=LABEL_WORDS,
        size=config["annotation"]["size"],
        shares=config["annotation"]["shares"],
        seed=config["seed"],
        study="{study}",
        banner=figure_params(STUDY)["banner"],
    message:
        "Drawing the answers of {wildcards.study} that people label"
    script:
        "../scripts/annotation.py"


rule validate:
    input:
        key=ANNOTATION_KEY,
        annotations=ANNOTATIONS,
        labels=expand("<results>/{{study}}/labels/{model}.parquet", model=JUDGED),
        design=rules.design.output.design,
        personas=MATERIALS["personas"],
        code=library("validation.py"),
    output:
        **dict(zip(VALIDATED.values(), tables(*VALIDATED).values())),
    log:
        "<logs>/{study}/validation.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        models=JUDGED,
        seed=config["seed"],
        notice=notice,
    message:
        "What people say of the labellers of {wildcards.study}"
    script:
        "../scripts/validation.py"
