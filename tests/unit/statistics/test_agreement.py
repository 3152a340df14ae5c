"""Cohen's kappa against his own example, and where it is undefined."""

import numpy as np
import pytest

from falserefusal.statistics.agreement import cohens_kappa


def test_kappa_of_cohens_example():
    value, lo, hi = cohens_kappa([[20, 5], [10, 15]])
    assert value == pytest.approx(0.4)
    assert lo == pytest.approx(0.1511, abs=5e-4) and hi == pytest.approx(0.6489, abs=5e-4)


def test_the_limits_stay_below_one_and_narrow_with_the_level():
    value, lo, hi = cohens_kappa([[40, 0], [1, 59]])
    assert lo < value < hi <= 1
    assert cohens_kappa([[40, 0], [1, 59]], 0.5)[1] > lo


@pytest.mark.parametrize("counts", [[[0, 0], [0, 0]], [[7, 0], [0, 0]], [[0, 0], [0, 7]]])
def test_raters_of_one_class_have_no_kappa(counts):
    assert np.isnan(cohens_kappa(counts)).all()
