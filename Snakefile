"""False refusal under personas: from texts, or from the paper's printed cells, to tables, figures and a report."""

from snakemake.utils import min_version

min_version("9.20")


# A study is one config file. --configfile replaces the default file; Snakemake alone would merge the two.
NO_STUDY_NAMED = "study" not in config
if NO_STUDY_NAMED:

    configfile: "config/pilot.yaml"


include: "workflow/rules/common.smk"


# The stages of a study, in order. Responses that were made elsewhere may bring their own texts and prompts.
if STUDY.imported is None:

    include: "workflow/rules/texts.smk"
    include: "workflow/rules/design.smk"
    include: "workflow/rules/prompts.smk"


include: "workflow/rules/responses.smk"
include: "workflow/rules/verdicts.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/estimates.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
# Rules that not every study needs.
include: "workflow/rules/annotation.smk"
include: "workflow/rules/choices.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/planning.smk"


if STUDY.imported is None:

    include: "workflow/rules/export.smk"


if STUDY.config.responses:

    include: "workflow/rules/import.smk"


if STUDY.standins:

    include: "workflow/rules/standins.smk"


if STUDY.sequential:

    include: "workflow/rules/interim.smk"


rule all:
    """The report of the study, and without --configfile also that of the printed numbers (default)."""
    default_target: True
    input:
        PUBLISHED.files.page if NO_STUDY_NAMED else [],
        STUDY.files.page,


rule published:
    """The report of the paper's printed numbers."""
    input:
        PUBLISHED.files.page,


rule tables:
    """All tables of the study."""
    input:
        STUDY.reported_tables,


# Put key.csv of the sample and the exports of people into annotations/<study>/; the next run uses them.
rule annotation:
    """A sample of responses for people to annotate."""
    input:
        STUDY.files.annotation("index.html"),


rule weights:
    """Download all weights of the study, for example before a cluster run."""
    input:
        STUDY.weight_records,
    localrule: True


onstart:
    locks.keep_host()


onsuccess:
    show_results()


onerror:
    show_results()


# An edited file may have an old time stamp: it was copied, or is from an archive. So rules take the content of the files
# that no rule makes as params. Not the checks before inference: a rule that runs hides edits from all jobs after it that
# take its output as ancient (Snakemake's DAG.update_needrun).
for one in list(workflow.rules):
    if "code" in one.input.keys() and one.name not in ("plan", "preflight", "ready"):
        one.set_params(read=given(one, content_of_data), code=given(one, content_of_code))

# Snakemake's own report holds every figure and table, with captions: snakemake --report report.html
if any(word.startswith("--report") for word in sys.argv):
    flag_outputs(workflow.rules, [*STUDY.figures, *PUBLISHED.figures], ".snakemake/captions")
