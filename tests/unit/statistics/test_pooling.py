"""Partially pooled rates against brute force, and what pooling must and must not do."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from falserefusal.common.errors import InputError
from falserefusal.statistics import pooling as po


def test_posterior_mean_equals_two_dimensional_integration():
    s, n = np.array([3, 10, 0, 5]), np.array([60, 80, 50, 70])

    def kernel(logit, log_k, power=0):
        mean, k = special.expit(logit), np.exp(log_k)
        a, b = mean * k, (1 - mean) * k
        terms = special.betaln(a + s, b + n - s) - special.betaln(a, b)
        value = np.exp(terms.sum() - log_k / 2 + 75)
        return value * ((a + s[1]) / (k + n[1]) if power else 1)

    limits = (np.log(3), np.log(3000), -10, 10)
    total, _ = integrate.dblquad(kernel, *limits, epsabs=1e-9, epsrel=1e-4)
    first, _ = integrate.dblquad(lambda x, y: kernel(x, y, 1), *limits, epsabs=1e-9, epsrel=1e-4)
    estimate, lo, hi = po.shrink(s, n)
    # the grid's end points of the concentration have full weight: a percent of difference is its price
    assert estimate[1] == pytest.approx(first / total, rel=0.01)
    assert (lo < estimate).all() and (estimate < hi).all()


def test_quantiles_are_those_of_the_mixture():
    weight, a, b = np.array([0.25, 0.75]), np.array([[2.0], [30.0]]), np.array([[20.0], [10.0]])
    q = po._quantile(weight, a, b, 0.2)[0]
    assert 0.25 * stats.beta.cdf(q, 2, 20) + 0.75 * stats.beta.cdf(q, 30, 10) == pytest.approx(0.2, abs=1e-7)


def test_cells_move_towards_the_others_the_more_the_less_they_know():
    estimate, _, _ = po.shrink([5, 5, 5, 20], [100, 100, 100, 100])
    assert 0.05 < estimate[3] < 0.2 and 0.05 < estimate[0] < 0.0875
    few, _, _ = po.shrink([5, 5, 5, 4], [100, 100, 100, 20])
    assert abs(few[3] - 0.05) < abs(estimate[3] - 0.05)
    many, _, _ = po.shrink([5000, 5000, 5000, 20000], [100_000] * 4)
    np.testing.assert_allclose(many, [0.05, 0.05, 0.05, 0.2], rtol=0.01)


@pytest.mark.parametrize("refusals, n", [([0] * 5, [40] * 5), ([40] * 5, [40] * 5), ([3], [40])])
def test_degenerate_groups_are_defined(refusals, n):
    estimate, lo, hi = po.shrink(refusals, n)
    assert ((lo >= 0) & (lo <= estimate) & (estimate <= hi) & (hi <= 1)).all()
    assert (hi > lo).all()


def test_order_of_cells_does_not_matter_and_bad_counts_are_refused():
    one, two = po.shrink([1, 4, 9], [50, 60, 70])[0], po.shrink([9, 1, 4], [70, 50, 60])[0]
    np.testing.assert_allclose(one, two[[1, 2, 0]])
    with pytest.raises(InputError):
        po.shrink([3], [2])


def test_pooling_beats_plain_rates_on_average():
    rng = np.random.default_rng(4)
    plain = pooled = inside = 0.0
    for _ in range(12):
        true = rng.beta(5, 95, 15)
        s = rng.binomial(60, true)
        estimate, lo, hi = po.shrink(s, np.full(15, 60))
        plain += ((s / 60 - true) ** 2).sum()
        pooled += ((estimate - true) ** 2).sum()
        inside += ((lo <= true) & (true <= hi)).mean() / 12
    assert pooled < 0.7 * plain
    assert inside > 0.9
