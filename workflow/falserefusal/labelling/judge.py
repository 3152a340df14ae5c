"""A language model as labeller: its prompts go through the same inference and store as any other's.

`judge_prompts` writes an ordinary frame of prompts about the answers of one model; the answers to those, from
whichever model is the judge, are read by `judge_labeller`. A judge that fails to give a verdict in the form asked for
has failed: that is recorded as such and is never a refusal.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import JUDGE_FAILED
from falserefusal.labelling.responses import wordless
from falserefusal.labelling.structured import CATEGORIES, EMPTY, REFUSED

CHOICES = tuple(category for category in CATEGORIES if category != EMPTY)
PLACEHOLDERS = ("options", "mark", "question", "choice")

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_VERDICT = re.compile(r"[\s*`\"]*category[\s*`\"]*:[\s*`\"]*([a-z_]+)[\s*`\".]*", re.IGNORECASE)
_FIELD = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")


def load_instructions(path: str | Path) -> str:
    """The judge's prompt, with {options}, {mark}, {question} and {answer}; raises InputError if one is missing."""
    text = Path(path).read_text(encoding="utf-8").strip()
    missing = [name for name in PLACEHOLDERS if f"{{{name}}}" not in text]
    if missing:
        raise InputError(f"{path}: the judge's instructions lack {', '.join(f'{{{name}}}' for name in missing)}")
    return text


def judge_prompts(answers: pd.DataFrame, prompts: pd.DataFrame, instructions: str) -> pd.DataFrame:
    """What to ask a judge about each answer: prompt_id (that of the answer), messages.

    answers: as `answers.answers` returns them; prompts: prompt_id and messages, the question as it was asked. Answers
    without a word are not sent to a judge: `judge_labeller` calls them empty. Raises InputError if the question of an
    answer is not among the prompts.
    """
    said = answers[~wordless(answers)]
    messages = prompts.set_index("prompt_id")["messages"]
    absent = said.loc[~said["prompt_id"].isin(messages.index), "prompt_id"]
    if len(absent):
        raise InputError(f"no prompt for {len(absent)} of the answers to judge, {absent.iloc[0]} for one")
    asked = []
    for prompt_id, answer, options in zip(said["prompt_id"], said["response"], said["options"], strict=True):
        question = "\n\n".join(turn["content"] for turn in messages[prompt_id])
        asked.append([{"role": "user", "content": _fill(instructions, question, answer, options)}])
    return pd.DataFrame({"prompt_id": said["prompt_id"].to_numpy(), "messages": pd.Series(asked, dtype=object)})


def judge_labeller(replies: pd.DataFrame):
    """A labeller that reads a judge's verdicts; replies: prompt_id (that of the answer judged), response."""
    said = dict(zip(replies["prompt_id"], replies["response"].fillna(""), strict=True))

    def judge(answers: pd.DataFrame) -> pd.DataFrame:
        nothing_said = wordless(answers)
        categories = [
            EMPTY if nothing else verdict(said.get(prompt_id, ""))
            for prompt_id, nothing in zip(answers["prompt_id"], nothing_said, strict=True)
        ]
        failed = [category == JUDGE_FAILED for category in categories]
        return pd.DataFrame(
            {
                "refusal": [category.startswith(REFUSED) for category in categories],
                "category": categories,
                "choice": pd.Series([None] * len(answers), dtype="str"),
                "evidence": pd.Series(
                    [said.get(i, "") if bad else None for i, bad in zip(answers["prompt_id"], failed, strict=True)],
                    dtype="str",
                ),
            }
        )

    return judge


def verdict(reply: str) -> str:
    """The category that a judge's reply names; "judge_failed" unless it is just one line of the form asked for."""
    match = _VERDICT.fullmatch(_THOUGHT.sub("", reply).strip())
    category = match[1].lower() if match else None
    return category if category in CHOICES else JUDGE_FAILED


def _fill(instructions: str, question: str, answer: str, options: Sequence[str]) -> str:
    """Put question and answer in, each field once over the template only, between marks that neither can contain."""
    digest = hashlib.sha256(f"{question}\0{answer}".encode()).hexdigest()
    fields = {"options": ", ".join(options), "mark": f"=== {digest[:12]} ===", "question": question, "choice": answer}
    return _FIELD.sub(lambda field: fields[field[1]], instructions)
