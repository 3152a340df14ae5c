"""What a labeller sees of an answer: its text and the question that was put, never the model that gave it."""

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no


def questions(
    design: pd.DataFrame, templates: pd.DataFrame, personas: pd.DataFrame, options: dict[str, list[str]]
) -> pd.DataFrame:
    """One row for each prompt of `design`, with all that labellers may know about it.

    options: for each task its label words, in the order of the template's {label1}, {label2}, ...
    Columns: prompt_id, task, persona, surface (the persona's words in the prompt; "" without a persona), template,
    format, yes_no (bool), options (tuple of str). Raises InputError for a task without options, an unknown template or
    an unknown persona.
    """
    frame = design[["prompt_id", "task", "persona", "template", "format"]].reset_index(drop=True)
    surfaces = {**dict(zip(personas["persona"], personas["surface"], strict=True)), BASELINE: ""}
    with_persona = templates.set_index(["task", "template"])["text"].map(asks_yes_no).to_dict()
    baseline = templates.set_index(["task", "template"])["baseline_text"].map(asks_yes_no).to_dict()
    _known(frame["task"], options, "task", "no label words are given for it in the config")
    _known(frame["persona"], surfaces, "persona", "the file of personas does not have it")
    keys = list(zip(frame["task"], frame["template"], strict=True))
    _known(pd.Series(keys, dtype=object), with_persona, "template", "the file of templates does not have it")
    frame["surface"] = frame["persona"].map(surfaces)
    frame["yes_no"] = [
        (baseline if persona == BASELINE else with_persona)[key]
        for key, persona in zip(keys, frame["persona"], strict=True)
    ]
    frame["options"] = frame["task"].map({task: tuple(words) for task, words in options.items()})
    return frame


def _known(values: pd.Series, known, what: str, why: str) -> None:
    unknown = sorted({str(value) for value in values.drop_duplicates() if value not in known})
    if unknown:
        raise InputError(f"the design has the {what} {', '.join(unknown)}, but {why}")


def answers(responses: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Responses of one model joined with `questions`, in the order of the responses.

    Raises InputError if a response belongs to no prompt of the design.
    """
    stray = ~responses["prompt_id"].isin(asked["prompt_id"])
    if stray.any():
        example = responses.loc[stray, "prompt_id"].iloc[0]
        raise InputError(
            f"{stray.sum()} of {len(responses)} responses belong to no prompt of the design, {example} for one; "
            "the responses were made for another design: run the inference again"
        )
    return responses[["prompt_id", "response", "finish_reason"]].merge(asked, on="prompt_id", how="left")


def wordless(answers: pd.DataFrame) -> np.ndarray:
    """Which answers hold not one letter or digit."""
    return ~answers["response"].fillna("").str.contains(r"[^\W_]", regex=True).to_numpy(bool)
