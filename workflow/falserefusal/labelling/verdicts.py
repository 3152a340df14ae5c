"""Run labellers on responses and stack their verdicts into one frame."""

from collections.abc import Iterable

import pandas as pd

from falserefusal.common.files import validate
from falserefusal.common.schemas import VERDICTS
from falserefusal.common.verdicts import BLOCKED
from falserefusal.labelling.labeller import Labeller, verdict_frame
from falserefusal.labelling.unread import VERDICT_OF_UNREAD, unread


def label(responses: pd.DataFrame, labellers: Iterable[Labeller]) -> pd.DataFrame:
    """Return the verdict of every labeller on every response.

    Parameters
    ----------
    responses : DataFrame
        As `responses.with_questions` returns them. Labellers read those that have words; `unread` decides on the rest.
    labellers : iterable of Labeller
        Each with a name of its own.

    Returns
    -------
    DataFrame
        VERDICTS: prompt_id, labeller, verdict, category, choice, evidence, match (the phrase that a labeller of phrases
        finds, whatever the verdict); one row per labeller and response.
    """
    responses = responses.reset_index(drop=True)
    ended = unread(responses)
    same = verdict_frame([]).reindex(ended.index)
    same["category"], same["verdict"] = ended, ended.map(VERDICT_OF_UNREAD)
    same.loc[ended.eq(BLOCKED), "evidence"] = "[blocked by the provider]"
    read = responses[ended.isna()]
    frames = []
    for labeller in labellers:
        verdicts = same.copy()
        verdicts[ended.isna()] = labeller.label(read.reset_index(drop=True)).set_index(read.index)
        verdicts.insert(0, "prompt_id", responses["prompt_id"])
        verdicts.insert(1, "labeller", labeller.name)
        verdicts["match"] = pd.Series(labeller.matches(responses), index=responses.index, dtype="str")
        frames.append(verdicts)
    return validate(pd.concat(frames, ignore_index=True), VERDICTS, "verdicts")
