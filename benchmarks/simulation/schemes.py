"""How many calls the usual ways of measuring persona effects need, compared with blocks and least squares.

A scheme is a design together with its analysis. `draw` of a Setting must know the designs "blocked" and "nested".
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.statistics.gls import fit_personas
from simulation import worlds
from simulation.experiments import EFFICIENCY_WORLDS, Setting
from simulation.true_values import formats_of
from simulation.worlds import World, make_world, respond

BLOCKED = "blocked, least squares"


def schemes(setting: Setting, correlation: float) -> pd.DataFrame:
    """Mean squared error and cost of every scheme at one within-prompt correlation.

    Returns
    -------
    Columns estimate, scheme, mse (mean over the effects of its kind, in squared points), calls (per model), times (mse
    x calls over that of `BLOCKED`: how many times its calls the scheme needs for the same precision), error (Monte
    Carlo standard error of `times`, with studies as the units), replicates, correlation.
    """
    world = make_world([setting.seed, 1], **EFFICIENCY_WORLDS["moderate"])
    world = worlds.shares_for(world, correlation)
    cost = setting.run(partial(_once, setting, world))
    rows = []
    for (estimate, scheme), part in cost.groupby(["estimate", "scheme"], sort=False):
        reference = cost[(cost["estimate"] == estimate) & (cost["scheme"] == BLOCKED)]
        own, other = part["mse"] * part["calls"], reference["mse"] * reference["calls"]
        times = own.mean() / other.mean()
        error = times * (own.to_numpy() / own.mean() - other.to_numpy() / other.mean()).std(ddof=1) / np.sqrt(len(own))
        row = {"estimate": estimate, "scheme": scheme, "mse": part["mse"].mean(), "calls": part["calls"].mean()}
        rows.append(row | {"times": times, "error": error, "replicates": len(own)})
    return pd.DataFrame(rows).assign(correlation=correlation)


def _once(setting: Setting, world: World, replicate: int) -> pd.DataFrame:
    """Mean squared error of each scheme in one study per scheme."""
    rates = world.rates.mean((2, 3))
    true = _estimates(rates[:, 1:] - rates[:, :1])
    rows = []
    for number, (scheme, (design, analyse)) in enumerate(SCHEMES.items()):
        seed = [setting.seed, 2, replicate, number]
        if design in CROSSED:
            frame = crossed(world, round(setting.calls / len(world.tasks)), CROSSED[design](world), seed)
        else:
            frame = setting.draw(design, world, setting.calls, seed)
        outcomes = respond(frame, world, [setting.seed, 3, replicate, number])
        effect = analyse(outcomes).reindex(index=world.models, columns=world.personas).to_numpy()
        calls = len(outcomes) / len(world.models)
        for estimate, value in _estimates(effect).items():
            mse = float(((value - true[estimate]) ** 2).mean())
            rows.append({"estimate": estimate, "scheme": scheme, "mse": mse, "calls": calls})
    return pd.DataFrame(rows)


def _estimates(effect: np.ndarray) -> dict[str, np.ndarray]:
    """The kinds of effects, in points, from those of models x personas."""
    values = {
        "persona effect, model": effect,
        "any-persona effect, model": effect.mean(1),
        "persona effect, mean over models": effect.mean(0),
        "persona minus persona, model": effect[:, 1:] - effect[:, :-1],
    }
    return {name: 100 * value.ravel() for name, value in values.items()}


def crossed(world: World, calls: int, groups: Sequence[Sequence[str]], seed: list[int]) -> pd.DataFrame:
    """Draw about `calls` prompts of each task: new texts, each without a persona and with those of one group.

    Groups are used equally often, each in a new order of the templates.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for task in world.tasks:
        blocks = round(calls / (1 + len(groups[0])))
        group = np.concatenate([rng.permutation(len(groups)) for _ in range(blocks // len(groups) + 1)])[:blocks]
        template = rng.permutation(np.resize(np.arange(len(world.templates)), blocks))
        for block in range(blocks):
            part = pd.DataFrame({"persona": [BASELINE, *groups[group[block]]]})
            parts.append(part.assign(task=task, template=world.templates[template[block]], block=f"{task}:{block}"))
    frame = pd.concat(parts, ignore_index=True).assign(model=ALL, draw=0, interim_look=0)
    return frame.assign(row_id=frame["block"], text_id=frame["block"], format=frame["template"].map(formats_of(world)))


def least_squares(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Persona effects (models x personas) by least squares on prompts."""
    fit = fit_personas(outcomes).average(["model", "persona"])
    table = fit.cells.assign(rate=fit.rate).pivot(index="model", columns="persona", values="rate")
    return table.sub(table[BASELINE], axis=0)


def plain_rates(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Persona effects as differences of plain rates, tasks with equal weight."""
    rate = outcomes.groupby(["model", "task", "persona"], observed=True)["refusal"].mean()
    table = rate.groupby(["model", "persona"], observed=True).mean().unstack("persona")
    return table.sub(table[BASELINE], axis=0)


def plain_pairs(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Persona effects as mean differences within pairs of a persona and the baseline, tasks with equal weight."""
    frame = outcomes[["model", "task", "block", "persona", "refusal"]].astype({"refusal": float})
    baseline = frame[frame["persona"] == BASELINE].set_index(["model", "block"])["refusal"]
    own = frame[frame["persona"] != BASELINE]
    before = baseline.reindex(pd.MultiIndex.from_frame(own[["model", "block"]])).to_numpy()
    gained = own.assign(gained=own["refusal"].to_numpy() - before)
    mean = gained.groupby(["model", "task", "persona"], observed=True)["gained"].mean()
    return mean.groupby(["model", "persona"], observed=True).mean().unstack("persona")


CROSSED: dict[str, Callable[[World], list]] = {
    "pairs": lambda world: [[persona] for persona in world.personas],
    "full factorial": lambda world: [world.personas],
}
SCHEMES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    BLOCKED: ("blocked", least_squares),
    "paper's nested design, plain rates": ("nested", plain_rates),
    "pairs, plain differences": ("pairs", plain_pairs),
    "full factorial, plain rates": ("full factorial", plain_rates),
}
