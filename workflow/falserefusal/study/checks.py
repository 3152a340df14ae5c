"""Check a study's config and materials before the first job starts."""

import difflib
from math import inf
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.design.monte_carlo import design_size
from falserefusal.estimation.sequential import QUANTITIES
from falserefusal.planning.plan import GOLD_LABEL_ROWS, expected_rows
from falserefusal.prompts.rendering import check_layout, question_characters
from falserefusal.study.materials import load_models, load_personas, load_phrases, load_templates
from falserefusal.texts.read import read
from falserefusal.texts.sample import sample
from falserefusal.texts.sources import resolve


def check_study(study: dict, root: str | Path = ".") -> None:
    """Raise InputError for a mistake in a loaded config, or in the files it names, that would make a job fail.

    Reads the materials as the jobs do, fills in the questions of every template and computes the size of the design.
    Of the texts, it reads only the embedded ones.
    """
    root, materials = Path(root), study["materials"]
    models = load_models(root / materials["models"])["model"].tolist()
    _check_trusted(study["inference"]["trust_remote_code"], models, materials["models"])
    load_phrases(root / materials["refusal_phrases"])
    personas = load_personas(root / materials["personas"], keep=study["personas"])
    templates = load_templates(root / materials["templates"], list(study["tasks"]), keep=study["templates"])
    own = {task: templates[templates["task"] == task] for task in study["tasks"]}
    rows = {}
    for task, settings in study["tasks"].items():
        if own[task].empty:
            raise InputError(f"templates: none of {', '.join(study['templates'])} is for task '{task}'")
        source = resolve(settings["source"], task)
        check_layout(settings["layout"], source.content, task)
        question_characters(personas, own[task], settings["options"], settings["layout"], **study["prompts"])
        rows[task] = _rows(settings, task, study["seed"])
    design_size(study["design"], rows, len(personas), {task: len(frame) for task, frame in own.items()})
    _check_targets(study)
    if study["inference"]["backend"] == "openai":
        from falserefusal.inference.server_engine import check_settings  # slow to import, so only if needed

        check_settings(study["inference"].get("server") or {})


def _rows(settings: dict, task: str, seed: int) -> float:
    """Maximum number of texts of a task; infinite if only its file can tell."""
    source, most = resolve(settings["source"], task), settings["rows_per_gold_label"]
    if settings["source"]["kind"] == "embedded":
        return len(sample(read(settings["source"], source.path, task)[0], most, seed))
    known = (source.name, task) in GOLD_LABEL_ROWS and source.path is None
    return expected_rows(source.name, task, most) if known else inf


def _check_trusted(trusted: list[str], models: list[str], path: str) -> None:
    """Raise InputError for a name that is not in the models file."""
    for name in trusted:
        if name not in models:
            near = difflib.get_close_matches(name, models, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(models)}"
            raise InputError(f"inference.trust_remote_code: no model '{name}' in {path}; {hint}")


def _check_targets(study: dict) -> None:
    """Raise InputError for targets of persona effects in a design without baseline prompts."""
    design = study["design"]
    if design["sequential"] is None or design["kind"] == "blocked" or design["baseline"]:
        return
    effects = [name for name in study["estimation"]["targets"] if QUANTITIES[name][1]]
    if effects:
        rates = ", ".join(name for name, (_, effect) in QUANTITIES.items() if not effect)
        raise InputError(
            f"estimation.targets: {', '.join(effects)} needs baseline prompts, but design.baseline is false; set it to "
            f"true, or use {rates}"
        )
