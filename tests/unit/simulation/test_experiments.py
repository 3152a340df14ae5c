"""Simulated worlds: rates that are as stated, true values that are right, and tables of the experiments."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falserefusal.common.files import validate
from falserefusal.common.outcomes import outcomes_of_frame
from falserefusal.common.schemas import BASELINE, OUTCOMES
from falserefusal.estimation import claims
from falserefusal.estimation.importance import sensitivity_from_outcomes
from falserefusal.estimation.regression import regression_table
from simulation import experiments
from simulation.experiments import Setting
from simulation.true_values import endless_study, formats_of, true_indices, true_values
from simulation.worlds import (
    both,
    make_world,
    respond,
    shares_for,
    true_rates,
    within_prompt_correlation,
)

RATES = [0.4, 0.2, 0.08]


@pytest.fixture(scope="module")
def world():
    return make_world(3, rates=RATES, persona_sd=0.2, presence=0.1, shares=(0.2, 0.3, 0.2))


@pytest.fixture(scope="module")
def outcomes(script, world):
    return respond(script.draw("nested", world, 9_000, [1]), world, 2)


# --- worlds


def test_model_rates_are_as_asked(world):
    np.testing.assert_allclose(world.rates[:, 1:].mean((1, 2, 3)), RATES, atol=1e-9)


def test_responses_follow_the_true_rates(world, outcomes):
    """Cell rates by task, model and persona are within sampling error of the true ones, with clustering."""
    assert validate(outcomes, OUTCOMES, "outcomes") is not None
    true = true_rates(world, formats_of(world)).groupby(["task", "model", "persona"])["rate"].mean()
    seen = outcomes.groupby(["task", "model", "persona"], observed=True)["refusal"].agg(["mean", "size"])
    z = (seen["mean"] - true) / np.sqrt(true * (1 - true) / seen["size"])
    assert z.abs().max() < 6 and abs(z.mean()) < 1
    baseline = (outcomes["persona"] == BASELINE).mean()
    assert 0.3 < baseline < 0.45


def test_responses_to_one_prompt_correlate_as_the_world_says(world, outcomes):
    pair = outcomes.pivot_table("refusal", ["model", "block", "template"], "persona", observed=True)
    first, second = pair[BASELINE], pair[world.personas].mean(axis=1)
    together = pd.DataFrame({"a": first, "b": second}).dropna()
    product = (together["a"] * together["b"]).groupby("model", observed=True).mean()
    joint = both(world.mean[:, :1], world.mean[:, 1:], sum(world.shares)).mean((1, 2, 3))
    np.testing.assert_allclose(product[world.models], joint, atol=0.035)


def test_the_same_prompt_gets_the_same_response(world):
    design = pd.DataFrame({"persona": ["persona-01"] * 2, "template": "p2", "task": "task-0", "text_id": "x"})
    design = design.assign(
        row_id=["r1", "r2"], block=["r1", "r2"], format="unforced", draw=0, interim_look=0, model="*"
    )
    for seed in range(20):
        assert respond(design, world, seed).groupby("model", observed=True)["refusal"].nunique().max() == 1


def test_same_seed_same_responses(script, world):
    design = script.draw("blocked", world, 300, [1])
    pd.testing.assert_frame_equal(respond(design, world, [1, 2]), respond(design, world, [1, 2]))
    assert (respond(design, world, [1, 2])["refusal"] != respond(design, world, [1, 3])["refusal"]).any()


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_both_is_the_bivariate_normal_probability(correlation):
    covariance = [[1, correlation], [correlation, 1]]
    for a, b in ((0.0, 0.0), (-2.0, -1.5), (1.0, -1.0)):
        expected = stats.multivariate_normal([-a, -b], covariance).cdf([0, 0])
        assert both(np.array(a), np.array(b), correlation) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("target", [0.1, 0.5, 0.8])
def test_a_world_can_be_given_a_correlation(world, target):
    assert within_prompt_correlation(shares_for(world, target)) == pytest.approx(target, abs=1e-3)


def test_unforced_templates_and_hot_cells():
    flat = make_world(1, rates=RATES, template_sd=0.0, unforced=0.5, hot=[(1, 4, 0.7)], model_task_sd=0.0)
    step = flat.mean[0, 0, 0]
    np.testing.assert_allclose(step[:3] - step[3:6], 0.5)
    np.testing.assert_allclose(flat.mean[1, 5] - flat.mean[1, 4], 0.7)
    np.testing.assert_allclose(flat.mean[0, 5], flat.mean[0, 4])


# --- true values


def test_true_values_are_those_of_a_very_large_study(script, world, outcomes):
    """Every table of a study of 9,000 prompts a model is near the true values, by its own intervals."""
    known = true_values(world)
    shares = {}
    cells = outcomes.groupby(experiments.LEVELS, observed=True)["refusal"].agg(n="size", refusals="sum").reset_index()
    indices = sensitivity_from_outcomes(outcomes, replicates=300, permutations=99, seed=1)
    tables = [
        *experiments.rate_tables(cells, outcomes_of_frame(outcomes)),
        *experiments.index_tables(indices, regression_table(outcomes)),
    ]
    for quantity, keys, table, lo, hi in tables:
        value = known[quantity].reindex(experiments._key(table, keys)).to_numpy()
        assert np.isfinite(value).mean() > 0.9, quantity
        shares[quantity] = ((table[lo] <= value + 1e-9) & (value - 1e-9 <= table[hi])).mean()
    independent = shares.pop("rate, model x task, as if independent")
    assert min(shares.values()) >= 0.6, shares
    assert np.mean(list(shares.values())) > 0.9
    assert independent <= 1


def test_true_indices_by_hand():
    world = make_world(1, rates=[0.2, 0.4], tasks=(0.0,), model_task_sd=0.0, template_sd=0.0, personas=2)
    index = true_indices(world)
    assert index["wasserstein, whole study"]["model"] == pytest.approx(0.1 / (2 * 0.3 * 0.7))
    assert index["sobol, whole study"]["model"] == pytest.approx(0.01 / (0.3 * 0.7))
    assert index["sobol, whole study"]["persona"] == pytest.approx(0, abs=1e-12)
    assert index["sobol_interaction, whole study"]["model:persona"] == pytest.approx(0, abs=1e-12)


def test_an_endless_study_finds_what_is_true():
    falling = {"rates": np.geomspace(0.3, 0.02, 6), "persona_sd": 0.3 * np.exp(np.linspace(1, -1, 6))}
    world = make_world(2, unforced=0.5, **falling)
    models = experiments.panel(world.models)
    found = {claim.name: claims.decide(claim, endless_study(world, models)) for claim in claims.CLAIMS}
    assert found["personas raise refusal"].conclusion == "supported"
    assert found["newer generations"].conclusion == "supported"  # rates fall with the model's number
    assert found["unforced formats"].conclusion == "supported"
    assert found["unforced formats"].lo == pytest.approx(found["unforced formats"].hi, abs=1e-3)
    nothing = endless_study(make_world(2, rates=[0.1] * 6, tasks=(0, 0, 0), model_task_sd=0, template_sd=0), models)
    conclusions = {claim.name: claims.decide(claim, nothing).conclusion for claim in claims.CLAIMS}
    assert conclusions.pop("personas raise refusal") == "contradicted"
    assert conclusions.pop("capability") == "not testable"  # three families of two models
    assert set(conclusions.values()) == {"inconclusive"}


# --- designs and experiments


@pytest.mark.parametrize(
    "name",
    [
        "nested",
        "nested, 3 rows per text",
        "blocked",
        "blocked, own prompts",
        "independent draws",
        "blocked, sequential",
    ],
)
def test_designs_have_the_size_asked_for(script, world, name):
    design = script.draw(name, world, 1200, [4])
    per_model = len(design) / (len(world.models) if "own" in name else 1)
    assert per_model == pytest.approx(1200, rel=0.06)
    assert (design["persona"] == BASELINE).any()
    assert (design["interim_look"].max() > 0) == ("sequential" in name)


def test_panel_has_two_generations_in_each_family():
    table = experiments.panel([f"m{k}" for k in range(16)])
    assert (table.groupby("family")["generation"].nunique() == 2).all()
    assert table["capability"].is_monotonic_increasing


def test_replicates_do_not_depend_on_the_number_of_processes():
    assert experiments.replicates(abs, 5, 1) == experiments.replicates(abs, 5, 2) == [0, 1, 2, 3, 4]


def test_coverage_table(script):
    table, _ = experiments.coverage(Setting(script.draw, "moderate", "blocked", 600, 2, 1, 1))
    table = table.set_index("quantity")
    assert table.loc["rate, model x task", "intervals"] == 15
    assert table.loc["persona effect, model x persona", "intervals"] == 75
    assert (table["replicates"] == 2).all()
    assert (table["coverage"].between(0, 1)).all() and (table["worst"].dropna() <= 1).all()
    assert table.loc["rate, model x task", "coverage"] > 0.85


def test_false_findings_are_counted_where_there_is_nothing_to_find(script):
    _, table = experiments.coverage(
        Setting(script.draw, "no effect of persona, template or task", "nested", 1200, 4, 1, 1)
    )
    table = table.set_index("finding")
    assert table.loc["screen: any persona", "tests"] == 1
    assert table.loc["effect of a persona: p <= .05", "tests"] == 75
    assert table.loc["logit, coefficient of a template: p <= .05", "tests"] == 8
    assert table.loc["Firth's logit, coefficient of a task: p <= .05", "tests"] == 2
    assert table["rate"].between(0, 1).all() and table["p"].between(0, 1).all()
    _, table = experiments.coverage(Setting(script.draw, "moderate", "nested", 1200, 2, 1, 1))
    assert not table["finding"].str.contains("importance|logit").any(), "every factor has an effect"


def test_screen_table(script):
    table = experiments.persona_screen(Setting(script.draw, "10 of 240 cells", "blocked", 2000, 2, 1, 1)).set_index(
        "method"
    )
    assert table.loc["uncorrected", "any_false"] > 0.5  # 230 tests at .05
    assert table.loc["max-T within prompts", "power"] > 0.1
    null = experiments.persona_screen(Setting(script.draw, "null", "nested", 600, 2, 1, 1))
    assert null["power"].isna().all()


def test_claims_table_of_simulations(script):
    setting = Setting(script.draw, "as the paper says", "blocked", 1500, 2, 1, 1)
    table = experiments.claim_conclusions(setting).set_index("claim")
    assert list(table.index) == [claim.name for claim in claims.CLAIMS]
    assert table.loc["personas raise refusal", "supported"] == 1
    assert np.isnan(table.loc["personas raise refusal", "covered"])
    assert table["wrong"].max() == 0


def test_sequential_table(script):
    setting = Setting(script.draw, "16 models", "blocked, sequential", 1800, 2, 1, 1)
    table = experiments.sequential(setting, target=0.1, full=127_010).set_index("model")
    assert list(table.index[:-1]) == [f"model-{k:02d}" for k in range(16)]
    assert table.loc["model-00", "model_rate"] == pytest.approx(0.35)
    assert (table["prompts"] <= 1800).all() and table.loc["mean", "coverage"] > 0.8
    assert table.loc["mean", "saved"] == pytest.approx(1 - table.loc["mean", "prompts"] / 127_010)


def test_efficiency_table(script):
    setting = Setting(script.draw_named, "moderate", "paper", 900, 2, 1, 1)
    table = experiments.efficiency(setting, ["blocked"], 0.4, index_count=1)
    assert set(table["design"]) == {"paper", "paper, plain rates", "blocked"}
    paper = table[table["design"] == "paper"]
    assert (paper["efficiency"] == 1).all() and len(paper) == 6 + 8
    assert (table["mse"] > 0).all()
    assert set(table.loc[table["estimate"].str.contains("index"), "replicates"]) == {1}
