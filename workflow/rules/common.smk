# Read the config into STUDY. Rules ask it, or the published study, for paths, inputs, params and resources.
import functools
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(WORKFLOW))
# Jobs find the library in the same way, in whatever environment they run.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(WORKFLOW), os.environ.get("PYTHONPATH")])))
# Idle threads would take the cores of the jobs next to theirs, unless the user wants it so.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Snakemake writes the interpreter's path into a job's command without quotes; a space in the path would split it.
if not sys.executable.startswith("'"):
    sys.executable = shlex.quote(sys.executable)

from falserefusal.common.dependencies import library_of
from falserefusal.common.errors import InputError
from falserefusal.report.overview import write_index
from falserefusal.report.snakemake_report import flag_outputs
from falserefusal.report.terminal import replace_output
from falserefusal.study import files, locks
from falserefusal.study.checks import check_keys
from falserefusal.study.resources import JOBS
from falserefusal.study.rules import Rules, any_of, content_of_code, content_of_data, untracked, without_secrets
from falserefusal.study.study import Study
from falserefusal.study.weights import USES

TERMINAL = replace_output(workflow.output_settings) if workflow.is_main_process else None

# Of `snakemake compare`; not a key of a study.
COMPARED = [str(name) for name in config.pop("studies", [])]
COMPARISON = f"results/comparisons/{'+'.join(COMPARED) or 'none'}"

sources = [os.path.relpath(file) for file in workflow.configfiles]
sources += ["--config"] if workflow.config_settings.config else []
# On a cluster, each job has a machine of its own.
CORES = workflow.resource_settings.cores or 1 if workflow.local_exec else 1
try:  # every job reads the config again, but need not check it or read the texts again
    if workflow.is_main_process:
        check_keys(workflow.configfiles)
        STUDY = Study.load(config, workflow.basedir, ", ".join(sources), cores=CORES)
        os.environ[JOBS] = STUDY.jobs_as_text
    else:
        STUDY = Study.load(config, workflow.basedir, ", ".join(sources), check=False, jobs=os.environ.get(JOBS))
except InputError as error:
    raise WorkflowError(str(error)) from None
PUBLISHED = Study.published()
FILES = files.Files("{study}")
RULES = Rules(STUDY, PUBLISHED)
of, of_task, needs = RULES.of, RULES.of_task, RULES.needs
OWN = any_of(STUDY.by_name)  # the study and the study under each of its choices
of_published = Rules(PUBLISHED, PUBLISHED).of  # for rules without the wildcard {study}


def show_results():
    """At the end of a run: list all studies in results/index.html, and show the findings of those that it reported."""
    index = write_index("results")
    if TERMINAL is not None:
        TERMINAL.show_results([PUBLISHED.files, STUDY.files], index, [f"{COMPARISON}/index.html", STUDY.files.archive])


wildcard_constraints:
    study=any_of([PUBLISHED.name, *STUDY.by_name]),
    model=any_of(STUDY.models),
    task=any_of(STUDY.tasks),
    judge=any_of(STUDY.config.judges),
    classifier=any_of(STUDY.config.classifiers),
    look=r"\d+",


def library(script):
    """The library modules that a script imports. They are inputs, so that editing one re-runs the rule."""
    return library_of(f"workflow/scripts/{script}")


def given(rule, content):
    """A param of `rule`: the content of those of its input files that no rule makes."""

    def answer(wildcards):
        inputs = {str(file) for file in rule.expand_input(dict(wildcards.items()))[0]}
        return content(file for file in inputs if os.path.isfile(file) and not made_by_a_rule(file))

    return answer


@functools.cache
def made_by_a_rule(file):
    return any(rule.is_producer(file) for rule in workflow.rules)


def tables(*names):
    """The paths of tables by name, as the outputs of a rule."""
    return {name: FILES.table(name) for name in names}


def gpus_of_run(wildcards):
    """The GPUs that jobs of this run may use; None means no limit, as on a cluster."""
    return workflow.global_resources.get("gpu").value


def slurm_of_run(wildcards):
    """What the profile says about the cluster; None if jobs of this run do not go to Slurm."""
    if workflow.executor_plugin is None or workflow.executor_plugin.name != "slurm":
        return None
    own, shared = workflow.executor_settings, workflow.get_rule("preflight").resources
    raw = {name: shared[name].raw for name in ("slurm_partition", "slurm_account", "qos") if name in shared}
    named = {"file": own.partition_config, "partition": raw.get("slurm_partition")}
    named |= {"account": raw.get("slurm_account"), "qos": own.qos or raw.get("qos")}
    return {key: str(value or "").strip("'\"") for key, value in named.items()}


def models_after(look):
    """The models that an interim look leaves to be asked further. Snakemake waits for the look."""
    return (
        Path(checkpoints.interim_look.get(study=STUDY.name, look=look).output.models)
        .read_text(encoding="utf-8")
        .split()
    )


def from_last_look(path):
    """The file of a model's last interim look; `path` is a method of FILES."""
    return lambda wildcards: path(STUDY.files, wildcards.model, STUDY.last_looks(models_after)[wildcards.model])
