"""Read files of responses into one tidy frame, whatever their format, and check it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.exchange.fields import FIELDS, REASONS, VERDICT_WORDS
from falserefusal.exchange.formats import read_file

ALONE = ("model", "task", "persona", "template", "sample", "verdict", "finish_reason")  # they name no prompt


def read_responses(given: Mapping[str, Any], root: Path = Path()) -> pd.DataFrame:
    """Read the files of responses that a config names.

    Parameters
    ----------
    given
        The part `responses` of the config, as plain data.
    root
        The folder that its paths start from.

    Returns
    -------
    DataFrame
        A row per response with the columns of FIELDS that the files have, each of text (prompt may be a list of chat
        turns; verdict is a category; sample counts from 0; persona is "baseline" for none), and `where`: file and row.

    Raises
    ------
    InputError
        For whatever a file lacks, or has twice or in the wrong words; one line for the first mistake.
    """
    columns, kind, alone = given["columns"], given["format"], given["prompts"] is None
    parts = [_fields(read_file(root / path, kind), columns, path, all_here=alone) for path in given["paths"]]
    _same_fields(parts, given["paths"])
    frame = pd.concat(parts, ignore_index=True)
    if not alone:
        frame = _with_prompts(frame, given, root)
    if given["model"]:
        frame["model"] = frame["model"].fillna(given["model"]) if "model" in frame else given["model"]
    shown = f"responses.columns: {', '.join(given['paths'])}"
    if "model" not in frame:
        raise InputError(f"{shown}: no column with the model; name it ({{model: ...}}), or set responses.model")
    if not {"response", "verdict"} & set(frame):
        raise InputError(f"{shown}: no column with responses or verdicts; name it, such as {{response: output}}")
    _filled(frame, "model")
    frame = _in_our_words(frame, given)
    _once(frame)
    return frame


def _fields(frame: pd.DataFrame, columns: Mapping[str, str], path: str, all_here: bool) -> pd.DataFrame:
    """The fields of one file; `all_here`: whether it must have every column that the config names."""
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise InputError(f"{path}: two columns are called '{repeated[0]}'; rename one")
    for field, column in columns.items():
        if column not in frame and all_here:
            raise InputError(f"responses.columns.{field}: {path} has no column '{column}'; it has {', '.join(frame)}")
    found = {field: frame[column] for field in FIELDS if (column := columns.get(field, field)) in frame}
    return pd.DataFrame(found).assign(where=[f"{path}: row {number}" for number in range(1, len(frame) + 1)])


def _same_fields(parts: list[pd.DataFrame], paths: list[str]) -> None:
    """Raise InputError where a field is in one file and not in another: files of different versions."""
    for part, path in zip(parts[1:], paths[1:], strict=True):
        if odd := sorted(set(part) ^ set(parts[0])):
            here, there = (path, paths[0]) if odd[0] in part else (paths[0], path)
            raise InputError(
                f"{there}: no column for '{odd[0]}', but {here} has one; all files need the same columns: add the "
                "column, or import the files as two studies"
            )


def _with_prompts(frame: pd.DataFrame, given: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """Add what the further table says about each prompt."""
    path = given["prompts"]
    table = _fields(read_file(root / path), given["columns"], path, all_here=False).drop(columns="where")
    for name, one in ((path, table), (given["paths"][0], frame)):
        if "prompt_id" not in one:
            raise InputError(f"{name}: no column prompt_id, which responses.prompts needs; add or map it")
    twice = table["prompt_id"].duplicated()
    if twice.any():
        raise InputError(f"{path}: prompt_id {table['prompt_id'][twice].iloc[0]!r} is in two rows; keep one of them")
    unknown = ~frame["prompt_id"].isin(table["prompt_id"])
    if unknown.any():
        example = frame["prompt_id"][unknown].iloc[0]
        raise InputError(f"{path}: no row for {unknown.sum()} of {len(frame)} responses, such as prompt_id {example!r}")
    if lost := [field for field in given["columns"] if field not in frame and field not in table]:
        column = given["columns"][lost[0]]
        raise InputError(f"responses.columns.{lost[0]}: neither {given['paths'][0]} nor {path} has a column '{column}'")
    own = [column for column in table if column == "prompt_id" or column not in frame]
    return frame.merge(table[own], on="prompt_id", how="left")


def _filled(frame: pd.DataFrame, field: str) -> None:
    empty = frame[field].isna() | (frame[field].astype(str).str.strip() == "")
    if empty.any():
        raise InputError(f"{frame['where'][empty].iloc[0]}: {field} is empty ({empty.sum()} such rows); fill it in")


def _in_our_words(frame: pd.DataFrame, given: Mapping[str, Any]) -> pd.DataFrame:
    """Text for every field, and our own words for verdicts, personas, reasons and samples."""
    plain = [field for field in FIELDS if field in frame and field not in ("prompt", "sample")]
    frame = frame.assign(**{field: frame[field].map(_text) for field in plain})
    if "persona" in frame:
        none = frame["persona"].str.strip().isin(["", BASELINE, given["baseline"] or ""])
        frame["persona"] = frame["persona"].str.strip().mask(none, BASELINE)
    if "verdict" in frame:
        frame["verdict"] = _verdicts(frame, given["verdicts"])
    if "sample" in frame:
        frame["sample"] = _samples(frame)
    if "prompt" in frame:
        frame["prompt"] = [_turns(prompt, where) for prompt, where in zip(frame["prompt"], frame["where"], strict=True)]
    reasons = frame["finish_reason"] if "finish_reason" in frame else pd.Series("stop", index=frame.index)
    frame["finish_reason"] = [REASONS.get(word.lower(), "stop") for word in reasons]
    return frame


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _verdicts(frame: pd.DataFrame, own: Mapping[str, str]) -> pd.Series:
    words = frame["verdict"].str.strip()
    known = {**VERDICT_WORDS, **{word.lower(): category for word, category in own.items()}, "": "no_verdict"}
    found = words.str.lower().map(known)
    if found.isna().any():
        unknown = words[found.isna()]
        some = ", ".join(map(repr, unknown.drop_duplicates().head(5)))
        raise InputError(
            f"{frame['where'][found.isna()].iloc[0]}: unknown verdict {some} in {len(unknown)} rows; map each to a "
            f"category, such as responses: {{verdicts: {{{unknown.iloc[0]}: refused}}}}"
        )
    return found


def _samples(frame: pd.DataFrame) -> pd.Series:
    numbers = pd.to_numeric(frame["sample"], errors="coerce")
    wrong = numbers.isna() | (numbers % 1 != 0) | (numbers < 0)
    if wrong.any():
        where, value = frame.loc[wrong, ["where", "sample"]].iloc[0]
        raise InputError(f"{where}: sample must be a whole number from 0, not {value!r}")
    return numbers.astype("int64")


def _turns(prompt: Any, where: str) -> list[dict[str, str]]:
    """A prompt as chat turns."""
    if prompt is None or isinstance(prompt, str | int | float):
        return [{"role": "user", "content": _text(prompt)}]
    try:
        return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in prompt]
    except (TypeError, KeyError):
        raise InputError(
            f"{where}: prompt is neither text nor a list of turns such as [{{'role': 'user', 'content': '...'}}]"
        ) from None


def _once(frame: pd.DataFrame) -> None:
    """Raise InputError for two responses of one model to one prompt that no sample number tells apart."""
    fields = [field for field in FIELDS if field in frame and field not in ("response", "verdict", "finish_reason")]
    if not set(fields) - set(ALONE):
        return  # nothing names a prompt, so every row is one of its own
    key = pd.Series(list(zip(*(frame[field].map(str) for field in fields), strict=True)), index=frame.index)
    twice = key.duplicated()
    if twice.any():
        second = int(twice.to_numpy().argmax())
        first = int((key == key.iloc[second]).to_numpy().argmax())
        raise InputError(
            f"{frame['where'].iloc[second]}: the same model and prompt as {frame['where'].iloc[first]} ({twice.sum()} "
            "such rows); remove one, or name a column that numbers the responses to a prompt ({sample: ...})"
        )
