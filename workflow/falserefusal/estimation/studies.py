"""Differences between studies, with intervals: on the prompts they share, or else by the texts they share.

Where two studies asked the same models the same prompts, only those prompts are compared (`choices.changes`). Otherwise
their results are compared as they are. The influence of a text on a difference is the difference of its influences on
the two results, so a text that both studies used counts as paired, and one that only one of them used as independent.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.estimation.choices import IMPORTANCE, KEY, RESULT, Results, _placed, changes, results
from falserefusal.estimation.importance import FEWEST_UNITS
from falserefusal.statistics.clusters import NO_SPREAD, degrees_of_freedom
from falserefusal.statistics.multiplicity import holm

COLUMNS = ["other_study", *RESULT, "reference", "other", "difference", "d_lo", "d_hi", "p", "p_holm"]
COLUMNS += ["responses", "shared_texts", "note"]
BY_TEXT = "by text, Student's limits; texts of both studies are paired"


def differences(outcomes: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare the headline results of studies with those of the first one.

    Parameters
    ----------
    outcomes : the outcomes of the headline labeller of each study

    Returns
    -------
    COLUMNS, one row for each other study and result that both have. Models are compared by name. `responses`: of the
    other study. `p_holm` is adjusted over all rows with a p-value (Holm 1979).
    """
    (_, reference), *others = outcomes.items()
    parts = []
    for name, other in others:
        found = _on_shared_prompts(reference, other) if share_prompts(reference, other) else by_text(reference, other)
        parts.append(found.assign(other_study=name))
    table = pd.concat(parts, ignore_index=True)
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    if tested.any():
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"])
    return table[COLUMNS]


def share_prompts(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    """Whether a model was asked the same prompt in both studies."""
    keys = [frame.assign(sample=frame.get("sample", "0"))[KEY].astype("str") for frame in (one, two)]
    return len(keys[0].merge(keys[1], on=KEY)) > 0


def _on_shared_prompts(reference: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    table = changes(reference, other).rename(columns={"paired_default": "reference", "n": "responses"})
    return table.assign(other=table["reference"] + table["difference"], shared_texts=table["texts"])


def by_text(reference: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Differences of the results that both studies have, with intervals from texts.

    Returns
    -------
    Columns RESULT, reference, other, difference, d_lo, d_hi, p, responses, shared_texts and note.
    """
    one, two = results(reference), results(other)
    names = [pd.Index(sorted(frame["text_id"].astype(str).unique())) for frame in (reference, other)]
    texts = names[0].union(names[1])
    rows = one.rows.reset_index(names="k").merge(two.rows.reset_index(names="j"), on=RESULT)
    k, j = rows["k"].to_numpy(), rows["j"].to_numpy()
    moves = _placed(two.moves[:, j], names[1], texts) - _placed(one.moves[:, k], names[0], texts)
    difference = two.estimate[j] - one.estimate[k]
    sd, df = np.sqrt((moves**2).sum(0)), degrees_of_freedom(moves)
    note = _notes(rows["quantity"], difference, sd, one, two)
    known = note == BY_TEXT
    half = np.where(known, stats.t.ppf(0.975, df) * sd, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.where(known, 2 * stats.t.sf(np.abs(difference / sd), df), np.nan)
    return rows[RESULT].assign(
        reference=one.estimate[k],
        other=two.estimate[j],
        difference=difference,
        d_lo=difference - half,
        d_hi=difference + half,
        p=p,
        responses=len(other),
        shared_texts=len(names[0].intersection(names[1])),
        note=note,
    )


def _notes(quantity: pd.Series, difference: np.ndarray, sd: np.ndarray, one: Results, two: Results) -> np.ndarray:
    few = (quantity == IMPORTANCE).to_numpy() & (min(one.units, two.units) < FEWEST_UNITS)
    return np.select(
        [~np.isfinite(difference), sd <= NO_SPREAD, few],
        [
            "undefined: constant outcome or one level",
            "no interval: no text changes it",
            f"no interval: too few refusals, below {FEWEST_UNITS} refused texts in every model",
        ],
        BY_TEXT,
    )
