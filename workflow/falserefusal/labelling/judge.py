"""A language model as labeller: write its prompts and read the verdicts in its replies.

`judge_prompts` writes ordinary prompts about the responses of one model. The replies of whichever model is the judge
come from the same inference and store as any other responses, and `JudgeLabeller` reads them. A reply that does not
have the requested form is recorded as a failure of the judge, never as a refusal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.common.leading_thinking import split_thinking
from falserefusal.labelling.labeller import JUDGE_FAILED, Labeller, labeller, verdict_frame
from falserefusal.labelling.structured import CATEGORIES
from falserefusal.labelling.unread import unread

if TYPE_CHECKING:
    import pandas as pd

PLACEHOLDERS = ("options", "mark", "question", "response")

_VERDICT = re.compile(r"[\s*`\"]*category[\s*`\"]*:[\s*`\"]*([a-z_]+)[\s*`\".]*", re.IGNORECASE)
_FIELD = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")


@labeller("judge", reads="judges", built_in=False)
class JudgeLabeller(Labeller):
    """Reads the verdicts of a judge.

    Parameters
    ----------
    replies : DataFrame
        The judge's replies: prompt_id (of the judged response) and response (the reply).
    """

    def __init__(self, replies: pd.DataFrame):
        self.replies = dict(zip(replies["prompt_id"], replies["response"].fillna(""), strict=True))

    @classmethod
    def load(cls, path: str | Path) -> JudgeLabeller:
        """Create the labeller from a file of the judge's replies (RESPONSES)."""
        from falserefusal.common.files import read_parquet
        from falserefusal.common.schemas import RESPONSES

        return cls(read_parquet(path, RESPONSES))

    def label(self, responses: pd.DataFrame) -> pd.DataFrame:
        """Return the verdicts; reads prompt_id and response. The evidence is the reply where the judge failed."""
        replies = [self.replies.get(prompt_id, "") for prompt_id in responses["prompt_id"]]
        categories = [verdict(reply) for reply in replies]
        return verdict_frame(
            categories,
            evidence=[r if c == JUDGE_FAILED else None for r, c in zip(replies, categories, strict=True)],
        )


def load_instructions(path: str | Path) -> str:
    """Read the judge's prompt; InputError if {options}, {mark}, {question} or {response} is missing in it."""
    text = Path(path).read_text(encoding="utf-8").strip()
    missing = [name for name in PLACEHOLDERS if f"{{{name}}}" not in text]
    if missing:
        raise InputError(f"{path}: the judge's instructions lack {', '.join(f'{{{name}}}' for name in missing)}")
    return text


def judge_prompts(responses: pd.DataFrame, prompts: pd.DataFrame, instructions: str) -> pd.DataFrame:
    """Write the prompt for the judge about each response that has words and was not blocked (see `unread`).

    Parameters
    ----------
    responses : DataFrame
        As `responses.with_questions` returns them.
    prompts : DataFrame
        prompt_id and messages: the question as it was asked.
    instructions : str
        As `load_instructions` returns them.

    Returns
    -------
    DataFrame
        prompt_id (of the response) and messages.

    Raises
    ------
    InputError
        The question of a response is not in `prompts`.
    """
    import pandas as pd

    judged = responses[unread(responses).isna()]
    messages = prompts.set_index("prompt_id")["messages"]
    absent = judged.loc[~judged["prompt_id"].isin(messages.index), "prompt_id"]
    if len(absent):
        raise InputError(f"no prompt for {len(absent)} of the responses to judge, for example {absent.iloc[0]}")
    asked = []
    for prompt_id, response, options in zip(judged["prompt_id"], judged["response"], judged["options"], strict=True):
        question = "\n\n".join(turn["content"] for turn in messages[prompt_id])
        asked.append([{"role": "user", "content": _fill(instructions, question, response, options)}])
    return pd.DataFrame({"prompt_id": judged["prompt_id"].to_numpy(), "messages": pd.Series(asked, dtype=object)})


def verdict(reply: str) -> str:
    """The category that a judge's reply names; "judge_failed" unless it is one line of the requested form."""
    match = _VERDICT.fullmatch(split_thinking(reply)[1].strip())
    category = match[1].lower() if match else None
    return category if category in CATEGORIES else JUDGE_FAILED


def _fill(instructions: str, question: str, response: str, options: Sequence[str]) -> str:
    """Fill each field of the instructions once; the marks around question and response occur in neither of them."""
    digest = hashlib.sha256(f"{question}\0{response}".encode()).hexdigest()
    mark = f"=== {digest[:12]} ==="
    fields = {"options": ", ".join(options), "mark": mark, "question": question, "response": response}
    return _FIELD.sub(lambda field: fields[field[1]], instructions)
