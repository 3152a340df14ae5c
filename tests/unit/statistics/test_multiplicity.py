"""Adjustments against hand-worked values, and the permutation test against every relabelling and under the null."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.effects import persona_effects
from falserefusal.statistics import multiplicity as mu
from falserefusal.statistics.gls import fit_personas
from synthetic import blocked, judge, nested

MODELS, PERSONAS = ["A", "B"], ["atheist", "man", "woman"]
EFFECT = np.zeros((2, 4))
EFFECT[0, 2] = 2.0
TASKS = ("nli", "politeness")
NESTED, _ = judge(nested(50, 30, PERSONAS, 1, tasks=TASKS), MODELS, PERSONAS, [0.4, 0.2], 2, EFFECT)
BLOCKED, _ = judge(blocked(60, PERSONAS, 3, tasks=TASKS), MODELS, PERSONAS, [0.4, 0.2], 4, EFFECT)


def asked_once(outcomes):
    """Equal prompts of a text once; prompts are then its templates, whichever row they were drawn for."""
    once = outcomes.drop_duplicates(["model", "task", "text_id", "template", "persona"])
    return once.assign(block=once["text_id"])


def test_holm_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(mu.holm(p), [0.03, 0.06, 0.06, 0.02])
    assert mu.holm(p.reshape(2, 2)).shape == (2, 2)
    for bad in ([0.1, np.nan], [1.2], []):
        with pytest.raises(InputError, match="p-values"):
            mu.holm(np.array(bad))


def test_step_down_by_hand():
    statistics = np.array([[3.0, 1.0, 2.0], [0.0, 1.5, 0.0], [2.5, 0.0, 0.0], [0.0, 0.0, 4.0]])
    # largest 3.0: rows with any >= 3: observed and last; then 2.0 among the last two: observed, last; then 1.0
    np.testing.assert_allclose(mu._step_down(statistics), [0.5, 0.5, 0.5])
    statistics[3, 2] = 0.0
    np.testing.assert_allclose(mu._step_down(statistics), [0.25, 0.5, 0.25])


@pytest.mark.parametrize("outcomes", [NESTED, BLOCKED], ids=["nested", "blocked"])
def test_observed_difference_is_that_of_the_fit(outcomes):
    table = mu.max_t(outcomes, 19)
    outcomes = asked_once(outcomes)
    effects = persona_effects(outcomes)
    merged = table.merge(effects, on=["model", "persona"])
    np.testing.assert_allclose(merged["difference_x"], merged["difference_y"], atol=1e-10)
    part = outcomes[outcomes["model"] == "A"]
    spread = part.groupby(["task", "block", "template"], observed=True)["refusal"].nunique()
    assert table.loc[0, "informative"] == (spread == 2).sum()


@pytest.mark.parametrize("outcomes", [NESTED, BLOCKED], ids=["nested", "blocked"])
def test_relabelling_equals_refitting(outcomes):
    # reverse the personas of every prompt, once in the fast statistic and once in the outcomes themselves
    test = mu._test(outcomes, BASELINE)
    order = np.lexsort((-np.arange(len(test.group)), test.group))
    fast = test.differences(test.personas[order][None])[0]
    outcomes = asked_once(outcomes)
    prompt = ["model", "task", "text_id", "template"]
    ordered = outcomes.sort_values([*prompt, "persona", "draw"]).reset_index(drop=True)
    size = ordered.groupby(prompt, observed=True)["persona"].transform("size")
    place = ordered.groupby(prompt, observed=True).cumcount()
    mirrored = ordered.index + size - 1 - 2 * place
    turned = ordered.assign(persona=ordered["persona"].to_numpy()[mirrored], draw=place.astype("int16"))
    turned["persona"] = turned["persona"].astype(outcomes["persona"].dtype)
    refit = fit_personas(turned).average(["model", "persona"])
    rate = pd.Series(refit.rate, index=pd.MultiIndex.from_frame(refit.cells[["model", "persona"]].astype(str)))
    slow = [rate[m, p] - rate[m, BASELINE] for m, p in test.cells[["model", "persona"]].to_numpy()]
    np.testing.assert_allclose(fast, slow, atol=1e-10)
    assert np.abs(fast - test.differences(test.personas[None])[0]).max() > 0.01


def test_a_row_drawn_again_changes_nothing():
    rows = NESTED["row_id"].unique()[:20]
    again = NESTED[NESTED["row_id"].isin(rows)]
    again = again.assign(**{name: again[name].astype(str) + " again" for name in ("row_id", "block")})
    pd.testing.assert_frame_equal(mu.max_t(pd.concat([NESTED, again], ignore_index=True), 49), mu.max_t(NESTED, 49))


@pytest.mark.parametrize("reference", [BASELINE, mu.MEAN])
def test_every_sample_of_a_prompt_counts(reference):
    none = NESTED.assign(sample="1", refusal=False)
    both = pd.concat([NESTED.assign(sample="0"), none], ignore_index=True).astype({"sample": "category"})
    found, once = (mu.max_t(frame, 49, reference=reference) for frame in (both, NESTED))
    # not exactly half: the weights of the fit follow the correlation within prompts
    np.testing.assert_allclose(found["difference"], once["difference"] / 2, atol=0.02)
    twice = pd.concat([NESTED.assign(sample=name) for name in "01"], ignore_index=True).astype({"sample": "category"})
    assert (mu.max_t(twice, 49, reference=reference)["informative"] > once["informative"]).any()


def test_p_values_approach_those_of_all_relabellings():
    # four blocks of two personas and one response without, each with one refusal: 3^4 relabellings are all there is
    rows = []
    for block, refused in enumerate([1, 1, 1, 0]):
        for place, persona in enumerate([BASELINE, "man", "woman"]):
            rows.append(("A", "nli", f"r{block}", f"t{block}", f"b{block}", persona, "p1", place - 1, place == refused))
    columns = ["model", "task", "row_id", "text_id", "block", "persona", "template", "draw", "refusal"]
    outcomes = pd.DataFrame(rows, columns=columns)
    everything = []
    for arrangement in product(permutations(range(3)), repeat=4):
        counts = np.zeros(3)
        for block, order in enumerate(arrangement):
            counts[order[[1, 1, 1, 0][block]]] += 1
        everything.append((counts[1] - counts[0]) / 4)
    observed = (3 - 1) / 4
    exact = np.mean(np.array(everything) >= observed - 1e-9)
    old, mu.MIN_INFORMATIVE = mu.MIN_INFORMATIVE, 1
    try:
        table = mu.max_t(outcomes, 4000, seed=2).set_index("persona")
    finally:
        mu.MIN_INFORMATIVE = old
    assert table.loc["man", "difference"] == pytest.approx(observed)
    assert table.loc["man", "p"] == pytest.approx(exact, abs=0.02)
    assert table.loc["man", "p_max_t"] >= table.loc["man", "p"]


def test_true_effects_are_found_and_adjusted_p_exceed_plain_ones():
    for outcomes in (NESTED, BLOCKED):
        table = mu.max_t(outcomes, 199)
        assert (table["p_max_t"] >= table["p"] - 1e-12).all()
        found = table.set_index(["model", "persona"])["p_max_t"]
        assert found["A", "man"] == pytest.approx(1 / 200)
        assert (found.drop(("A", "man")) > 0.05).all()


@pytest.mark.parametrize("reference", [BASELINE, "mean"])
@pytest.mark.parametrize("kind", ["nested", "blocked"])
def test_family_wise_error_under_the_null(kind, reference):
    # 100 studies without any persona effect, texts shared by models and asked repeatedly: at most 5 % find one
    false, plain = 0, []
    for seed in range(100):
        tasks = ("nli",)
        if kind == "nested":
            design = nested(50, 30, PERSONAS, [1, seed], tasks=tasks)
        else:
            design = blocked(60, PERSONAS, [1, seed], tasks=tasks)
        outcomes, _ = judge(design, MODELS, PERSONAS, [0.6, 0.4], [2, seed])
        table = mu.max_t(outcomes, 99, seed=seed, reference=reference)
        false += (table["p_max_t"] <= 0.05).any()
        plain.append((table["p"] <= 0.05).mean())
    assert false <= 11  # P(more | .05) = .004
    assert 0.015 < np.mean(plain) < 0.09  # and the test is not simply asleep


def test_mean_reference_needs_no_baseline_responses():
    part = NESTED[NESTED["persona"] != BASELINE]
    table = mu.max_t(part, 199, reference="mean").set_index(["model", "persona"])
    assert table.loc[("A", "man"), "p_max_t"] < 0.05
    once = asked_once(part[part["model"] == "A"])
    rates = once.groupby(["task", "persona"], observed=True)["refusal"].mean().unstack()
    expected = (rates["man"] - rates.mean(axis=1)).mean()
    assert table.loc[("A", "man"), "difference"] == pytest.approx(expected)
    with pytest.raises(InputError, match="reference 'mean'"):
        mu.max_t(part, 19)


def test_models_with_hardly_a_refusal_are_not_tested():
    quiet = NESTED.assign(refusal=NESTED["refusal"] & (NESTED["model"] == "A"))
    table = mu.max_t(quiet, 49)
    silent = table["model"] == "B"
    assert not table.loc[silent, "tested"].any() and (table.loc[silent, "p_max_t"] == 1).all()
    assert table.loc[~silent, "tested"].all()
    nothing = mu.max_t(NESTED.assign(refusal=False), 9)
    assert (nothing["p_max_t"] == 1).all() and (nothing["p"] == 1).all() and not nothing["tested"].any()
    assert not nothing.isna().any(axis=None)


def test_prompts_that_lost_a_response_are_left_out_of_that_model_only():
    lost = BLOCKED.index[(BLOCKED["model"] == "B") & (BLOCKED["block"] == "nli-3") & (BLOCKED["persona"] != BASELINE)]
    table = mu.max_t(BLOCKED.drop(index=lost[0]), 19).set_index("model")
    whole = mu.max_t(BLOCKED, 19).set_index("model")
    assert table.loc["A", "difference"].to_numpy() == pytest.approx(whole.loc["A", "difference"].to_numpy())
    without = BLOCKED[~((BLOCKED["model"] == "B") & (BLOCKED["block"] == "nli-3"))]
    expected = persona_effects(without).query("model == 'B'")["difference"].to_numpy()
    assert table.loc["B", "difference"].to_numpy() == pytest.approx(expected)


def test_models_may_have_prompts_of_their_own():
    parts = []
    for k, model in enumerate(MODELS):
        outcomes, _ = judge(blocked(60, PERSONAS, 30 + k, tasks=TASKS), [model], PERSONAS, [0.4], 40 + k)
        parts.append(outcomes.assign(block=f"{model}:" + outcomes["block"].astype(str)))
    table = mu.max_t(pd.concat(parts, ignore_index=True), 99)
    assert len(table) == 6 and table["tested"].all()


def test_screen_joins_the_tests():
    effects, tested = persona_effects(NESTED), mu.max_t(NESTED, 199)
    table = mu.screen(effects, tested)
    assert list(table[["model", "persona"]].itertuples(index=False)) == list(
        effects[["model", "persona"]].itertuples(index=False)
    )
    key = (table["model"] == "A") & (table["persona"] == "man")
    assert table.loc[key, "raises"].all() and table["raises"].sum() == 1
    with pytest.raises(InputError, match="no test"):
        mu.screen(effects, tested.iloc[1:])


def test_same_seed_same_table_and_bad_arguments():
    pd.testing.assert_frame_equal(mu.max_t(NESTED, 30, seed=[4, 2]), mu.max_t(NESTED, 30, seed=[4, 2]))
    with pytest.raises(InputError, match="reference of the permutation test"):
        mu.max_t(NESTED, 30, reference="median")
    with pytest.raises(InputError, match="at least one"):
        mu.max_t(NESTED, 0)
