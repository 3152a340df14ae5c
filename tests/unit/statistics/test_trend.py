"""Trend within blocks: an enumeration, the interval as the inverse of the test, and its level under clustering."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from falserefusal.statistics.trend import assignments, exchangeable, trend


@pytest.fixture
def few(monkeypatch):
    """Fewer permutations, for studies in a loop."""
    monkeypatch.setattr("falserefusal.statistics.trend.PERMUTATIONS", 499)


def test_units_alone_in_their_groups_are_one_block():
    assert list(exchangeable(np.array(["a", "b", "b", "c"]))) == [-1, 1, 1, -1]


def test_assignments_are_counted_within_blocks_and_ties_once():
    block = np.array([0, 0, 0, 1, 1])
    assert assignments(np.array([1.0, 2, 3, 4, 5]), block) == 12
    assert assignments(np.array([1.0, 1, 3, 4, 4]), block) == 3


def test_p_values_equal_an_enumeration():
    x, y = np.array([1.0, 2, 3, 4, 10, 11, 12]), np.array([4.0, 3.5, 1, 2, 8, 6, 7])
    block = np.array([0, 0, 0, 0, 1, 1, 1])

    def statistic(x):
        x, y0 = (np.concatenate([v[:4] - v[:4].mean(), v[4:] - v[4:].mean()]) for v in (x, y))
        return x @ y0 / np.sqrt(((x * (y0 - x * (x @ y0) / (x @ x))) ** 2).sum())

    orders = [(*a, *b) for a in itertools.permutations(x[:4]) for b in itertools.permutations(x[4:])]
    share = np.mean([statistic(np.array(order)) <= statistic(x) + 1e-9 for order in orders])
    found = trend(x, y, np.ones(7), block, [0])
    assert found.falls == pytest.approx(2 * share, abs=0.015) and found.rises == 1
    assert found.slope == pytest.approx((-4.25 - 1) / (5 + 2))  # sums of products over sums of squares
    shifted = trend(x, y + 100 * block, np.ones(7), block, [0])
    assert shifted.falls == found.falls and shifted.slope == pytest.approx(found.slope)  # blocks may differ


def test_interval_excludes_0_if_and_only_if_p_is_below_05_and_covers_the_slope(few):
    rng = np.random.default_rng(2)
    block, covered = np.repeat([0, 1, 2], [6, 5, 5]), 0
    for study in range(60):
        x = rng.normal(0, 1, 16) + 3 * block
        slope = rng.choice([-0.8, 0.0, 0.8])
        y = slope * x + rng.normal(0, 3, 3)[block] + np.exp(0.3 * x) * rng.normal(0, 1, 16)
        found = trend(x, y, np.exp(-0.3 * x), block, [study])
        assert (found.hi < 0) == (found.falls <= 0.05) and (found.lo > 0) == (found.rises <= 0.05)
        assert found.lo <= found.slope <= found.hi
        covered += found.lo <= slope <= found.hi
    assert binom.cdf(covered, 60, 0.95) > 0.001


def test_level_where_y_clusters_by_block_and_x_differs_between_blocks(few):
    rng = np.random.default_rng(3)
    block = np.repeat([0, 1, 2], [6, 5, 5])
    x = np.linspace(-1, 1, 16) + block
    rejected = np.zeros(2, int)
    for study in range(100):
        y = np.array([0.0, -4, -8])[block] + np.exp(-x) * rng.normal(0, 1, 16)
        found = trend(x, y, np.exp(x), block, [study])
        rejected += [found.falls <= 0.05, found.rises <= 0.05]
    assert (binom.sf(rejected - 1, 100, 0.025) > 0.001).all()


def test_without_any_noise_the_interval_is_a_point():
    x = np.arange(8.0)
    found = trend(x, -2 * x, np.ones(8), np.zeros(8), [0])
    assert (found.slope, found.lo, found.hi) == pytest.approx((-2, -2, -2), abs=1e-6) and found.falls <= 0.001
