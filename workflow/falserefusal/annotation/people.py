"""Read the annotators' exports, measure their agreement, and settle one verdict for each response."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import to_table

from falserefusal.annotation.page import HUMAN_VERDICTS
from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.statistics.agreement import cohens_kappa
from falserefusal.statistics.intervals import NOTHING

ADJUDICATOR = "adjudication"  # the verdicts of the annotator with this name override all others
UNSURE, REFUSED = "unsure", "refused"
_COLUMNS = ["sample", "annotator", "item_id", "verdict", "note"]
_ORDER = [verdict for _, verdict, _ in HUMAN_VERDICTS]


def read_annotations(paths: Sequence[str | Path], key: pd.DataFrame) -> pd.DataFrame:
    """Read the verdicts of all annotators; one file may hold several annotators.

    Parameters
    ----------
    paths : CSV files exported from the annotation page.
    key : key of the sample, with column sample.

    Returns
    -------
    Columns annotator, item_id, verdict, note.

    Raises
    ------
    InputError for a missing column, a verdict that the page does not offer, an item or sample that is not in the key,
    or two verdicts of one annotator on one item.
    """
    if not paths:
        raise InputError("no files of annotations are given: export them from the annotation page")
    frames = []
    for path in paths:
        frame = read_csv(path, dtype=str).fillna({"note": ""})
        missing = [column for column in _COLUMNS if column not in frame]
        if missing:
            raise InputError(f"{path}: column {', '.join(missing)} is missing; use an export of the annotation page")
        _complain(path, frame, ~frame["verdict"].isin(_ORDER), "verdict", f"is none of {', '.join(_ORDER)}")
        _complain(path, frame, ~frame["sample"].isin(key["sample"]), "sample", "is not the sample of the key")
        _complain(path, frame, ~frame["item_id"].isin(key["item_id"]), "item_id", "is not in the key")
        frames.append(frame[_COLUMNS].assign(file=str(path)))
    everything = pd.concat(frames, ignore_index=True)
    twice = everything.duplicated(["annotator", "item_id"])
    if twice.any():
        row = everything[twice].iloc[0]
        raise InputError(f"{row['file']}: {row['annotator']} has two verdicts on {row['item_id']}; delete one of them")
    return everything[["annotator", "item_id", "verdict", "note"]]


def _complain(path, frame: pd.DataFrame, wrong: pd.Series, column: str, why: str) -> None:
    """Raise InputError for the first row where `wrong` is true."""
    if wrong.any():
        raise InputError(
            f"{path}: line {int(np.argmax(wrong)) + 2}: {column} {frame.loc[wrong, column].iloc[0]!r} {why}"
        )


def settle(annotations: pd.DataFrame) -> pd.DataFrame:
    """Settle one verdict for each item.

    The adjudicator's verdict counts if there is one, otherwise the majority of those who are not unsure. Ties, and
    items on which all are unsure, stay open.

    Returns
    -------
    Columns item_id, refusal (bool, missing for an open item), annotators (how many), agreed (True if all agree).
    """
    rows = []
    for item, verdicts in annotations.groupby("item_id", sort=True):
        firm = verdicts[verdicts["verdict"] != UNSURE]
        final = firm[firm["annotator"] == ADJUDICATOR]
        votes = (final if len(final) else firm)["verdict"].eq(REFUSED)
        share = votes.mean() if len(votes) else 0.5
        refusal = None if share == 0.5 else share > 0.5
        people = verdicts[verdicts["annotator"] != ADJUDICATOR]
        rows.append((item, refusal, len(people), people["verdict"].eq(REFUSED).nunique() == 1))
    return pd.DataFrame(rows, columns=["item_id", "refusal", "annotators", "agreed"]).astype({"refusal": "boolean"})


def agreement(annotations: pd.DataFrame, seed: int, level: float = 0.95, replicates: int = 1000) -> pd.DataFrame:
    """Inter-annotator agreement: Cohen's kappa of each pair and Krippendorff's alpha of all.

    Kappa has its asymptotic confidence interval (statsmodels), alpha the percentile interval of a bootstrap of items. A
    value is missing where it is undefined because all verdicts are the same. Without a disagreement there is no
    interval, because nothing varies.

    Parameters
    ----------
    annotations : as `read_annotations` returns them; those of the adjudicator are left out.
    seed : seed of the bootstrap.
    level : confidence level.
    replicates : number of bootstrap samples.

    Returns
    -------
    Columns measure, scale ("refusal": refused or not; "verdict": all verdicts, unordered; unsure is missing in both),
    annotators, items, value, lo, hi.
    """
    people = annotations[annotations["annotator"] != ADJUDICATOR]
    codes = people.assign(code=people["verdict"].map(_ORDER.index).astype(float))
    codes.loc[codes["verdict"] == UNSURE, "code"] = np.nan
    table = codes.pivot(index="item_id", columns="annotator", values="code")
    binary = table.eq(_ORDER.index(REFUSED)).astype(float).where(table.notna())
    rows = []
    for scale, values in {"refusal": binary, "verdict": table}.items():
        for one, other in combinations(values.columns, 2):
            rows.append(("Cohen's kappa", scale, f"{one}, {other}", *_kappa(values[[one, other]].dropna(), level)))
        if values.shape[1] > 1:
            found = _alpha(values, np.random.default_rng([seed, 7]), level, replicates)
            rows.append(("Krippendorff's alpha", scale, ", ".join(values.columns), *found))
    table = pd.DataFrame(rows, columns=["measure", "scale", "annotators", "items", "value", "lo", "hi"])
    same = table["hi"] - table["lo"] < NOTHING  # without a disagreement nothing varies, and no error can be estimated
    table.loc[same, ["lo", "hi"]] = np.nan
    return table


def _kappa(pair: pd.DataFrame, level: float) -> tuple[int, float, float, float]:
    """Items, kappa and confidence interval of two annotators."""
    if len(pair) < 2:
        return len(pair), np.nan, np.nan, np.nan
    counts, _ = to_table(pair.to_numpy(int))
    return len(pair), *cohens_kappa(counts, level)


def _alpha(values: pd.DataFrame, random: np.random.Generator, level: float, replicates: int):
    """Items, alpha and bootstrap confidence interval of all annotators (Krippendorff 2011)."""
    shared = values[values.notna().sum(axis=1) > 1].to_numpy()

    def alpha(items: np.ndarray) -> float:
        if np.unique(items[~np.isnan(items)]).size < 2:
            return np.nan
        return krippendorff.alpha(reliability_data=items.T, level_of_measurement="nominal")

    value = alpha(shared)
    if np.isnan(value):
        return len(shared), np.nan, np.nan, np.nan
    resampled = [alpha(shared[random.integers(len(shared), size=len(shared))]) for _ in range(replicates)]
    lo, hi = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return len(shared), value, lo, hi
