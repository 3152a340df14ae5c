"""Draw a stratified sample of responses for people to annotate, with weights that undo the stratification.

A stratum is what the labellers made of a response, crossed with the task and with the persona group of the prompt.
Labellers err most in two of the strata, so these are sampled at a higher rate. Every persona group gets its share of
the sample, because an error that differs between groups would look like an effect of the persona.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.common.verdicts import MISSING, REFUSED

# CHOICE: an option was chosen and no labeller sees a refusal. REFUSAL: the structured labeller sees a refusal.
# OTHER: everything else, including disagreements between labellers.
CHOICE, REFUSAL, OTHER = "choice", "refusal", "other"
SHARES = {CHOICE: 0.3, REFUSAL: 0.4, OTHER: 0.3}
CELL = ["task", "group", "stratum"]


def machine_strata(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Assign each response of one model to a stratum, from the verdicts of all labellers.

    Parameters
    ----------
    verdicts : frame of VERDICTS for one model.

    Returns
    -------
    Columns prompt_id and stratum. Responses with nothing to judge are left out.

    Raises
    ------
    InputError if there are no verdicts of the structured labeller.
    """
    ours = verdicts[(verdicts["labeller"] == "structured") & (verdicts["verdict"] != MISSING)]
    if ours.empty:
        raise InputError("the annotation sample needs the verdicts of the labeller 'structured': add it to labellers")
    suspected = ours["prompt_id"].isin(verdicts.loc[verdicts["verdict"] == REFUSED, "prompt_id"])
    stratum = np.select([ours["verdict"] == REFUSED, ours["choice"].notna() & ~suspected], [REFUSAL, CHOICE], OTHER)
    return pd.DataFrame({"prompt_id": ours["prompt_id"].to_numpy(), "stratum": stratum})


def population(verdicts: Mapping[str, pd.DataFrame], design: pd.DataFrame, personas: pd.DataFrame) -> pd.DataFrame:
    """List every response of a study that has a verdict, with its stratum.

    Parameters
    ----------
    verdicts : frame of VERDICTS for each model.
    design, personas : the study's DESIGN and PERSONAS.

    Returns
    -------
    Columns model, prompt_id, task, text_id, persona, group, template, format, stratum. The group of a prompt without a
    persona is "baseline".
    """
    groups = {**dict(zip(personas["persona"], personas["group"], strict=True)), BASELINE: BASELINE}
    parts = []
    for model, of_model in verdicts.items():
        mine = design[design["model"].isin([ALL, model])]
        rows = mine.merge(machine_strata(of_model), on="prompt_id", how="inner")
        parts.append(rows.assign(model=model))
    everything = pd.concat(parts, ignore_index=True)
    everything["group"] = everything["persona"].map(groups)
    columns = ["model", "prompt_id", "task", "text_id", "persona", "group", "template", "format", "stratum"]
    return everything[columns]


def draw_sample(units: pd.DataFrame, n: int, seed: int, shares: Mapping[str, float] = SHARES) -> pd.DataFrame:
    """Draw the key of a sample of about n responses, in the order in which people see them.

    The share of each stratum is spread evenly over its cells of task x group, as far as they have that many responses.
    What remains goes to the other cells of the stratum, and then to the other strata.

    Parameters
    ----------
    units : all responses, as `population` returns them.
    n : size of the sample.
    seed : seed of the random draw.
    shares : share of the sample for each stratum.

    Returns
    -------
    The columns of units, item_id (carries no information), in_cell (responses in the cell), drawn (responses of the
    cell in the sample) and weight (in_cell / drawn).
    """
    if n < 1:
        raise InputError(f"annotation: the sample must have at least one response, not {n}")
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
    """Size of the sample in each cell: small cells of a stratum are taken whole, the others get equal parts."""
    stratum = sizes.index.get_level_values("stratum")
    quotas = pd.Series(0, index=sizes.index)
    present = [name for name in (REFUSAL, OTHER, CHOICE) if (stratum == name).any()]
    total = sum(shares[name] for name in present)
    for name in present:
        quotas[stratum == name] = _fill_evenly(sizes[stratum == name], round(n * shares[name] / total))
    spare = n - int(quotas.sum())
    if spare > 0:
        quotas += _fill_evenly(sizes - quotas, spare)
    return quotas


def _fill_evenly(capacity: pd.Series, n: int) -> pd.Series:
    """Distribute n evenly over cells, none beyond its capacity, until all are placed or all cells are full."""
    filled = pd.Series(0, index=capacity.index)
    n = min(n, int(capacity.sum()))
    while n > 0:
        open_cells = capacity.index[filled < capacity]
        step = max(n // len(open_cells), 1)
        for cell in open_cells:
            add = min(step, int(capacity[cell] - filled[cell]), n)
            filled[cell] += add
            n -= add
    return filled
