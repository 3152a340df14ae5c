"""Turn imported responses into the files that the stages after responses read: texts, design, prompts, responses."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.exchange.fields import NOT_GIVEN

SHOWN = 16  # hexadecimal digits of a hash


class Stages(NamedTuple):
    """The frames of a study, by the schemas DESIGN, TEXTS, PROMPTS and RESPONSES; verdicts have prompt_id, category."""

    design: pd.DataFrame
    texts: dict[str, pd.DataFrame]  # by task
    prompts: dict[str, pd.DataFrame]  # by task
    responses: dict[str, pd.DataFrame]  # by model
    verdicts: dict[str, pd.DataFrame]  # by model; empty where the files have none


def stages_of(frame: pd.DataFrame, formats: Mapping[str, str]) -> Stages:
    """Make the frames of all stages from responses alone.

    Parameters
    ----------
    frame
        As `levels.named` returns it.
    formats
        The format of each template.

    Notes
    -----
    A text is known by text_id, else by its words, else by prompt_id, else by the prompt: then each prompt is a text of
    its own. Without any of them, each response is. Every model has prompts of its own.
    """
    text = _text_key(frame)
    number = text.groupby(frame["task"]).transform(lambda keys: pd.factorize(keys)[0])
    row_id = frame["task"] + ":" + (number + 1).map("{:05d}".format)
    prompt = frame["prompt"].map(str) if "prompt" in frame else pd.Series("", index=frame.index)
    named = frame["prompt_id"] if "prompt_id" in frame else pd.Series("", index=frame.index)
    cell = [frame["model"], row_id, frame["template"], frame["persona"]]
    question = pd.Series(list(zip(*cell, prompt, named, strict=True)), index=frame.index)
    sample = frame["sample"] if "sample" in frame else pd.Series(0, index=frame.index)
    sample = sample.groupby(question).rank(method="first").astype("int64") - 1
    draw = question.groupby([frame["model"], row_id]).transform(lambda keys: pd.factorize(keys)[0])
    prompt_id = row_id + ":" + frame["template"] + ":" + frame["persona"] + ":" + frame["model"]
    again = prompt_id.groupby(prompt_id).cumcount()
    design = pd.DataFrame(
        {
            "prompt_id": prompt_id.mask(again > 0, prompt_id + "#" + (again + 1).astype(str)),
            "task": frame["task"],
            "row_id": row_id,
            "text_id": row_id,
            "persona": frame["persona"],
            "template": frame["template"],
            "format": frame["template"].map(formats),
            "draw": draw.mask(frame["persona"] == BASELINE, -1),
            "interim_look": 0,
            "block": row_id,
            "model": frame["model"],
            "sample": sample,
        }
    )
    words = frame["text"] if "text" in frame else _words_of_prompts(frame, row_id)
    texts = design[["row_id", "task", "text_id"]].assign(
        gold_label="-",
        text=words.mask(words.str.strip() == "", NOT_GIVEN),
        premise=None,
        hypothesis=None,
        source="imported",
    )
    texts = texts.drop_duplicates("row_id")
    prompts = design[["prompt_id", "sample"]].assign(messages=_messages(frame))
    of_task = {task: design["task"] == task for task in frame["task"].drop_duplicates()}
    return Stages(
        design.reset_index(drop=True),
        {task: texts[texts["task"] == task] for task in of_task},
        {task: prompts[mask] for task, mask in of_task.items()},
        *_by_model(frame.assign(prompt_id=design["prompt_id"])),
    )


def _text_key(frame: pd.DataFrame) -> pd.Series:
    for field in ("text_id", "text", "prompt_id", "prompt"):
        if field in frame:
            return frame[field].map(str)
    return frame["where"]


def _words_of_prompts(frame: pd.DataFrame, row_id: pd.Series) -> pd.Series:
    """What is known of each text from its prompt alone: the prompt, unless several prompts share the text."""
    if "prompt" not in frame:
        return pd.Series(NOT_GIVEN, index=frame.index)
    last = frame["prompt"].map(_last)
    return last.where(last.groupby(row_id).transform("nunique") == 1, NOT_GIVEN)


def _last(turns: Sequence[Mapping[str, str]]) -> str:
    return turns[-1]["content"] if turns else ""


def _messages(frame: pd.DataFrame) -> pd.Series:
    if "prompt" in frame:
        return frame["prompt"]
    texts = frame["text"] if "text" in frame else pd.Series(NOT_GIVEN, index=frame.index)
    return pd.Series([[{"role": "user", "content": text or NOT_GIVEN}] for text in texts], index=frame.index)


def _by_model(frame: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Responses and given verdicts of each model."""
    words = frame.get("response", NOT_GIVEN)
    rows = frame[["model", "prompt_id", "finish_reason"]].assign(
        response=words, prompt_tokens=0, new_tokens=0, thinking="", other_batch_response=None
    )
    rows["other_batch_finish_reason"] = None
    responses = {model: part.drop(columns="model") for model, part in rows.groupby("model", sort=False)}
    if "verdict" not in frame:
        return responses, {}
    given = frame.rename(columns={"verdict": "category"})
    parts = given.groupby("model", sort=False)
    return responses, {model: part[["prompt_id", "category"]] for model, part in parts}


