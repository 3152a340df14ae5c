# Choices: repeat the study under other settings, one at a time, and compare it with itself (docs/choices.md). The wildcard
# {study} also stands for the study under a choice, so that the rules before this one make everything that is compared.


rule choices:
    """Compare the study with itself under other settings (docs/choices.md)."""
    input:
        table=STUDY.files.table("choices"),
        figure=STUDY.files.figure("choices", "png"),


rule compare_choices:
    input:
        unpack(of("choice_inputs")),
        code=library("choices.py"),
    output:
        table=FILES.table("choices"),
    log:
        FILES.log("choices"),
    wildcard_constraints:
        study=any_of([STUDY.name]),
    conda:
        "../../envs/analysis.yaml"
    params:
        headlines=of("choice_headlines"),
        notice=of("notice"),
    message:
        "Compare the choices: {wildcards.study}"
    script:
        "../scripts/choices.py"


rule choices_figure:
    input:
        table=FILES.table("choices"),
        models=of("config.materials.models"),
        code=library("choices_figure.py"),
    output:
        **{ending: FILES.figure("choices", ending) for ending in ("png", "pdf", "svg", "csv")},
    log:
        FILES.log("choices_figure"),
    wildcard_constraints:
        study=any_of([STUDY.name]),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
    message:
        "Draw the choices: {wildcards.study}"
    script:
        "../scripts/choices_figure.py"
