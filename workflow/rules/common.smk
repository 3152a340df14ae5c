import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(WORKFLOW))
# Jobs find the library the same way, in whatever environment they run.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(WORKFLOW), os.environ.get("PYTHONPATH")])))

# Snakemake writes the interpreter into a job's command as it is; a blank in the folder's name would cut it in two.
if not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

from falserefusal.common.dependencies import library_of
from falserefusal.common.errors import InputError
from falserefusal.figures.registry import figure_names, table_names
from falserefusal.study.config import TASKS, load_study
from falserefusal.study.models_file import rows_of


def config_error(error):
    """What is wrong with the study's config, led by where it was read; Snakemake shows such an error by itself."""
    sources = [os.path.relpath(file) for file in workflow.configfiles]
    if workflow.config_settings.config:
        sources.append("--config")
    return WorkflowError(f"{', '.join(sources)}: {error}")


try:
    config = load_study(config, Path(workflow.basedir) / "config/schemas/study.schema.yaml")
    MODELS_FILE = rows_of(config["materials"]["models"], config["models"], config["judges"])
    if workflow.is_main_process:  # the start of every job reads this file again; it need not check again
        from falserefusal.study.checks import check_study

        check_study(config, workflow.basedir)
except InputError as error:
    raise config_error(error) from None

STUDY = config["study"]
PUBLISHED = "published"
MATERIALS = config["materials"]
STANDINS = config["checkpoints"]["kind"] == "standins"
SERVER = config["inference"]["backend"] == "openai"
# What a stand-in is, whatever the model whose name it borrows: about a million parameters in one layer.
STANDIN_SHAPE = {"params_b": 0.001, "layers": 1, "kv_heads": 2, "head_dim": 64, "hidden": 144, "vocab": 2000}
LABELLERS = [*config["labellers"], *config["judges"], *config["classifiers"]]
LABEL_WORDS = {task: settings["labels"] for task, settings in config["tasks"].items()}
# The key lies beside the exports it belongs to: a sample drawn anew must not orphan what people have labelled.
ANNOTATION_KEY = f"annotations/{STUDY}/key.csv"
ANNOTATIONS = sorted({str(path) for path in Path("annotations", STUDY).glob("*.csv")} - {ANNOTATION_KEY})
# An answer may stop early only where nobody reads its end.
EARLY_DECISION = config["inference"]["early_decision"] and set(LABELLERS) == {"paper"}
PLANNING_ASSUMPTIONS = {
    "max_new_tokens": config["inference"]["max_new_tokens"],
    "dtype": config["inference"]["dtype"],
    "quantization": config["inference"]["quantization"],
    "token_budget": config["inference"]["batch_tokens"],
    "hours_per_shard": config["planning"]["hours_per_shard"],
}
STANDIN_FOLDERS = [f"results/{STUDY}/standins/{model}" for model in config["models"]]
PAGE_TEMPLATE = [f"workflow/falserefusal/report/{name}" for name in ("page.html.jinja", "page.css")]
PUBLISHED_CHANCE = {"seed": 2025, "bootstrap": 1000, "permutations": 999}
BANNER = "REHEARSAL on stand-in checkpoints: says nothing about the real models"
PUBLISHED_TITLE = "No for Some, Yes for Others: the paper, re-derived from its own printed cells"
PRINTED_NAMES = [
    "counts_task_model_persona",
    "format_heatmaps",
    "table1_refusal_pct",
    "table6_prompt_n",
    "fig1_baseline_offensiveness",
    "figure5_importance",
    "table7_logit",
    "quoted_statements",
]
MODEL_ROWS = {
    row["model"]: {
        key: row[key] for key in ("model", "hub_id", "revision", "package", "package_file", "system_prompt") if row[key]
    }
    for row in MODELS_FILE
}
# Weights from packages, by the name of their folder below resources/weights.
PACKAGES = {
    Path(row["hub_id"]).name: {key: row[key] for key in ("package", "package_file", "sha256")}
    for row in MODELS_FILE
    if row["package"]
}
# Only a study that asks a model of the paper is compared with the paper's printed numbers.
with open("config/published/models.csv", encoding="utf-8") as file:
    PAPER_MODELS = {line.split(",")[0] for line in file}
