"""A language model as labeller: write its prompts and read the verdicts in its replies.

`judge_prompts` writes ordinary prompts about the responses of one model. The replies of whichever model is the judge
come from the same inference and store as any other responses, and `JudgeLabeller` reads them. `judge_prompt` has the
text of the prompts and the form of a reply. A reply that does not have this form is recorded as a failure of the judge,
never as a refusal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.labelling.judge_prompt import JudgePrompt, load_judge_prompt
from falserefusal.labelling.labeller import JUDGE_FAILED, Labeller, labeller, verdict_frame
from falserefusal.labelling.unread import unread

if TYPE_CHECKING:
    import pandas as pd

OWN_PROMPT = "config/labelling/judge.txt"


@labeller("judge", reads="judges", built_in=False)
class JudgeLabeller(Labeller):
    """Reads the verdicts of a judge.

    Parameters
    ----------
    replies : DataFrame
        The judge's replies: prompt_id (of the judged response) and response (the reply).
    prompt : JudgePrompt
        The prompt that it replied to.
    """

    def __init__(self, replies: pd.DataFrame, prompt: JudgePrompt):
        self.replies = dict(zip(replies["prompt_id"], replies["response"].fillna(""), strict=True))
        self.prompt = prompt

    @classmethod
    def load(cls, path: str | Path, prompt: str | Path = OWN_PROMPT) -> JudgeLabeller:
        """Create the labeller from a file of the judge's replies (RESPONSES), and the file of its prompt."""
        from falserefusal.common.files import read_parquet
        from falserefusal.common.schemas import RESPONSES

        return cls(read_parquet(path, RESPONSES), load_judge_prompt(prompt))

    def label(self, responses: pd.DataFrame) -> pd.DataFrame:
        """Return the verdicts; reads prompt_id and response. The evidence is the reply where the judge failed."""
        replies = [self.replies.get(prompt_id, "") for prompt_id in responses["prompt_id"]]
        categories = [self.prompt.category(reply) for reply in replies]
        return verdict_frame(
            categories,
            evidence=[r if c == JUDGE_FAILED else None for r, c in zip(replies, categories, strict=True)],
        )


def judge_prompts(responses: pd.DataFrame, prompts: pd.DataFrame, prompt: JudgePrompt) -> pd.DataFrame:
    """Write the prompt for the judge about each response that has words and was not blocked (see `unread`).

    Parameters
    ----------
    responses : DataFrame
        As `responses.with_questions` returns them.
    prompts : DataFrame
        prompt_id and messages: the question as it was asked.
    prompt : JudgePrompt
        What the judge is asked.

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
        asked.append(prompt.messages(question, response, options))
    return pd.DataFrame({"prompt_id": judged["prompt_id"].to_numpy(), "messages": pd.Series(asked, dtype=object)})
