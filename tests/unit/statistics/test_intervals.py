"""Intervals against closed forms, statsmodels, exact enumeration and published values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from falserefusal.common.errors import InputError
from falserefusal.statistics import intervals as iv

S = np.array([0, 1, 3, 17, 99, 100])
N = np.full(6, 100)


@pytest.mark.parametrize(
    "ours, theirs", [(iv.wilson, "wilson"), (iv.clopper_pearson, "beta"), (iv.jeffreys, "jeffreys")]
)
def test_single_proportions_equal_statsmodels(ours, theirs):
    lo, hi = ours(S, N, 0.9)
    expected = np.array([proportion_confint(s, n, 0.1, theirs) for s, n in zip(S, N, strict=True)])
    inner = (S > 0) & (S < N) if theirs == "jeffreys" else np.ones(6, bool)  # statsmodels has no end-point rule
    np.testing.assert_allclose(lo[inner], expected[inner, 0], atol=1e-12)
    np.testing.assert_allclose(hi[inner], expected[inner, 1], atol=1e-12)


def test_zero_and_all_refusals_have_closed_forms():
    z = stats.norm.ppf(0.975)
    assert iv.wilson(0, 50) == (0, pytest.approx(z**2 / (50 + z**2)))
    assert iv.clopper_pearson(0, 50) == (0, pytest.approx(1 - 0.025 ** (1 / 50)))
    assert iv.clopper_pearson(50, 50) == (pytest.approx(0.025 ** (1 / 50)), 1)
    assert iv.jeffreys(0, 50)[0] == 0 and iv.jeffreys(50, 50)[1] == 1


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


@pytest.mark.parametrize("method", [iv.wilson, iv.wilson_rare, iv.clopper_pearson, iv.jeffreys, iv.mixture_sequence])
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


def test_tango_golden_values():
    np.testing.assert_allclose(iv.tango(28, 25, 618, 0.9), [-0.01483437, 0.02471548], atol=5e-9)
    np.testing.assert_allclose(iv.tango(1, 7, 21), [-0.517232, -0.026003], atol=5e-7)


def test_tango_limits_solve_the_score_equation():
    b, c, n = 9, 4, 80
    z = stats.norm.ppf(0.975)

    def profile(delta):  # constrained likelihood estimate of P(only the second refused), by brute force
        def minus(q):
            p = np.array([q + delta, q, 1 - 2 * q - delta])
            return np.inf if (p <= 0).any() else -(np.array([b, c, n - b - c]) * np.log(p)).sum()

        low = max(0, -delta)
        return optimize.minimize_scalar(
            minus, bounds=(low, (1 - delta) / 2), method="bounded", options={"xatol": 1e-12}
        ).x

    for limit, sign in zip(iv.tango(b, c, n), (1, -1), strict=True):
        score = (b - c - n * limit) / np.sqrt(n * (2 * profile(limit) + limit * (1 - limit)))
        assert score == pytest.approx(sign * z, abs=1e-4)


def test_tango_of_extreme_tables():
    assert iv.tango(10, 0, 10)[1] == 1
    assert iv.tango(0, 10, 10)[0] == -1
    lo, hi = iv.tango(0, 0, 40)
    z2 = stats.norm.ppf(0.975) ** 2
    assert lo == pytest.approx(-hi) and hi == pytest.approx(z2 / (40 + z2))
    lo, hi = iv.tango([5, 2], [2, 5], 30)
    np.testing.assert_allclose([lo[0], hi[0]], [-hi[1], -lo[1]], atol=1e-12)


def test_newcombe10_published_example():
    # Newcombe (1998), tables (36, 12, 2, 0) and (20, 12, 2, 16) of both, first, second, neither
    np.testing.assert_allclose(iv.newcombe10(36, 12, 2, 50), [0.0569, 0.3404], atol=5e-5)
    np.testing.assert_allclose(iv.newcombe10(20, 12, 2, 50), [0.0562, 0.3292], atol=5e-5)


def test_mover_agrees_with_newcombe10_where_its_continuity_rule_is_idle():
    a, b, c, n = 1, 12, 10, 60  # a d < b c: the rule leaves phi alone
    d = n - a - b - c
    phi = (a * d - b * c) / np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    p1, p0 = (a + b) / n, (a + c) / n
    limits1, limits0 = iv.wilson(a + b, n), iv.wilson(a + c, n)
    rates, (lows, highs) = np.array([p1, p0]), np.array([limits1, limits0]).T
    general = iv.mover([1, -1], rates, lows, highs, [[1, phi], [phi, 1]])
    np.testing.assert_allclose(general, iv.newcombe10(a, b, c, n), atol=1e-12)
    independent = iv.mover_difference(p1, limits1, p0, limits0, 0)
    np.testing.assert_allclose(independent, iv.mover([1, -1], rates, lows, highs), atol=1e-15)


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


def test_conditional_odds_ratio_is_the_binomial_one():
    ratio, (lo, hi) = iv.conditional_odds_ratio(15, 5)
    exact = stats.binomtest(15, 20).proportion_ci(0.95, "exact")
    assert ratio == 3
    assert lo == pytest.approx(exact.low / (1 - exact.low))
    assert hi == pytest.approx(exact.high / (1 - exact.high))
    ratio, (lo, hi) = iv.conditional_odds_ratio(0, 0)
    assert np.isnan(ratio) and lo == 0 and hi == np.inf
    assert iv.conditional_odds_ratio(4, 0)[0] == np.inf


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


def test_finite_pool_sequence_golden_values():
    assert iv.finite_pool_sequence(10, 500, 1000) == (0.011, 0.038)
    assert iv.finite_pool_sequence(18, 900, 1000) == (0.018, 0.026)
    assert iv.finite_pool_sequence(7, 50, 50) == (7 / 50, 7 / 50)


def test_asymptotic_sequence():
    half = [iv.asymptotic_sequence(0.0, 1.0, 500, tuned_to=t)[1] for t in (200, 500, 1200)]
    assert half[1] < half[0] and half[1] < half[2]  # narrowest where it was tuned
    lo, hi = iv.asymptotic_sequence(0.05, np.sqrt(0.05 * 0.95), 1000)
    assert (hi - lo) / 2 == pytest.approx(0.0211, abs=5e-5)
    with pytest.raises(InputError, match="30 units"):
        iv.asymptotic_sequence(0.1, 0.3, 20)
    with pytest.raises(InputError, match="differ"):
        iv.asymptotic_sequence(0.0, 0.0, 200)


def test_effective_n_limits():
    # independent answers: about n; texts that refuse always or never: about the number of texts
    assert iv.effective_n(0.2, 0.2 * 0.8 / 10_000, 10_000, 1.0, 10_000) == pytest.approx(10_000, rel=1e-3)
    assert iv.effective_n(0.2, 0.2 * 0.8 / 1000, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    # no refusal: as many answers as texts, whatever n
    assert iv.effective_n(0.0, 0.0, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    assert iv.effective_n(1.0, 0.0, 10_000, 10.0, 1000) == pytest.approx(1000, rel=0.01)
    # one text is one answer, two texts are worth hardly anything
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


def test_impossible_levels_and_pools_are_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        iv.wilson(1, 2, 95)
    with pytest.raises(InputError, match="pool"):
        iv.finite_pool_sequence(2, 20, 10)
    with pytest.raises(InputError, match="negative"):
        iv.tango(-1, 3, 10)
