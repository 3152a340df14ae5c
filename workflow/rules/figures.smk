# Figures, drawn from tables only.


rule figures:
    """Draw every figure of the study from its tables."""
    input:
        unpack(of("figure_inputs")),
        code=library("figures.py"),
    output:
        figures=STUDY.figure_files,
        index=STUDY.files.figure_index,
    log:
        STUDY.files.log("figures"),
    benchmark:
        STUDY.files.benchmark("figures")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
        figures=of("figure_set"),
    message:
        f"Draw the figures: {STUDY.name}"
    script:
        "../scripts/figures.py"


use rule figures as published_figures with:
    input:
        unpack(of_published("figure_inputs")),
        code=library("figures.py"),
    output:
        figures=PUBLISHED.figure_files,
        index=PUBLISHED.files.figure_index,
    log:
        PUBLISHED.files.log("figures"),
    benchmark:
        PUBLISHED.files.benchmark("figures")
    params:
        about=of_published("about"),
        figures=of_published("figure_set"),
    message:
        "Draw the figures: published"
