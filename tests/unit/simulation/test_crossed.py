"""The simulation of crossed personas."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from falserefusal.estimation.attributes import CROSS
from simulation.crossed import CROSSED_WORLDS, LEVELS, crossed, true_values
from simulation.experiments import Setting


def attributes_of(world):
    attributes = pd.DataFrame(list(product(*LEVELS.values())), columns=list(LEVELS))
    return attributes.assign(persona=world.personas)


def test_the_table_has_every_interval(script):
    table = crossed(Setting(script.draw, "additive, 2 models", "blocked", 600, 3, 1, 1))
    assert len(table) == 8 and table["coverage"].gt(0.7).all() and table["half_width"].gt(0).all()
    assert table.loc[table["quantity"] == "interaction", "false"].notna().all()


def test_an_additive_world_has_main_effects_and_no_interaction():
    world = CROSSED_WORLDS["additive, 2 models"]([1, 2])
    true = true_values(world, attributes_of(world))
    crossings = {key: value for key, value in true.items() if CROSS in key[1]}
    assert max(map(abs, crossings.values())) < 1e-9
    assert abs(true["mean", "racer1"]) > 1e-3
    assert np.mean([true["mean", f"rate of race{level}"] for level in LEVELS["race"]]) == pytest.approx(
        world.rates[:, 1:].mean()
    )


def test_the_other_worlds_are_what_their_names_say():
    largest = {}
    for name, make in CROSSED_WORLDS.items():
        world = make([1, 2])
        true = true_values(world, attributes_of(world))
        largest[name] = max(abs(value) for (_, key), value in true.items() if CROSS in key)
    assert all((value > 1e-4) == name.startswith("interaction") for name, value in largest.items())
