"""The simulated worlds in which intervals and tests are checked: a name, and a function that makes the world of a seed.

They differ in what a study cannot choose: how texts, personas, templates and models depend on each other.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simulation.worlds import World, make_world

MODELS = 16
FALLING = np.geomspace(0.35, 0.002, MODELS)  # refusal rates that fall with capability
FIVE = np.geomspace(0.35, 0.01, 5)
RARE = (0.0005, 0.001, 0.003, 0.01, 0.05)
FREQUENT = (0.985, 0.97, 0.93, 0.85, 0.6)
SHARING = (0.3, 0.3, 0.25)  # of what responses to a text, and to a prompt, have in common: most of the variance
EFFECTS = {"persona_sd": 0.12, "presence": 0.05}
NOTHING = {"persona_sd": 0.0, "template_sd": 0.0, "tasks": (0.0, 0.0, 0.0), "model_task_sd": 0.0}
HEAVY = ((0.9, 0.7), (0.1, np.sqrt((1 - 0.9 * 0.49) / 0.1)))  # one text in ten has three times the effect
FAMILY = np.arange(MODELS) * 3 // MODELS  # three families, as in `experiments.panel`
BY_FAMILY = {"rates": np.array([0.25, 0.1, 0.03])[FAMILY], "family": FAMILY, "family_sd": (0.35, 0.2, 0.1)}


def in_one_template(seed: list[int]) -> World:
    """Personas change the response to the first template only, and much."""
    world = make_world(seed, rates=FIVE, persona_sd=0.5)
    mean = world.mean.copy()
    mean[:, 1:, :, 1:] = mean[:, :1, :, 1:]
    return replace(world, mean=mean)


def crossed(seed: list[int]) -> World:
    """Fifteen personas are five levels of one attribute times three of another, with effects that add up."""
    world = make_world([*seed, 1], rates=FIVE)
    rng = np.random.default_rng([*seed, 2])
    own = rng.normal(0, 0.12, (len(FIVE), 5, 1)) + rng.normal(0, 0.12, (5, 1)) + rng.normal(0, 0.12, 3)
    mean = world.mean.copy()
    mean[:, 1:] += 0.05 + own.reshape(len(FIVE), 15)[:, :, None, None]
    return replace(world, mean=mean)


def of(**options: object) -> Callable[[list[int]], World]:
    """A function that makes a world with these options of `make_world`; those of World are set afterwards."""
    after = {name: options.pop(name) for name in ("kinds", "opposite", "text_persona") if name in options}
    return lambda seed: replace(make_world(seed, **({"rates": FIVE} | options)), **after)


WORLDS: dict[str, Callable[[list[int]], World]] = {
    "16 models": of(rates=FALLING, **EFFECTS),
    "16 models, high correlation": of(rates=FALLING, shares=SHARING, **EFFECTS),
    "moderate": of(**EFFECTS),
    "high correlation": of(shares=SHARING, **EFFECTS),
    "no effect of persona, template or task": of(shares=SHARING, **NOTHING),
    "heavy-tailed texts": of(kinds=HEAVY, shares=SHARING, **EFFECTS),
    "heavy-tailed texts, no effect": of(kinds=HEAVY, shares=SHARING, **NOTHING),
    "effects in one template": in_one_template,
    "text x persona": of(text_persona=0.2, **EFFECTS),
    "opposite effects, mean zero": of(opposite=(1, 2, 3, 4, 5), shares=(0.5, 0.1, 0.2), **NOTHING),
    "rare refusals": of(rates=RARE, **EFFECTS),
    "rare refusals, no effect": of(rates=RARE, **NOTHING),
    "nearly always refused": of(rates=FREQUENT, **EFFECTS),
    "families of models": of(**BY_FAMILY, persona_sd=0.05),
    "crossed attributes": crossed,
}
