# Figures, drawn from tables only.


rule published_figures:
    input:
        tables=drawn_from(PUBLISHED),
        models=f"{PRINTED}/models.csv",
        personas=f"{PRINTED}/personas.csv",
        code=library("figures.py"),
    output:
        figures=figure_files(PUBLISHED),
        index="<results>/published/figures/index.csv",
    log:
        "<logs>/published/figures.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        **figure_params(PUBLISHED),
    message:
        "Draw the figures: published"
    script:
        "../scripts/figures.py"


use rule published_figures as figures with:
    input:
        tables=drawn_from(STUDY),
        models=MATERIALS["models"],
        personas=MATERIALS["personas"],
        code=library("figures.py"),
    output:
        figures=figure_files(STUDY),
        index=f"<results>/{STUDY}/figures/index.csv",
    log:
        f"<logs>/{STUDY}/figures.log",
    params:
        **figure_params(STUDY),
    message:
        f"Draw the figures: {STUDY}"
