"""Differences between studies: on shared prompts, and by shared texts."""

import numpy as np
import pytest

from falserefusal.estimation.choices import MEAN, RATE, RESULT, changes, results
from falserefusal.estimation.studies import BY_TEXT, COLUMNS, by_text, differences, share_prompts
from synthetic import blocked, judge

PERSONAS = ["p", "q", "r", "s"]


def study(models, seed, blocks=60):
    return judge(
        blocked(blocks, PERSONAS, seed, tasks=("nli", "politeness")), models, PERSONAS, [0.3, 0.5][: len(models)], seed
    )[0]


@pytest.fixture(scope="module")
def reference():
    return study(["a", "b"], 1)


def flipped(outcomes, share):
    hit = np.random.default_rng(3).random(len(outcomes)) < share
    return outcomes.assign(refusal=outcomes["refusal"] ^ hit)


def test_on_the_same_prompts_both_ways_agree(reference):
    other = flipped(reference, 0.2)
    assert share_prompts(reference, other)
    paired, texts = (table.set_index(RESULT) for table in (changes(reference, other), by_text(reference, other)))
    for column in ("difference", "d_lo", "d_hi", "p"):
        np.testing.assert_allclose(texts[column], paired[column], err_msg=column)


def test_texts_of_one_study_only_are_independent(reference):
    other = study(["a", "b"], 2).assign(text_id=lambda frame: "x" + frame["text_id"].astype(str))
    table, one, two = by_text(reference, other), results(reference), results(other)
    assert (table["shared_texts"] == 0).all() and (table["note"] == BY_TEXT).all()
    rate = (one.rows["quantity"] == RATE).to_numpy()
    sd = np.sqrt((one.moves**2).sum(0) + (two.moves**2).sum(0))[rate]
    half = (table["d_hi"] - table["difference"])[table["quantity"] == RATE]
    assert (half / sd).between(1.95, 2.1).all()


def test_other_models_are_compared_by_the_results_that_both_studies_have(reference):
    other = study(["c"], 1)
    assert not share_prompts(reference, other)
    table = differences({"one": reference, "two": other, "three": reference})
    assert list(table.columns) == COLUMNS
    two = table[table["other_study"] == "two"]
    assert set(two.loc[two["quantity"] == RATE, "model"]) == {MEAN}
    assert (two["shared_texts"] == 120).all(), "the same texts, so paired"
    assert (table.loc[table["other_study"] == "three", "difference"] == 0).all()
    tested = table["p"].notna()
    assert (table.loc[tested, "p_holm"] >= table.loc[tested, "p"]).all()
