"""Parse the wording of each quantity that the paper quotes in its text into a recipe and its arguments.

Kept apart from the recipes (`statements`), so that reading the printed numbers already rejects an unknown wording.
"""

import re

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import REFERENCES, TASKS

_name = r"[A-Z][A-Za-z]+[\d.]*-\d+B"
_task, _model = "(?P<task>NLI|politeness|offensiveness)", f"(?P<model>{_name})"
# "mean over models and tasks" would also match "mean over {names} and tasks", so the literal wording comes first
WORDINGS = [
    (f"prompts in the {_task} design", "design size"),
    (f"mean over models of refusal rate, {_task}", "mean over models"),
    (f"(?P<which>highest|lowest) model refusal rate, {_task}", "extreme"),
    (f"{_model} refusal rate, {_task}", "one rate"),
    (f"{_model} registers no refusals at all", "no refusals"),
    (f"persona minus baseline refusal rate, {_task}, {_model}", "persona minus baseline"),
    (r"models with no refusals in both setups \((?P<names>.+)\)", "models without refusals"),
    ("mean over models and tasks, persona (?P<persona>.+)", "persona mean"),
    ("mean over (?P<names>.+) and tasks, persona (?P<persona>.+)", "persona mean of models"),
    (f"(?P<names>{_name}) mean over tasks, persona (?P<persona>.+)", "persona mean of models"),
    (f"{_model} refusal rate, {_task}, (?P<form>unforced|semi-forced|forced) format", "format"),
    (r"Wasserstein importance of (?P<factor>model|task|persona|prompt) \(.+\)", "importance"),
    ("logistic coefficient, (?P<term>model|task|persona) (?P<level>.+)", "coefficient"),
    ("pseudo R-squared of the logistic regression", "pseudo R2"),
]


def read_wording(quantity: str) -> tuple[str, dict[str, str]]:
    """Return the recipe of a quoted quantity and its arguments by name; raise InputError for an unknown wording."""
    for pattern, recipe in WORDINGS:
        if match := re.fullmatch(pattern, quantity):
            return recipe, match.groupdict()
    raise InputError(
        f"no recipe fits the wording {quantity!r}; workflow/falserefusal/published/wordings.py lists the known wordings"
    )


def listed_models(text: str) -> list[str]:
    """Split a list of models: 'Gemma2-2B, -9B, -27B' gives three names, 'Llama2-7B, Llama2-13B' two."""
    names: list[str] = []
    for part in text.split(", "):
        names.append(names[0].split("-")[0] + part if names and part.startswith("-") else part)
    return names


def check_wording(quantity: str, models: list[str], personas: list[str]) -> None:
    """Raise InputError if `quantity` fits no recipe, or names a model, persona or task that is not in the data."""
    _, arguments = read_wording(quantity)
    known = {"model": models, "persona": personas, "task": list(TASKS)}
    named = [("model", name) for name in listed_models(arguments["names"])] if "names" in arguments else []
    named += [(kind, arguments[kind]) for kind in ("model", "persona") if kind in arguments]
    if "term" in arguments:
        named.append((arguments["term"], arguments["level"]))
        known = {kind: [name for name in known[kind] if name != REFERENCES[kind]] for kind in known}
    for kind, name in named:
        if name not in known[kind]:
            raise InputError(f"{kind} {name!r} in {quantity!r} is not one of {', '.join(known[kind])}")
