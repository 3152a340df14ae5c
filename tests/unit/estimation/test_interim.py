"""Summary of a sequential study: the level that decides, what was spent, what was saved."""

import pandas as pd
import pytest

from falserefusal.estimation.interim import savings, widest


@pytest.fixture
def looks():
    rows = [  # model A stops after look 0, B continues and never meets its target
        (0, "A", "man", 100, 0.10, 0.01, True),
        (0, "A", "woman", 100, 0.20, 0.02, True),
        (0, "B", "man", 100, 0.30, 0.09, False),
        (0, "B", "woman", 100, 0.30, 0.02, True),
        (1, "B", "man", 150, 0.30, 0.05, False),
        (1, "B", "woman", 150, 0.30, 0.04, False),
    ]
    frame = pd.DataFrame(rows, columns=["interim_look", "model", "level", "responses", "estimate", "half_width", "met"])
    frame = frame.assign(quantity="persona effects", n=50, target=0.03, always_lo=0.0, always_hi=1.0)
    return frame.assign(lo=frame["estimate"] - frame["half_width"], hi=frame["estimate"] + frame["half_width"])


def test_the_level_that_decides(looks):
    table = widest(looks)
    assert table[["interim_look", "model", "level", "calls"]].to_numpy().tolist() == [
        [0, "A", "woman", 100],
        [0, "B", "man", 100],
        [1, "B", "man", 150],
    ]


def test_what_was_spent_and_saved(looks):
    design = pd.DataFrame({"model": ["*"] * 400})
    table = savings(looks, design).set_index("model")
    assert table.loc["A", ["looks", "responses", "full", "saved"]].tolist() == [1, 100, 400, 0.75]
    assert table.loc["B", ["looks", "responses", "met"]].tolist() == [2, 150, False]
    assert table.loc["all", "saved"] == pytest.approx(1 - 250 / 800)
