"""The worlds of the catalogue are what their names say, and true values hold in each of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.effects import persona_effects
from falserefusal.estimation.importance import total_order
from falserefusal.statistics.multiplicity import max_t, screen
from simulation.catalogue import HEAVY, WORLDS
from simulation.true_values import true_indices
from simulation.worlds import make_world, respond

CHANGED = {  # options of World that keep the rates as they are, or change them in a known way
    "text x persona": {"text_persona": 0.2},
    "heavy-tailed texts": {"kinds": HEAVY},
    "opposite effects": {"opposite": (1, 2)},
}


@pytest.fixture(scope="module")
def world():
    return make_world([1], rates=[0.4, 0.2, 0.1], persona_sd=0.12, personas=4, shares=(0.3, 0.2, 0.2))


@pytest.mark.parametrize("name", WORLDS)
def test_worlds_are_made_from_their_seed(name):
    one, other = WORLDS[name]([1]), WORLDS[name]([1])
    np.testing.assert_array_equal(one.mean, other.mean)
    assert one.rates.min() > 0 and one.rates.max() < 1
    assert sum(one.shares) + one.text_persona < 1 and sum(share for share, _ in one.kinds) == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in WORLDS if "no effect" in name or "opposite" in name])
def test_without_an_effect_all_personas_have_the_rate_of_the_baseline(name):
    rates = WORLDS[name]([1]).rates
    np.testing.assert_allclose(rates, np.broadcast_to(rates[:, :1, :, :1], rates.shape), atol=1e-12)


def test_effects_in_one_template_and_of_families():
    world = WORLDS["effects in one template"]([1])
    effect = world.mean[:, 1:] - world.mean[:, :1]
    assert np.abs(effect[..., 0]).mean() > 0.2 and np.abs(effect[..., 1:]).max() == 0
    family = WORLDS["families of models"]([1])
    between = np.corrcoef((family.mean[:, 1:] - family.mean[:, :1])[:, :, 0, 0])
    assert between[0, 1] > 0.8 and abs(between[0, -1]) < 0.8


def test_crossed_attributes_add_up():
    world = WORLDS["crossed attributes"]([1])
    effect = (world.mean[:, 1:] - world.mean[:, :1])[:, :, 0, 0].reshape(-1, 5, 3)
    additive = effect.mean(1, keepdims=True) + effect.mean(2, keepdims=True) - effect.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(effect, additive, atol=1e-12)


@pytest.mark.parametrize("name", CHANGED)
def test_rates_and_total_order_indices_are_those_of_a_large_study(script, world, name):
    world = replace(world, **CHANGED[name])
    outcomes = respond(script.draw("blocked, 3 blocks per text", world, 24_000, [1]), world, [2])
    seen = outcomes.groupby(["model", "persona"], observed=True)["refusal"].mean().unstack()
    seen = seen[[BASELINE, *world.personas]]
    np.testing.assert_allclose(seen, world.rates.mean((2, 3)), atol=0.04)
    true = true_indices(world)["sobol_total, whole study"]
    for factor in ("model", "persona", "template"):
        found = total_order(outcomes[outcomes["persona"] != BASELINE], factor)
        assert found["corrected"] == pytest.approx(true[factor], abs=0.03), factor


def test_effects_that_differ_between_texts_and_average_zero_are_no_finding(script):
    """With one persona the texts are refused that are not refused without it, at the same rate."""
    world = make_world([2], rates=[0.3], template_sd=0.0, shares=(0.7, 0.1, 0.1), personas=6)
    world = replace(world, opposite=(1,))
    found = {"permutation alone": 0, "screen": 0}
    for seed in range(60):
        outcomes = respond(script.draw("nested, 8 rows per text", world, 1200, [seed]), world, [seed])
        tested = max_t(outcomes, 99, seed=seed)
        found["permutation alone"] += (tested["p_max_t"] <= 0.05).any()
        found["screen"] += screen(persona_effects(outcomes), tested)["raises"].any()
    assert stats.binomtest(found["permutation alone"], 60, 0.05, alternative="greater").pvalue < 0.01
    assert stats.binomtest(found["screen"], 60, 0.05, alternative="greater").pvalue > 0.05, found


def test_models_of_a_family_have_persona_effects_in_common():
    options = {"rates": [0.3, 0.1, 0.3, 0.1], "tasks": (0.0,), "model_task_sd": 0.0, "template_sd": 0.0}
    mean = make_world(4, **options, family=(0, 0, 1, 1), family_sd=(0.4, 0.2)).mean[:, :, 0, 0]
    effect = mean[:, 1:] - mean[:, :1]
    np.testing.assert_allclose(effect[[0, 2]], effect[[1, 3]])
    assert effect[0].std() > effect[2].std() > 0.05
    assert abs(np.corrcoef(effect[0], effect[2])[0, 1]) < 0.9
    np.testing.assert_array_equal(make_world(4, **options).mean, make_world(4, **options, family_sd=(1.0,)).mean)
