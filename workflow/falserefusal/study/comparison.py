"""What of a study coincides with the paper: a printed number is compared only with an estimate of the same quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from falserefusal.common.printed import (
    BASELINE_RATE,
    CELL,
    CLAIM,
    COEFFICIENT,
    FORMAT,
    IMPORTANCE,
    PERSONA_BY_MODEL,
    PERSONA_MEAN,
    QUANTITIES,
    RATE,
    RATE_MEAN,
)
from falserefusal.common.tasks import PAPER_TASKS
from falserefusal.study.files import PRINTED
from falserefusal.study.materials import Model, load_personas, load_templates, read_models

TEXTS = {"nli": "xnli", "politeness": "popquorn", "offensiveness": "popquorn"}  # the data sets of the paper's texts
# what must be as in the paper, and not only have parts in common with it; templates must be for every quantity
WHOLE = {
    RATE: ("personas",),
    RATE_MEAN: ("models", "personas"),
    BASELINE_RATE: (),
    PERSONA_MEAN: ("models", "tasks"),
    PERSONA_BY_MODEL: ("tasks",),
    CELL: (),
    FORMAT: ("personas",),
    IMPORTANCE: ("models", "personas", "tasks"),
    COEFFICIENT: ("models", "personas", "tasks"),
    CLAIM: ("models", "personas", "tasks"),
}


@dataclass(frozen=True)
class Comparison:
    """Which printed numbers of the paper a study is compared with.

    Attributes
    ----------
    wanted : False for `comparison: none`, a study that is not about the paper
    models, personas, tasks : those that mean the same in the study and in the paper
    absent : reason why a quantity is not compared, by quantity; the others are
    """

    wanted: bool
    models: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)

    def has(self, quantity: str) -> bool:
        """Whether printed values of the quantity are compared with the study's."""
        return self.wanted and quantity not in self.absent

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities that are compared, in the paper's order."""
        return tuple(name for name in QUANTITIES if self.has(name))

    @property
    def plain(self) -> dict[str, Any]:
        """Plain data, for the param of a job; `Comparison(**plain)` reads it."""
        return asdict(self)


def whole_paper() -> Comparison:
    """The comparison of the paper's own printed cells, which have everything."""
    models = tuple(read_models(f"{PRINTED}/models.csv"))
    personas = tuple(load_personas(f"{PRINTED}/personas.csv")["persona"])
    return Comparison(True, models, personas, tuple(PAPER_TASKS))


def compare(
    models: Mapping[str, Model],
    personas: Mapping[str, str],
    templates: Mapping[tuple[str, str], str],
    sources: Mapping[str, str],
    standins: bool,
    root: Path,
) -> Comparison:
    """Compare a study's materials with the paper's.

    Parameters
    ----------
    models : rows of the models file, by name.
    personas : words of each persona in a prompt, by name.
    templates : text of each template, by task and template.
    sources : kind of source of each task's texts.
    standins : whether the models are stand-ins, which refuse as planted whatever the text.
    root : folder of the paper's materials.
    """
    paper_models = read_models(f"{PRINTED}/models.csv", root)
    surfaces = load_personas(root / f"{PRINTED}/personas.csv").set_index("persona")["surface"].to_dict()
    same_models = [name for name, row in models.items() if name in paper_models and _same(row, paper_models[name])]
    same_personas = [name for name, surface in personas.items() if surfaces.get(name) == surface]
    same_tasks = [task for task, kind in sources.items() if task in TEXTS and (standins or kind == TEXTS[task])]
    found = {"models": same_models, "personas": same_personas, "tasks": same_tasks}
    reasons = {
        "models": _reason("models", same_models, list(models), list(paper_models)),
        "personas": _reason("personas", same_personas, list(personas), list(surfaces)),
        "tasks": _reason("tasks", same_tasks, list(sources), list(PAPER_TASKS)),
    }
    absent = {}
    text_of = _paper_templates(root)
    own = {key: text for key, text in templates.items() if key[0] in same_tasks}
    other = own != {key: text for key, text in text_of.items() if key[0] in same_tasks}
    for quantity, whole in WHOLE.items():
        tasks = [task for task in same_tasks if quantity != BASELINE_RATE or task == "offensiveness"]
        parts = {**found, "tasks": tasks}
        lacking = [reasons[name] for name in found if not parts[name] or (name in whole and reasons[name])]
        if not tasks and quantity == BASELINE_RATE:
            lacking = [reasons["tasks"] or "the paper prints baseline rates of offensiveness only"]
        lacking += ["the templates are not the paper's nine"] if other and same_tasks else []
        if lacking:
            absent[quantity] = "; ".join(dict.fromkeys(lacking))
    return Comparison(True, tuple(same_models), tuple(same_personas), tuple(same_tasks), absent)


def _same(row: Model, paper: Model) -> bool:
    """Whether a row is the paper's model: its checkpoint, if it names one, and no system prompt of its own."""
    return row.hub_id in (None, paper.hub_id) and not (row.package or row.is_dummy or row.system_prompt)


def _reason(what: str, same: Sequence[str], own: Sequence[str], paper: Sequence[str]) -> str:
    """Why the levels of a factor are not the paper's; empty if they are."""
    if len(same) == len(own) == len(paper):
        return ""
    texts = " with its texts (XNLI, POPQUORN)" if what == "tasks" else ""
    if not same:
        return f"no {what.removesuffix('s')} of the paper{texts}"
    more = f", and {len(own) - len(same)} others" if len(own) > len(same) else ""
    return f"{len(same)} of the paper's {len(paper)} {what}{texts}{more}"


def _paper_templates(root: Path) -> dict[tuple[str, str], str]:
    """The texts of the paper's templates, by task and template."""
    frame = load_templates(root / f"{PRINTED}/templates.csv", list(PAPER_TASKS))
    return dict(zip(zip(frame["task"], frame["template"], strict=True), frame["text"], strict=True))
