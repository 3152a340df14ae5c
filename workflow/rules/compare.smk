# Compare finished studies on one page: snakemake compare --config 'studies=[pilot,other]'. The first is the reference.


rule compare:
    """Compare finished studies on one page: --config 'studies=[one,other]'."""
    input:
        unpack(lambda wildcards: files.compared(COMPARED)),
        code=library("compare.py"),
    output:
        page=f"{COMPARISON}/index.html",
        table=f"{COMPARISON}/differences.csv",
        drawn=f"{COMPARISON}/figures/differences.csv",
        png=f"{COMPARISON}/figures/differences.png",
        pdf=f"{COMPARISON}/figures/differences.pdf",
        svg=f"{COMPARISON}/figures/differences.svg",
    log:
        "results/logs/compare.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        studies=COMPARED,
    message:
        "Compare studies: " + ", ".join(COMPARED)
    script:
        "../scripts/compare.py"
