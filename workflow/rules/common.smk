# Read the config into STUDY. Rules ask it, or the published study, for paths, inputs, params and resources.
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
from falserefusal.study import files
from falserefusal.study.checks import check_keys
from falserefusal.study.resources import JOBS
from falserefusal.study.rules import Rules, any_of, untracked
from falserefusal.study.study import Study
from falserefusal.study.weights import USES

sources = [os.path.relpath(file) for file in workflow.configfiles]
sources += ["--config"] if workflow.config_settings.config else []
try:  # every job reads the config again, but need not check it or read the texts again
    if workflow.is_main_process:
        check_keys(workflow.configfiles)
        STUDY = Study.load(config, workflow.basedir, ", ".join(sources))
        os.environ[JOBS] = STUDY.jobs_as_text
    else:
        STUDY = Study.load(config, workflow.basedir, ", ".join(sources), check=False, jobs=os.environ.get(JOBS))
except InputError as error:
    raise WorkflowError(str(error)) from None
PUBLISHED = Study.published()
FILES = files.Files("{study}")
RULES = Rules(STUDY, PUBLISHED)
of, of_task, needs = RULES.of, RULES.of_task, RULES.needs
of_published = Rules(PUBLISHED, PUBLISHED).of  # for rules without the wildcard {study}


wildcard_constraints:
    study=any_of([PUBLISHED.name, STUDY.name]),
    model=any_of(STUDY.models),
    task=any_of(STUDY.tasks),
    judge=any_of(STUDY.config.judges),
    classifier=any_of(STUDY.config.classifiers),
    look=r"\d+",


def library(script):
    """The library modules that a script imports. They are inputs, so that editing one re-runs the rule."""
    return library_of(f"workflow/scripts/{script}")


def tables(*names):
    """The paths of tables by name, as the outputs of a rule."""
    return {name: FILES.table(name) for name in names}


def gpus_of_run(wildcards):
    """The GPUs that jobs of this run may use; None means no limit, as on a cluster."""
    return workflow.global_resources.get("gpu").value


def models_after(look):
    """The models that an interim look leaves to be asked further. Snakemake waits for the look."""
    return Path(checkpoints.interim_look.get(study=STUDY.name, look=look).output.models).read_text(encoding="utf-8").split()


def from_last_look(path):
    """The file of a model's last interim look; `path` is a method of FILES."""
    return lambda wildcards: path(STUDY.files, wildcards.model, STUDY.last_looks(models_after)[wildcards.model])
