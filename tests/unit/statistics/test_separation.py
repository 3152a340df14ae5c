"""Levels are named only if they are separated; ties and few refusals have no most and no least."""

import numpy as np
import pytest

from falserefusal.common.separation import MIN_REFUSALS
from falserefusal.statistics.separation import from_limits, separate, together

NAMES = ["a", "b", "c"]


def test_a_level_above_all_others_is_the_highest():
    found = from_limits(NAMES, [0.5, 0.2, 0.1], [0.45, 0.15, 0.05], [0.55, 0.25, 0.15], 300)
    assert (found.highest, found.lowest, found.order) == ("a", "", "a > b, c")
    assert (found.higher, found.lower, found.clear, found.pairs) == ("a", "c", 2, 3)
    assert found.difference == pytest.approx(0.4) and found.lo > 0


def test_ties_and_few_refusals_name_nothing():
    alike = from_limits(NAMES, [0.2, 0.2, 0.2], [0.1] * 3, [0.3] * 3, 300)
    few = from_limits(NAMES, [0.5, 0.2, 0.1], [0.45, 0.15, 0.05], [0.55, 0.25, 0.15], MIN_REFUSALS - 1)
    for found in (alike, few):
        assert found.clear == 0
        assert {found.highest, found.lowest, found.higher, found.lower, found.order} == {""}
    assert few.difference == pytest.approx(0.4), "the largest difference is still told"


def test_a_pair_is_named_where_no_level_stands_out():
    lo, hi = np.full((3, 3), -1.0), np.full((3, 3), 1.0)
    lo[0, 1], hi[1, 0] = 0.1, -0.1
    found = separate(NAMES, [0.4, 0.2, 0.1], lo, hi, 300)
    assert (found.higher, found.lower, found.clear, found.highest) == ("a", "b", 1, "")


def test_one_level_has_nothing_to_compare():
    found = separate(["a"], [0.4], [[0.0]], [[0.0]], 300)
    assert (found.pairs, found.clear) == (0, 0) and np.isnan(found.difference)


def test_limits_of_one_comparison_stay_and_of_more_widen():
    lo, hi = together([0.2], [0.1], [0.3], 1)
    assert lo[0] == pytest.approx(0.1) and hi[0] == pytest.approx(0.3)
    wider_lo, wider_hi = together([0.2], [0.1], [0.3], 10)
    assert wider_lo[0] < 0.1 and wider_hi[0] > 0.3