def export_id(prompt_id: str, messages: Sequence[Mapping[str, str]]) -> str:
    """The id of a prompt outside the study, of 33 characters: a hash of its name, and a hash of what is asked."""
    turns = [(turn["role"], turn["content"]) for turn in messages]
    return f"{_hash(prompt_id)}-{_hash(repr(turns))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHOWN]


def responses_to(
    prompts: pd.DataFrame, design: pd.DataFrame, frame: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Join responses with the study's own prompts, by the id that `export_id` gave them.

    Parameters
    ----------
    prompts, design
        As PROMPTS and DESIGN declare them, of all tasks.
    frame
        As `levels.named` returns it.

    Returns
    -------
    Responses and verdicts by model.

    Raises
    ------
    InputError
        For responses to prompts that the study does not have, that have changed since their export, or that the model
        was not to be asked.
    """
    ids = [export_id(*pair) for pair in zip(prompts["prompt_id"], prompts["messages"], strict=True)]
    known = dict(zip(ids, prompts["prompt_id"], strict=True))
    now = {one.partition("-")[0]: prompt for one, prompt in known.items()}
    found = frame["prompt_id"].map(known)
    lost = frame[found.isna()]
    if len(lost):
        old = lost["prompt_id"].str.partition("-")[0].map(now)
        if old.notna().any():
            raise InputError(
                f"{lost['where'][old.notna()].iloc[0]}: prompt '{old.dropna().iloc[0]}' has changed since its export "
                f"({old.notna().sum()} of {len(frame)} responses); restore the config of the export, or export and ask "
                "again"
            )
        raise InputError(
            f"{lost['where'].iloc[0]}: no prompt of the study has prompt_id {lost['prompt_id'].iloc[0]!r} ({len(lost)} "
            f"of {len(frame)} responses); map prompt_id to the column of the ids that `snakemake export` wrote"
        )
    whose = found.map(design.set_index("prompt_id")["model"])
    other = ~whose.isin([ALL]) & (whose != frame["model"])
    if other.any():
        where, model = frame.loc[other, ["where", "model"]].iloc[0]
        raise InputError(
            f"{where}: the prompt is for {whose[other].iloc[0]}, but {model} responded ({other.sum()} such rows); give "
            "each model the exported file of its name, or set design.share_prompts: true and export again"
        )
    return _by_model(frame.assign(prompt_id=found))


def record_of(model: str, given: Mapping[str, Any], words: str, read: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a model's imported responses, in place of that of inference."""
    return {
        "model": model,
        "name": words,
        "backend": "imported",
        "imported": {"format": given["format"], "columns": given["columns"]},
        "batch_check": {"because": "its responses were made elsewhere"},
        "read": read,
    }
