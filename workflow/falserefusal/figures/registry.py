"""List the figures of a study: file name, function that draws it, tables it needs, caption.

Importing this module is cheap (no pandas, no matplotlib), because the rules ask it at the start of every job.
"""

from dataclasses import dataclass
from typing import NamedTuple

from falserefusal.common.tasks import PAPER_TASKS

KINDS = ("published", "run", "rehearsal")
BASELINE_FIGURE = {"offensiveness": "figure01_baseline"}
FORMAT_FIGURES = {"offensiveness": "figure04_format_offensiveness", "nli": "figure10_format_nli"}
FORMAT_FIGURES["politeness"] = "figure11_format_politeness"
CELL_FIGURES = {"nli": "figure07_nli", "politeness": "figure08_politeness", "offensiveness": "figure09_offensiveness"}


class Figure(NamedTuple):
    """One figure.

    `name` is its file name without ending, `function` the `module.function` of this package that draws it, with
    `options` as keyword arguments; `counterpart` is the figure of the paper that it corresponds to, or empty.
    """

    name: str
    function: str
    tables: tuple[str, ...]
    caption: str
    counterpart: str = ""
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FigureSet:
    """The properties of a study that decide which figures it has.

    Attributes
    ----------
    kind : `published` (the paper's printed cells), `run` (real models) or `rehearsal` (stand-ins with planted rates)
    tasks : the study's tasks; figures of the paper's tasks keep the paper's numbers, others are named by task
    sequential : whether the study has interim looks
    several_labellers : whether more than one labeller gave verdicts
    annotated : whether people annotated a sample of the responses
    compared : whether the study is compared with the paper's printed numbers
    shrunken : whether the study has shrunken persona effects
    """

    kind: str
    tasks: tuple[str, ...] = tuple(PAPER_TASKS)
    sequential: bool = False
    several_labellers: bool = False
    annotated: bool = False
    compared: bool = True
    shrunken: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")

    def figures(self) -> list[Figure]:
        """Return the figures in the order of the page.

        Every figure of the list is written; one whose tables have no rows for it says so.
        """
        unknown = [task for task in self.tasks if task not in PAPER_TASKS]
        tasks = [*(task for task in PAPER_TASKS if task in self.tasks), *unknown]
        run = self.kind != "published"
        found = [PLANTED_RATES] if self.kind == "rehearsal" else []
        found += [TABLE1._replace(tables=(*TABLE1.tables, "corrected_rates")) if self.annotated else TABLE1]
        found += [_baseline(task) for task in tasks if task == "offensiveness"]
        found += [PERSONA_MEAN, PERSONA_BY_MODEL]
        found += [_format(task) for task in tasks if task == "offensiveness"]
        found += [IMPORTANCE, IMPORTANCE_BY_MODEL, REGRESSION]
        found += [_cells(task) for task in tasks]
        found += [_format(task) for task in tasks if task != "offensiveness"]
        if run:
            found += [_baseline(task) for task in tasks if task != "offensiveness"]
        if self.shrunken:
            found.append(SHRUNKEN_EFFECTS)
        found += [LABELLERS] if run else [NO_ANSWERS]
        if self.several_labellers:
            found += [LABELLER_PERSONAS, LABELLER_IMPORTANCE, LABELLER_CLAIMS]
        found += [CORRECTED_MODELS, CORRECTED_PERSONAS] if self.annotated else [LABELLER_RANGE]
        if run and self.compared:
            found.append(COMPARISON)
        if self.sequential:
            found.append(SEQUENTIAL)
        return [*found, CLAIMS]

    def table_names(self) -> list[str]:
        """Return the names of the tables that the figures are drawn from, each once."""
        return list(dict.fromkeys(table for figure in self.figures() for table in figure.tables))


def _in_prose(task: str) -> str:
    return {"nli": "natural language inference"}.get(task, task)


def _baseline(task: str) -> Figure:
    name = BASELINE_FIGURE.get(task, f"baseline_{task}")
    return Figure(
        name,
        "models.draw_baseline",
        ("rates_baseline",),
        f"Refusal rate for {_in_prose(task)} with and without a persona in the prompt, and the difference.",
        "Figure 1" if task == "offensiveness" else "",
        (("task", task),),
    )


