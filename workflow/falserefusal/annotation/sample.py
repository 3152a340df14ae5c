"""Draw a stratified sample of responses for people to annotate, with weights that undo the stratification.

A stratum is what the labellers made of a response. Labellers err most on refusals, on responses on which they disagree,
and on responses without a chosen option, so these are sampled at a higher rate. Every model gets an equal part of the
sample, because a labeller's accuracy differs between models and is estimated for each of them. Tasks and persona groups
get equal parts too, because an error that differs between groups would look like an effect of the persona.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.common.verdicts import MISSING, REFUSED

# REFUSAL: all labellers see a refusal. DISAGREEMENT: some do, some don't. The others: no labeller does, and an option
# was chosen (CHOICE) or not (OTHER: an invalid response).
CHOICE, REFUSAL, DISAGREEMENT, OTHER = "choice", "refusal", "disagreement", "other"
SHARES = {CHOICE: 0.3, REFUSAL: 0.3, DISAGREEMENT: 0.25, OTHER: 0.15}
CELL = ["model", "stratum", "task", "group"]


def machine_strata(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Assign each response of one model to a stratum, from the verdicts of all labellers.

    Whether an option was chosen is what `structured` reads; in a study without it, what the first labeller reads. A
    list of phrases reads no option: then no response is in the stratum of plain choices.

    Parameters
    ----------
    verdicts : frame of VERDICTS for one model.

    Returns
    -------
    Columns prompt_id and stratum. Responses with nothing to judge are left out.

    Raises
    ------
    InputError if no response has a verdict of that labeller.
    """
    names = verdicts["labeller"].unique()
    name = "structured" if "structured" in names or not len(names) else names[0]
    ours = verdicts[(verdicts["labeller"] == name) & (verdicts["verdict"] != MISSING)]
    if ours.empty:
        raise InputError(f"the annotation sample needs verdicts of the labeller '{name}', but it has none for a model")
    given = verdicts[verdicts["verdict"] != MISSING]
    refused = (given["verdict"] == REFUSED).groupby(given["prompt_id"]).mean()[ours["prompt_id"]].to_numpy()
    conditions = [refused == 1, refused > 0, ours["choice"].notna()]
    stratum = np.select(conditions, [REFUSAL, DISAGREEMENT, CHOICE], OTHER)
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
    """Draw the key of a sample of n responses, in the order in which people see them.

    Every model gets an equal part of the sample, which is divided between its strata by their shares, then evenly
    between tasks and persona groups. What has fewer responses than its part is taken whole, and the rest goes to the
    others. A cell (model, stratum, task, group) may be due a fraction of a response. The sample is therefore drawn
    systematically along the list of cells (Madow 1949): every response has a known chance above zero, and each model,
    and each stratum and task of a model, has the number that it is due, rounded up or down.

    Parameters
    ----------
    units : all responses, as `population` returns them.
    n : size of the sample.
    seed : seed of the random draw.
    shares : share of the sample for each stratum; a stratum with share 0 is left out.

    Returns
    -------
    The columns of units, item_id (carries no information), in_cell (responses in the cell), drawn (expected number of
    them in the sample, may be a fraction) and weight (in_cell / drawn, the inverse of the chance to be drawn).
    """
    if n < 1:
        raise InputError(f"annotation: the sample must have at least one response, not {n}")
    units = units[units["stratum"].map(shares) > 0].sort_values(["model", "prompt_id"], ignore_index=True)
    if units.empty:
        raise InputError("annotation: no response is in a stratum with a share above 0: change annotation.shares")
    random = np.random.default_rng([seed, 6])
    rows = units.groupby(CELL).indices
    counts = units.groupby(CELL).size()
    quotas = _quotas(counts, min(n, len(units)), shares, random)
    order = np.concatenate([random.permutation(rows[cell]) for cell in quotas.index])
    sizes = counts[quotas.index].to_numpy()
    in_cell, drawn = np.repeat(sizes, sizes), np.repeat(quotas.to_numpy(), sizes)
    reached = np.floor(np.cumsum(drawn / in_cell).round(9) + random.random())
    chosen = random.permutation(np.flatnonzero(np.diff(reached, prepend=0)))
    key = units.loc[order[chosen]].reset_index(drop=True)
    key = key.assign(in_cell=in_cell[chosen], drawn=drawn[chosen]).assign(weight=lambda rows: rows.in_cell / rows.drawn)
    key.insert(0, "item_id", [f"a{number:05d}" for number in range(1, len(key) + 1)])
    return key


def _quotas(
    sizes: pd.Series, n: float, shares: Mapping[str, float], random: np.random.Generator, level: int = 0
) -> pd.Series:
    """Expected number drawn from each cell: n divided between the values of one level of CELL, each part by the next.

    The values are in random order, so that a systematic sample of fractions does not meet the same groups everywhere.
    """
    if level == len(CELL):
        return pd.Series(n, index=sizes.index)
    capacity = sizes.groupby(level=level).sum()
    share = np.array([shares[name] if CELL[level] == "stratum" else 1.0 for name in capacity.index])
    parts = pd.Series(_divide(capacity.to_numpy(float), n, share), index=capacity.index)
    inner = [sizes.xs(name, level=level, drop_level=False) for name in random.permutation(capacity.index)]
    return pd.concat([_quotas(each, parts[each.index[0][level]], shares, random, level + 1) for each in inner])


def _divide(capacity: np.ndarray, n: float, share: np.ndarray) -> np.ndarray:
    """Divide n in proportion to `share`, none beyond its capacity; what does not fit goes to the others."""
    part, open_share = np.zeros(len(capacity)), share.sum()
    for place in np.argsort(capacity / share):  # the fullest first
        due = n * share[place] / open_share
        part[place] = due if capacity[place] - due > 1e-9 else capacity[place]  # whole, despite rounding errors
        n, open_share = n - part[place], open_share - share[place]
    return part
