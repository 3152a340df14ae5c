# Figures, drawn from tables only.


rule published_figures:
    input:
        unpack(of("figure_inputs")),
        code=library("figures.py"),
    output:
        figures=PUBLISHED.figure_files(FILES),
        index=FILES.figure_index,
    log:
        FILES.log("figures"),
    wildcard_constraints:
        study=any_of([PUBLISHED.name]),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
        figures=of("figure_set"),
    message:
        "Draw the figures: {wildcards.study}"
    script:
        "../scripts/figures.py"


use rule published_figures as figures with:
    output:
        figures=STUDY.figure_files(FILES),
        index=FILES.figure_index,
    wildcard_constraints:
        study=any_of([STUDY.name]),
