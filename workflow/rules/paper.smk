# For a paper: figures at its widths, tables and numbers as LaTeX. Made only if asked for.


rule paper:
    input:
        unpack(of("paper_inputs")),
        code=library("paper.py"),
    output:
        files=STUDY.paper_files,
        numbers=STUDY.files.tex("numbers"),
        floats=STUDY.files.tex("floats"),
        document=STUDY.files.tex("paper"),
    log:
        STUDY.files.log("paper"),
    benchmark:
        STUDY.files.benchmark("paper")
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        about=of("about"),
        figures=of("figure_set"),
        tables=of("tex_tables"),
    message:
        f"Write tables, numbers and figures for a paper: {STUDY.name}"
    script:
        "../scripts/paper.py"


use rule paper as published_paper with:
    input:
        unpack(of_published("paper_inputs")),
        code=library("paper.py"),
    output:
        files=PUBLISHED.paper_files,
        numbers=PUBLISHED.files.tex("numbers"),
        floats=PUBLISHED.files.tex("floats"),
        document=PUBLISHED.files.tex("paper"),
    log:
        PUBLISHED.files.log("paper"),
    benchmark:
        PUBLISHED.files.benchmark("paper")
    params:
        about=of_published("about"),
        figures=of_published("figure_set"),
        tables=of_published("tex_tables"),
    message:
        "Write tables, numbers and figures for a paper: published"
