"""Compare labellers: how often they agree, and responses on which they disagree."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from falserefusal.common.schemas import ALL, NOT_JUDGED
from falserefusal.statistics.agreement import cohens_kappa


def agreement_of_labellers(verdicts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Count how often two labellers agree that a response is refused, by model and over all models.

    Parameters
    ----------
    verdicts : mapping of str to DataFrame
        A VERDICTS frame for each model.

    Returns
    -------
    DataFrame
        one, other (labellers), model ("*": all), n, both, only_one, only_other, neither (counts), agreement (share) and
        kappa (Cohen's; missing if neither labeller varies). Failed verdicts are left out.
    """
    counts = []
    for model, frame in verdicts.items():
        wide = _wide(frame, "refusal")
        for one, other in combinations(wide.columns, 2):
            pair = wide[[one, other]].dropna().astype(bool)
            a, b = pair[one], pair[other]
            cells = [int(x.sum()) for x in (a & b, a & ~b, ~a & b, ~a & ~b)]
            counts.append((one, other, model, len(pair), *cells))
    columns = ["one", "other", "model", "n", "both", "only_one", "only_other", "neither"]
    table = pd.DataFrame(counts, columns=columns)
    total = table.groupby(["one", "other"], sort=False)[columns[3:]].sum().reset_index().assign(model=ALL)
    table = pd.concat([total[columns], table], ignore_index=True)
    n = table["n"].where(table["n"] > 0).astype(float)
    crossed = table[["both", "only_one", "only_other", "neither"]].to_numpy(float).reshape(-1, 2, 2)
    kappa = np.array([cohens_kappa(counts)[0] for counts in crossed], float)
    return table.assign(agreement=(table["both"] + table["neither"]) / n, kappa=kappa)


def categories_of_labellers(verdicts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Cross-tabulate the categories of each pair of labellers.

    Takes a VERDICTS frame for each model; returns one, other, model, category_one, category_other and n.
    """
    parts = []
    for model, frame in verdicts.items():
        wide = _wide(frame, "category")
        for one, other in combinations(wide.columns, 2):
            pair = wide[[one, other]].dropna().set_axis(["category_one", "category_other"], axis=1)
            sizes = pair.groupby(["category_one", "category_other"], sort=True).size().rename("n").reset_index()
            parts.append(sizes.assign(one=one, other=other, model=model))
    columns = ["one", "other", "model", "category_one", "category_other", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def disagreements(verdicts: Mapping[str, pd.DataFrame], most: int, seed: int) -> pd.DataFrame:
    """Sample responses on which labellers disagree.

    Parameters
    ----------
    verdicts : mapping of str to DataFrame
        A VERDICTS frame for each model.
    most : int
        Responses of each kind of disagreement at most, spread over models.
    seed : int
        Seed of the sample.

    Returns
    -------
    DataFrame
        One row for each verdict on a sampled response: model, prompt_id, kind (the labellers that find a refusal, such
        as "phrase_list + judge"), responses (number of that kind in the study), labeller, refusal, category, evidence.
        Sorted by kind, the most frequent first.
    """
    rows = []
    for model, frame in verdicts.items():
        wide = _wide(frame, "refusal")
        differing = wide[wide.nunique(axis=1) > 1]
        kind = [" + ".join(wide.columns[row == True]) for row in differing.to_numpy(object)]  # noqa: E712 (may be NA)
        rows.append(pd.DataFrame({"model": model, "prompt_id": differing.index, "kind": kind}))
    differing = pd.concat(rows, ignore_index=True).sort_values(["kind", "model", "prompt_id"], ignore_index=True)
    differing["responses"] = differing.groupby("kind")["kind"].transform("size")
    shuffled = differing.loc[np.random.default_rng([seed, 8]).permutation(len(differing))]
    turn = shuffled.groupby(["kind", "model"]).cumcount()  # the first of each model, then the second of each, ...
    chosen = shuffled.assign(turn=turn).sort_values(["turn", "model", "prompt_id"]).groupby("kind").head(most)
    chosen = chosen.sort_values(["responses", "kind", "model", "prompt_id"], ascending=[False, True, True, True])
    chosen = chosen.drop(columns="turn").reset_index(drop=True)
    chosen["place"] = np.arange(len(chosen))
    rows = [
        frame[["prompt_id", "labeller", "refusal", "category", "evidence"]].merge(chosen[chosen["model"] == model])
        for model, frame in verdicts.items()
    ]
    read = pd.concat(rows, ignore_index=True).sort_values("place", kind="stable", ignore_index=True)
    return read[["model", "prompt_id", "kind", "responses", "labeller", "refusal", "category", "evidence"]]


def agreed_refusals(verdicts: Mapping[str, pd.DataFrame], most: int, seed: int) -> pd.DataFrame:
    """Sample responses that every labeller calls a refusal, at most `most` of each model, in random order.

    Returns model, prompt_id, category and evidence (of the first labeller), and agreed, the number of such responses of
    the model.
    """
    parts = []
    for model, frame in verdicts.items():
        wide = _wide(frame, "refusal")
        agreed = wide.index[(wide == True).all(axis=1)]  # noqa: E712 (a failed verdict is missing)
        chosen = np.sort(np.random.default_rng([seed, 9]).permutation(len(agreed))[:most])
        first = frame[frame["labeller"] == frame["labeller"].iloc[0]].set_index("prompt_id")
        rows = first.loc[agreed[chosen], ["category", "evidence"]].reset_index()
        parts.append(rows.assign(model=model, agreed=len(agreed)))
    return pd.concat(parts, ignore_index=True)[["model", "prompt_id", "category", "evidence", "agreed"]]


def _wide(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row for each prompt, one column for each labeller in their order; failed verdicts are missing."""
    valid = frame[~frame["category"].isin(NOT_JUDGED)]
    wide = valid.pivot(index="prompt_id", columns="labeller", values=column).astype(object)
    return wide[[name for name in frame["labeller"].drop_duplicates() if name in wide]]
