"""Intervals against closed forms, scipy, exact enumeration and published values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.statistics import intervals as iv

S = np.array([0, 1, 3, 17, 99, 100])
N = np.full(6, 100)


@pytest.mark.parametrize("method", [iv.wilson, iv.clopper_pearson])
def test_single_proportions_are_scipys(method):
    lo, hi = method(S, N, 0.9)
    name = {iv.wilson: "wilson", iv.clopper_pearson: "exact"}[method]
    expected = [stats.binomtest(s, n).proportion_ci(0.9, name) for s, n in zip(S, N, strict=True)]
    np.testing.assert_allclose(lo, [limits.low for limits in expected], atol=1e-12)
    np.testing.assert_allclose(hi, [limits.high for limits in expected], atol=1e-12)


@pytest.mark.parametrize("method", [iv.wilson, iv.clopper_pearson])
def test_fractional_counts_are_between_their_neighbours(method):
    low, middle, high = (method(s, 40.5) for s in (3.0, 3.4, 4.0))
    assert low[0] < middle[0] < high[0] and low[1] < middle[1] < high[1]


def test_zero_and_all_refusals_have_closed_forms():
    z = stats.norm.ppf(0.975)
    assert iv.wilson(0, 50) == (0, pytest.approx(z**2 / (50 + z**2)))
    assert iv.clopper_pearson(0, 50) == (0, pytest.approx(1 - 0.025 ** (1 / 50)))
    assert iv.clopper_pearson(50, 50) == (pytest.approx(0.025 ** (1 / 50)), 1)


def test_clopper_pearson_covers_at_every_rate():
    n, s = 60, np.arange(61)
    lo, hi = iv.clopper_pearson(s, n)
    for p in np.linspace(0.001, 0.999, 333):
        assert stats.binom.pmf(s, n, p)[(lo <= p) & (p <= hi)].sum() >= 0.95


@pytest.mark.parametrize("n", [10, 60, 500])
def test_rare_limits_cover_where_wilsons_do_not(n):
    """By enumeration over counts, at rates from almost none to a half."""
    s, rates = np.arange(n + 1), np.geomspace(0.02 / n, 0.5, 400)
    least = {}
    for method in (iv.wilson, iv.wilson_rare):
        lo, hi = method(s, n)
        least[method] = min(stats.binom.pmf(s, n, p)[(lo <= p) & (p <= hi)].sum() for p in rates)
    assert least[iv.wilson] < 0.85 and least[iv.wilson_rare] > 0.92
    np.testing.assert_allclose(iv.wilson_rare(200, 1000), iv.wilson(200, 1000))
    assert iv.wilson_rare(1, n)[0] == pytest.approx(1 - 0.95 ** (1 / n))


@pytest.mark.parametrize("method", [iv.wilson, iv.wilson_rare, iv.clopper_pearson, iv.mixture_sequence])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_limits_contain_the_rate_and_are_equivariant(method, data):
    n = data.draw(st.integers(1, 5000))
    s = data.draw(st.integers(0, n))
    lo, hi = method(s, n)
    assert 0 <= lo <= s / n <= hi <= 1
    if method is not iv.mixture_sequence:  # its prior prefers small rates
        mirrored = method(n - s, n)
        np.testing.assert_allclose([1 - hi, 1 - lo], mirrored, atol=1e-9)
    wider = method(s, n, 0.99)
    assert wider[0] <= lo + 1e-12 and hi <= wider[1] + 1e-12


def test_mover_of_a_pair_is_method_10_of_newcombe():
    # Newcombe (1998, table II): of 50 pairs 36 are both, 12 and 2 one, none neither; his rule leaves this phi alone
    limits1, limits0 = iv.wilson(48, 50), iv.wilson(38, 50)
    rates, (lows, highs) = np.array([48 / 50, 38 / 50]), np.array([limits1, limits0]).T
    phi = (36 * 0 - 12 * 2) / np.sqrt(48 * 2 * 38 * 12)
    np.testing.assert_allclose(iv.mover([1, -1], rates, lows, highs, [[1, phi], [phi, 1]]), [0.0569, 0.3404], atol=5e-5)
    for c in (0.0, 0.3):
        general = iv.mover([1, -1], rates, lows, highs, [[1, c], [c, 1]])
        np.testing.assert_allclose(iv.mover_difference(48 / 50, limits1, 38 / 50, limits0, c), general, atol=1e-15)


def test_mover_of_one_rate_and_of_scaled_means():
    lo, hi = iv.wilson(3, 40)
    np.testing.assert_allclose(iv.mover([1.0], [3 / 40], lo, hi), [lo, hi], atol=1e-15)
    rates, (lows, highs) = S / N, iv.wilson(S, N)
    low, high = iv.mover(1 / 6, rates, lows, highs)
    assert high - rates.mean() == pytest.approx(np.sqrt(((highs - rates) ** 2).sum()) / 6)
    assert rates.mean() - low == pytest.approx(np.sqrt(((rates - lows) ** 2).sum()) / 6)


def test_mover_with_full_correlation_adds_widths():
    rates, (lows, highs) = S / N, iv.wilson(S, N)
    _, high = iv.mover(1 / 6, rates, lows, highs, np.ones((6, 6)))
    assert high == pytest.approx(highs.mean())


def test_no_correlation_takes_the_width_of_a_sum():
    lo, hi = iv.wilson([5, 5], [10, 10])
    together, apart = [[1, 1], [1, 1]], [[1, -1], [-1, 1]]
    for weights, shared in (([1, -1], together), ([0.5, 0.5], apart)):
        low, high = iv.mover(weights, [0.5, 0.5], lo, hi, shared)
        assert high - low > 0.2 * (hi - lo)[0] * abs(weights[0])
    assert iv.mover([1, -1], [0.5, 0.5], lo, hi, together) == pytest.approx(
        iv.mover_difference(0.5, (lo[0], hi[0]), 0.5, (lo[1], hi[1]), 1.0)
    )


def test_mover_ratio_limits_solve_their_difference():
    # the limits of a ratio are the factors r at which the limits of p - r q just reach 0
    limits1, limits0, c = iv.wilson(30, 200), iv.wilson(12, 190), 0.3
    p, q = 30 / 200, 12 / 190
    low, high = iv.mover_ratio(p, limits1, q, limits0, c)

    def difference(r):
        scaled = (limits0[0] * r, limits0[1] * r)
        return iv.mover_difference(p, limits1, q * r, scaled, c)

    assert difference(low)[0] == pytest.approx(0, abs=1e-10)
    assert difference(high)[1] == pytest.approx(0, abs=1e-10)


def test_mover_ratio_degenerate():
    none, some = iv.wilson(0, 100), iv.wilson(20, 100)
    assert iv.mover_ratio(0.2, some, 0.0, none)[1] == np.inf
    assert iv.mover_ratio(0.2, some, 0.0, none)[0] > 1
    assert iv.mover_ratio(0.0, none, 0.2, some)[0] == 0
    assert np.isnan(iv.mover_ratio(0.0, none, 0.0, none)).all()
    # a rate that is 0 but for rounding must not turn the upper limit negative
    lo, hi = iv.mover_ratio(0.2, some, 1e-18, (1.4e-17, 0.05), 0.5)
    assert hi == np.inf and lo > 0


def test_mixture_sequence_golden_values():
    np.testing.assert_allclose(iv.mixture_sequence(20, 1000), [0.009110, 0.037107], atol=5e-7)
    np.testing.assert_allclose(iv.mixture_sequence(20, 1000, prior=(0.5, 0.5)), [0.007819, 0.040635], atol=5e-7)


def test_mixture_sequence_covers_at_all_times():
    rng = np.random.default_rng(3)
    for p in (0.01, 0.2):
        counts = np.cumsum(rng.random((250, 800)) < p, axis=1)
        lo, hi = iv.mixture_sequence(counts, np.arange(1, 801))
        missed = ((lo > p) | (hi < p)).any(axis=1).mean()
        assert missed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 250)


def test_effective_n_limits():
    # independent responses: about n; texts that refuse always or never: about the number of texts
    assert iv.effective_n(0.2, 0.2 * 0.8 / 10_000, 10_000, 1.0, 10_000) == pytest.approx(10_000, rel=1e-3)
    assert iv.effective_n(0.2, 0.2 * 0.8 / 1000, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    # no refusal: as many responses as texts, whatever n
    assert iv.effective_n(0.0, 0.0, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    assert iv.effective_n(1.0, 0.0, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    # one text is one response, two texts are worth hardly anything
    assert iv.effective_n(0.5, 0.0, 40, 40.0, 1) == pytest.approx(1)
    assert iv.effective_n(0.5, 0.1, 40, 20.0, 2) < 1
    # pairing may gain up to the factor that the caller allows
    assert iv.effective_n(0.2, 1e-9, 1000, 1.0, 10**6, gain=2.5) == pytest.approx(2500, rel=1e-3)


@pytest.mark.parametrize("correlation", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("rate", [0.002, 0.05])
def test_effective_n_covers_when_texts_refuse_together(rate, correlation):
    rng, texts, size = np.random.default_rng(11), 500, 10
    shape = (1 - correlation) / correlation
    own = rng.beta(rate * shape, (1 - rate) * shape, (1500, texts))
    refusals = rng.binomial(size, own)
    n = texts * size
    p = refusals.sum(1) / n
    variance = ((refusals - p[:, None] * size) ** 2).sum(1) * texts / (texts - 1) / n**2
    effective = iv.effective_n(p, variance, n, size, texts)
    lo, hi = iv.wilson(p * effective, effective)
    assert ((lo <= rate) & (rate <= hi)).mean() >= 0.93
    assert (hi < rate).mean() <= 0.04


@pytest.mark.parametrize("refusals, n", [(1, 0), (3, 2), (-1, 5), (np.nan, 5), (1, np.inf)])
def test_impossible_counts_are_refused(refusals, n):
    with pytest.raises(InputError):
        iv.wilson(refusals, n)


def test_impossible_levels_are_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        iv.wilson(1, 2, 95)
