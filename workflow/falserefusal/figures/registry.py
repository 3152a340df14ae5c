"""List the figures of a study: file name, function that draws it, tables it needs, caption.

Importing this module is cheap (no pandas, no matplotlib), because the rules ask it at the start of every job.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from falserefusal.common import printed as quantities
from falserefusal.common.tasks import PAPER_TASKS

PAPER_WIDTHS = {"column": 3.03, "text": 6.3}  # inches: of a column and of the text of a two-column A4 paper
BOTH_WIDTHS = tuple(PAPER_WIDTHS)
KINDS = ("published", "run", "rehearsal", "imported")
BASELINE_FIGURE = {"offensiveness": "figure01_baseline"}
FORMAT_FIGURES = {"offensiveness": "figure04_format_offensiveness", "nli": "figure10_format_nli"}
FORMAT_FIGURES["politeness"] = "figure11_format_politeness"
CELL_FIGURES = {"nli": "figure07_nli", "politeness": "figure08_politeness", "offensiveness": "figure09_offensiveness"}


class Figure(NamedTuple):
    """One figure.

    `name` is its file name without ending, `function` the `module.function` of this package that draws it, with
    `options` as keyword arguments; `counterpart` is the figure of the paper that it corresponds to, or empty, and
    `quantity` what that figure shows. `paper` has the widths at which it is drawn for a paper.
    """

    name: str
    function: str
    tables: tuple[str, ...]
    caption: str
    counterpart: str = ""
    options: tuple[tuple[str, str], ...] = ()
    quantity: str = ""
    paper: tuple[str, ...] = ("text",)


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
    shrunken : whether the study has shrunken persona effects
    about_paper : whether the study is about the paper; if not, no figure is named after one of the paper's
    printed : the quantities of the paper that the study is compared with; only their figures have a counterpart
    left_out : tables that the study could have, and does not
    crossed : whether the study's personas cross attributes
    """

    kind: str
    tasks: tuple[str, ...] = tuple(PAPER_TASKS)
    sequential: bool = False
    several_labellers: bool = False
    annotated: bool = False
    shrunken: bool = False
    about_paper: bool = True
    printed: tuple[str, ...] = tuple(quantities.QUANTITIES)
    left_out: tuple[str, ...] = ()
    crossed: bool = False

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
        found += [_baseline(task, self.about_paper) for task in tasks if task == "offensiveness"]
        found += [PERSONA_MEAN, *([ATTRIBUTES, INTERACTIONS] if self.crossed else []), PERSONA_BY_MODEL]
        found += [_format(task, self.about_paper) for task in tasks if task == "offensiveness"]
        found += [IMPORTANCE, IMPORTANCE_BY_MODEL, REGRESSION]
        found += [_cells(task, self.about_paper) for task in tasks]
        found += [_format(task, self.about_paper) for task in tasks if task != "offensiveness"]
        if run:
            found += [_baseline(task, self.about_paper) for task in tasks if task != "offensiveness"]
        if self.shrunken:
            found.append(SHRUNKEN_EFFECTS)
        found += [LABELLERS] if run else [NO_ANSWERS]
        if self.several_labellers:
            found += [LABELLER_PERSONAS, LABELLER_IMPORTANCE, LABELLER_CLAIMS]
        found += [CORRECTED_MODELS, CORRECTED_PERSONAS] if self.annotated else [LABELLER_RANGE]
        if run and self.about_paper and set(self.printed) - {quantities.CLAIM}:
            found.append(REPRODUCTION)
        if self.sequential:
            found.append(SEQUENTIAL)
        found = [figure for figure in found if not set(figure.tables) & set(self.left_out)]
        return [self._named(figure) for figure in [*found, CLAIMS] if self.about_paper or figure not in OF_CLAIMS]

    def _named(self, figure: Figure) -> Figure:
        """The figure as this study has it: named after the paper's, and with a counterpart, only where it has one."""
        if not self.about_paper:
            figure = figure._replace(name=re.sub("^(figure|table)[0-9]+_", "", figure.name))
        return figure if figure.quantity in self.printed else figure._replace(counterpart="")

    def table_names(self) -> list[str]:
        """Return the names of the tables that the figures are drawn from, each once."""
        return list(dict.fromkeys(table for figure in self.figures() for table in figure.tables))


def _in_prose(task: str) -> str:
    return {"nli": "natural language inference"}.get(task, task)


def _baseline(task: str, about_paper: bool) -> Figure:
    name = (BASELINE_FIGURE if about_paper else {}).get(task, f"baseline_{task}")
    return Figure(
        name,
        "models.draw_baseline",
        ("rates_baseline",),
        f"Refusal rate for {_in_prose(task)} with and without a persona in the prompt, and the difference.",
        "Figure 1" if task == "offensiveness" else "",
        (("task", task),),
        quantities.BASELINE_RATE,
        BOTH_WIDTHS,
    )


