"""Partially pooled rates against brute force, and what pooling must and must not do."""

import dataclasses

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


# --- persona effects

MODELS, PERSONAS, TEXTS = 6, 8, 300
RATES = np.geomspace(0.3, 0.01, MODELS)


def made_effects(true, noise, seed=1):
    """Effects (M, P) with noise of standard deviation `noise` (M,): half of its variance is that of the baseline."""
    rng = np.random.default_rng(seed)
    models, personas = true.shape
    model, persona = np.repeat(np.arange(models), personas), np.tile(np.arange(personas), models)
    errors = rng.normal(size=(TEXTS + 1, models, personas)) + rng.normal(size=(TEXTS + 1, models, 1))
    errors = (errors * np.asarray(noise)[:, None] / np.sqrt(2)).reshape(TEXTS + 1, -1)
    counts = np.full(models, 10.0**9)  # so that half a refusal is nothing
    rates = RATES[:models]
    return po.Effects(
        effect=true.ravel() + errors[0],
        model=model,
        persona=persona,
        moves=errors[1:] / np.sqrt(TEXTS),
        n=np.full(models * personas, 100.0),
        n_baseline=counts,
        total=counts,
        rate=rates,
        rate_error=0.0 * rates,
    )


def units(models=MODELS):
    return stats.norm.pdf(stats.norm.ppf(RATES[:models]))


def drawn(seed, mean=0.05, persona=0.1, cell=0.1):
    rng = np.random.default_rng(seed)
    effect = mean + rng.normal(0, persona, PERSONAS) + rng.normal(0, cell, (MODELS, PERSONAS))
    return units()[:, None] * effect


def test_effects_without_noise_are_not_shrunken():
    true = drawn(1)
    estimate, lo, hi, weight = po.shrink_effects(made_effects(true, [1e-7] * MODELS))
    np.testing.assert_allclose(estimate, true.ravel(), atol=1e-5)
    np.testing.assert_allclose(weight, 1, atol=1e-4)
    assert (hi - lo < 1e-4).all()


def test_effects_that_are_all_noise_become_one_effect_in_probits():
    effects = made_effects(drawn(2), 100 * units())
    estimate, lo, hi, weight = po.shrink_effects(effects)
    probits = estimate / effects.unit()[effects.model]
    np.testing.assert_allclose(probits, probits.mean(), atol=0.05 * 100 / np.sqrt(MODELS * PERSONAS))
    assert weight.max() < 0.03  # 1 / 48 is the share of each in the mean
    assert (lo < estimate).all() and (estimate < hi).all()


def test_equal_noise_and_known_spreads_give_the_textbook_weights():
    """Without effects in common except the mean, the weight of a cell is g^2 / (g^2 + v), up to the estimated mean."""
    effects = made_effects(drawn(3, persona=0), 0.1 * units())
    noise = po.Noise(np.diag((0.1 * units()) ** 2), np.zeros((MODELS, MODELS)), np.full(MODELS, 1e6))
    covariance = noise.covariance(effects, np.repeat(RATES, PERSONAS))
    mean, variance, own, _, _ = po._posterior(effects, covariance, po.Prior(1e-9, 1e-9, 0.1), 1e4)
    unit, k = effects.unit()[effects.model], MODELS * PERSONAS
    raw = effects.effect / unit
    np.testing.assert_allclose(mean / unit, (raw + raw.mean()) / 2, atol=1e-5)
    np.testing.assert_allclose(own, 0.5 + 0.5 / k, rtol=1e-5)
    np.testing.assert_allclose(variance / unit**2, 0.005 + 0.005 / k, rtol=1e-4)


def test_an_unusual_cell_is_shrunken_less(monkeypatch):
    true = drawn(4, persona=0.02, cell=0.02)
    true[1, 3] += 1.0 * units()[1]
    effects = made_effects(true, 0.1 * units(), seed=5)
    at = 1 * PERSONAS + 3
    estimate, lo, hi, weight = po.shrink_effects(effects)
    assert 1 - weight[at] < 0.5 * (1 - np.median(weight))
    assert lo[at] < true[1, 3] < hi[at]
    monkeypatch.setattr(po, "TAILS", np.array([[1, 1.0]]))
    without = po.shrink_effects(effects)[0]
    assert abs(estimate[at] - true[1, 3]) < abs(without[at] - true[1, 3])


def test_a_model_that_lacks_a_persona_is_pooled_with_the_others():
    effects = made_effects(drawn(6), 0.1 * units())
    kept = np.arange(MODELS * PERSONAS) != 5
    cells = {name: getattr(effects, name)[..., kept] for name in ("effect", "model", "persona", "moves", "n")}
    estimate, lo, hi, _ = po.shrink_effects(dataclasses.replace(effects, **cells))
    whole = po.shrink_effects(effects)[0]
    assert np.isfinite([estimate, lo, hi]).all()
    np.testing.assert_allclose(estimate, whole[kept], atol=0.03 * units()[0])


def test_models_without_refusals_have_effects_near_zero():
    effects = made_effects(np.zeros((MODELS, PERSONAS)), [0.0] * MODELS)
    rare = np.full(MODELS, 300.0)
    effects = dataclasses.replace(effects, n_baseline=rare / 4, total=rare, rate=0.5 / rare, rate_error=0.7 / rare)
    estimate, lo, hi, _ = po.shrink_effects(effects)
    np.testing.assert_allclose(estimate, 0, atol=1e-9)
    assert (lo < 0).all() and (hi > 0).all()


@pytest.mark.parametrize("spreads", [{"persona": 0.15, "cell": 0}, {"persona": 0, "cell": 0.15}, {}])
def test_shrunken_effects_are_nearer_and_their_intervals_hold(spreads):
    covered, raw, shrunken = [], 0.0, 0.0
    for k in range(8):
        true = drawn([7, k], **spreads)
        effects = made_effects(true, 0.2 * units(), seed=[8, k])
        estimate, lo, hi, _ = po.shrink_effects(effects)
        covered.append(((lo < true.ravel()) & (true.ravel() < hi)).mean())
        raw += ((effects.effect - true.ravel()) ** 2).sum()
        shrunken += ((estimate - true.ravel()) ** 2).sum()
    assert shrunken < 0.7 * raw
    assert np.mean(covered) > 0.92
