"""Join responses with the questions they respond to: all that a labeller sees. The model is not among it."""

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no
from falserefusal.labelling.unread import without_thinking


def questions(
    design: pd.DataFrame, templates: pd.DataFrame, personas: pd.DataFrame, options: dict[str, list[str]]
) -> pd.DataFrame:
    """Describe the question of each prompt of `design`.

    Parameters
    ----------
    design, templates, personas : DataFrame
        As DESIGN, TEMPLATES and PERSONAS declare them.
    options : dict
        For each task its options, in the order of the template's {label1}, {label2}, ...

    Returns
    -------
    DataFrame
        prompt_id, task, persona, surface (the persona's words in the prompt; "" for the baseline), template, format,
        yes_no (bool: whether it is a yes/no question) and options (tuple of str).

    Raises
    ------
    InputError
        A task has no options, or a template or persona is unknown.
    """
    frame = design[["prompt_id", "task", "persona", "template", "format"]].reset_index(drop=True)
    surfaces = {**dict(zip(personas["persona"], personas["surface"], strict=True)), BASELINE: ""}
    with_persona = templates.set_index(["task", "template"])["text"].map(asks_yes_no).to_dict()
    baseline = templates.set_index(["task", "template"])["baseline_text"].map(asks_yes_no).to_dict()
    _known(frame["task"], options, "task", "the config gives no options for it")
    _known(frame["persona"], surfaces, "persona", "it is not in the personas file")
    keys = list(zip(frame["task"], frame["template"], strict=True))
    _known(pd.Series(keys, dtype=object), with_persona, "template", "it is not in the templates file")
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


def with_questions(responses: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Join the responses of one model with their questions, in the order of the responses.

    Parameters
    ----------
    responses : DataFrame
        As RESPONSES declares them.
    asked : DataFrame
        As `questions` returns them.

    Raises
    ------
    InputError
        The prompt of a response is not in the design.
    """
    stray = ~responses["prompt_id"].isin(asked["prompt_id"])
    if stray.any():
        example = responses.loc[stray, "prompt_id"].iloc[0]
        raise InputError(
            f"{stray.sum()} of {len(responses)} responses are to prompts that the design does not have, such as "
            f"{example}; they were made for another design: run the inference again"
        )
    read = responses[["prompt_id", "response", "finish_reason", "thinking"]]
    return without_thinking(read).merge(asked, on="prompt_id", how="left")
