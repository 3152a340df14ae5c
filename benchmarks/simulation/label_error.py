"""Label error: worlds whose labeller errs at known rates, and audits by people who see the truth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from falserefusal.annotation.sample import CHOICE, OTHER, REFUSAL, draw_sample
from falserefusal.common.schemas import BASELINE

HEDGED = 0.7, 0.05  # share of missed refusals, and of other non-refusals, in the stratum OTHER
GROUPS = 3  # of personas


def mislabel(
    outcomes: pd.DataFrame, sensitivity: Sequence[float], specificity: Sequence[float], seed: int | list[int]
) -> pd.DataFrame:
    """Outcomes as a labeller with errors reports them.

    Parameters
    ----------
    outcomes : true outcomes, with categorical models.
    sensitivity, specificity : of the labeller, for each model in the order of the categories.
    seed : seed of the errors.
    """
    rng = np.random.default_rng(seed)
    model, human = outcomes["model"].cat.codes.to_numpy(), outcomes["refusal"].to_numpy(bool)
    chance = rng.random(len(outcomes))
    found = np.where(human, chance < np.asarray(sensitivity)[model], chance >= np.asarray(specificity)[model])
    return outcomes.assign(refusal=found)


def audited(true: pd.DataFrame, labelled: pd.DataFrame, n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw about n responses as a study does, and annotate them without error.

    Returns
    -------
    Verdicts as `correction.machine_verdicts` and items as `correction.annotated` return them. The stratum OTHER has
    most missed refusals, and some of the other responses that the labeller does not call a refusal.
    """
    rng = np.random.default_rng([seed, 1])
    machine, human = labelled["refusal"].to_numpy(bool), true["refusal"].to_numpy(bool)
    doubtful = rng.random(len(true)) < np.where(human, *HEDGED)
    number = true["persona"].cat.codes.to_numpy()
    group = np.where(true["persona"] == BASELINE, BASELINE, np.char.add("group ", (number % GROUPS).astype(str)))
    units = true[["model", "task", "persona", "text_id", "template"]].astype(str).reset_index(drop=True)
    stratum = np.select([machine, ~doubtful], [REFUSAL, CHOICE], OTHER)
    units = units.assign(group=group, stratum=stratum, labeller="simulated", machine=machine)
    units.insert(0, "prompt_id", [f"q{k:07d}" for k in range(len(units))])
    items = draw_sample(units, n, seed)
    place = items["prompt_id"].str[1:].astype(int).to_numpy()
    return units, items.assign(human=human[place])
