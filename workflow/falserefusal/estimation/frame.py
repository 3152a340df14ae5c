"""Turn a user's data frame, one row for each response, into outcomes; refuse what cannot be estimated from."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.numbers import listing
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE

OPTIONAL = ("text", "model", "task", "template")
RESERVED = {"persona": (BASELINE, ANY_PERSONA, ALL), "model": ("mean", "all", "total", ALL)}
ONE = {
    "model": "the model",
    "task": "all responses",
    "template": "the template",
}  # the level of a factor without column
MOST_DRAWS = np.iinfo(np.int16).max


class Columns(TypedDict, total=False):
    """The names of a frame's columns; None for one that it does not have."""

    text: str | None
    model: str | None
    persona: str
    refused: str
    task: str | None
    template: str | None


DEFAULT = Columns(text="text", model="model", persona="persona", refused="refused", task=None, template=None)


def outcomes_of_rows(frame: pd.DataFrame, columns: Columns, baseline: str | None, seed: int = 1) -> pd.DataFrame:
    """Check `frame` and return it as outcomes of one labeller.

    Parameters
    ----------
    frame : DataFrame
        One row for each response.
    columns : Columns
        The names of its columns.
    baseline : str or None
        The persona of rows without one; None if all rows have a persona.
    seed : int
        Seed of the order of the draws of each text, which permutations of personas and templates use.

    Returns
    -------
    DataFrame
        The columns of OUTCOMES without interim_look and labeller. Without a text column each row is a text of its own.

    Raises
    ------
    InputError
        A column is absent or has missing values, refused is not 0 or 1, a name is reserved, or rows are repeated.
    """
    _check_columns(frame, columns)
    names: Mapping[str, str] = {key: name for key, name in columns.items() if name is not None}  # type: ignore[misc]
    for key, name in names.items():
        _check_known(frame[name], key, name, baseline)
    factors = {key: frame[name] for key, name in names.items() if key != "refused"}
    levels = {key: _levels(values) for key, values in factors.items()}
    if baseline is not None:
        levels["persona"] = _with_baseline(levels["persona"], str(baseline), names["persona"])
    _check_reserved(levels, names, baseline)
    for key in ("model", "task", "template"):
        levels.setdefault(key, pd.Categorical([ONE[key]]).repeat(len(frame)))
    if "text" in levels:
        _check_repeated(frame, levels, names)
    else:
        levels["text"] = pd.Categorical(np.arange(len(frame)).astype(str))
    refusal = _refusal(frame[names["refused"]], names["refused"])
    return _outcomes(levels, refusal, seed)


def _outcomes(levels: Mapping[str, pd.Categorical], refusal: np.ndarray, seed: int) -> pd.DataFrame:
    """The outcomes: a text of a task is a sampled row, and each of its personas and templates a draw."""
    task, text, persona, template = (levels[key] for key in ("task", "text", "persona", "template"))
    row, names = pd.factorize(pd.MultiIndex.from_arrays([task.codes, text.codes]))
    rows = pd.Categorical.from_codes(row, [str(number) for number in range(len(names))])
    return pd.DataFrame(
        {
            "model": levels["model"],
            "task": task,
            "row_id": rows,
            "text_id": text,
            "block": rows,
            "persona": persona,
            "template": template,
            "format": pd.Categorical([ONE["template"]]).repeat(len(refusal)),
            "draw": _draws(row, persona, template, seed),
            "sample": pd.Categorical(["0"]).repeat(len(refusal)),
            "refusal": refusal,
        }
    )


def _draws(row: np.ndarray, persona: pd.Categorical, template: pd.Categorical, seed: int) -> np.ndarray:
    """Number the prompts of each text in random order, the same for all models; -1 without a persona.

    In the same order for every text, an exchange of personas between texts would leave them as they are.
    """
    pairs = len(persona.categories) * len(template.categories)
    if pairs > MOST_DRAWS:
        raise InputError(f"{len(persona.categories)} personas in {len(template.categories)} templates are too many")
    code = row * pairs + persona.codes.astype(np.int64) * len(template.categories) + template.codes
    prompts, prompt = np.unique(code, return_inverse=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(prompts)), prompts // pairs))
    owner = prompts[order] // pairs
    rank = np.empty(len(prompts), np.int64)
    rank[order] = np.arange(len(prompts)) - np.searchsorted(owner, owner)
    return np.where(persona == BASELINE, -1, rank[prompt]).astype(np.int16)


