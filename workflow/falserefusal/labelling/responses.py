"""Join responses with the questions they respond to: all that a labeller sees. The model is not among it."""

from collections.abc import Iterable, Iterator

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import PLACEHOLDER, asks_yes_no, with_article
from falserefusal.labelling.unread import without_thinking


def questions(
    design: pd.DataFrame,
    templates: pd.DataFrame,
    personas: pd.DataFrame,
    options: dict[str, list[str]],
    texts: Iterable[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Describe the question of each prompt of `design`.

    Parameters
    ----------
    design, templates, personas : DataFrame
        As DESIGN, TEMPLATES and PERSONAS declare them.
    options : dict
        For each task its options, in the order of the template's {label1}, {label2}, ...
    texts : iterable of DataFrame
        The classified texts, as TEXTS declares them; only labellers that read text need them.

    Returns
    -------
    DataFrame
        prompt_id, task, persona, surface (the persona's words in the prompt; "" for the baseline), template, format,
        yes_no (bool: whether it is a yes/no question), options (tuple of str), question (the filled
        text of the template) and text (the classified text; of NLI premise and hypothesis, in two lines).

    Raises
    ------
    InputError
        A task has no options, or a template or persona is unknown.
    """
    frame = design[["prompt_id", "task", "row_id", "persona", "template", "format"]].reset_index(drop=True)
    surfaces = {**dict(zip(personas["persona"], personas["surface"], strict=True)), BASELINE: ""}
    articles = {**dict(zip(personas["persona"], personas["article"], strict=True)), BASELINE: ""}
    wordings = templates.set_index(["task", "template"])
    with_persona, baseline = wordings["text"].to_dict(), wordings["baseline_text"].to_dict()
    _known(frame["task"], options, "task", "the config gives no options for it")
    _known(frame["persona"], surfaces, "persona", "it is not in the personas file")
    keys = list(zip(frame["task"], frame["template"], strict=True))
    _known(pd.Series(keys, dtype=object), with_persona, "template", "it is not in the templates file")
    frame["surface"] = frame["persona"].map(surfaces)
    asked = list(zip(keys, frame["persona"], strict=True))
    different = {one: (baseline if one[1] == BASELINE else with_persona)[one[0]] for one in dict.fromkeys(asked)}
    yes_no = {one: asks_yes_no(text) for one, text in different.items()}
    filled = {
        (key, persona): _filled(with_article(text, articles[persona]), surfaces[persona], options[key[0]])
        for (key, persona), text in different.items()
    }
    frame["yes_no"] = [yes_no[one] for one in asked]
    frame["options"] = frame["task"].map({task: tuple(words) for task, words in options.items()})
    frame["question"] = [filled[one] for one in asked]
    frame["text"] = frame.pop("row_id").map({row: text for one in texts for row, text in _texts(one)}).fillna("")
    return frame


def _texts(texts: pd.DataFrame) -> Iterator[tuple[str, str]]:
    parts = texts[["text", "premise", "hypothesis"]].fillna("").itertuples(index=False)
    return zip(texts["row_id"], ("\n".join(filter(None, row)) for row in parts), strict=True)


def _filled(template: str, surface: str, options: list[str]) -> str:
    words = {"persona": surface, **{f"label{number}": option for number, option in enumerate(options, 1)}}
    return PLACEHOLDER.sub(lambda place: words.get(place[1], ""), template)


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
