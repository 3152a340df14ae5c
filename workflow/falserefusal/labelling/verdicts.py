"""Run labellers over answers and stack their verdicts into one frame."""

from collections.abc import Callable, Mapping

import pandas as pd

from falserefusal.common.files import validate
from falserefusal.common.schemas import ERROR, VERDICTS

Labeller = Callable[[pd.DataFrame], pd.DataFrame]


def label(answers: pd.DataFrame, labellers: Mapping[str, Labeller]) -> pd.DataFrame:
    """One row for each answer and labeller: prompt_id, labeller, refusal, category, answer, evidence.

    answers: what `answers.answers` returns. An answer that was never given (finish_reason "error") has the category
    "error" under every labeller.
    """
    answers = answers.reset_index(drop=True)
    failed = answers["finish_reason"].eq("error")
    frames = []
    for name, labeller in labellers.items():
        judged = labeller(answers).reset_index(drop=True)
        judged.loc[failed, "refusal"] = False
        judged.loc[failed, "category"] = ERROR
        judged.loc[failed, ["choice", "evidence"]] = None
        judged.insert(0, "prompt_id", answers["prompt_id"])
        judged.insert(1, "labeller", name)
        frames.append(judged)
    return validate(pd.concat(frames, ignore_index=True), VERDICTS, "verdicts")
