"""Which figures a study has, what each shows and which tables it needs; cheap to import, for a workflow to ask."""

from typing import NamedTuple

KINDS = ("published", "run", "rehearsal")
PAPER_TASKS = ("nli", "politeness", "offensiveness")
PERSONA_FREE_FIGURE = {"offensiveness": "figure01_persona_free"}
FORMAT_FIGURES = {"offensiveness": "figure04_format_offensiveness", "nli": "figure10_format_nli"}
FORMAT_FIGURES["politeness"] = "figure11_format_politeness"
CELL_FIGURES = {"nli": "figure07_nli", "politeness": "figure08_politeness", "offensiveness": "figure09_offensiveness"}


class Figure(NamedTuple):
    """One figure: its file name, `module.function` of this package that draws it, its tables, its caption.

    `options` are keyword arguments of the function; `counterpart` is the paper's figure it answers to, or empty.
    """

    name: str
    function: str
    tables: tuple[str, ...]
    caption: str
    counterpart: str = ""
    options: tuple[tuple[str, str], ...] = ()


def figures(
    kind: str,
    tasks: tuple[str, ...] = PAPER_TASKS,
    stopping: bool = False,
    labellers: bool = False,
    annotated: bool = False,
) -> list[Figure]:
    """The figures of a study, in the order of the page.

    `kind` is `published` (printed cells only), `run` (a study of real models) or `rehearsal` (a run on stand-ins,
    which also has a planted truth); `stopping` is true for a study in rounds, `labellers` for one with more than one
    labeller, `annotated` for one of whose answers people labelled a sample. The paper's tasks keep the paper's
    figure numbers, others are named by task. A figure in this list is always written: where its tables turn out to
    have no rows for it, it says so.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    unknown = [task for task in tasks if task not in PAPER_TASKS]
    numbered = [task for task in PAPER_TASKS if task in tasks]
    run = kind != "published"
    found = []
    if kind == "rehearsal":
        found.append(TRUTH)
    found += [TABLE1._replace(tables=(*TABLE1.tables, "corrected_rates")) if annotated else TABLE1]
    found += [_persona_free(task) for task in ["offensiveness"] if task in tasks]
    found += [PERSONA_MEAN, PERSONA_BY_MODEL]
    found += [_format(task) for task in ["offensiveness"] if task in tasks]
    found += [IMPORTANCE, IMPORTANCE_BY_MODEL, REGRESSION]
    found += [_cells(task) for task in [*numbered, *unknown]]
    found += [_format(task) for task in [*numbered, *unknown] if task != "offensiveness"]
    if run:
        found += [_persona_free(task) for task in [*numbered, *unknown] if task != "offensiveness"]
    found += [LABELLERS] if run else [NO_ANSWERS]
    if labellers:
        found += [LABELLER_PERSONAS, LABELLER_IMPORTANCE, LABELLER_CLAIMS]
    if annotated:
        found += [CORRECTED_MODELS, CORRECTED_PERSONAS]
    if run:
        found.append(COMPARISON)
    if stopping:
        found.append(STOPPING)
    return [*found, CLAIMS]


def figure_names(
    kind: str,
    tasks: tuple[str, ...] = PAPER_TASKS,
    stopping: bool = False,
    labellers: bool = False,
    annotated: bool = False,
) -> list[str]:
    """The file names (without ending) of `figures`."""
    return [figure.name for figure in figures(kind, tasks, stopping, labellers, annotated)]


def table_names(
    kind: str,
    tasks: tuple[str, ...] = PAPER_TASKS,
    stopping: bool = False,
    labellers: bool = False,
    annotated: bool = False,
) -> list[str]:
    """The tables that the study's figures are drawn from."""
    return list(
        dict.fromkeys(
            table for figure in figures(kind, tasks, stopping, labellers, annotated) for table in figure.tables
        )
    )


def _said(task: str) -> str:
    return {"nli": "natural language inference"}.get(task, task)


