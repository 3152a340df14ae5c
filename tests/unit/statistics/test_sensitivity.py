"""Sensitivity indices: closed forms, independent references, and the properties their definitions promise."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm

from falserefusal.statistics.sensitivity import (
    INDICES,
    floor_limit,
    interval,
    larger_noise,
    mutual_information,
    rates,
    scaled,
    shrinkage,
    sobol,
    wasserstein,
)

REFERENCES = [  # levels (refusals, n), index as gsaot and POT give it, variances over n - 1
    ([2, 7], [10, 10], 0.4797979798),
    ([3, 10, 0], [100, 50, 50], 0.5525503908),
    ([200, 1000], [10_000, 10_000], 0.3545921986),
]
LEVELS = st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1)), min_size=2, max_size=6)


def index(function, y, n):
    return float(function(*rates(n, y)))


def rows(y, n):
    """One row for each response: level, outcome."""
    level = np.repeat(np.arange(len(n)), n)
    outcome = np.concatenate([np.repeat([1, 0], [k, m - k]) for k, m in zip(y, n, strict=True)])
    return level, outcome


def counts(levels):
    n = np.array([n for n, _ in levels])
    y = np.array([round(n * share) for n, share in levels])
    return y, n


@pytest.mark.parametrize(("y", "n", "expected"), REFERENCES)
def test_wasserstein_reference_values(y, n, expected):
    total = sum(n)
    assert index(wasserstein, y, n) * (total - 1) / total == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("y", "n", "expected"), REFERENCES)
def test_wasserstein_is_the_mean_transport_distance(y, n, expected):
    level, outcome = rows(y, n)
    distances = [stats.wasserstein_distance(outcome, outcome[level == k]) for k in range(len(n))]
    assert index(wasserstein, y, n) == pytest.approx(np.average(distances, weights=n) / (2 * outcome.var()))


def test_sobol_is_eta_squared():
    level, outcome = rows([3, 10, 0, 7], [100, 50, 50, 31])
    table = anova_lm(smf.ols("outcome ~ C(level)", pd.DataFrame({"level": level, "outcome": outcome})).fit())
    expected = table["sum_sq"].iloc[0] / table["sum_sq"].sum()
    assert index(sobol, [3, 10, 0, 7], [100, 50, 50, 31]) == pytest.approx(expected)


def test_mutual_information_is_that_of_the_contingency_table():
    y, n = np.array([3, 10, 1, 7]), np.array([100, 50, 50, 31])
    joint = np.stack([y, n - y]) / n.sum()
    independent = joint.sum(0) * joint.sum(1)[:, None]
    expected = stats.entropy(joint.ravel(), independent.ravel())
    assert index(mutual_information, y, n) == pytest.approx(expected)


@given(LEVELS)
def test_bounds_hold(levels):
    y, n = counts(levels)
    if not 0 < y.sum() < n.sum():
        assert all(np.isnan(index(function, y, n)) for function in INDICES.values())
        return
    p, w = rates(n, y)
    for function in INDICES.values():
        assert -1e-12 <= function(p, w) <= 1 + 1e-12
    variance = (p @ w) * (1 - p @ w)
    assert wasserstein(p, w) <= np.sqrt(sobol(p, w) / variance) / 2 + 1e-12  # Jensen


@given(st.integers(1, 9), st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_zero_under_independence(tenths, sizes):
    n = np.array(sizes) * 10
    for function in INDICES.values():
        assert index(function, np.array(sizes) * tenths, n) == pytest.approx(0, abs=1e-12)


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=2, max_size=6))
def test_one_under_functional_dependence(levels):
    n = np.array([n for n, _ in levels])
    y = n * np.array([yes for _, yes in levels])
    if 0 < y.sum() < n.sum():
        assert index(wasserstein, y, n) == pytest.approx(1)
        assert index(sobol, y, n) == pytest.approx(1)


@given(LEVELS, st.randoms())
def test_relabelling_changes_nothing(levels, random):
    y, n = counts(levels)
    order = list(range(len(n)))
    random.shuffle(order)
    for function in INDICES.values():
        np.testing.assert_allclose(index(function, y, n), index(function, y[order], n[order]), atol=1e-12)


@given(LEVELS, st.floats(0, 1), st.floats(0, 1))
def test_refinement_never_lowers_an_index(levels, size, share):
    """Split the first level into two of any sizes and rates."""
    y, n = counts(levels)
    part = round(size * n[0])
    low, high = max(0, y[0] - (n[0] - part)), min(y[0], part)
    moved = low + round(share * (high - low))
    finer_n = np.r_[part, n[0] - part, n[1:]]
    finer_y = np.r_[moved, y[0] - moved, y[1:]]
    if 0 < y.sum() < n.sum():
        for name in ("wasserstein", "sobol", "mutual_information"):
            assert index(INDICES[name], finer_y, finer_n) >= index(INDICES[name], y, n) - 1e-12


def test_empty_levels_weigh_nothing():
    for function in INDICES.values():
        assert index(function, [2, 7, 0], [10, 10, 0]) == pytest.approx(index(function, [2, 7], [10, 10]))


def test_constant_outcomes_have_no_index():
    for y in ([0, 0], [5, 8]):
        assert all(np.isnan(index(function, y, [5, 8])) for function in INDICES.values())


@pytest.mark.parametrize(("n", "y"), [([5], [6]), ([5], [-1]), ([np.nan], [1])])
def test_impossible_counts_are_refused(n, y):
    with pytest.raises(ValueError, match="counts must be"):
        rates(n, y)


def test_scaling_moves_rates_towards_their_mean():
    p, w = np.array([0.1, 0.3]), np.array([0.5, 0.5])
    np.testing.assert_allclose(scaled(p, w, 0), [0.2, 0.2])
    np.testing.assert_allclose(scaled(p, w, 1), p)
    np.testing.assert_allclose(scaled(p, w, 5), [0, 0.7])  # never below 0


def simulate(chance, n, replicates, seed):
    """Plug-in, low, corrected and high value of the index over repeated samples with the given rates."""
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(replicates):
        y = rng.binomial(n, chance)
        p, w = rates(n, y)
        errors = rng.binomial(n, p, (300, len(n))) / n - p
        null = rng.multivariate_hypergeometric(n, y.sum(), size=300) / n
        results.append([float(wasserstein(p, w)), *interval(wasserstein, p, w, errors, null)])
    return np.array(results)


def test_an_effect_of_nothing_has_an_interval_from_zero():
    plugin, low, middle, _ = simulate(np.full(15, 0.06), np.full(15, 1000), 150, 2).T
    assert (low < 1e-6).mean() >= 0.94
    assert (middle < 1e-6).mean() == pytest.approx(0.5, abs=0.15)  # median unbiased
    assert middle.mean() < plugin.mean() / 2


def test_an_effect_near_the_floor_is_covered_and_not_inflated():
    chance = np.array([0.05, 0.055, 0.06, 0.06, 0.06, 0.065, 0.07, 0.06])
    n = np.full(8, 2500)
    true = float(wasserstein(chance, n / n.sum()))
    plugin, low, middle, high = simulate(chance, n, 200, 3).T
    assert ((low <= true) & (true <= high)).mean() >= 0.9
    assert abs(middle.mean() - true) < abs(plugin.mean() - true) / 2


def test_without_noise_nothing_is_corrected():
    p, w = np.array([0.1, 0.3]), np.array([0.5, 0.5])
    still = np.zeros((10, 2))
    assert shrinkage(wasserstein, p, w, still, still + 0.2) == (1.0, 1.0, 1.0)
    assert all(np.isnan(shrinkage(wasserstein, np.zeros(2), w, still, still)))
    assert interval(wasserstein, p, w, still, still + 0.2) == pytest.approx([float(wasserstein(p, w))] * 3)
    assert all(np.isnan(interval(wasserstein, np.zeros(2), w, still, still)))


def test_levels_that_may_trade_places_are_covered():
    """Rates of three tasks of a model, 55 texts each: in some samples the middle one is on the wrong side.

    The size of the deviations alone can't then explain the true index: intervals from it cover .83 here.
    """
    mean, texts, asked = np.array([0.005, 0.025, 0.07]), 55, 30
    true, w = float(wasserstein(mean, np.full(3, 1 / 3))), np.full(3, 1 / 3)
    rng = np.random.default_rng(5)
    covered, bounded = [], []
    for _ in range(300):
        chance = rng.beta(mean * 3, (1 - mean) * 3, (texts, 3))  # responses about a text resemble each other
        y = rng.binomial(asked, chance)
        p = y.mean(0) / asked
        errors = y[rng.integers(0, texts, (300, texts, 3)), np.arange(3)].mean(1) / asked - p
        null = rng.permuted(y.ravel()[None].repeat(200, 0), axis=1).reshape(200, texts, 3).mean(1) / asked
        units = (y > 0).sum()
        low, middle, high = interval(wasserstein, p, w, errors, null, units)
        covered.append(low <= true <= high)
        bounded.append(low <= middle <= high <= 1)
    assert all(bounded)
    assert np.mean(covered) >= 0.92


def test_a_rare_outcome_is_not_mistaken_for_an_effect():
    """Some twenty refusals over 15 levels: most levels have none or one, which no bootstrap can tell from an effect."""
    plugin, low, middle, high = simulate(np.full(15, 0.002), np.full(15, 700), 120, 4).T
    assert plugin.mean() > 0.3
    assert (low < 1e-6).mean() >= 0.92
    assert np.median(middle) < 0.1
    assert (high > 0.1).mean() > 0.8  # and what is not known is not claimed


def test_the_floor_counts_the_observed_index_as_one_of_the_permutations():
    floor = np.arange(99.0)
    assert floor_limit(floor) == 94  # five of 100 equally likely ranks are above it
    assert floor_limit(np.append(floor, np.nan)) == 94
    assert floor_limit(np.arange(10.0)) == 9 and np.isnan(floor_limit(np.full(3, np.nan)))
    with_observed = np.random.default_rng(1).random((4000, 100))
    above = np.mean([row[0] > floor_limit(row[1:]) for row in with_observed])
    assert stats.binomtest(int(above * 4000), 4000, 0.05).pvalue > 0.001


def test_no_effect_at_all_has_a_lower_limit_of_exactly_zero():
    rng = np.random.default_rng(2)
    p, w = np.full(9, 0.1) + rng.normal(0, 0.01, 9), np.full(9, 1 / 9)
    for index in INDICES.values():
        lo, *_ = interval(index, p, w, rng.normal(0, 0.02, (300, 9)), 0.1 + rng.normal(0, 0.02, (99, 9)))
        assert lo == 0


def test_the_larger_noise_is_the_one_with_the_larger_floor():
    rng = np.random.default_rng(3)
    p, w = np.full(6, 0.2), np.full(6, 1 / 6)
    permuted = 0.2 + rng.normal(0, 0.02, (99, 6)), np.broadcast_to(w, (99, 6))
    small, large = rng.normal(0, 0.01, (300, 6)), rng.normal(0, 0.04, (300, 6))
    assert larger_noise(wasserstein, permuted, p, w, small) is permuted
    rates, weights = larger_noise(wasserstein, permuted, p, w, large)
    np.testing.assert_allclose(rates.mean(0), 0.2, atol=0.01)
    assert rates.std() == pytest.approx(0.04, rel=0.1) and weights.shape == rates.shape
    assert larger_noise(wasserstein, permuted, p, w, np.empty((0, 6))) is permuted
