"""What can be known to be wrong with a study from its config and materials alone, found before the first job starts."""

import difflib
from math import inf
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.design.monte_carlo import design_size
from falserefusal.estimation.sequential import QUANTITIES
from falserefusal.planning.plan import LABEL_ROWS, expected_rows
from falserefusal.prompts.rendering import check_layout, question_characters
from falserefusal.study.materials import load_models, load_personas, load_phrases, load_templates
from falserefusal.texts import read, resolve, sample


def check_study(study: dict, root: str | Path = ".") -> None:
    """Raise InputError for a mistake in a loaded config, or in the files it names, that some job would trip over.

    Materials are read as the jobs read them; the questions of every template are filled, and the design is sized. No
    file of texts is read but the embedded ones: theirs is the first job.
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
        from falserefusal.inference.openai_backend import check_settings  # no other study need wait for it

        check_settings(study["inference"].get("server") or {})


def _rows(settings: dict, task: str, seed: int) -> float:
    """Texts a task will have at most; infinite where only its file can say."""
    source, most = resolve(settings["source"], task), settings["rows_per_gold_label"]
    if settings["source"]["kind"] == "embedded":
        return len(sample(read(settings["source"], source.path, task)[0], most, seed))
    known = (source.name, task) in LABEL_ROWS and source.path is None
    return expected_rows(source.name, task, most) if known else inf


def _check_trusted(trusted: list[str], models: list[str], path: str) -> None:
    """A name that is no model's trusts nobody, and its model would fail for want of that trust."""
    for name in trusted:
        if name not in models:
            near = difflib.get_close_matches(name, models, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(models)}"
            raise InputError(f"inference.trust_remote_code: no model '{name}' in {path}; {hint}")


def _check_targets(study: dict) -> None:
    """In a nested design without baseline prompts there is nothing that a persona's effect could be told from."""
    design = study["design"]
    if design["sequential"] is None or design["kind"] == "blocked" or design["baseline"]:
        return
    effects = [name for name in study["estimation"]["targets"] if QUANTITIES[name][1]]
    if effects:
        rates = ", ".join(name for name, (_, effect) in QUANTITIES.items() if not effect)
        raise InputError(
            f"estimation.targets: {', '.join(effects)} compares with baseline answers, and design.baseline is "
            f"false; set it to true, or aim at {rates}"
        )
