"""The comparison of schemes: designs and analyses by hand, and the table."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.schemas import BASELINE
from simulation import schemes
from simulation.experiments import Setting
from simulation.worlds import make_world, respond


@pytest.fixture(scope="module")
def world():
    return make_world(1, rates=[0.4, 0.1], persona_sd=0.3)


@pytest.mark.parametrize("design, size", [("pairs", 2), ("full factorial", 16)])
def test_crossed_designs_repeat_every_text_with_a_group_of_personas(world, design, size):
    frame = schemes.crossed(world, 480, schemes.CROSSED[design](world), [1])
    blocks = frame.groupby("block")
    assert (blocks.size() == size).all() and (blocks["template"].nunique() == 1).all()
    assert (blocks["persona"].nunique() == size).all()
    assert len(frame) == 3 * 480
    counts = frame[frame["persona"] != BASELINE]["persona"].value_counts()
    assert len(counts) == 15 and counts.nunique() == 1


def test_pairs_are_compared_with_their_own_baseline():
    rows = [("a", "x", 1), ("a", BASELINE, 0), ("b", "x", 1), ("b", BASELINE, 1), ("c", "y", 0), ("c", BASELINE, 1)]
    outcomes = pd.DataFrame(rows, columns=["block", "persona", "refusal"]).assign(model="m", task="t")
    found = schemes.plain_pairs(outcomes)
    assert found.loc["m", "x"] == 0.5 and found.loc["m", "y"] == -1
    assert schemes.plain_rates(outcomes).loc["m", "x"] == pytest.approx(1 - 2 / 3)


def test_least_squares_of_a_full_factorial_are_plain_rates(world):
    frame = schemes.crossed(world, 480, schemes.CROSSED["full factorial"](world), [1])
    outcomes = respond(frame, world, [2])
    fitted, plain = schemes.least_squares(outcomes), schemes.plain_rates(outcomes)
    np.testing.assert_allclose(fitted, plain[fitted.columns], atol=1e-9)


def test_table_of_schemes(script):
    table = schemes.schemes(Setting(script.draw, "moderate", schemes.BLOCKED, 900, 3, 1, 1), 0.5)
    assert len(table) == 4 * 4 and set(table["scheme"]) == set(schemes.SCHEMES)
    reference = table[table["scheme"] == schemes.BLOCKED]
    assert (reference["times"] == 1).all() and (reference["error"] == 0).all()
    assert table["calls"].between(800, 1000).all() and (table["mse"] > 0).all()
    assert (
        table.set_index(["estimate", "scheme"]).loc[("persona effect, model", "pairs, plain differences"), "times"]
        > 1.2
    )