def _format(task: str, about_paper: bool) -> Figure:
    name = (FORMAT_FIGURES if about_paper else {}).get(task, f"format_{task}")
    return Figure(
        name,
        "levels.draw_format",
        ("rates_format", "separations"),
        f"Refusal rate for {_in_prose(task)} by model and response format.",
        {"offensiveness": "Figure 4", "nli": "Figure 10", "politeness": "Figure 11"}.get(task, ""),
        (("task", task),),
        quantities.FORMAT,
        BOTH_WIDTHS,
    )


def _cells(task: str, about_paper: bool) -> Figure:
    return Figure(
        (CELL_FIGURES if about_paper else {}).get(task, f"personas_{task}"),
        "personas.draw_persona_cells",
        ("rates_task_model_persona", "separations"),
        f"Refusal rate for {_in_prose(task)} in every cell of model and persona.",
        {"nli": "Figure 7", "politeness": "Figure 8", "offensiveness": "Figure 9"}.get(task, ""),
        (("task", task),),
        quantities.CELL,
    )


TABLE1 = Figure(
    "table1_model_task",
    "models.draw_model_task",
    ("rates_model_task", "separations"),
    "Refusal rate under personas by model and task.",
    "Table 1",
    quantity=quantities.RATE,
)
PERSONA_MEAN = Figure(
    "figure02_persona_mean",
    "personas.draw_persona_mean",
    ("rates_persona", "separations"),
    "Mean refusal rate by persona, over models and tasks.",
    "Figure 2",
    quantity=quantities.PERSONA_MEAN,
    paper=BOTH_WIDTHS,
)
PERSONA_BY_MODEL = Figure(
    "figure03_persona_by_model",
    "personas.draw_persona_by_model",
    ("rates_model_persona", "separations"),
    "Refusal rate by model and persona, mean over the tasks.",
    "Figure 3",
    quantity=quantities.PERSONA_BY_MODEL,
)
ATTRIBUTES = Figure(
    "attributes",
    "attributes.draw_attributes",
    ("rates_attribute", "effects_attribute", "separations"),
    "Refusal rate and main effect of each level of each attribute, mean over models and tasks.",
)
INTERACTIONS = Figure(
    "attribute_interactions",
    "attributes.draw_interactions",
    ("effects_attribute", "rates_attribute", "separations"),
    "Refusal rate of each combination of levels, and how far it is from the sum of its main effects.",
)
IMPORTANCE = Figure(
    "figure05_importance",
    "importance.draw_importance",
    ("importance", "separations"),
    "Importance of each factor of the experiment for refusal.",
    "Figure 5",
    quantity=quantities.IMPORTANCE,
    paper=BOTH_WIDTHS,
)
REGRESSION = Figure(
    "figure06_regression",
    "regression.draw_regression",
    ("regression", "regression_firth"),
    "Logistic regression of refusal on model, task, persona and prompt.",
    "Figure 6 and Table 7",
    quantity=quantities.COEFFICIENT,
)
IMPORTANCE_BY_MODEL = Figure(
    "importance_by_model",
    "importance.draw_importance_by_model",
    ("importance",),
    "Importance of the persona for refusal within each model.",
    paper=("column",),
)
LABELLERS = Figure(
    "labellers", "levels.draw_labellers", ("labeller_rates",), "Refusal rate of the same responses under each labeller."
)
LABELLER_PERSONAS = Figure(
    "labeller_personas",
    "labelling.draw_labeller_personas",
    ("labeller_headline",),
    "Effect of each persona under each labeller.",
    paper=BOTH_WIDTHS,
)
LABELLER_IMPORTANCE = Figure(
    "labeller_importance",
    "labelling.draw_labeller_importance",
    ("labeller_headline",),
    "Importance of each factor for refusal under each labeller.",
    paper=BOTH_WIDTHS,
)
LABELLER_CLAIMS = Figure(
    "labeller_claims",
    "labelling.draw_labeller_claims",
    ("labeller_claims",),
    "Conclusions on the paper's claims under each labeller.",
    paper=(),
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
    paper=BOTH_WIDTHS,
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
    paper=BOTH_WIDTHS,
)
LABELLER_RANGE = Figure(
    "labeller_range",
    "labelling.draw_labeller_range",
    ("rates_model_task", "labeller_range"),
    "Refusal rates by model and task, and how far they move if the labeller errs as it did on other responses.",
)
REPRODUCTION = Figure(
    "reproduction",
    "comparison.draw_reproduction",
    ("reproduction",),
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
CLAIMS = Figure("claims", "claims.draw_claims", ("claims",), "The paper's claims as tests.", paper=BOTH_WIDTHS)
OF_CLAIMS = (CLAIMS, LABELLER_CLAIMS)