def _format(task: str) -> Figure:
    name = FORMAT_FIGURES.get(task, f"format_{task}")
    return Figure(
        name,
        "levels.draw_format",
        ("rates_format", "separations"),
        f"Refusal rate for {_in_prose(task)} by model and response format.",
        {"offensiveness": "Figure 4", "nli": "Figure 10", "politeness": "Figure 11"}.get(task, ""),
        (("task", task),),
    )


def _cells(task: str) -> Figure:
    return Figure(
        CELL_FIGURES.get(task, f"personas_{task}"),
        "personas.draw_persona_cells",
        ("rates_task_model_persona", "separations"),
        f"Refusal rate for {_in_prose(task)} in every cell of model and persona.",
        {"nli": "Figure 7", "politeness": "Figure 8", "offensiveness": "Figure 9"}.get(task, ""),
        (("task", task),),
    )


TABLE1 = Figure(
    "table1_model_task",
    "models.draw_model_task",
    ("rates_model_task", "separations"),
    "Refusal rate under personas by model and task.",
    "Table 1",
)
PERSONA_MEAN = Figure(
    "figure02_persona_mean",
    "personas.draw_persona_mean",
    ("rates_persona", "separations"),
    "Mean refusal rate by persona, over models and tasks.",
    "Figure 2",
)
PERSONA_BY_MODEL = Figure(
    "figure03_persona_by_model",
    "personas.draw_persona_by_model",
    ("rates_model_persona", "separations"),
    "Refusal rate by model and persona, mean over the tasks.",
    "Figure 3",
)
IMPORTANCE = Figure(
    "figure05_importance",
    "importance.draw_importance",
    ("importance", "separations"),
    "Importance of each factor of the experiment for refusal.",
    "Figure 5",
)
REGRESSION = Figure(
    "figure06_regression",
    "regression.draw_regression",
    ("regression", "regression_firth"),
    "Logistic regression of refusal on model, task, persona and prompt.",
    "Figure 6 and Table 7",
)
IMPORTANCE_BY_MODEL = Figure(
    "importance_by_model",
    "importance.draw_importance_by_model",
    ("importance",),
    "Importance of the persona for refusal within each model.",
)
LABELLERS = Figure(
    "labellers", "levels.draw_labellers", ("labeller_rates",), "Refusal rate of the same responses under each labeller."
)
LABELLER_PERSONAS = Figure(
    "labeller_personas",
    "labelling.draw_labeller_personas",
    ("labeller_headline",),
    "Effect of each persona under each labeller.",
)
LABELLER_IMPORTANCE = Figure(
    "labeller_importance",
    "labelling.draw_labeller_importance",
    ("labeller_headline",),
    "Importance of each factor for refusal under each labeller.",
)
LABELLER_CLAIMS = Figure(
    "labeller_claims",
    "labelling.draw_labeller_claims",
    ("labeller_claims",),
    "Conclusions on the paper's claims under each labeller.",
)
NO_ANSWERS = Figure(
    "no_answers",
    "labelling.draw_no_answers",
    ("no_answers",),
    "How much of each model's refusal rate could be “No” as an answer to a yes/no question.",
)
SHRUNKEN_EFFECTS = Figure(
    "effects_shrunken",
    "models.draw_shrunken_effects",
    ("effects_shrunken",),
    "Raw and shrunken effects of every persona in every model.",
)
CORRECTED_MODELS = Figure(
    "corrected_models",
    "labelling.draw_corrected_models",
    ("corrected_rates",),
    "Refusal rates by model and task, before and after correction for the labeller's errors.",
)
CORRECTED_PERSONAS = Figure(
    "corrected_personas",
    "labelling.draw_corrected_personas",
    ("corrected_personas",),
    "Refusal rates by persona, before and after correction for the labeller's errors.",
)
LABELLER_RANGE = Figure(
    "labeller_range",
    "labelling.draw_labeller_range",
    ("rates_model_task", "labeller_range"),
    "Refusal rates by model and task, and how far they move if the labeller errs as it did on other responses.",
)
COMPARISON = Figure(
    "comparison",
    "comparison.draw_comparison",
    ("comparison",),
    "Estimates of this study compared with the paper's printed values.",
)
PLANTED_RATES = Figure(
    "planted_rates",
    "comparison.draw_planted_rates",
    ("planted_rates",),
    "Planted refusal rates of the stand-ins compared with their estimates.",
)
SEQUENTIAL = Figure(
    "sequential", "sequential.draw_sequential", ("interim_looks",), "Intervals and responses at each interim look."
)
CLAIMS = Figure("claims", "claims.draw_claims", ("claims",), "The paper's claims as tests.")
