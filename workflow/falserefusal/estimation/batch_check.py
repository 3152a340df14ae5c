"""Compare the responses of the batch check with the first ones: how much a study depends on how prompts are batched."""

import numpy as np
import pandas as pd

from falserefusal.common.verdicts import MISSING, REFUSED
from falserefusal.statistics.intervals import mover_difference, wilson

COLUMNS = ["model", "prompts", "responses_changed", "verdicts_changed"]
COLUMNS += ["rate", "other_rate", "difference", "lo", "hi", "note"]
VERDICT = ["verdict", "category", "choice"]


def compare_batches(model: str, responses: pd.DataFrame, first: pd.DataFrame, other: pd.DataFrame) -> dict:
    """Compare the two responses of a model to each prompt.

    Parameters
    ----------
    model : name of the model.
    responses : frame of RESPONSES with the prompts that were asked again.
    first, other : frames of VERDICTS by one labeller, in the order of `responses`, on the responses and on those in
        other batches.

    Returns
    -------
    A row of COLUMNS. Pairs without a verdict on both responses are left out; where none is left, numbers are missing.

    Notes
    -----
    lo and hi: 95% interval of the difference of the two rates, which are paired (`mover_difference` with Wilson
    intervals and the phi coefficient).
    """
    judged = ((first["verdict"] != MISSING) & (other["verdict"] != MISSING)).to_numpy()
    n = int(judged.sum())
    if n == 0:
        return dict.fromkeys(COLUMNS, np.nan) | {"model": model, "prompts": 0, "note": "no prompt has both responses"}
    same = np.array([_same_text(*texts) for texts in _texts(responses)])[judged]
    equal = np.logical_and.reduce([_equal(first[name], other[name]) for name in VERDICT])[judged]
    refused, refused_again = ((frame["verdict"] == REFUSED).to_numpy()[judged] for frame in (first, other))
    rate, other_rate = refused.mean(), refused_again.mean()
    limits = [wilson(x.sum(), n) for x in (refused_again, refused)]
    lo, hi = mover_difference(other_rate, limits[0], rate, limits[1], _phi(refused, refused_again))
    shares = {"responses_changed": 1 - same.mean(), "verdicts_changed": 1 - equal.mean()}
    rates = {"rate": rate, "other_rate": other_rate, "difference": other_rate - rate, "lo": float(lo), "hi": float(hi)}
    return {"model": model, "prompts": n, **shares, **rates, "note": ""}


def _texts(responses: pd.DataFrame) -> zip:
    names = ("response", "other_batch_response", "finish_reason", "other_batch_finish_reason")
    return zip(*(responses[name] for name in names), strict=True)


def _same_text(text: str, other: str, reason: str, other_reason: str) -> bool:
    """Whether two responses agree, one that stopped where its verdict was certain as far as it goes."""
    if "decided" not in (reason, other_reason):
        return text == other
    short, long = sorted((text.rstrip("\ufffd"), other.rstrip("\ufffd")), key=len)
    return long.startswith(short)


def _equal(a: pd.Series, b: pd.Series) -> np.ndarray:
    equal: np.ndarray = a.fillna("").to_numpy() == b.fillna("").to_numpy()
    return equal


def _phi(a: np.ndarray, b: np.ndarray) -> float:
    """Phi coefficient of two series of verdicts; 0 where one of them has no variance."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0


def not_checked(model: str, record: dict) -> dict:
    """The row of a model of which no prompt was asked again; `record`: its provenance."""
    why = record.get("batch_check", {}).get("because", "its responses are from before there was a batch check")
    return dict.fromkeys(COLUMNS, np.nan) | {"model": model, "prompts": 0, "note": why}


def not_labelled(model: str) -> dict:
    """The row of a model whose responses in other batches no labeller reads, because all labellers are models."""
    why = "its labellers are models, which were not asked about other batches; add phrase_list or structured"
    return dict.fromkeys(COLUMNS, np.nan) | {"model": model, "prompts": 0, "note": why}
