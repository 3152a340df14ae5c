"""Rates by level, main effects and interactions of crossed personas in simulated studies: coverage of their intervals.

Twelve personas cross three attributes with 3, 2 and 2 levels. Their effects are added to the refusal rates themselves,
not to the latent number, so that an additive world has no interaction.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from scipy.special import ndtri

from falserefusal.estimation.attributes import CROSS, departures, effects_attribute, rates_attribute
from falserefusal.estimation.effects import MEAN
from falserefusal.statistics.gls import fit_personas
from simulation.catalogue import RARE, SHARING
from simulation.experiments import Setting
from simulation.worlds import World, make_world

LEVELS = {"race": ("r1", "r2", "r3"), "gender": ("g1", "g2"), "disability": ("d1", "d2")}
MAIN_SD, INTERACTION_SD = 0.15, 0.25  # of effects, as shares of each rate
TWO, EIGHT = (0.25, 0.08), np.geomspace(0.35, 0.02, 8)
SHARED = (0.2, 0.2, 0.2)


def world_of(
    rates: np.ndarray, main: float = 0.0, interaction: float = 0.0, shares: tuple[float, float, float] = SHARED
) -> Callable[[list[int]], World]:
    """A function that makes a world from a seed; effects are multiples of the rate of the model, task and template."""

    def make(seed: list[int]) -> World:
        combinations = list(product(*LEVELS.values()))
        world = make_world([*seed, 1], rates=rates, personas=len(combinations), shares=shares)
        rng = np.random.default_rng([*seed, 2])
        effect = interaction * rng.standard_normal((len(rates), len(combinations)))
        for name, levels in zip(range(len(LEVELS)), LEVELS.values(), strict=True):
            own = main * rng.standard_normal((len(rates), len(levels)))
            effect += own[:, [levels.index(found[name]) for found in combinations]]
        of_cells = world.rates[:, 1:] * (1 + np.clip(effect, -0.9, 1.2))[:, :, None, None]
        mean = world.mean.copy()
        mean[:, 1:] = ndtri(np.clip(of_cells, 1e-6, 0.995))
        return replace(world, mean=mean)

    return make


CROSSED_WORLDS = {
    f"{name}, {size} models": world_of(rates, **effects)
    for size, rates in (("2", TWO), ("8", EIGHT))
    for name, effects in (
        ("null", {}),
        ("additive", {"main": MAIN_SD}),
        ("interaction", {"main": MAIN_SD, "interaction": INTERACTION_SD}),
    )
}
CROSSED_WORLDS["null, high correlation, 8 models"] = world_of(EIGHT, shares=SHARING)
CROSSED_WORLDS["interaction, rare refusals, 5 models"] = world_of(RARE, main=MAIN_SD, interaction=INTERACTION_SD)
CROSSED = [
    *((world, "blocked", calls) for world in CROSSED_WORLDS for calls in (600, 2400)),
    ("interaction, 8 models", "nested", 2400),
    ("interaction, 2 models", "blocked, 3 blocks per text", 2400),
]


def crossed(setting: Setting) -> pd.DataFrame:
    """Coverage of the intervals of one setting; every study has effects of its own.

    Returns
    -------
    One row per quantity (rate of a level, main effect, interaction; averaged over models, and of one model): coverage,
    error (its Monte Carlo standard error, with studies as the units), lowest (coverage of the worst effect, after the
    mean over models), false (share of studies in which an effect that is 0 has p_holm of 0.05 or less; missing if no
    effect is 0), half_width (mean, in points), replicates, world, design, prompts (per model).
    """
    found = setting.run(partial(_once, setting))
    rows = []
    for (quantity, scope), part in found.groupby(["quantity", "scope"], sort=False):
        studies = part.groupby("replicate")
        nothing = part[part["nothing"]]
        rows.append(
            {
                "quantity": quantity,
                "scope": scope,
                "coverage": part["covered"].mean(),
                "error": studies["covered"].mean().std() / np.sqrt(len(studies)),
                "lowest": part.groupby("effect")["covered"].mean().min(),
                "false": nothing.groupby("replicate")["found"].any().mean() if len(nothing) else np.nan,
                "half_width": part["half_width"].mean(),
            }
        )
    place = {"replicates": setting.count, "world": setting.world, "design": setting.design, "prompts": setting.calls}
    return pd.DataFrame(rows).assign(**place)


def _once(setting: Setting, replicate: int) -> pd.DataFrame:
    """Whether each interval of one study covers the true value."""
    world = CROSSED_WORLDS[setting.world]([setting.seed, 1, replicate])
    outcomes = setting.study(world, replicate)
    attributes = pd.DataFrame(list(product(*LEVELS.values())), columns=list(LEVELS))
    attributes.insert(0, "persona", world.personas)
    rates = rates_attribute(outcomes, attributes)
    rates = rates.assign(
        quantity="rate of a level", effect="rate of " + rates["attribute"] + rates["level"].astype(str)
    )
    effects = effects_attribute(fit_personas(outcomes), attributes)
    effects["quantity"] = effects["kind"].where(
        effects["attributes"].str.count(CROSS) < len(LEVELS) - 1, "interaction of all attributes"
    )
    effects = effects.assign(effect=effects["attributes"] + effects["levels"])
    true = true_values(world, attributes)
    parts = []
    for table in (rates, effects):
        value = np.array([true[key] for key in zip(table["model"], table["effect"], strict=True)])
        part = table[["quantity", "effect"]].assign(scope=np.where(table["model"] == MEAN, "mean", "one model"))
        part["covered"] = (table["lo"] - 1e-9 <= value) & (value <= table["hi"] + 1e-9)
        part["nothing"] = (np.abs(value) < 1e-9) & ("p_holm" in table)
        part["found"] = table["p_holm"] <= 0.05 if "p_holm" in table else False
        parts.append(part.assign(half_width=100 * (table["hi"] - table["lo"]) / 2, replicate=replicate))
    return pd.concat(parts, ignore_index=True)


def true_values(world: World, attributes: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Rate of each level, main effects and interactions, by model (or mean) and name of the effect."""
    rates = pd.DataFrame(world.rates[:, 1:].mean((2, 3)), world.models, world.personas)
    rates.loc[MEAN] = rates.mean()
    names = list(LEVELS)
    true: dict[tuple[str, str], float] = {}
    pairs = [[first, second] for k, first in enumerate(names) for second in names[k + 1 :]]
    for chosen in [*([name] for name in names), *pairs, names]:
        levels = attributes[chosen].agg(CROSS.join, axis=1).to_numpy()
        means = rates.T.groupby(levels, sort=False).mean()
        effects = departures(attributes[chosen].drop_duplicates()).T @ means.to_numpy()
        for model, column in zip(means.columns, effects.T, strict=True):
            true |= {(model, CROSS.join(chosen) + level): e for level, e in zip(means.index, column, strict=True)}
        if len(chosen) == 1:
            stacked = means.stack()
            true |= {(model, f"rate of {chosen[0]}{level}"): rate for (level, model), rate in stacked.items()}
    return true
