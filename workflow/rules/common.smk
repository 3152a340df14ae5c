# Read the study's config, and answer the questions that rules ask about the study: paths, inputs, tables, figures.
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(WORKFLOW))
# Jobs find the library in the same way, in whatever environment they run.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(WORKFLOW), os.environ.get("PYTHONPATH")])))

# Snakemake writes the interpreter's path into a job's command without quotes; a space in the path would split it.
if not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

from falserefusal.common.dependencies import library_of
from falserefusal.common.errors import InputError
from falserefusal.common.notice import BANNER, MODEL_SUFFIX
from falserefusal.figures.registry import FigureSet
from falserefusal.study.config import TASKS, load_study
from falserefusal.study.models_file import rows_of


def config_error(error):
    """Turn an InputError into a WorkflowError, which Snakemake shows without a traceback, and name the config files."""
    sources = [os.path.relpath(file) for file in workflow.configfiles]
    if workflow.config_settings.config:
        sources.append("--config")
    return WorkflowError(f"{', '.join(sources)}: {error}")


try:
    config = load_study(config, Path(workflow.basedir) / "config/schemas/study.schema.yaml")
    MODELS_FILE = rows_of(config["materials"]["models"], config["models"], config["judges"])
    if workflow.is_main_process:  # every job reads this file again, but needs no second check
        from falserefusal.study.checks import check_study

        check_study(config, workflow.basedir)
except InputError as error:
    raise config_error(error) from None

STUDY = config["study"]
PUBLISHED = "published"
MATERIALS = config["materials"]
STANDINS = config["checkpoints"]["kind"] == "standins"
SERVER = config["inference"]["backend"] == "openai"
# The size of every stand-in, whatever model it is named after: about a million parameters in one layer.
STANDIN_SHAPE = {"params_b": 0.001, "layers": 1, "kv_heads": 2, "head_dim": 64, "hidden": 144, "vocab": 2000}
LABELLERS = [*config["labellers"], *config["judges"], *config["classifiers"]]
OPTIONS = {task: settings["options"] for task, settings in config["tasks"].items()}
# The key is kept with the annotations it belongs to, so that a new sample does not invalidate them.
ANNOTATION_KEY = f"annotations/{STUDY}/key.csv"
ANNOTATIONS = sorted({str(path) for path in Path("annotations", STUDY).glob("*.csv")} - {ANNOTATION_KEY})
# A response may stop early only if no labeller reads its end.
EARLY_DECISION = config["inference"]["early_decision"] and set(LABELLERS) == {"phrase_list"}
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
PUBLISHED_TITLE = "No for Some, Yes for Others: the paper, re-derived from its own printed cells"
PRINTED = "config/published"
PRINTED_FILES = [
    f"{PRINTED}/{name}.csv"
    for name in (
        "counts_task_model_persona",
        "format_heatmaps",
        "table1_refusal_pct",
        "table6_prompt_n",
        "fig1_baseline_offensiveness",
        "figure5_importance",
        "table7_logit",
        "quoted_statements",
    )
]
MODEL_ROWS = {
    row["model"]: {
        key: row[key] for key in ("model", "hub_id", "revision", "package", "package_file", "system_prompt") if row[key]
    }
    for row in MODELS_FILE
}
# Weights from packages, by the name of their folder in resources/weights.
PACKAGES = {
    Path(row["hub_id"]).name: {key: row[key] for key in ("package", "package_file", "sha256")}
    for row in MODELS_FILE
    if row["package"]
}
# Only a study with models of the paper is compared with the paper's printed numbers.
with open("config/published/models.csv", encoding="utf-8") as file:
    PAPER_MODELS = {line.split(",")[0] for line in file}
