"""Run labellers on responses and stack their verdicts into one frame."""

from collections.abc import Iterable

import pandas as pd

from falserefusal.common.files import validate
from falserefusal.common.schemas import ERROR, VERDICTS
from falserefusal.labelling.labeller import Labeller


def label(responses: pd.DataFrame, labellers: Iterable[Labeller]) -> pd.DataFrame:
    """Return the verdict of every labeller on every response.

    Parameters
    ----------
    responses : DataFrame
        As `responses.with_questions` returns them. A response with the finish reason "error" (there was none) gets the
        category "error" from every labeller.
    labellers : iterable of Labeller
        Each with a name of its own.

    Returns
    -------
    DataFrame
        VERDICTS: prompt_id, labeller, refusal, category, choice, evidence; one row per labeller and response.
    """
    responses = responses.reset_index(drop=True)
    failed = responses["finish_reason"].eq("error")
    frames = []
    for labeller in labellers:
        verdicts = labeller.label(responses).reset_index(drop=True)
        verdicts.loc[failed, "refusal"] = False
        verdicts.loc[failed, "category"] = ERROR
        verdicts.loc[failed, ["choice", "evidence"]] = None
        verdicts.insert(0, "prompt_id", responses["prompt_id"])
        verdicts.insert(1, "labeller", labeller.name)
        frames.append(verdicts)
    return validate(pd.concat(frames, ignore_index=True), VERDICTS, "verdicts")
