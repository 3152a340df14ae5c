"""Read files of responses into one tidy frame, whatever their format, and check it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.exchange.fields import FIELDS, REASONS, VERDICT_WORDS
from falserefusal.exchange.formats import read_file
from falserefusal.exchange.formats.format import Written

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
    columns, alone, written = given["columns"], given["prompts"] is None, Written(given["encoding"], given["separator"])
    frames = [read_file(root / path, given["format"], written) for path in given["paths"]]
    hint = "" if given["format"] else _looks_like(frames[0])
    parts = [_fields(one, columns, path, alone, hint) for one, path in zip(frames, given["paths"], strict=True)]
    _same_fields(parts, given["paths"])
    frame = pd.concat(parts, ignore_index=True)
    if not alone:
        frame = _with_prompts(frame, given, root, hint)
    if given["model"]:
        frame["model"] = frame["model"].fillna(given["model"]) if "model" in frame else given["model"]
    shown = f"responses.columns: {', '.join(given['paths'])}"
    if "model" not in frame:
        raise InputError(f"{shown}: no column with the model; name it ({{model: ...}}), or set responses.model{hint}")
    if not {"response", "verdict"} & set(frame):
        there = ", ".join(map(str, frames[0]))
        raise InputError(
            f"{shown}: no column with responses or verdicts; name it, such as {{response: output}}; there are {there}"
            f"{hint}"
        )
    _filled(frame, "model", ", or set responses.model, the model of such rows")
    frame = _in_our_words(frame, given)
    _once(frame)
    _something(frame, shown)
    return frame


def _looks_like(frame: pd.DataFrame) -> str:
    """Advice for a file whose columns are those of another format than its name says; else nothing."""
    columns = set(map(str, frame))
    marks = {"lm_eval": {"resps", "doc_id"}, "openai_batch": {"custom_id", "response.status_code"}}
    marks["anthropic_batch"] = {"custom_id", "result.type"}
    found = [name for name, needed in marks.items() if needed <= columns]
    return f". It looks like the format {found[0]}: add `format: {found[0]}` to responses" if found else ""


def _fields(frame: pd.DataFrame, columns: Mapping[str, str], path: str, all_here: bool, hint: str = "") -> pd.DataFrame:
    """The fields of one file; `all_here`: whether it must have every column that the config names."""
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise InputError(f"{path}: two columns are called '{repeated[0]}'; rename one")
    for field, column in columns.items():
        if column not in frame and all_here:
            there = ", ".join(frame)
            raise InputError(f"responses.columns.{field}: {path} has no column '{column}'; it has {there}{hint}")
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


def _with_prompts(frame: pd.DataFrame, given: Mapping[str, Any], root: Path, hint: str) -> pd.DataFrame:
    """Add what the further table says about each prompt."""
    path, written = given["prompts"], Written(given["encoding"], given["separator"])
    table = _fields(read_file(root / path, written=written), given["columns"], path, all_here=False).drop(
        columns="where"
    )
    for name, one in ((path, table), (given["paths"][0], frame)):
        if "prompt_id" not in one:
            raise InputError(f"{name}: no column prompt_id, which responses.prompts needs; add or map it{hint}")
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


def _filled(frame: pd.DataFrame, field: str, advice: str) -> None:
    empty = frame[field].isna() | (frame[field].astype(str).str.strip() == "")
    if empty.any():
        where = frame["where"][empty].iloc[0]
        raise InputError(f"{where}: {field} is empty ({empty.sum()} such rows); fill it in{advice}")


def _in_our_words(frame: pd.DataFrame, given: Mapping[str, Any]) -> pd.DataFrame:
    """Text for every field, and our own words for verdicts, personas, reasons and samples."""
    plain = [field for field in FIELDS if field in frame and field not in ("prompt", "sample")]
    frame = frame.assign(**{field: frame[field].map(_text) for field in plain})
    _check_baseline(frame, given["baseline"])
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


def _check_baseline(frame: pd.DataFrame, baseline: str | None) -> None:
    """Raise InputError if the config names a word for no persona that no row has."""
    if not baseline:
        return
    if "persona" not in frame:
        raise InputError(f"responses.baseline: '{baseline}' is a word of the column of personas, which the files lack")
    words = frame["persona"].str.strip()
    if not (words == baseline).any():
        some = ", ".join(map(repr, words.drop_duplicates().head(10)))
        raise InputError(f"responses.baseline: no row has the persona '{baseline}'; there are {some}")


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
            "category (refused, answered, hedged), such as responses: "
            f"{{verdicts: {{{unknown.iloc[0]}: answered}}}}"
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


def _something(frame: pd.DataFrame, shown: str) -> None:
    """Raise InputError if no row has a verdict, or a response that can be labelled."""
    given = frame["verdict"] != "no_verdict" if "verdict" in frame else False
    blocked = frame["finish_reason"] == "content_filter"
    if not (given | blocked | (frame.get("response", pd.Series("", index=frame.index)).str.strip() != "")).any():
        what = "verdicts" if "response" not in frame else "responses"
        raise InputError(f"{shown}: all {len(frame)} {what} are empty; name the column that has them")


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
