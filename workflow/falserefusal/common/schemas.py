"""Schemas of all files that pass from one stage to another, and the words that stand for special levels."""

from typing import Any

import pandera.pandas as pa

from falserefusal.common.tasks import PAPER_TASKS

BASELINE = "baseline"  # the persona of a prompt without one; a word, because group-bys drop missing values
ALL = "*"  # a factor that was summed over
ANY_PERSONA = "any persona"  # all prompts with a persona together
TASKS = tuple(PAPER_TASKS)
FORMATS = ("unforced", "semi-forced", "forced")
REFERENCES = {"model": "Llama2-13B", "task": "nli", "persona": "atheist", "template": "p1"}  # of the paper's regression
# Categories of a response without a verdict: the model returned an error, or the judge no verdict. The column refusal
# is boolean, so it is False in these rows; every rate leaves them out, and the table `missing` counts them.
ERROR, JUDGE_FAILED = NOT_JUDGED = ("error", "judge_failed")
FINISH_REASONS = ("stop", "length", "decided", "content_filter", "recitation", "error")


def _text(**options: Any) -> pa.Column:
    return pa.Column(str, coerce=True, **options)


def _count(**options: Any) -> pa.Column:
    return pa.Column("int64", pa.Check.ge(0), coerce=True, **options)


def _words() -> pa.Column:
    return _text(checks=pa.Check.str_length(min_value=1))


PERSONAS = pa.DataFrameSchema(
    {
        "persona": _text(checks=pa.Check.notin([BASELINE, ANY_PERSONA, ALL]), unique=True),
        "group": _words(),
        "printed": _words(),
        "surface": _words(),
        "article": _text(checks=pa.Check.isin(["a", "an"])),
    },
    strict=True,
    name="personas",
)

TEMPLATES = pa.DataFrameSchema(
    {
        "task": _words(),
        "template": _words(),
        "phrasing": _count(),
        "format": _text(checks=pa.Check.isin(FORMATS)),
        "text": _text(checks=pa.Check.str_contains(r"\{persona\}")),
        "baseline_text": _text(checks=pa.Check.str_matches(r"^(?!.*\{persona\})")),
    },
    unique=["task", "template"],
    strict=True,
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
    },
    strict=True,
    name="design",
)

PROMPTS = pa.DataFrameSchema(
    {"prompt_id": _text(unique=True), "messages": pa.Column(object)},
    strict=True,
    name="prompts",
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
        "refusal": pa.Column(bool),
        "category": _text(),
        "choice": _text(nullable=True),
        "evidence": _text(nullable=True),
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