COMPARED = bool(PAPER_MODELS & set(config["models"]))
SEQUENTIAL = config["design"]["sequential"] is not None
HAS_BASELINE = config["design"]["kind"] == "blocked" or config["design"]["baseline"]
EFFECTS = ["effects_persona", "effects_mean", "effects_between", "rates_shrunken"]
VALIDATED = {  # tables made from annotations, and their names in the rule `validate`
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
    look=r"\d+",


def library(script):
    """The library modules that a script imports. They are inputs, so that editing one re-runs the rule."""
    return library_of(f"workflow/scripts/{script}")


def tables(*names):
    """The paths of tables by name, as the outputs of a rule."""
    return {name: f"<results>/{{study}}/tables/{name}.csv" for name in names}


def estimation_inputs(wildcards):
    """Inputs of the estimates: the cells, and the outcomes of a study that has them."""
    files = {"cells": f"results/{wildcards.study}/cells.parquet"}
    if wildcards.study != PUBLISHED:
        files["outcomes"] = f"results/{wildcards.study}/outcomes.parquet"
        files["templates"] = MATERIALS["templates"]
    return files


def labelling_inputs(responses):
    """Inputs of the rules that give verdicts on the file `responses`, except replies and scores of other models."""
    return {
        "responses": responses,
        "design": rules.design.output.design,
        "personas": MATERIALS["personas"],
        "templates": MATERIALS["templates"],
        "phrases": MATERIALS["refusal_phrases"],
        "patterns": "config/labelling/patterns.yaml",
        "code": library("verdicts.py"),
    }


def chance(name):
    """seed, bootstrap or permutations; those of the published study are fixed, so that no config changes it."""
    given = {"seed": config["seed"], **config["estimation"]}
    return lambda wildcards: (PUBLISHED_CHANCE if wildcards.study == PUBLISHED else given)[name]


def materials_of(wildcards):
    """The models and personas of a study. The published study has its own copies, which no other study edits."""
    if wildcards.study == PUBLISHED:
        names = {"models": "models", "personas": "personas", "baseline": "fig1_baseline_offensiveness"}
        return {key: f"{PRINTED}/{name}.csv" for key, name in names.items()}
    return {"models": MATERIALS["models"], "personas": MATERIALS["personas"]}


def printed_for(wildcards, name):
    """A file of the paper's printed numbers, if the study is compared with them."""
    return f"{PRINTED}/{name}.csv" if COMPARED or wildcards.study == PUBLISHED else []


def names_of(wildcards, kind):
    """The models or personas that a study uses; None means all of the file."""
    if wildcards.study == PUBLISHED:
        return None
    return REPORTED_MODELS if kind == "models" else config[kind]


def main_labeller(wildcards):
    """The labeller of the study's headline."""
    return "phrase_list" if wildcards.study == PUBLISHED else config["labellers"][0]


def text_source(task):
    """The file that a task's texts are read from, if it is on this machine, else the record of its download."""
    source = config["tasks"][task]["source"]
    if source["kind"] == "embedded":
        return f"config/corpus/{task}.csv"
    path = source.get("path")
    return os.path.expanduser(path) if path else f"resources/texts/{task}/source.json"


def threads_of(wildcards):
    """Threads of an inference job. A small model is fastest on one thread, with other jobs in parallel."""
    size = next(row["size_b"] for row in MODELS_FILE if row["model"] == wildcards.model)
    return 1 if STANDINS or float(size) < 1 else 4


def model_row(wildcards):
    """The columns of the models file that loading a model needs. An edit of other columns does not re-run its job."""
    return MODEL_ROWS[wildcards.model]


def kind_of(study):
    """What a study is to its readers: published, rehearsal or run."""
    if study == PUBLISHED:
        return "published"
    return "rehearsal" if STANDINS else "run"


def notice(wildcards):
    """The banner in every row of a rehearsal's tables; empty for other studies. Without wildcards, the config's study."""
    return BANNER if kind_of(getattr(wildcards, "study", STUDY)) == "rehearsal" else ""


def figure_params(study):
    """What drawing figures needs besides tables. A rehearsal is named as one in every title."""
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
        "model_suffix": MODEL_SUFFIX if rehearsal else "",
    }