def _persona_free(task: str) -> Figure:
    name = PERSONA_FREE_FIGURE.get(task, f"persona_free_{task}")
    return Figure(
        name,
        "models.draw_persona_free",
        ("rates_persona_free",),
        f"Refusal rate for {_said(task)} with and without a persona in the prompt, and the difference.",
        "Figure 1" if task == "offensiveness" else "",
        (("task", task),),
    )


def _format(task: str) -> Figure:
    name = FORMAT_FIGURES.get(task, f"format_{task}")
    return Figure(
        name,
        "levels.draw_format",
        ("rates_format",),
        f"Refusal rate for {_said(task)} by model and response format.",
        {"offensiveness": "Figure 4", "nli": "Figure 10", "politeness": "Figure 11"}.get(task, ""),
        (("task", task),),
    )


def _cells(task: str) -> Figure:
    return Figure(
        CELL_FIGURES.get(task, f"personas_{task}"),
        "personas.draw_persona_cells",
        ("rates_task_model_persona",),
        f"Refusal rate for {_said(task)} in every cell of model and persona.",
        {"nli": "Figure 7", "politeness": "Figure 8", "offensiveness": "Figure 9"}.get(task, ""),
        (("task", task),),
    )


TABLE1 = Figure(
    "table1_model_task",
    "models.draw_model_task",
    ("rates_model_task",),
    "Refusal rate under personas by model and task.",
    "Table 1",
)
PERSONA_MEAN = Figure(
    "figure02_persona_mean",
    "personas.draw_persona_mean",
    ("rates_persona",),
    "Mean refusal rate by persona, over models and tasks.",
    "Figure 2",
)
PERSONA_BY_MODEL = Figure(
    "figure03_persona_by_model",
    "personas.draw_persona_by_model",
    ("rates_model_persona",),
    "Refusal rate by model and persona, mean over the tasks.",
    "Figure 3",
)
IMPORTANCE = Figure(
    "figure05_importance",
    "importance.draw_importance",
    ("importance",),
    "Sensitivity of refusal to each factor of the experiment.",
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
    "Sensitivity of refusal to the persona within each model.",
)
LABELLERS = Figure(
    "labellers", "levels.draw_labellers", ("labeller_rates",), "Refusal rate of the same answers under each labeller."
)
LABELLER_PERSONAS = Figure(
    "labeller_personas",
    "labelling.draw_labeller_personas",
    ("labeller_headline",),
    "What each persona changes under each labeller.",
)
LABELLER_IMPORTANCE = Figure(
    "labeller_importance",
    "labelling.draw_labeller_importance",
    ("labeller_headline",),
    "Sensitivity of refusal to each factor under each labeller.",
)
LABELLER_CLAIMS = Figure(
    "labeller_claims",
    "labelling.draw_labeller_claims",
    ("labeller_claims",),
    "Verdicts on the paper's claims under each labeller.",
)
NO_ANSWERS = Figure(
    "no_answers",
    "labelling.draw_no_answers",
    ("no_answers",),
    "How much of each model's refusal rate answers of “No” to a yes/no question could explain.",
)
CORRECTED_MODELS = Figure(
    "corrected_models",
    "labelling.draw_corrected_models",
    ("corrected_rates",),
    "Refusal rates by model and task as the labeller counts them, and corrected for its errors.",
)
CORRECTED_PERSONAS = Figure(
    "corrected_personas",
    "labelling.draw_corrected_personas",
    ("corrected_personas",),
    "Refusal rates by persona as the labeller counts them, and corrected for its errors.",
)
COMPARISON = Figure(
    "comparison", "comparison.draw_comparison", ("comparison",), "This study beside the paper's printed values."
)
TRUTH = Figure(
    "truth", "comparison.draw_truth", ("truth",), "Planted refusal rates of the stand-ins and their estimates."
)
STOPPING = Figure("stopping", "stopping.draw_stopping", ("trajectory",), "Intervals by round and calls spent.")
CLAIMS = Figure("claims", "claims.draw_claims", ("claims",), "The paper's claims as tests.")
