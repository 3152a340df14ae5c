import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(WORKFLOW))
# Jobs find the library the same way, in whatever environment they run.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(WORKFLOW), os.environ.get("PYTHONPATH")])))

from falserefusal.dependencies import library_of
from falserefusal.errors import InputError
from falserefusal.study import load_study

try:
    config = load_study(config, Path(workflow.basedir) / "config/schemas/study.schema.yaml")
except InputError as error:
    raise WorkflowError(str(error)) from None

STUDY = config["study"]
PUBLISHED = "published"
STIMULI = config["stimuli"]
PRINTED_NAMES = [
    "counts_task_model_persona",
    "format_heatmaps",
    "table1_refusal_pct",
    "table6_prompt_n",
    "fig1_persona_free_offensiveness",
    "figure5_importance",
    "table7_logit",
    "quoted_statements",
]
RATES = [
    "rates_model_task",
    "rates_persona",
    "rates_model_persona",
    "rates_task_model_persona",
    "rates_format",
    "rates_persona_free",
]


wildcard_constraints:
    study=f"{PUBLISHED}|{STUDY}",
    model="|".join(map(re.escape, config["models"])),
    task="|".join(map(re.escape, config["tasks"])),


def library(script):
    """The library modules a rule's script runs: inputs, so that editing one re-runs the rule."""
    return library_of(f"workflow/scripts/{script}")


def tables(*names):
    """The paths of tables by name, as a rule's outputs."""
    return {name: f"<results>/{{study}}/tables/{name}.csv" for name in names}


def judged(wildcards):
    """What estimation reads: the cells, and the judged draws of a study that has them."""
    files = {"cells": f"results/{wildcards.study}/cells.parquet"}
    if wildcards.study != PUBLISHED:
        files["outcomes"] = f"results/{wildcards.study}/outcomes.parquet"
    return files


def stimuli_of(wildcards):
    """The models and personas a study is about; the published one is always about the paper's."""
    if wildcards.study == PUBLISHED:
        free = "config/published/fig1_persona_free_offensiveness.csv"
        return {"models": "config/models.csv", "personas": "config/personas.csv", "persona_free": free}
    return {"models": STIMULI["models"], "personas": STIMULI["personas"]}


def names_of(wildcards, kind):
    """The names of `kind` a study uses; None means every name of the file."""
    return None if wildcards.study == PUBLISHED else config[kind]


def main_labeller(wildcards):
    """Whose verdicts are the study's headline."""
    return "paper" if wildcards.study == PUBLISHED else config["labellers"][0]