COMPARED = bool(PAPER_MODELS & set(config["models"]))
SEQUENTIAL = config["design"]["sequential"] is not None
BASELINE_ASKED = config["design"]["kind"] == "blocked" or config["design"]["baseline"]
EFFECTS = ["effects_persona", "effects_mean", "effects_between", "rates_shrunken"]
VALIDATED = {  # tables made of people's labels, and what their rule calls them
    "annotator_agreement": "agreement",
    "labeller_accuracy": "accuracy",
    "corrected_rates": "rates",
    "corrected_personas": "personas",
    "corrected_differences": "differences",
    "specificity_tests": "specificity",
}
RATES = [
    "rates_model_task",
    "rates_persona",
    "rates_model_persona",
    "rates_task_model_persona",
    "rates_format",
    "rates_baseline",
]


wildcard_constraints:
    study=f"{PUBLISHED}|{STUDY}",
    model="|".join(map(re.escape, config["models"])),
    task="|".join(map(re.escape, config["tasks"])),
    interim_look=r"\d+",


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
        files["templates"] = MATERIALS["templates"]
    return files


def chance(name):
    """seed, bootstrap or permutations; those of the published study depend on no config, so that none re-runs it."""
    given = {"seed": config["seed"], **config["estimation"]}
    return lambda wildcards: (PUBLISHED_CHANCE if wildcards.study == PUBLISHED else given)[name]


def materials_of(wildcards):
    """The models and personas a study is about; the published one is about the paper's, whatever others are edited."""
    if wildcards.study == PUBLISHED:
        names = {"models": "models", "personas": "personas", "baseline": "fig1_baseline_offensiveness"}
        return {key: f"{PRINTED}/{name}.csv" for key, name in names.items()}
    return {"models": MATERIALS["models"], "personas": MATERIALS["personas"]}


def printed_for(wildcards, name):
    """A file of the paper's printed numbers, where a study is compared with them."""
    return f"{PRINTED}/{name}.csv" if COMPARED or wildcards.study == PUBLISHED else []


def names_of(wildcards, kind):
    """The names of `kind` a study uses; None means every name of the file."""
    if wildcards.study == PUBLISHED:
        return None
    return JUDGED if kind == "models" else config[kind]


def main_labeller(wildcards):
    """Whose verdicts are the study's headline."""
    return "paper" if wildcards.study == PUBLISHED else config["labellers"][0]


def text_source(task):
    """The file a task's texts are read from where it is on this machine, else the record of its download."""
    source = config["tasks"][task]["source"]
    if source["kind"] == "embedded":
        return f"config/corpus/{task}.csv"
    path = source.get("path")
    return os.path.expanduser(path) if path else f"resources/texts/{task}/source.json"


def threads_of(wildcards):
    """Threads of an inference job: a small model is fastest on one, with other jobs side by side."""
    size = next(row["size_b"] for row in MODELS_FILE if row["model"] == wildcards.model)
    return 1 if STANDINS or float(size) < 1 else 4


def model_row(wildcards):
    """What a job must know to load a model; no more, so that an edit elsewhere in its row re-runs nothing."""
    return MODEL_ROWS[wildcards.model]


def kind_of(study):
    """What a study is to its readers."""
    if study == PUBLISHED:
        return "published"
    return "rehearsal" if STANDINS else "run"


def notice(wildcards):
    """What every row of a table says; nothing in a study of real models. A rule without wildcards is the study's."""
    return BANNER if kind_of(getattr(wildcards, "study", STUDY)) == "rehearsal" else ""


def figure_params(study):
    """The words a figure needs beside its tables. A rehearsal says in every title that it is one."""
    rehearsal = kind_of(study) == "rehearsal"
    return {
        "study": study,
        "kind": kind_of(study),
        "models": None if study == PUBLISHED else config["models"],
        "personas": None if study == PUBLISHED else config["personas"],
        "tasks": list(TASKS) if study == PUBLISHED else list(config["tasks"]),
        "sequential": study != PUBLISHED and SEQUENTIAL,
        "compared": study == PUBLISHED or COMPARED,
        "labellers": [] if study == PUBLISHED else LABELLERS,
        "annotated": study != PUBLISHED and bool(ANNOTATIONS),
        "banner": BANNER if rehearsal else "",
        "model_suffix": " (stand-in)" if rehearsal else "",
    }


def report_params(study):
    """The same for a page, with its title."""
    figures_only = ("personas", "tasks", "sequential", "annotated", "compared")
    params = {key: value for key, value in figure_params(study).items() if key not in figures_only}
    return {**params, "title": PUBLISHED_TITLE if study == PUBLISHED else config["title"] or study}


