"""Rates, main effects and interactions of crossed personas: against numbers by hand, and a planted interaction."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import synthetic
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.attributes import departures, effects_attribute, rates_attribute
from falserefusal.estimation.separations import separations
from falserefusal.statistics.gls import fit_personas

TWO_BY_TWO = pd.DataFrame(
    {"persona": ["bm", "bw", "wm", "ww"], "race": ["b", "b", "w", "w"], "gender": ["m", "w", "m", "w"]}
)


def outcomes_of(refused: dict[tuple[str, str], int], texts: int = 100, order: int = 1) -> pd.DataFrame:
    """Every text once with every persona; the first `refused[model, persona]` texts are refused.

    `order`: in which steps the texts are numbered, so that personas refuse different texts.
    """
    parts = []
    for k, ((model, persona), count) in enumerate(refused.items()):
        text = np.arange(texts)
        refusal = (text * order + 7 * k) % texts < count
        names = np.char.add("t", text.astype(str))
        parts.append(pd.DataFrame({"model": model, "persona": persona, "text_id": names, "refusal": refusal}))
    frame = pd.concat(parts, ignore_index=True)
    same = {"task": "a", "template": "p1", "format": "forced", "draw": 0, "interim_look": 0, "labeller": "x"}
    return frame.assign(row_id=frame["text_id"], block=frame["text_id"], **same)


def rows(table: pd.DataFrame, **levels: str) -> pd.DataFrame:
    for column, level in levels.items():
        table = table[table[column] == level]
    return table


def test_two_by_two_by_hand():
    """Rates .40, .20, .10, .10: mean .20; race +-.10; gender +-.05; interaction +-.05."""
    counts = {"bm": 40, "bw": 20, "wm": 10, "ww": 10}
    table = effects_attribute(fit_personas(outcomes_of({("m", p): n for p, n in counts.items()}, order=3)), TWO_BY_TWO)
    mean = rows(table, model="mean").set_index("levels")
    found = rows(mean, attributes="race")["difference"].to_dict()
    assert found == pytest.approx({"b": 0.10, "w": -0.10})
    assert rows(mean, attributes="gender")["difference"].to_dict() == pytest.approx({"m": 0.05, "w": -0.05})
    both = rows(mean, kind="interaction")
    assert both["difference"].to_dict() == pytest.approx({"b x m": 0.05, "b x w": -0.05, "w x m": -0.05, "w x w": 0.05})
    assert both["expected"].to_dict() == pytest.approx({"b x m": 0.35, "b x w": 0.25, "w x m": 0.15, "w x w": 0.05})
    assert (both["rate"] - both["expected"]).to_numpy() == pytest.approx(both["difference"].to_numpy())
    assert both["p_holm"].nunique() == 1 and both["p_holm"].iloc[0] == pytest.approx(both["p"].iloc[0])  # one effect
    assert (both["lo"] < both["difference"]).all() and (both["difference"] < both["hi"]).all()


def test_the_variance_of_an_interaction_by_hand():
    """With one response per text and persona, the interaction is a mean over texts of a contrast of its responses."""
    counts = {"bm": 40, "bw": 20, "wm": 15, "ww": 15}
    outcomes = outcomes_of({("m", p): n for p, n in counts.items()}, order=3)
    table = effects_attribute(fit_personas(outcomes), TWO_BY_TWO)
    wide = outcomes.pivot(index="text_id", columns="persona", values="refusal").astype(float)
    contrast = (wide["bm"] - wide["bw"] - wide["wm"] + wide["ww"]) / 4
    row = rows(table, model="mean", levels="b x m").iloc[0]
    assert row["difference"] == pytest.approx(contrast.mean())
    assert row["difference"] / row["z"] == pytest.approx(contrast.std(ddof=1) / 10, rel=0.02)  # jackknife


def test_models_have_the_same_weight_and_their_own_rows():
    refused = {("one", p): n for p, n in zip(TWO_BY_TWO["persona"], (40, 20, 20, 20), strict=True)}
    refused |= {("two", p): n for p, n in zip(TWO_BY_TWO["persona"], (20, 20, 20, 20), strict=True)}
    table = effects_attribute(fit_personas(outcomes_of(refused, order=3)), TWO_BY_TWO)
    found = rows(table, levels="b x m").set_index("model")["difference"]
    assert found.to_dict() == pytest.approx({"mean": 0.025, "one": 0.05, "two": 0.0})
    assert rows(table, model="mean")["method"].str.contains("Student").all()
    assert rows(table, model="one")["method"].str.contains("MOVER").all()


def test_few_refusals_have_the_wider_limits():
    counts = {"bm": 4, "bw": 2, "wm": 1, "ww": 1}
    table = effects_attribute(fit_personas(outcomes_of({("m", p): n for p, n in counts.items()})), TWO_BY_TWO)
    assert rows(table, kind="interaction")["method"].str.contains("below 10 refusals").any()
    assert (table["lo"] < table["difference"]).all() and (table["p"] > 0.05).all()


@pytest.fixture(scope="module")
def three_attributes():
    levels = pd.DataFrame(list(product(["a", "b", "c"], ["x", "y"], ["0", "1"])), columns=["race", "gender", "age"])
    levels.insert(0, "persona", ["p" + "".join(row) for row in levels.itertuples(index=False)])
    planted = {persona: 30 + 3 * k % 5 for k, persona in enumerate(levels["persona"])}
    planted["pbx0"], planted["pbx1"] = 80, 80  # b with x, whatever the age
    refused = {(model, persona): n for model in ("one", "two") for persona, n in planted.items()}
    return levels, outcomes_of(refused, texts=200, order=7)


def test_a_planted_interaction_is_found(three_attributes):
    levels, outcomes = three_attributes
    table = effects_attribute(fit_personas(outcomes), levels)
    assert set(table["attributes"]) == {
        *("race", "gender", "age", "race x gender", "race x age", "gender x age", "race x gender x age")
    }
    mean = rows(table, model="mean")
    assert rows(mean, levels="b x x")["p_holm"].item() < 0.01 and rows(mean, levels="b x x")["difference"].item() > 0.05
    assert (rows(mean, attributes="race x age")["p_holm"] > 0.05).all()
    assert (rows(mean, attributes="gender x age")["p_holm"] > 0.05).all()
    assert rows(mean, kind="interaction").groupby("attributes")["difference"].sum().abs().max() < 1e-9


def test_rates_by_level_pool_the_personas(three_attributes):
    levels, outcomes = three_attributes
    table = rates_attribute(outcomes, levels)
    own = rows(table, attribute="gender", model="mean").set_index("level")
    personas = levels.loc[levels["gender"] == "x", "persona"]
    counted = outcomes[outcomes["persona"].isin(personas)]["refusal"]
    assert own.loc["x", "rate"] == pytest.approx(counted.mean()) and own.loc["x", "refusals"] == counted.sum()
    assert list(own.index) == ["x", "y"] and (own["lo"] < own["rate"]).all() and (own["rate"] < own["hi"]).all()


def test_levels_are_named_only_if_they_are_separated(three_attributes):
    levels, outcomes = three_attributes
    table = separations(synthetic.cells_of(outcomes), outcomes, attributes=levels).set_index("factor")
    assert table.loc["race", "highest"] == "b"
    assert table.loc["age", "higher"] == "" and table.loc["age", "clear"] == 0


def test_without_attributes_separations_are_as_before(three_attributes):
    _, outcomes = three_attributes
    factors = set(separations(synthetic.cells_of(outcomes), outcomes)["factor"])
    assert factors == {"persona", "task", "model", "format"}


def test_a_model_without_some_persona_is_left_out():
    refused = {("one", p): 20 for p in TWO_BY_TWO["persona"]} | {("two", p): 20 for p in ("bm", "bw", "wm")}
    table = effects_attribute(fit_personas(outcomes_of(refused, order=3)), TWO_BY_TWO)
    assert set(table["model"]) == {"mean", "one"} and table["method"].str.contains("without 1 cells").all()
    nothing = effects_attribute(fit_personas(outcomes_of({("one", "bm"): 20, ("one", BASELINE): 9})), TWO_BY_TWO)
    assert nothing.empty and "p_holm" in nothing


def test_departures_of_one_attribute_are_from_the_mean():
    weights = departures(pd.DataFrame({"race": ["a", "b", "c"]}))
    assert weights == pytest.approx(np.eye(3) - 1 / 3)
