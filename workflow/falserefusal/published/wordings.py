"""What each quantity that the paper quotes in its text asks for, read from its wording.

Apart from `statements`, which answers: a wrong wording is found when the printed numbers are read, before any output.
"""

import re

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import REFERENCES, TASKS

_name = r"[A-Z][A-Za-z]+[\d.]*-\d+B"
_task, _model = "(?P<task>NLI|politeness|offensiveness)", f"(?P<model>{_name})"
# "mean over models and tasks" also reads as "mean over {names} and tasks": the literal wording comes first
WORDINGS = [
    (f"prompts in the {_task} design", "design size"),
    (f"mean over models of refusal rate, {_task}", "mean over models"),
    (f"(?P<which>highest|lowest) model refusal rate, {_task}", "extreme"),
    (f"{_model} refusal rate, {_task}", "one rate"),
    (f"{_model} registers no refusals at all", "no refusals"),
    (f"persona minus baseline refusal rate, {_task}, {_model}", "persona minus free"),
    (r"models with no refusals in both setups \((?P<names>.+)\)", "silent models"),
    ("mean over models and tasks, persona (?P<persona>.+)", "persona mean"),
    ("mean over (?P<names>.+) and tasks, persona (?P<persona>.+)", "persona mean of models"),
    (f"(?P<names>{_name}) mean over tasks, persona (?P<persona>.+)", "persona mean of models"),
    (f"{_model} refusal rate, {_task}, (?P<form>unforced|semi-forced|forced) format", "format"),
    (r"Wasserstein importance of (?P<factor>model|task|persona|prompt) \(.+\)", "importance"),
    ("logistic coefficient, (?P<term>model|task|persona) (?P<level>.+)", "coefficient"),
    ("pseudo R-squared of the logistic regression", "pseudo R2"),
]


def read_wording(quantity: str) -> tuple[str, dict[str, str]]:
    """The kind of a quoted quantity and its arguments by name; InputError where the wording fits none."""
    for pattern, kind in WORDINGS:
        if match := re.fullmatch(pattern, quantity):
            return kind, match.groupdict()
    raise InputError(
        f"no recipe fits the wording {quantity!r}; workflow/falserefusal/published/wordings.py has those there are"
    )


def listed_models(text: str) -> list[str]:
    """'Gemma2-2B, -9B, -27B' -> the three names; 'Llama2-7B, Llama2-13B' -> the two."""
    names: list[str] = []
    for part in text.split(", "):
        names.append(names[0].split("-")[0] + part if names and part.startswith("-") else part)
    return names


def check_wording(quantity: str, models: list[str], personas: list[str]) -> None:
    """Raise InputError where no wording fits, or one that names what the study does not have."""
    _, arguments = read_wording(quantity)
    known = {"model": models, "persona": personas, "task": list(TASKS)}
    asked = [("model", name) for name in listed_models(arguments["names"])] if "names" in arguments else []
    asked += [(kind, arguments[kind]) for kind in ("model", "persona") if kind in arguments]
    if "term" in arguments:
        asked.append((arguments["term"], arguments["level"]))
        known = {kind: [name for name in known[kind] if name != REFERENCES[kind]] for kind in known}
    for kind, name in asked:
        if name not in known[kind]:
            raise InputError(f"{kind} {name!r} in {quantity!r} is not one of {', '.join(known[kind])}")
