"""How far results move under a labeller's known range of errors, in worlds where it matters and where it does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falserefusal.annotation import labeller_range as lr
from falserefusal.annotation.labeller_range import Bounds, combinations, labeller_range
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import ANY_PERSONA, BASELINE, LABELLER_ACCURACY
from falserefusal.estimation import claims
from falserefusal.estimation.effects import MEAN, mean_effects
from falserefusal.statistics.gls import fit_personas
from simulation.experiments import panel
from simulation.worlds import make_world, respond

SENSITIVITY, SPECIFICITY = (0.7, 0.95), (0.9, 0.99)


@pytest.fixture(autouse=True)
def few_combinations(monkeypatch):
    monkeypatch.setattr(lr, "ENDS", 2)
    monkeypatch.setattr(lr, "INSIDE", 4)


def outcomes_of(rates, seed=1, **world):
    """Outcomes of 240 texts with every persona and without one, in one template."""
    made = make_world(seed, rates=rates, personas=4, **world)
    personas = [BASELINE, *made.personas]
    rows = [(f"r{k}", made.tasks[k % len(made.tasks)], persona) for k in range(240) for persona in personas]
    design = pd.DataFrame(rows, columns=["row_id", "task", "persona"]).assign(template="p1", format="unforced")
    design = design.assign(text_id=design["row_id"], block=design["row_id"], model="*", draw=0, interim_look=0)
    return respond(design, made, seed)


def measured(sensitivity=SENSITIVITY, specificity=SPECIFICITY):
    columns = list(LABELLER_ACCURACY.columns)
    rows = [
        ["l", "en", "s", f"m{k}", 100, 50, a, b, "no", "x"]
        for k, (a, b) in enumerate(zip(sensitivity, specificity, strict=True))
    ]
    return pd.DataFrame([*rows, ["other", "en", "s", "m", 100, 50, 0.1, 0.1, "no", "x"]], columns=columns)


def evidence_of(outcomes):
    return claims.gather(panel(list(outcomes["model"].cat.categories)), outcomes=outcomes)


@pytest.fixture(scope="module")
def outcomes():
    return outcomes_of([0.1, 0.2, 0.3, 0.4], presence=0.4)


@pytest.fixture(scope="module")
def evidence(outcomes):
    return evidence_of(outcomes)


def by_quantity(table, quantity):
    return table[table["quantity"] == quantity].set_index("level")


def test_a_labeller_that_never_errs_moves_nothing(evidence, outcomes):
    table = labeller_range(evidence, measured((1.0, 1.0), (1.0, 1.0)), "l")
    moved = table[~table["quantity"].isin([lr.SENSITIVITY, lr.SPECIFICITY]) & table["estimate"].notna()]
    for end in ("lowest", "highest"):
        np.testing.assert_allclose(moved[end], moved["estimate"])
    assert not table["overturned"].eq(True).any() and (table["share"].dropna() == 0).all()
    own = mean_effects(fit_personas(outcomes))
    own = own[own["model"] == MEAN].set_index("persona")["difference"].rename({"*": ANY_PERSONA})
    effects = by_quantity(table, lr.EFFECT)["estimate"]
    np.testing.assert_allclose(effects, own[effects.index])
    rates = outcomes[outcomes["persona"] != BASELINE].groupby(["task", "model"], observed=True)["refusal"].mean()
    means = by_quantity(table, lr.MEAN_RATE)["estimate"]
    np.testing.assert_allclose(means, rates.groupby("task", observed=True).mean()[means.index])


def test_limits_are_the_worst_cases_of_each_model(evidence):
    """No accuracy within the range moves a rate or an effect further, and some accuracy moves it as far."""
    known = measured()[lambda table: table["labeller"] == "l"]
    table, bounds = labeller_range(evidence, measured(), "l"), Bounds.of(evidence, known)
    rng = np.random.default_rng(1)
    count = len(bounds.models)
    places = np.concatenate([rng.integers(0, 2, (4000, count, 2)), rng.random((1000, count, 2))])
    accuracy = bounds.at(places.astype(float))
    rates, names = bounds.rates.stack(), pd.Series(bounds.models)
    corrected = accuracy.correct(rates.index.get_level_values("model").to_series(), rates.to_numpy())
    shown = by_quantity(table, lr.RATE).loc[[", ".join(key) for key in rates.index]]
    np.testing.assert_allclose(corrected.min(0), shown["lowest"], atol=1e-9)
    np.testing.assert_allclose(corrected.max(0), shown["highest"], atol=1e-9)
    effects = by_quantity(table, lr.EFFECT).loc[ANY_PERSONA]
    personas, baseline = (rates.cells.assign(rate=rates.rate) for rates in (evidence.personas, evidence.baseline))
    difference = personas.groupby("model")["rate"].mean() - baseline.groupby("model")["rate"].mean()
    drawn = (difference[bounds.models].to_numpy() * accuracy.factor(names)).mean(1)
    np.testing.assert_allclose([drawn.min(), drawn.max()], [effects["lowest"], effects["highest"]], rtol=1e-6)
    assert effects["lowest"] > effects["estimate"] > 0  # an imperfect labeller makes a difference smaller


def test_a_study_rules_out_more_errors_than_it_has_refusals(evidence):
    known = measured((0.2, 0.3), (0.5, 0.6))
    bounds = Bounds.of(evidence, known[known["labeller"] == "l"])
    least, most = bounds.rates.min(axis=1), bounds.rates.max(axis=1)
    np.testing.assert_allclose(1 - bounds.specificity[0], np.minimum(0.5, least))
    assert (bounds.sensitivity >= most.to_numpy()).all() and (np.diff(bounds.sensitivity, axis=0) >= 0).all()
    corrected = combinations(bounds, evidence.models, 0).correct(pd.Series(bounds.models), least.to_numpy())
    assert (corrected > -1e-9).all() and (corrected < 1 + 1e-9).all()


def test_equal_models_can_seem_to_differ_only_if_the_range_allows_it():
    """In a world without model effects, tasks matter most, unless models may be labelled differently well."""
    alike = evidence_of(outcomes_of([0.3] * 4, persona_sd=0.1, model_task_sd=0.0, tasks=(-0.2, 0.0, 0.2)))
    rows = by_quantity(labeller_range(alike, measured((0.9, 0.95), (1.0, 1.0)), "l"), lr.ORDER)
    assert rows["conclusion"].str.startswith("task >").all() and not rows["other"].str.contains("model > task").any()
    rows = by_quantity(labeller_range(alike, measured((0.5, 1.0), (1.0, 1.0)), "l"), lr.ORDER)
    assert rows["other"].str.contains("model > ").all() and rows["overturned"].all()


def test_a_claim_that_the_range_overturns_is_found(evidence, monkeypatch):
    overall = evidence.personas.rate.mean()

    def above(limit):
        def rule(given):
            rate = float(given.personas.rate.mean())
            return claims.Finding(claims.SUPPORTED if rate > limit else claims.CONTRADICTED, rate)

        return rule

    def untestable(given):
        raise claims.NotTestable("nothing")

    tests = {"near": above(1.15 * overall), "far": above(3 * overall), "none": untestable}
    monkeypatch.setattr(claims, "CLAIMS", [claims.Claim(name, "", "", test) for name, test in tests.items()])
    found = by_quantity(labeller_range(evidence, measured(), "l"), lr.CLAIM)
    assert found["conclusion"].tolist() == [claims.CONTRADICTED, claims.CONTRADICTED, claims.NOT_TESTABLE]
    assert found["overturned"].tolist() == [True, False, False]
    assert found["other"].tolist()[:2] == [claims.SUPPORTED, ""] and 0 <= found.loc["near", "share"] <= 1
    assert found.loc["near", "lowest"] < 1.15 * overall < found.loc["near", "highest"]


def test_the_ends_include_models_that_err_in_opposite_ways(evidence):
    """The half of the models with the lower rates at one end of the range, the other half at the other end."""
    known = measured()
    bounds = Bounds.of(evidence, known[known["labeller"] == "l"])
    drawn = combinations(bounds, evidence.models, 0)
    lower = bounds.rates.mean(axis=1).rank().to_numpy() <= len(bounds.models) / 2
    wanted = np.where(lower, bounds.sensitivity[1], bounds.sensitivity[0])
    assert (
        np.isclose(drawn.sensitivity, wanted).all(1) & np.isclose(drawn.specificity, bounds.specificity[0]).all(1)
    ).any()
    again = combinations(bounds, evidence.models, 0)
    assert (drawn.sensitivity == again.sensitivity).all()


def test_an_unmeasured_labeller_has_no_range(evidence):
    table = labeller_range(evidence, measured(), "judge")
    assert table["quantity"].tolist() == [lr.SENSITIVITY, lr.SPECIFICITY] and table["lowest"].isna().all()
    assert list(table) == lr.COLUMNS and (table["sets"] == 0).all()


def test_sets_with_few_refusals_count_for_specificity_only(evidence):
    known = pd.concat([measured(), measured((np.nan,), (0.8,)).head(1).assign(model="few")])
    rows = labeller_range(evidence, known, "l").set_index("quantity")
    assert rows.loc[lr.SENSITIVITY, "sets"] == 2 and rows.loc[lr.SPECIFICITY, "sets"] == 3
    assert rows.loc[lr.SPECIFICITY, "lowest"] == 0.8 and "few" in rows.loc[lr.SPECIFICITY, "note"]


def test_cells_without_texts_and_baseline_have_a_range(evidence):
    """As the paper's printed cells."""
    found = labeller_range(replace(evidence, baseline=None, screened=None), measured(), "l")
    assert lr.EFFECT not in set(found["quantity"]) and {lr.MEAN_RATE, lr.IMPORTANCE, lr.CLAIM} <= set(found["quantity"])


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # the claims' indices of a constant outcome
@pytest.mark.parametrize("refused", [False, True])
def test_a_study_where_all_responses_are_alike_has_a_range(outcomes, refused):
    table = labeller_range(evidence_of(outcomes.assign(refusal=refused)), measured(), "l")
    assert not {lr.IMPORTANCE, lr.ORDER} & set(table["quantity"])
    rates = table[table["quantity"].isin([lr.RATE, lr.MEAN_RATE])]
    np.testing.assert_allclose(rates[["lowest", "highest"]], float(refused), atol=1e-12)
    assert not table["overturned"].eq(True).any()


def test_one_model_has_a_range(outcomes):
    one = outcomes[outcomes["model"] == outcomes["model"].iloc[0]]
    one = one.assign(model=one["model"].cat.remove_unused_categories())
    table = labeller_range(evidence_of(one), measured(), "l")
    assert by_quantity(table, lr.IMPORTANCE).index.tolist() == ["task", "persona"]
    means, single = by_quantity(table, lr.MEAN_RATE), by_quantity(table, lr.RATE)
    np.testing.assert_allclose(means[["lowest", "highest"]], single[["lowest", "highest"]])


def test_the_accuracies_of_the_package_are_valid(root):
    table = read_csv(root / "config" / "labelling" / "accuracy.csv", LABELLER_ACCURACY)
    assert set(table["labeller"]) == {"structured", "phrase_list"}
    ranges = table.groupby("labeller")[["sensitivity", "specificity"]].count()
    assert (ranges >= 3).all(axis=None)
