"""Render prompts exactly as the templates print them, with the text to be classified after the question.

A template or layout is filled in one pass over its own text, so braces inside a persona or a text stay as they are. The
result is a list of chat messages, never a string with special tokens; those are added by the model's chat template.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import PLACEHOLDER, system_turn, with_article


@dataclass(frozen=True)
class Wording:
    """How the prompts of a task are worded.

    Parameters
    ----------
    options : the words for {label1}, {label2}, ... in the templates.
    layout : what follows the question, with {text}, or {premise} and {hypothesis}.
    article : "printed" keeps the templates' "a" before every persona; "grammatical" writes the persona's article there.
    system : the study's system prompt, sent word for word. None: there is none.
    """

    options: Sequence[str]
    layout: str
    article: str
    system: str | None


def render(
    design: pd.DataFrame, texts: pd.DataFrame, personas: pd.DataFrame, templates: pd.DataFrame, wording: Wording
) -> pd.DataFrame:
    """Render the prompts of one task.

    Parameters
    ----------
    design : the study's design; rows of other tasks are ignored.
    texts : the texts of one task.
    personas : frame with persona, surface, article.
    templates : frame with task, template, text, baseline_text, system_text, baseline_system_text.
    wording : options, layout, article and system prompt of the task.

    Returns
    -------
    DataFrame with prompt_id, messages (a list of {role, content}), system_text (what the template adds to the system
    prompt) and sample (0 where the design has none), in the design's order.

    Raises
    ------
    InputError
        For a placeholder without a value, options that a template does not use, a text of the design that is not in
        `texts`, or a prompt without its persona or its text.
    """
    task = _only_task(texts)
    design = design[design["task"] == task]
    questions = _questions(personas, templates[templates["task"] == task], wording)
    follows, contents = bodies(texts, wording.layout)

    place = pd.Index(texts["row_id"]).get_indexer(design["row_id"])
    if (place < 0).any():
        missing = design["row_id"].iloc[int(np.argmax(place < 0))]
        raise InputError(f"prompts: the design uses '{missing}', which is not among the texts of task '{task}'")
    try:
        asked = [questions[pair] for pair in zip(design["template"], design["persona"], strict=True)]
    except KeyError as error:
        raise InputError(f"prompts: no template and persona {error} for task '{task}', which the design uses") from None
    systems = [one.system for one in asked]
    turns = [one.text + follows[i] for one, i in zip(asked, place, strict=True)]

    surface = dict(zip(personas["persona"], personas["surface"], strict=True)) | {BASELINE: ""}
    rows = zip(systems, turns, place, design["persona"], design["prompt_id"], strict=True)
    for system, turn, i, persona, prompt_id in rows:
        named = surface[persona] in turn or surface[persona] in system
        if not named or any(content not in turn for content in contents[i]):
            raise InputError(f"prompts: the persona or the text is missing in prompt '{prompt_id}': {turn!r}")

    messages = [
        [*system_turn(wording.system, system), {"role": "user", "content": turn}]
        for system, turn in zip(systems, turns, strict=True)
    ]
    prompts = pd.DataFrame({"prompt_id": design["prompt_id"].to_numpy()})
    prompts["messages"] = pd.Series(messages, dtype=object)
    return prompts.assign(system_text=systems, sample=design["sample"].to_numpy() if "sample" in design else 0)


def prompt_parts(
    texts: pd.DataFrame, personas: pd.DataFrame, templates: pd.DataFrame, wording: Wording
) -> tuple[np.ndarray, np.ndarray]:
    """What the prompts of one task are put together from, for counts without rendering them.

    Returns
    -------
    ndarray of str, shape (templates, personas + 1)
        What comes before the text, system prompt included; the baseline is last.
    ndarray of str, shape (texts,)
        What follows it.
    """
    own = templates[templates["task"] == _only_task(texts)]
    questions = _questions(personas, own, wording)
    before = []
    for template, persona in product(own["template"], [*personas["persona"], BASELINE]):
        system, text = questions[template, persona]
        before.append("\n".join([*(turn["content"] for turn in system_turn(wording.system, system)), text]))
    follows, _ = bodies(texts, wording.layout)
    return np.array(before, dtype=object).reshape(len(own), -1), np.array(follows, dtype=object)


def question_characters(personas: pd.DataFrame, templates: pd.DataFrame, wording: Wording) -> tuple[float, float]:
    """Mean characters of a prompt of one task without its text, for prompts with a persona and for baseline prompts."""
    questions = _questions(personas, templates, wording)
    fixed = len(PLACEHOLDER.sub("", wording.layout)) + len(wording.system or "")
    lengths = {key: len(question.system) + len(question.text) for key, question in questions.items()}
    baseline = [length for (_, persona), length in lengths.items() if persona == BASELINE]
    with_persona = [length for (_, persona), length in lengths.items() if persona != BASELINE]
    return float(np.mean(with_persona)) + fixed, float(np.mean(baseline)) + fixed


def _only_task(texts: pd.DataFrame) -> str:
    tasks = texts["task"].unique()
    if len(tasks) != 1:
        raise InputError(f"prompts: expected the texts of one task, got {', '.join(tasks) or 'none'}")
    return tasks[0]


class _Question(NamedTuple):
    """What follows the system prompt, and the question; the text is part of neither."""

    system: str
    text: str


def _questions(personas: pd.DataFrame, templates: pd.DataFrame, wording: Wording) -> dict[tuple[str, str], _Question]:
    """Fill in the question of each (template, persona), baseline included."""
    words = {f"label{i}": option for i, option in enumerate(wording.options, start=1)}
    questions = {}
    for row in templates.itertuples():
        where = f"template '{row.template}' of task '{row.task}'"
        for persona in personas.itertuples():
            parts = (row.system_text, row.text)
            system, text = (with_article(part, persona.article, wording.article == "grammatical") for part in parts)
            known = words | {"persona": persona.surface}
            must = known if "{persona}" not in system or "{persona}" in text else words
            questions[row.template, persona.persona] = _Question(
                _fill_some(system, known, f"system_text of {where}"), _fill(text, must, where)
            )
        questions[row.template, BASELINE] = _Question(
            _fill_some(row.baseline_system_text, words, f"baseline_system_text of {where}"),
            _fill(row.baseline_text, words, f"baseline {where}"),
        )
    return questions


def _fill(text: str, words: dict[str, str], where: str) -> str:
    """Fill the placeholders in one pass; every word must be used and every placeholder must have a word."""
    used = set(PLACEHOLDER.findall(text))
    if used != set(words):
        found, expected = ", ".join(sorted(used)) or "nothing", ", ".join(sorted(words)) or "nothing"
        raise InputError(f"prompts: {where} has placeholders for {found}, but must have them for {expected}")
    return PLACEHOLDER.sub(_lookup(words), text)


def _fill_some(text: str, words: dict[str, str], where: str) -> str:
    """Fill the placeholders in one pass; every placeholder must have a word."""
    if unknown := sorted(set(PLACEHOLDER.findall(text)) - set(words)):
        may = ", ".join(f"{{{word}}}" for word in sorted(words))
        raise InputError(f"prompts: {where} has {{{unknown[0]}}}, which nothing fills there; it may have {may}")
    return PLACEHOLDER.sub(_lookup(words), text)


def _lookup(words: dict[str, str]) -> Callable[[re.Match], str]:
    return lambda match: words[match[1]]


def bodies(texts: pd.DataFrame, layout: str) -> tuple[list[str], list[tuple[str, ...]]]:
    """Fill in what follows the question for each text; also returns the parts of each text."""
    pair = texts["text"].isna().all()
    fields = ["premise", "hypothesis"] if pair else ["text"]
    for field in fields:
        empty = texts[field].isna() | (texts[field].str.strip() == "")
        if empty.any():
            raise InputError(f"prompts: text '{texts['row_id'][empty].iloc[0]}' has an empty {field}")
    contents = list(zip(*(texts[field] for field in fields), strict=True))
    return [_fill(layout, dict(zip(fields, content, strict=True)), "the layout") for content in contents], contents
