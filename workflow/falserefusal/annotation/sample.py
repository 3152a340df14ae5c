"""Draw the answers that people label: more from the strata where labellers may err, with weights to undo that.

Strata are what the machine made of an answer, crossed with the task and with whom the prompt named: an error that
differs between personas would pass for an effect of the persona, so each gets its share of the audit.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE, ERROR, NOT_JUDGED

# A label was read and nobody sees a refusal; the structured labeller sees a refusal; all else, disagreements included
LABEL, REFUSAL, OTHER = "label", "refusal", "other"
SHARES = {LABEL: 0.3, REFUSAL: 0.4, OTHER: 0.3}
CELL = ["task", "group", "stratum"]


def machine_strata(verdicts: pd.DataFrame) -> pd.DataFrame:
    """prompt_id and stratum of every answer of one model, from its verdicts by all labellers.

    Raises InputError if the structured labeller is not among them. Answers that were never given are left out.
    """
    ours = verdicts[(verdicts["labeller"] == "structured") & (verdicts["category"] != ERROR)]
    if ours.empty:
        raise InputError("the annotation sample needs the verdicts of the labeller 'structured': add it to labellers")
    judged = verdicts[~verdicts["category"].isin(NOT_JUDGED)]
    suspected = ours["prompt_id"].isin(judged.loc[judged["refusal"], "prompt_id"])
    stratum = np.select([ours["refusal"], ours["answer"].notna() & ~suspected], [REFUSAL, LABEL], OTHER)
    return pd.DataFrame({"prompt_id": ours["prompt_id"].to_numpy(), "stratum": stratum})


def population(verdicts: Mapping[str, pd.DataFrame], design: pd.DataFrame, personas: pd.DataFrame) -> pd.DataFrame:
    """Every judged answer of a study: model, prompt_id, task, text_id, persona, group, template, format, stratum.

    verdicts: a VERDICTS frame for each model. The group of a prompt without a persona is "baseline".
    """
    groups = {**dict(zip(personas["persona"], personas["group"], strict=True)), BASELINE: BASELINE}
    parts = []
    for model, verdicts in verdicts.items():
        mine = design[design["model"].isin([ALL, model])]
        rows = mine.merge(machine_strata(verdicts), on="prompt_id", how="inner")
        parts.append(rows.assign(model=model))
    everything = pd.concat(parts, ignore_index=True)
    everything["group"] = everything["persona"].map(groups)
    columns = ["model", "prompt_id", "task", "text_id", "persona", "group", "template", "format", "stratum"]
    return everything[columns]


def draw_sample(units: pd.DataFrame, n: int, seed: int, shares: Mapping[str, float] = SHARES) -> pd.DataFrame:
    """The key of a sample of about n answers, in the order in which they are shown.

    units: as `population` returns them. Of each machine stratum the share asked for is spread evenly over the cells of
    task x group, as far as they have that many answers; what is left over goes to the other cells of the stratum, and
    then to the other strata. Columns: those of units, item_id (tells nothing), in_cell (answers in the cell), drawn (of
    them in the sample), weight (in_cell / drawn).
    """
    if n < 1:
        raise InputError(f"annotation: the sample must have at least one answer, not {n}")
    random = np.random.default_rng([seed, 6])
    units = units.sort_values(["model", "prompt_id"], ignore_index=True)
    sizes = units.groupby(CELL, sort=True).size()
    quotas = _quotas(sizes, min(n, len(units)), shares)
    rows = units.groupby(CELL, sort=True).indices
    chosen = np.concatenate([random.choice(rows[cell], size=quotas[cell], replace=False) for cell in sizes.index])
    key = units.loc[random.permutation(chosen)].reset_index(drop=True)
    cells = pd.MultiIndex.from_frame(key[CELL])
    key["in_cell"] = sizes[cells].to_numpy()
    key["drawn"] = quotas[cells].to_numpy()
    key["weight"] = key["in_cell"] / key["drawn"]
    key.insert(0, "item_id", [f"a{number:05d}" for number in range(1, len(key) + 1)])
    return key


def _quotas(sizes: pd.Series, n: int, shares: Mapping[str, float]) -> pd.Series:
    """How many answers of each cell: the smaller cells of a stratum whole, the rest in equal parts."""
    stratum = sizes.index.get_level_values("stratum")
    quotas = pd.Series(0, index=sizes.index)
    present = [name for name in (REFUSAL, OTHER, LABEL) if (stratum == name).any()]
    total = sum(shares[name] for name in present)
    for name in present:
        quotas[stratum == name] = _level(sizes[stratum == name], round(n * shares[name] / total))
    spare = n - int(quotas.sum())
    if spare > 0:
        quotas += _level(sizes - quotas, spare)
    return quotas


def _level(room: pd.Series, wanted: int) -> pd.Series:
    """Fill the cells evenly, none beyond its room, until `wanted` are placed or all are full."""
    filled = pd.Series(0, index=room.index)
    wanted = min(wanted, int(room.sum()))
    while wanted > 0:
        open_cells = room.index[filled < room]
        step = max(wanted // len(open_cells), 1)
        for cell in open_cells:
            add = min(step, int(room[cell] - filled[cell]), wanted)
            filled[cell] += add
            wanted -= add
    return filled
