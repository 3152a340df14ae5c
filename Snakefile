"""False refusal under personas: from texts, or from the paper's printed cells, to tables, figures and a report."""

from snakemake.utils import min_version

min_version("9.20")


pathvars:
    results="results",
    logs="results/logs",
    benchmarks="results/benchmarks",


# A study is one config file. It replaces the default whole: Snakemake would merge the two key by key.
if "study" not in config:

    configfile: "config/pilot.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/jobs.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/texts.smk"
include: "workflow/rules/prompts.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/judges.smk"
include: "workflow/rules/validation.smk"
include: "workflow/rules/estimates.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/plan.smk"


# Answers that are there are files like any other where no more are asked for.
if not config["allow_missing"]:

    include: "workflow/rules/responses.smk"


if STANDINS:

    include: "workflow/rules/standins.smk"


rule all:
    default_target: True
    input:
        rules.published_report.output.page,
        rules.report.output.page,


rule published:
    input:
        rules.published_report.output.page,


# The figures of every study whose tables are here; where there are none yet, of both.
rule figures:
    input:
        [figure_files(study) for study in studies_with_tables()],


rule tables:
    input:
        reported(STUDY),


# The sample that people label; its key.csv and their exports go to annotations/<study>/, and the next run uses them.
rule annotation:
    input:
        f"<results>/{STUDY}/annotation/index.html",


rule plan:
    input:
        f"<results>/{STUDY}/plan/plan.txt",


if SEQUENTIAL:

    include: "workflow/rules/rounds.smk"
