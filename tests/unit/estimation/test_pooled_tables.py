"""The tables of partially pooled rates and persona effects."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.effects import persona_effects
from falserefusal.estimation.pooling import shrunken_effects, shrunken_rates
from falserefusal.statistics.gls import fit_personas
from synthetic import blocked, cells_of, judge, nested


def test_table_pools_within_models_and_says_so():
    personas = ["atheist", "man", "woman"]
    outcomes, _ = judge(nested(40, 25, personas, 1), ["A", "B"], personas, [0.4, 0.1], 2)
    for source in (None, outcomes):
        table = shrunken_rates(cells_of(outcomes), ["task", "model"], source)
        assert len(table) == 3 * 2 * 3 and BASELINE not in set(table["persona"])
        group = table[(table["task"] == "nli") & (table["model"] == "A")]
        assert group["shrunken"].std() < group["rate"].std()
        assert table["method"].str.contains("shrunken").all()


@pytest.mark.parametrize("draw", [nested, blocked])
def test_effects_are_shrunken_towards_those_of_other_models_and_personas(draw):
    personas, models = ["atheist", "man", "woman", "Jew", "Muslim"], ["A", "B", "C", "D"]
    size = (60, 60, personas, 1) if draw is nested else (150, personas, 1)
    outcomes, _ = judge(draw(*size), models, personas, [0.4, 0.2, 0.1, 0.001], 2)
    fit = fit_personas(outcomes)
    raw = persona_effects(outcomes, fit)
    table = shrunken_effects(fit, raw)
    pd.testing.assert_frame_equal(table[["model", "persona", "difference"]], raw[["model", "persona", "difference"]])
    assert (table["shrunken"] ** 2).mean() < 0.8 * (raw["difference"] ** 2).mean()  # there is no effect
    assert ((table["lo"] < table["shrunken"]) & (table["shrunken"] < table["hi"])).all()
    assert (table["hi"] - table["lo"]).mean() < 0.8 * (raw["hi"] - raw["lo"]).mean()
    assert table["shrinkage"].between(0, 1).all()
    rare = table[table["model"] == "D"]
    assert np.abs(rare[["lo", "hi"]]).to_numpy().max() < 0.05  # a model that hardly refuses has no large effect
    assert table["method"].str.contains("full Bayes, probit scale").all()


@pytest.mark.parametrize("models", [["A"], ["A", "B"]])
def test_fewer_than_three_models_keep_their_raw_effects_and_the_table_says_why(models):
    personas = ["man", "woman"]
    outcomes, _ = judge(blocked(60, personas, 1, size=2), models, personas, [0.4, 0.1][: len(models)], 2)
    fit = fit_personas(outcomes)
    raw = persona_effects(outcomes, fit)
    table = shrunken_effects(fit, raw)
    np.testing.assert_array_equal(table[["shrunken", "lo", "hi"]], raw[["difference", "lo", "hi"]])
    assert (table["shrinkage"] == 1).all()
    assert table["method"].str.fullmatch(r"raw: shrinkage needs 3 models, there (is 1|are 2)").all()
