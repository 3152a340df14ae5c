"""Label error: worlds whose labeller errs at known rates, and audits by people who see the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from falserefusal.annotation import correction
from falserefusal.annotation.accuracy import estimate_accuracy
from falserefusal.annotation.corrected import corrected_tables
from falserefusal.annotation.sample import CHOICE, OTHER, REFUSAL, draw_sample
from falserefusal.common.schemas import ALL, ANY_PERSONA, BASELINE
from falserefusal.estimation import claims
from falserefusal.estimation.effects import MEAN
from falserefusal.statistics import sensitivity
from simulation.experiments import Setting, panel
from simulation.true_values import task_names
from simulation.worlds import World, make_world

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


# --- experiment


AUDITED = 600  # responses


@dataclass(frozen=True)
class Labeller:
    """A world of eight models that refuse alike, and the sensitivity and specificity of a labeller for each of them."""

    rate: float
    sensitivity: tuple[float, ...]
    specificity: tuple[float, ...]

    def world(self, seed: int | list[int]) -> World:
        """Every other persona raises the refusal rate, by 12 points if it is about 0.39; nothing else matters."""
        models, personas = len(self.sensitivity), 10
        hot = [(model, persona, 0.33) for model in range(models) for persona in range(0, personas, 2)]
        flat = {"tasks": (0.0, 0.0, 0.0), "model_task_sd": 0.0, "template_sd": 0.0, "shares": (0.2, 0.2, 0.1)}
        return make_world(seed, rates=[self.rate] * models, personas=personas, hot=hot, **flat)


LABELLERS = {
    "four models labelled worse": Labeller(0.39, (0.95,) * 4 + (0.70,) * 4, (0.8,) * 8),
    "all models labelled alike": Labeller(0.39, (0.85,) * 8, (0.9,) * 8),
    "rare refusals, four models labelled worse": Labeller(0.02, (0.95,) * 4 + (0.70,) * 4, (0.995,) * 8),
}


def label_error(setting: Setting) -> pd.DataFrame:
    """Persona effects, importance and claims before and after correction, in one world of LABELLERS.

    Returns
    -------
    Columns kind, quantity, true (value, or conclusion from true verdicts), uncorrected, corrected (mean value, or share
    of studies with the true conclusion), coverage and half_width (of the corrected interval), sensitive (share of
    studies in which the claim is sensitive to label error), replicates, world, design, calls.
    """
    parts = setting.run(partial(_once, setting)).assign(count=1)
    groups = parts.groupby(["kind", "quantity", "true"], sort=False, dropna=False)
    table = groups[["uncorrected", "corrected", "coverage", "half_width", "sensitive"]].mean()
    table["replicates"] = groups["replicate"].nunique()
    return table.reset_index().assign(world=setting.world, design=setting.design, calls=setting.calls)


def _once(setting: Setting, replicate: int) -> pd.DataFrame:
    """Every quantity of one study."""
    labeller = LABELLERS[setting.world]
    world = labeller.world([setting.seed, 1])
    true = setting.study(world, replicate)
    true["task"] = true["task"].cat.rename_categories(task_names(world))
    labelled = mislabel(true, labeller.sensitivity, labeller.specificity, [setting.seed, 4, replicate])
    verdicts, items = audited(true, labelled, AUDITED, setting.seed + replicate)
    counts, models = correction.machine_counts(verdicts), panel(world.models)
    accuracy = estimate_accuracy(counts, items, replicate)
    found = corrected_tables(labelled, models, accuracy, replicate)
    rows = [*_effects(found["effects"], world), *_importance(found["importance"], world)]
    concluded = claims.gather(models, outcomes=true, seed=replicate)
    for claim, row in zip(claims.CLAIMS, found["claims"].itertuples(), strict=True):
        conclusion = claims.decide(claim, concluded).conclusion
        right = {"uncorrected": row.uncorrected == conclusion, "corrected": row.conclusion == conclusion}
        rows.append({"kind": "claim", "quantity": row.claim, "true": conclusion, "sensitive": row.sensitive} | right)
    rates = correction.corrected_rates(counts, items, correction.design_effects(verdicts), [[], ["model"], ["task"]])
    for row in rates[rates["group"] == ANY_PERSONA].itertuples():
        name = "mean" if row.model == row.task == ALL else "by model" if row.task == ALL else "by task"
        rows.append(_covered("rate", name, world.rates[:, 1:].mean(), row.rate, row))
    return pd.DataFrame(rows).assign(replicate=replicate).astype({"uncorrected": float, "corrected": float})


def _covered(kind: str, quantity: str, true: float, uncorrected: float, row) -> dict:
    """A value before and after correction, and whether its interval covers the true one."""
    known = {"kind": kind, "quantity": quantity, "true": round(float(true), 6), "uncorrected": uncorrected}
    known |= {"corrected": row.corrected, "coverage": float(row.lo - 1e-9 <= true <= row.hi + 1e-9)}
    return known | {"half_width": (row.hi - row.lo) / 2}


def _effects(table: pd.DataFrame, world: World) -> Iterator[dict]:
    """Persona effects; all models have the same true ones."""
    rate = world.rates.mean((0, 2, 3))
    true = dict(zip(world.personas, rate[1:] - rate[0], strict=True)) | {ALL: rate[1:].mean() - rate[0]}
    for row in table.dropna(subset="corrected").itertuples():
        of = "any persona" if row.persona == ALL else "a persona"
        where = "mean over models" if row.model == MEAN else "one model"
        yield _covered("effect", f"{of}, {where}", true[row.persona], row.difference, row)


def _importance(table: pd.DataFrame, world: World) -> Iterator[dict]:
    """Indices of model, task and persona."""
    rate = world.rates[:, 1:].mean(3)
    for row in table.rename(columns={"index": "name"}).itertuples():
        axis = ["model", "persona", "task"].index(row.factor)
        levels = rate.mean(tuple(k for k in range(3) if k != axis))
        true = sensitivity.INDICES[row.name](levels, np.full(len(levels), 1 / len(levels)))
        yield _covered("importance", f"{row.name}, {row.factor}", true, row.uncorrected, row)
