"""The simulation of shrunken persona effects."""

import numpy as np

from simulation.experiments import Setting
from simulation.shrinkage import SHRINKAGE_WORLDS, shrinkage


def test_shrinkage_table(script):
    table = shrinkage(Setting(script.draw, "one effect for all models", "blocked", 900, 2, 1, 1)).set_index("method")
    assert list(table.index) == ["raw", "shrunken"]
    assert table.loc["raw", "calls"] == 1 and table.loc["raw", "weight"] == 1
    assert table.loc["shrunken", "calls"] > 2
    assert table.loc["shrunken", "half_width"] < 0.7 * table.loc["raw", "half_width"]
    assert table["coverage"].gt(0.9).all() and table["top"].between(0, 1).all()


def test_without_effects_no_cell_is_a_large_one(script):
    table = shrinkage(Setting(script.draw, "no effect", "blocked", 300, 1, 1, 1))
    assert table["top"].isna().all() and table["coverage"].gt(0.9).all()


def test_every_world_can_be_made():
    for make in SHRINKAGE_WORLDS.values():
        assert np.isfinite(make([1, 2]).rates).all()
