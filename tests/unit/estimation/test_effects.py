"""Persona effects: tables against hand counts, statsmodels and simulated rates."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.estimation import effects as ef
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.intervals import mover_difference, wilson
from synthetic import blocked, frame, judge, nested

MODELS, PERSONAS = ["A", "B", "C"], ["atheist", "man", "woman", "black"]
EFFECT = np.zeros((3, 5))
EFFECT[0, 4] = 1.0
NESTED, TRUE_RATES = judge(nested(60, 40, PERSONAS, 1), MODELS, PERSONAS, [0.4, 0.1, 0.02], 2, EFFECT)
BLOCKED, _ = judge(blocked(90, PERSONAS, 3), MODELS, PERSONAS, [0.4, 0.1, 0.02], 4, EFFECT)


def pairs_by_hand(outcomes, model, persona):
    part = outcomes[outcomes["model"] == model].drop_duplicates(["task", "text_id", "template", "persona"])
    baseline = part[part["persona"] == BASELINE].set_index(["task", "text_id", "template"])["refusal"]
    drawn = part[part["persona"] == persona]
    without = baseline.loc[list(zip(drawn["task"], drawn["text_id"], drawn["template"], strict=True))].to_numpy()
    return drawn["refusal"].to_numpy(), without, drawn["text_id"].astype(str).to_numpy()


@pytest.mark.parametrize("outcomes", [NESTED, BLOCKED], ids=["nested", "blocked"])
def test_pairs_are_counted_on_prompts(outcomes):
    table = ef.pair_table(outcomes).set_index(["model", "persona"])
    for key in (("A", "black"), ("B", "man"), ("C", "woman")):
        with_persona, without, _ = pairs_by_hand(outcomes, *key)
        row = table.loc[key]
        assert row["pairs"] == len(without)
        assert row["both"] == (with_persona & without).sum()
        assert row["only_persona"] == (with_persona & ~without).sum()
        assert row["only_baseline"] == (~with_persona & without).sum()


def test_a_response_that_stands_in_several_rows_counts_once():
    again = NESTED.assign(**{name: NESTED[name].astype(str) + " again" for name in ("row_id", "block")})
    pd.testing.assert_frame_equal(ef.pair_table(pd.concat([NESTED, again], ignore_index=True)), ef.pair_table(NESTED))


def test_samples_pair_by_their_number():
    copies = [NESTED.assign(sample=str(k), refusal=NESTED["refusal"] ^ (k == 1)) for k in range(2)]
    both = pd.concat(copies, ignore_index=True).astype({"sample": "category"})
    one, other = (ef.pair_table(copy.astype({"sample": "category"})) for copy in copies)
    found = ef.pair_table(both)
    for count in ("pairs", "both", "only_persona", "only_baseline"):
        assert found[count].tolist() == (one[count] + other[count]).tolist()
    fewer = ef.pair_table(both[(both["sample"] == "0") | (both["persona"] != BASELINE)])
    assert fewer["pairs"].tolist() == one["pairs"].tolist(), "a sample without a baseline is in no pair"


def test_exact_test_is_half_of_mcnemars():
    row = ef.pair_table(BLOCKED).set_index(["model", "persona"]).loc[("A", "black")]
    b, c = int(row["only_persona"]), int(row["only_baseline"])
    assert b > c
    assert row["mcnemar_p"] == pytest.approx(mcnemar([[0, b], [c, 0]], exact=True).pvalue / 2)
    assert row["mcnemar_p"] == pytest.approx(stats.binomtest(b, b + c, alternative="greater").pvalue)


def test_gls_mover_is_that_of_the_pairs_where_pairs_are_complete():
    # one persona and its baseline on each of many texts: least squares has nothing to add to the pairs
    design = nested(400, 400, ["man"], 7, draws=1, tasks=("nli",))
    outcomes, _ = judge(design, ["A"], ["man"], [0.3], 8)
    row = ef.persona_effects(outcomes).iloc[0]
    n, a, b, c = row["pairs"], row["both"], row["only_persona"], row["only_baseline"]
    product = (a + b) * (n - a - b) * (a + c) * (n - a - c)
    phi = (a * (n - a - b - c) - b * c) / np.sqrt(float(product))
    lo, hi = mover_difference((a + b) / n, wilson(a + b, n), (a + c) / n, wilson(a + c, n), phi)
    assert row["difference"] == pytest.approx((b - c) / n)
    # not identical: we pay for an estimated variance
    assert row["lo"] == pytest.approx(lo, abs=0.003) and row["hi"] == pytest.approx(hi, abs=0.003)


def test_effects_are_the_contrasts_of_the_fit():
    fit = fit_personas(NESTED).average(["model", "persona"])
    rate = pd.Series(fit.rate, index=pd.MultiIndex.from_frame(fit.cells[["model", "persona"]].astype(str)))
    table = ef.persona_effects(NESTED).set_index(["model", "persona"])
    assert len(table) == 12
    assert table.loc[("A", "black"), "difference"] == pytest.approx(rate["A", "black"] - rate["A", BASELINE])
    assert table.loc[("A", "black"), "ratio"] == pytest.approx(rate["A", "black"] / rate["A", BASELINE])
    assert table.loc[("A", "black"), "lo"] > 0 and table.loc[("A", "black"), "p"] < 1e-4
    assert (table["lo"] <= table["difference"]).all() and (table["difference"] <= table["hi"]).all()
    assert table["method"].str.contains("clustered by text").all()
    assert ef.persona_effects(BLOCKED)["method"].str.contains("prompt blocks").all()


def test_mean_effects():
    fit = fit_personas(NESTED)
    table = ef.mean_effects(fit)
    cells = ef.persona_effects(NESTED, fit)
    means = table[(table["model"] == "mean") & (table["persona"] != ALL)].set_index("persona")
    for persona in PERSONAS:
        expected = cells.loc[cells["persona"] == persona, "difference"].mean()
        assert means.loc[persona, "difference"] == pytest.approx(expected)
    anyone = table[table["persona"] == ALL].set_index("model")
    assert anyone.loc["mean", "difference"] == pytest.approx(means["difference"].mean())
    for model in MODELS:
        expected = cells.loc[cells["model"] == model, "difference"].mean()
        assert anyone.loc[model, "difference"] == pytest.approx(expected)
    assert (table["hi"] > table["lo"]).all()


def test_mean_over_copies_of_a_model_is_as_uncertain_as_one():
    one = NESTED[NESTED["model"] == "A"]
    copied = pd.concat([one.assign(model=name) for name in MODELS], ignore_index=True)
    alone, mean = ef.mean_effects(fit_personas(one)), ef.mean_effects(fit_personas(copied))
    width = [(t["hi"] - t["lo"])[t["model"] == "mean"].to_numpy() for t in (alone, mean)]
    np.testing.assert_allclose(width[0], width[1], rtol=1e-6)


def test_persona_differences():
    fit = fit_personas(NESTED)
    table = ef.persona_differences(fit)
    assert len(table) == 6 * 4  # six pairs, three models and their mean
    cells = ef.persona_effects(NESTED, fit).set_index(["model", "persona"])["difference"]
    row = table.set_index(["model", "persona", "other"])
    assert row.loc[("A", "man", "black"), "difference"] == pytest.approx(cells["A", "man"] - cells["A", "black"])
    one = ef.persona_differences(fit, [("black", "man")]).set_index("model")
    assert one.loc["A", "difference"] == pytest.approx(-row.loc[("A", "man", "black"), "difference"])
    assert one.loc["A", "lo"] == pytest.approx(-row.loc[("A", "man", "black"), "hi"])
    assert one.loc["mean", "difference"] == pytest.approx(one.loc[MODELS, "difference"].mean())
    with pytest.raises(InputError, match="no responses with alien; there are atheist, man, woman, black"):
        ef.persona_differences(fit, [("man", "alien")])


def test_a_single_persona_has_no_other_to_differ_from():
    fit = fit_personas(NESTED[NESTED["persona"].isin(["man", BASELINE])])
    table = ef.persona_differences(fit)
    assert table.empty and list(table) == list(ef.persona_differences(fit_personas(NESTED)))


def test_coverage_of_effects():
    hit, means = [], []
    rng = np.random.default_rng(5)
    for seed in range(15):
        effect = np.c_[np.zeros(3), rng.normal(0, 0.3, (3, 4))]
        outcomes, true_rates = judge(
            nested(100, 75, PERSONAS, [1, seed]), MODELS, PERSONAS, [0.4, 0.1, 0.01], [2, seed], effect
        )
        target = true_rates.mean(1)
        target = target[:, 1:] - target[:, :1]
        fit = fit_personas(outcomes)
        table = ef.persona_effects(outcomes, fit)
        hit.append((table["lo"] <= target.ravel()) & (target.ravel() <= table["hi"]))
        mean = ef.mean_effects(fit).query("model == 'mean' and persona != '*'")
        means.append((mean["lo"] <= target.mean(0)) & (target.mean(0) <= mean["hi"]))
    assert np.mean(hit) >= 0.94 and np.mean(hit, axis=0).min() >= 0.7
    assert np.mean(means) >= 0.9


@pytest.mark.parametrize("value", [False, True])
def test_no_refusals_and_nothing_else(value):
    table = ef.persona_effects(NESTED.assign(refusal=value))
    assert (table["difference"].abs() < 1e-12).all() and (table["p"] == 1).all() and (table["mcnemar_p"] == 1).all()
    assert ((table["hi"] - table["lo"]) > 0.02).all()
    if value:
        np.testing.assert_allclose(table["ratio"], 1)
    else:
        assert table["ratio"].isna().all()


def test_a_mean_over_models_without_refusals_has_an_interval_and_says_why_it_is_not_students():
    fit = fit_personas(NESTED.assign(refusal=False))
    table = ef.mean_effects(fit).query("model == 'mean'")
    assert (table["lo"] < -0.001).all() and (table["hi"] > 0.001).all() and (table["p"] == 1).all()
    assert table["method"].str.endswith(ef.TOO_FEW).all()
    assert not ef.mean_effects(fit_personas(NESTED))["method"].str.contains(ef.TOO_FEW, regex=False).any()


def rare(design, models, refusals, of):
    """Outcomes in which all responses are `of` but for so many, the first with a persona of the last model."""
    verdict = np.full((len(models), len(design)), of)
    verdict[-1, np.flatnonzero(design["persona"] > 0)[:refusals]] = not of
    return frame(design, models, PERSONAS, verdict)


@pytest.mark.parametrize("of", [False, True], ids=["never refused", "always refused"])
@pytest.mark.parametrize("refusals", [0, 1, 3])
@pytest.mark.parametrize("models", [["A"], ["A", "B", "C"]], ids=["one model", "three models"])
@pytest.mark.parametrize(
    "design", [nested(12, 12, PERSONAS, 1, draws=4), blocked(10, PERSONAS, 3)], ids=["nested", "blocked"]
)
def test_a_mean_is_as_uncertain_as_the_cells_it_averages(design, models, refusals, of):
    outcomes = rare(design, models, refusals, of)
    fit = fit_personas(outcomes)
    cells = ef.persona_effects(outcomes, fit).set_index(["persona", "model"])
    means = ef.mean_effects(fit).query("model == 'mean' and persona != '*'").set_index("persona")
    for persona, mean in means.iterrows():
        width = np.sqrt(((cells.loc[persona, "hi"] - cells.loc[persona, "lo"]) ** 2).sum()) / len(models)
        assert mean["hi"] - mean["lo"] > 0.8 * width
        assert mean["lo"] < mean["difference"] < mean["hi"] and mean["p"] > 0.05
    between = ef.persona_differences(fit)
    assert (between["hi"] - between["lo"] > 0.01).all()


def test_of_one_model_the_mean_without_refusals_has_the_models_own_interval():
    fit = fit_personas(rare(nested(12, 12, PERSONAS, 1, draws=4), ["A"], 0, False))
    table = ef.mean_effects(fit).set_index(["model", "persona"])
    for end in ("lo", "hi"):
        assert table.loc[("mean", ALL), end] == pytest.approx(table.loc[("A", ALL), end])


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_simultaneous_limits_are_those_of_a_higher_level_at_few_refusals(refusals):
    """Upper limits grow with the square of the normal quantile, faster than any scaling of 95% limits."""
    few = NESTED.assign(refusal=False)
    rows = np.flatnonzero((few["model"] == "A") & (few["persona"] == "black"))[[0, 40]][:refusals]
    few.loc[few.index[rows], "refusal"] = True
    fit = fit_personas(few)
    row = ef.persona_effects(few, fit).set_index(["model", "persona"]).loc[("A", "black")]
    level = 1 - 2 * 0.05 / 12  # 3 models x 4 personas
    average = fit.average(["model", "persona"])
    cells = average.cells
    own, baseline = (
        int(np.flatnonzero((cells["model"] == "A") & (cells["persona"] == p))[0]) for p in ("black", BASELINE)
    )
    low, high = average.limits(level)
    rate, other = np.clip(average.rate[[own, baseline]], 0, 1)
    shared = ef.correlated(average, np.array([own]), np.array([baseline]))[0]
    expected = mover_difference(rate, (low[own], high[own]), other, (low[baseline], high[baseline]), shared)
    assert (row["lo_family"], row["hi_family"]) == pytest.approx([float(limit) for limit in expected])
    widen = stats.norm.ppf((1 + level) / 2) / stats.norm.ppf(0.975)
    upper = (row["hi_family"] - row["difference"]) / (row["hi"] - row["difference"])
    assert upper > 1.1 * widen
    if refusals == 0:
        assert upper == pytest.approx(widen**2, rel=0.1)


def test_a_model_missing_from_a_task_is_named():
    part = NESTED[~((NESTED["model"] == "C") & (NESTED["task"] == "nli"))]
    table = ef.persona_effects(part)
    assert table.loc[table["model"] == "C", "method"].str.contains("mean of 2 of 3 tasks").all()
    assert not table.loc[table["model"] == "A", "method"].str.contains("of 3 tasks").any()


def test_without_baseline_responses_there_is_nothing_to_compare_with():
    part = NESTED[NESTED["persona"] != BASELINE]
    with pytest.raises(InputError, match="baseline: true"):
        ef.persona_effects(part)
    with pytest.raises(InputError, match="baseline: true"):
        ef.mean_effects(fit_personas(part))
    assert len(ef.persona_differences(fit_personas(part))) == 24
    one_task = NESTED[~((NESTED["persona"] == BASELINE) & (NESTED["model"] == "B"))]
    with pytest.raises(InputError, match="B"):
        ef.persona_effects(one_task)