def report_params(study):
    """The same for the report, with its title, which as a function keeps any braces in it."""
    figures_only = ("personas", "tasks", "sequential", "annotated", "compared")
    params = {key: value for key, value in figure_params(study).items() if key not in figures_only}
    title = PUBLISHED_TITLE if study == PUBLISHED else config["title"] or study
    return {**params, "title": lambda wildcards: title}


def figure_set(study):
    """The figures of a study."""
    params = figure_params(study)
    return FigureSet(
        params["kind"],
        tuple(params["tasks"]),
        sequential=params["sequential"],
        several_labellers=len(params["labellers"]) > 1,
        annotated=params["annotated"],
        compared=params["compared"],
    )


def figure_files(study):
    """Every file of every figure of a study."""
    return [
        f"<results>/{study}/figures/{name}.{ending}"
        for name in figure_set(study).figure_names()
        for ending in ("png", "pdf", "csv")
    ]


def table_files(study, names):
    """The paths of a study's tables, as inputs of figures and report.

    If the tables are here without the cells they were made from, their paths are absolute. No rule makes such paths, so
    figures and report can be made from tables alone.
    """
    files = [Path("results") / study / "tables" / f"{name}.csv" for name in names]
    if tables_alone(study) and all(file.exists() for file in files):
        return [str(file.absolute()) for file in files]
    return [str(file) for file in files]


def tables_alone(study):
    """Whether a study's tables are here and the cells they were made from are not."""
    folder = Path("results") / study
    return (folder / "tables/table1.csv").exists() and not (folder / "cells.parquet").exists()


def drawn_from(study):
    """The tables that a study's figures are drawn from."""
    return table_files(study, figure_set(study).table_names())


def reported(study):
    """The tables of a study's report."""
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
    if HAS_BASELINE:
        names += EFFECTS
    if SEQUENTIAL:
        names += ["sequential", "interim_looks"]
    if STANDINS:
        names.append("planted_rates")
    return table_files(study, names)


def checkpoint_of(wildcards):
    """What a model is loaded from: a stand-in's folder, or the record of downloaded weights; nothing for a server."""
    if STANDINS:
        return {"checkpoint": f"results/{wildcards.study}/standins/{wildcards.model}"}
    if SERVER:
        return {}
    return {"weights": weights_record(wildcards.model)}


def weights_record(model):
    """The record of a model's downloaded weights. Models from one package share it."""
    row = MODEL_ROWS[model]
    return f"resources/weights/{Path(row['hub_id']).name if 'package' in row else model}.json"


def models_of_look(study, look):
    """The models of an interim look: all at the first, then those that the look before it did not stop."""
    if look == 0:
        return config["models"]
    return Path(checkpoints.interim_look.get(study=study, look=look - 1).output.models).read_text().split()


def last_looks(study):
    """The last look of each model. Snakemake evaluates this again after every look."""
    last, look = {}, 0
    while models := models_of_look(study, look):
        last |= dict.fromkeys(models, look)
        look += 1
    return last


def verdicts_of_look(wildcards):
    """The verdicts that an interim look reads."""
    study, look = wildcards.study, wildcards.look
    return [f"results/{study}/interim/{look}/verdicts/{model}.parquet" for model in models_of_look(study, int(look))]


def earlier_looks(wildcards):
    """The tables of the interim looks before one."""
    return [f"results/{wildcards.study}/interim/{look}/interim_look.csv" for look in range(int(wildcards.look))]


def all_looks(wildcards):
    """The tables of all interim looks of a study."""
    last = max(last_looks(wildcards.study).values())
    return [f"results/{wildcards.study}/interim/{look}/interim_look.csv" for look in range(last + 1)]


def from_last_look(wildcards, folder, ending):
    """A file of a model's last interim look."""
    look = last_looks(wildcards.study)[wildcards.model]
    return f"results/{wildcards.study}/interim/{look}/{folder}/{wildcards.model}.{ending}"
