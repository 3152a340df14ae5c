"""False refusal under personas: from texts, or from the paper's printed cells, to tables, figures and a report."""

from snakemake.utils import min_version

min_version("9.20")


pathvars:
    results="results",
    logs="results/logs",
    benchmarks="results/benchmarks",


# A study is one config file. It replaces the default whole: Snakemake would merge the two key by key.
if "study" not in config:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/estimates.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        report_of("published"),
        report_of(STUDY),


rule published:
    input:
        report_of("published"),