def _figure_set(study):
    params = figure_params(study)
    several = len(params["labellers"]) > 1
    return params["kind"], tuple(params["tasks"]), params["sequential"], several, params["annotated"], params["compared"]


def figure_files(study):
    """Every file of every figure of a study."""
    return [
        f"<results>/{study}/figures/{name}.{ending}"
        for name in figure_names(*_figure_set(study))
        for ending in ("png", "pdf", "csv")
    ]


def table_files(study, names):
    """The paths of a study's tables, for a rule that draws or prints them.

    Tables that came from elsewhere, without the cells they were made of, are taken as they are: as absolute paths,
    which no rule makes. So figures and page can be made anew from tables alone, and nothing before them runs.
    """
    files = [Path("results") / study / "tables" / f"{name}.csv" for name in names]
    if tables_alone(study) and all(file.exists() for file in files):
        return [str(file.absolute()) for file in files]
    return [str(file) for file in files]


def tables_alone(study):
    """Whether a study's tables are here and the cells they were made of are not."""
    folder = Path("results") / study
    return (folder / "tables/table1.csv").exists() and not (folder / "cells.parquet").exists()


def drawn_from(study):
    """The tables that figures are drawn from."""
    return table_files(study, table_names(*_figure_set(study)))


def reported(study):
    """The tables that a page shows."""
    names = ["table1", "table5", "table6", "design_balance", *RATES, "sensitivity", "importance", "claims"]
    names += ["regression", "regression_firth", "interactions", "deviance"]
    if study == PUBLISHED:
        return [*table_files(study, [*names, "printed_check", "no_answers"]), "results/published/statements.csv"]
    names += ["labeller_rates", "missing"]
    if COMPARED:
        names.append("comparison")
    if len(LABELLERS) > 1:
        names += ["labeller_agreement", "labeller_categories", "labeller_headline", "labeller_claims"]
    if ANNOTATIONS:
        names += VALIDATED
    if BASELINE_ASKED:
        names += EFFECTS
    if SEQUENTIAL:
        names += ["sequential", "interim_looks"]
    if STANDINS:
        names.append("planted_rates")
    return table_files(study, names)


def studies_with_tables():
    """The studies to redraw."""
    here = [study for study in (PUBLISHED, STUDY) if (Path("results") / study / "tables/table1.csv").exists()]
    return here or [PUBLISHED, STUDY]


def checkpoint_of(wildcards):
    """What a model is loaded from: a stand-in's folder, or the record of fetched weights; nothing, if a server asks."""
    if STANDINS:
        return {"checkpoint": f"results/{wildcards.study}/standins/{wildcards.model}"}
    if SERVER:
        return {}
    return {"weights": weights_record(wildcards.model)}


def weights_record(model):
    """The record of a model's weights, once they are fetched; models from one package share it."""
    row = MODEL_ROWS[model]
    return f"resources/weights/{Path(row['hub_id']).name if 'package' in row else model}.json"


def models_in_round(study, number):
    """The models asked in a round: all in the first, then those the look before it left."""
    if number == 0:
        return config["models"]
    return Path(checkpoints.look.get(study=study, interim_look=number - 1).output.models).read_text().split()


def last_rounds(study):
    """The last round of each model; Snakemake comes back here after every look."""
    last, number = {}, 0
    while asked := models_in_round(study, number):
        last |= dict.fromkeys(asked, number)
        number += 1
    return last


def labels_of_round(wildcards):
    """The judgements a look is about."""
    study, number = wildcards.study, wildcards.round
    return [f"results/{study}/rounds/{number}/labels/{model}.parquet" for model in models_in_round(study, int(number))]


def earlier_looks(wildcards):
    """The tables of the looks before one."""
    return [f"results/{wildcards.study}/rounds/{number}/look.csv" for number in range(int(wildcards.round))]


def all_looks(wildcards):
    """The tables of all looks there were."""
    last = max(last_rounds(wildcards.study).values())
    return [f"results/{wildcards.study}/rounds/{number}/look.csv" for number in range(last + 1)]


def from_last_round(wildcards, folder, ending):
    """A file of a model's last round."""
    number = last_rounds(wildcards.study)[wildcards.model]
    return f"results/{wildcards.study}/rounds/{number}/{folder}/{wildcards.model}.{ending}"
