"""Compare labellers: how often they agree, and responses on which they disagree."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.queries import query, rows_of_prompts
from falserefusal.common.schemas import ALL
from falserefusal.common.verdicts import BLOCKED, MISSING, REFUSED
from falserefusal.statistics.agreement import cohens_kappa

Files = Mapping[str, str | Path]  # the file of VERDICTS of each model


def agreement_of_labellers(verdicts: Files) -> pd.DataFrame:
    """Count how often two labellers agree that a response is refused, by model and over all models.

    Parameters
    ----------
    verdicts : mapping of str to path
        The file of VERDICTS of each model.

    Returns
    -------
    DataFrame
        one, other (labellers), model ("*": all), n, both, only_one, only_other, neither (counts), agreement (share) and
        kappa (Cohen's; missing if neither labeller varies). Failed verdicts are left out.
    """
    counts = []
    for model, path in verdicts.items():
        for one, other, pair in _pairs(path, REFUSAL):
            a, b, n = pair["of_one"].astype(bool), pair["of_other"].astype(bool), pair["n"]
            cells = [int(n[x].sum()) for x in (a & b, a & ~b, ~a & b, ~a & ~b)]
            counts.append((one, other, model, sum(cells), *cells))
    columns = ["one", "other", "model", "n", "both", "only_one", "only_other", "neither"]
    table = pd.DataFrame(counts, columns=columns)
    total = table.groupby(["one", "other"], sort=False)[columns[3:]].sum().reset_index().assign(model=ALL)
    table = pd.concat([total[columns], table], ignore_index=True)
    n = table["n"].where(table["n"] > 0).astype(float)
    crossed = table[["both", "only_one", "only_other", "neither"]].to_numpy(float).reshape(-1, 2, 2)
    kappa = np.array([cohens_kappa(counts)[0] for counts in crossed], float)
    return table.assign(agreement=(table["both"] + table["neither"]) / n, kappa=kappa)


def categories_of_labellers(verdicts: Files) -> pd.DataFrame:
    """Cross-tabulate the categories of each pair of labellers.

    Takes the file of VERDICTS of each model; returns one, other, model, category_one, category_other and n.
    """
    columns = ["one", "other", "model", "category_one", "category_other", "n"]
    parts = []
    for model, path in verdicts.items():
        for one, other, pair in _pairs(path, "category"):
            pair = pair.rename(columns={"of_one": "category_one", "of_other": "category_other"})
            parts.append(pair.assign(one=one, other=other, model=model))
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def disagreements(verdicts: Files, most: int, seed: int) -> pd.DataFrame:
    """Sample responses on which labellers disagree.

    Parameters
    ----------
    verdicts : mapping of str to path
        The file of VERDICTS of each model.
    most : int
        Responses of each kind of disagreement at most, spread over models.
    seed : int
        Seed of the sample.

    Returns
    -------
    DataFrame
        One row for each verdict on a sampled response: model, prompt_id, kind (the labellers that find a refusal, such
        as "phrase_list + judge"), responses (number of that kind in the study), labeller, verdict, category, evidence.
        Sorted by kind, the most frequent first.
    """
    rows = []
    for model, path in verdicts.items():
        names, valid = labellers_of(path), REFUSAL
        differing = query(
            f"""SELECT prompt_id, list(labeller) FILTER ({valid}) AS refusing FROM read_parquet($path)
            GROUP BY prompt_id HAVING count_if({valid}) > 0 AND count_if(NOT {REFUSAL} AND {VALID}) > 0""",
            path=str(path),
        )
        kind = [" + ".join(name for name in names if name in refusing) for refusing in differing["refusing"]]
        rows.append(pd.DataFrame({"model": model, "prompt_id": differing["prompt_id"], "kind": kind}))
    differing = pd.concat(rows, ignore_index=True).sort_values(["kind", "model", "prompt_id"], ignore_index=True)
    differing["responses"] = differing.groupby("kind")["kind"].transform("size")
    shuffled = differing.loc[np.random.default_rng([seed, 8]).permutation(len(differing))]
    turn = shuffled.groupby(["kind", "model"]).cumcount()  # the first of each model, then the second of each, ...
    chosen = shuffled.assign(turn=turn).sort_values(["turn", "model", "prompt_id"]).groupby("kind").head(most)
    chosen = chosen.sort_values(["responses", "kind", "model", "prompt_id"], ascending=[False, True, True, True])
    chosen = chosen.drop(columns="turn").reset_index(drop=True)
    chosen["place"] = np.arange(len(chosen))
    rows = []
    for model, path in verdicts.items():
        own = chosen[chosen["model"] == model]
        rows.append(rows_of_prompts(path, own["prompt_id"], SHOWN).merge(own))
    read = pd.concat(rows, ignore_index=True).sort_values("place", kind="stable", ignore_index=True)
    return read[["model", "prompt_id", "kind", "responses", "labeller", "verdict", "category", "evidence"]]


def agreed_refusals(verdicts: Files, most: int, seed: int) -> pd.DataFrame:
    """Sample responses that every labeller calls a refusal, at most `most` of each model, in random order.

    Responses that the provider blocked are left out, because they have no words to show.

    Returns model, prompt_id, category and evidence (of the first labeller), and agreed, the number of such responses of
    the model.
    """
    parts = []
    for model, path in verdicts.items():
        names = labellers_of(path)
        agreed = query(
            f"""SELECT prompt_id FROM read_parquet($path) WHERE {REFUSAL} AND category <> $blocked GROUP BY prompt_id
            HAVING count(*) = $labellers ORDER BY prompt_id""",
            path=str(path),
            labellers=len(names),
            blocked=BLOCKED,
        )["prompt_id"]
        chosen = agreed.iloc[np.sort(np.random.default_rng([seed, 9]).permutation(len(agreed))[:most])]
        rows = rows_of_prompts(path, chosen, SHOWN)
        rows = rows[rows["labeller"] == names[0]].sort_values("prompt_id") if names else rows
        parts.append(rows.assign(model=model, agreed=len(agreed)))
    return pd.concat(parts, ignore_index=True)[["model", "prompt_id", "category", "evidence", "agreed"]]


SHOWN = ["labeller", "verdict", "category", "evidence"]
REFUSAL, VALID = f"verdict = '{REFUSED}'", f"verdict <> '{MISSING}'"  # in SQL


def labellers_of(path: str | Path) -> list[str]:
    """Labellers with a valid verdict in a file of VERDICTS, in the order of the file."""
    found = query(
        f"""SELECT labeller FROM read_parquet($path, file_row_number = true) WHERE {VALID}
        GROUP BY labeller ORDER BY min(file_row_number)""",
        path=str(path),
    )
    return found["labeller"].tolist()


def _pairs(path: str | Path, column: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """For each pair of labellers: how often (n) their valid verdicts on a response are of_one and of_other."""
    names = labellers_of(path)
    if len(names) < 2:
        return  # no verdict is valid, such as where every response is missing
    wide = ", ".join(f"any_value({column}) FILTER (labeller = $name{k}) AS v{k}" for k in range(len(names)))
    values = [f"v{k}" for k in range(len(names))]
    patterns = query(
        f"""SELECT {", ".join(values)}, count(*) AS n
        FROM (SELECT {wide} FROM read_parquet($path) WHERE {VALID} GROUP BY prompt_id) GROUP BY ALL""",
        path=str(path),
        **{f"name{k}": name for k, name in enumerate(names)},
    )
    for (k, one), (j, other) in combinations(enumerate(names), 2):
        pair = patterns[[f"v{k}", f"v{j}", "n"]].dropna().set_axis(["of_one", "of_other", "n"], axis=1)
        yield one, other, pair.groupby(["of_one", "of_other"], sort=True)["n"].sum().reset_index()