def _check_columns(frame: pd.DataFrame, columns: Columns) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"frame: a pandas DataFrame is needed, not {type(frame).__name__}")
    there = ", ".join(map(str, frame.columns))
    for key, name in columns.items():
        if name is None and key not in OPTIONAL:
            raise InputError(f"{key}=None: a column is needed; the frame has {there}")
        if name is not None and name not in frame:
            without = f", or {key}=None if there is none" if key in OPTIONAL else ""
            raise InputError(f"no column {name!r}; the frame has {there}. Name the column by {key}=...{without}")
        if name is not None and (frame.columns == name).sum() > 1:
            raise InputError(f"column {name!r} occurs twice: rename one")
    given = [name for name in columns.values() if name is not None]
    for name in given:
        if given.count(name) > 1:
            keys = " and ".join(key for key, other in columns.items() if other == name)
            raise InputError(f"column {name!r} cannot be {keys} at once")
    if frame.empty:
        raise InputError("the frame has no rows")


def _check_known(values: pd.Series, key: str, name: str, baseline: str | None) -> None:
    missing = values.isna().to_numpy()
    if missing.any():
        first = values.index[int(missing.argmax())]
        advice = {"refused": "drop these rows, or label their responses first (fr.label)"}
        if baseline is not None:
            advice["persona"] = f"where there was no persona, write {baseline!r}"
        raise InputError(
            f"column {name!r}: {missing.sum()} of {len(values)} values are missing, first in row {first}; "
            f"{advice.get(key, 'fill them, or drop the rows')}"
        )


def _levels(values: pd.Series) -> pd.Categorical:
    """The values as text, with levels in order of occurrence, or of the categories."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = values.cat.remove_unused_categories()
        return pd.Categorical.from_codes(used.cat.codes, used.cat.categories.astype(str))
    text = values.astype(str)
    return pd.Categorical(text, categories=text.unique())


def _with_baseline(persona: pd.Categorical, baseline: str, name: str) -> pd.Categorical:
    """The personas with the level `baseline` renamed to BASELINE, and last."""
    if baseline != BASELINE and BASELINE in persona.categories:
        raise InputError(f"column {name!r}: {BASELINE!r} is a persona; write baseline={BASELINE!r}, or rename it")
    if baseline not in persona.categories:
        raise InputError(
            f"no row has {name} {baseline!r} (there is {listing(list(map(repr, persona.categories[:10])))}): name the "
            "rows without a persona by baseline=..., or write baseline=None if there are none"
        )
    persona = persona.rename_categories({baseline: BASELINE})
    return persona.reorder_categories([*(c for c in persona.categories if c != BASELINE), BASELINE])


def _check_reserved(levels: Mapping[str, pd.Categorical], names: Mapping[str, str], baseline: str | None) -> None:
    for key, words in RESERVED.items():
        for word in words:
            own = word == BASELINE and baseline is not None
            if key in levels and word in levels[key].categories and not own:
                raise InputError(f"column {names[key]!r}: {word!r} is a word that the tables use; rename it")


def _check_repeated(frame: pd.DataFrame, levels: Mapping[str, pd.Categorical], names: Mapping[str, str]) -> None:
    given = [key for key in ("text", "persona", "template", "model", "task") if key in names]
    codes = pd.DataFrame({key: levels[key].codes for key in given})
    repeated = codes.duplicated().to_numpy()
    if not repeated.any():
        return
    place = int(repeated.argmax())
    first = int((codes == codes.iloc[place]).all(axis=1).to_numpy().argmax())
    same = frame.index[first] == frame.index[place]  # as after pd.concat
    where = f"rows number {first} and {place}" if same else f"rows {frame.index[first]} and {frame.index[place]}"
    values = ", ".join(f"{names[key]} {_short(str(frame[names[key]].iloc[place]))}" for key in given)
    raise InputError(
        f"{where} are the same prompt ({values}), and {repeated.sum()} rows repeat an earlier one: keep one response "
        "to each prompt, or name the column that differs by template=... or task=..."
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _refusal(values: pd.Series, name: str) -> np.ndarray:
    """The column of refusals as bool."""
    numeric = pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values)
    known = values.isin([0, 1]) if numeric else values.map(lambda value: isinstance(value, bool | np.bool_))
    if not known.all():
        wrong = int((~known.astype(bool)).to_numpy().argmax())
        words = isinstance(values.iloc[wrong], str)
        text = f", a text: compare it, as in frame[{name!r}] == 'refused'" if words else ""
        raise InputError(
            f"column {name!r}: row {values.index[wrong]} is {_short(str(values.iloc[wrong]))}{text}; write True or 1 "
            "for a refusal and False or 0 for any other response"
        )
    return values.astype(bool).to_numpy()
