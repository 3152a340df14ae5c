"""Schemas of all files that pass from one stage to another, and the words that stand for special levels."""

from typing import Any

import pandera.pandas as pa

from falserefusal.common.tasks import PAPER_TASKS
from falserefusal.common.verdicts import VERDICT_KINDS

BASELINE = "baseline"  # the persona of a prompt without one; a word, because group-bys drop missing values
ALL = "*"  # a factor that was summed over
ANY_PERSONA = "any persona"  # all prompts with a persona together
TASKS = tuple(PAPER_TASKS)
FORMATS = ("unforced", "semi-forced", "forced")
REFERENCES = {"model": "Llama2-13B", "task": "nli", "persona": "atheist", "template": "p1"}  # of the paper's regression
FINISH_REASONS = ("stop", "length", "decided", "content_filter", "recitation", "error")


def _text(**options: Any) -> pa.Column:
    return pa.Column(str, coerce=True, **options)


def _count(**options: Any) -> pa.Column:
    return pa.Column("int64", pa.Check.ge(0), coerce=True, **options)


def _words() -> pa.Column:
    return _text(checks=pa.Check.str_length(min_value=1, error="is empty"))


def _one_of(words: tuple[str, ...]) -> pa.Check:
    return pa.Check.isin(words, error=f"is not one of {', '.join(words)}")


def _not_reserved(*words: str) -> pa.Check:
    return pa.Check.notin(words, error="is a word that the workflow uses itself; choose another")


PERSONAS = pa.DataFrameSchema(
    {
        "persona": _text(checks=_not_reserved(BASELINE, ANY_PERSONA, ALL), unique=True),
        "group": _words(),
        "printed": _words(),
        "surface": _words(),
        "article": _text(),
    },
    strict=True,
    name="personas",
)

_NO_PERSONA = pa.Check.str_matches(
    r"(?s)^(?!.*\{(?:persona|[Aa]rticle)\})", error="has {persona} or its {article}, but is for prompts without one"
)
TEMPLATES = pa.DataFrameSchema(
    {
        "task": _words(),
        "template": _text(checks=_not_reserved(ALL)),
        "phrasing": _count(),
        "format": _text(checks=_one_of(FORMATS)),
        "text": _words(),
        "baseline_text": _text(checks=_NO_PERSONA),
        "system_text": _text(default=""),
        "baseline_system_text": _text(default="", checks=_NO_PERSONA),
    },
    unique=["task", "template"],
    strict=True,
    add_missing_columns=True,
    name="templates",
)


TEXTS = pa.DataFrameSchema(
    {
        "row_id": _text(unique=True),
        "task": _text(),
        "gold_label": _text(),
        "text_id": _text(),
        "text": _text(nullable=True),
        "premise": _text(nullable=True),
        "hypothesis": _text(nullable=True),
        "source": _text(),
    },
    strict=True,
    name="texts",
)

DESIGN = pa.DataFrameSchema(
    {
        "prompt_id": _text(unique=True),
        "task": _text(),
        "row_id": _text(),
        "text_id": _text(),
        "persona": _text(),
        "template": _text(),
        "format": _text(checks=pa.Check.isin(FORMATS)),
        "draw": pa.Column("int64", pa.Check.ge(-1), coerce=True),
        "interim_look": _count(),
        "block": _text(),
        "model": _text(),
        "sample": _count(default=0),
    },
    strict=True,
    add_missing_columns=True,
    name="design",
)

PROMPTS = pa.DataFrameSchema(
    {
        "prompt_id": _text(unique=True),
        "messages": pa.Column(object),
        "system_text": _text(default=""),  # what the template adds to the system prompt; part of messages
        "sample": _count(default=0),
    },
    strict=True,
    add_missing_columns=True,
    name="prompts",
)

LABELLER_ACCURACY = pa.DataFrameSchema(
    {
        "labeller": _words(),
        "language": _words(),
        "set": _words(),
        "model": _words(),
        "responses": _count(),
        "refusals": _count(),
        "sensitivity": pa.Column(float, pa.Check.in_range(0, 1), nullable=True, coerce=True),
        "specificity": pa.Column(float, pa.Check.in_range(0, 1), nullable=True, coerce=True),
        "developed": _words(),
        "source": _words(),
    },
    unique=["labeller", "set", "model"],
    strict=True,
    name="labeller accuracy",
)

RESPONSES = pa.DataFrameSchema(
    {
        "prompt_id": _text(unique=True),
        "response": _text(),
        "finish_reason": _text(checks=pa.Check.isin(FINISH_REASONS)),
        "prompt_tokens": _count(),
        "new_tokens": _count(),
        "thinking": _text(default=""),
        # of the batch check: what the model wrote in another batch; null where it was not asked again
        "other_batch_response": _text(nullable=True),
        "other_batch_finish_reason": _text(checks=pa.Check.isin(FINISH_REASONS), nullable=True),
    },
    strict=True,
    add_missing_columns=True,
    name="responses",
)

VERDICTS = pa.DataFrameSchema(
    {
        "prompt_id": _text(),
        "labeller": _text(),
        "verdict": _text(checks=pa.Check.isin(VERDICT_KINDS)),
        "category": _words(),
        "choice": _text(nullable=True),
        "evidence": _text(nullable=True),
        "match": _text(nullable=True, required=False),
    },
    unique=["prompt_id", "labeller"],
    strict=True,
    name="verdicts",
)

OUTCOME_LEVELS = ["model", "task", "row_id", "text_id", "block", "persona", "template", "format"]
OUTCOMES = pa.DataFrameSchema(
    {
        **{level: pa.Column("category") for level in OUTCOME_LEVELS},
        "draw": pa.Column("int16"),
        "sample": pa.Column("category", required=False),  # absent: every prompt has one
        "interim_look": pa.Column("int16"),
        "labeller": pa.Column("category"),
        "refusal": pa.Column(bool),
    },
    strict=True,
    name="outcomes",
)

CELL_LEVELS = ["model", "task", "persona", "template", "format", "labeller"]
CELLS = pa.DataFrameSchema(
    {
        **{level: _text() for level in CELL_LEVELS},
        "n": pa.Column("int64", pa.Check.gt(0), coerce=True),
        "refusals": _count(),
    },
    checks=pa.Check(lambda cells: cells["refusals"] <= cells["n"], name="refusals_at_most_n"),
    unique=CELL_LEVELS,
    strict=True,
    name="cells",
)
