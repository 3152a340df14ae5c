"""Least squares on prompts against ordinary and generalised least squares written out, and at its edges."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.statistics import gls
from synthetic import blocked, judge, nested

MODELS, PERSONAS = ["A", "B"], ["atheist", "man", "woman", "black"]
NESTED, _ = judge(nested(40, 25, PERSONAS, 1), MODELS, PERSONAS, [0.4, 0.1], 2)
BLOCKED, _ = judge(blocked(80, PERSONAS, 3), MODELS, PERSONAS, [0.4, 0.1], 4)


def by_hand(part: pd.DataFrame, within: float):
    """Rates of one model and task with explicit matrices, one row a response; covariance by refits (jackknife)."""
    x = pd.get_dummies(part["persona"]).to_numpy(float)
    y = part["refusal"].to_numpy(float)
    weight = np.zeros((len(y), len(y)))
    for rows in part.reset_index(drop=True).groupby(["block", "template"], observed=True).indices.values():
        k = len(rows)
        covariance = (1 - within) * np.eye(k) + within
        weight[np.ix_(rows, rows)] = np.linalg.inv(covariance)

    def estimate(kept):
        return np.linalg.solve(
            x[kept].T @ weight[np.ix_(kept, kept)] @ x[kept], x[kept].T @ weight[kept][:, kept] @ y[kept]
        )

    text = part["text_id"].astype(str).to_numpy()
    rate, texts = estimate(np.ones(len(y), bool)), np.unique(text)
    left_out = np.array([estimate(text != one) for one in texts]) - rate  # the jackknife, one refit per text
    return rate, left_out.T @ left_out * (len(texts) - 1) / len(texts)


@pytest.mark.parametrize("outcomes", [NESTED, BLOCKED], ids=["nested", "blocked"])
def test_fit_is_generalised_least_squares_with_robust_covariance(outcomes):
    fit = gls.fit_personas(outcomes)
    for model in MODELS:
        for task in ("nli", "offensiveness"):
            rows = (fit.cells["model"] == model) & (fit.cells["task"] == task)
            part = outcomes[(outcomes["model"] == model) & (outcomes["task"] == task)]
            rate, covariance = by_hand(part, fit.within[model])
            np.testing.assert_allclose(fit.rate[rows], rate, atol=1e-10)
            moves = fit.moves[:, rows]
            np.testing.assert_allclose(moves.T @ moves, covariance, atol=1e-12)


def test_without_correlation_it_is_ordinary_least_squares():
    strata = gls.stratify(NESTED)
    part = next(iter(strata.parts.values()))
    rate, moves = part.solve(0.0)
    x = np.eye(len(part.personas))[part.persona]
    fit = sm.OLS(part.y, x).fit(cov_type="cluster", cov_kwds={"groups": part.text})
    np.testing.assert_allclose(rate, fit.params, atol=1e-12)
    # residuals are smaller than errors, which the plain sandwich ignores
    ratio = np.diag(moves.T @ moves) / np.diag(fit.cov_params())
    assert ratio.mean() > 1 and ratio.min() > 0.98 and ratio.max() < 1.1


def test_a_persona_that_is_in_one_text_only_keeps_the_sandwich():
    part = NESTED[(NESTED["persona"] != "man") | (NESTED["text_id"] == "nli-t3")]
    stratum = next(iter(gls.stratify(part[part["task"] == "nli"]).parts.values()))
    rate, moves = stratum.solve(0.2)
    assert np.isfinite(moves).all() and np.isfinite(rate).all()


def test_full_correlation_leaves_paired_differences():
    # every prompt with one persona and its baseline: the larger the correlation, the closer to the paired difference
    design = nested(200, 200, ["man"], 5, draws=1, tasks=("nli",))
    outcomes, _ = judge(design, ["A"], ["man"], [0.4], 6)
    part = next(iter(gls.stratify(outcomes).parts.values()))
    rate, moves = part.solve(0.999999)
    wide = outcomes.pivot(index="row_id", columns="persona", values="refusal").astype(float)
    change = wide["man"] - wide[BASELINE]
    assert rate[1] - rate[0] == pytest.approx(change.mean(), abs=1e-9)
    sd = np.sqrt(((moves[:, 1] - moves[:, 0]) ** 2).sum())
    assert sd == pytest.approx(change.std(ddof=1) / np.sqrt(200), rel=0.01)


def test_the_correlation_of_responses_to_a_prompt_is_recovered():
    rng = np.random.default_rng(0)
    design = blocked(3000, PERSONAS, 7, tasks=("nli",))
    for within in (0.0, 0.3, 0.7):
        own = rng.beta(*([0.3 * (1 - within) / within, 0.7 * (1 - within) / within] if within else [3e6, 7e6]), 3000)
        outcomes, _ = judge(design, ["A"], PERSONAS, [0.3], 8)
        outcomes["refusal"] = rng.random(len(design)) < own[design["row"]]
        fit = gls.fit_personas(outcomes)
        assert fit.within["A"] == pytest.approx(within, abs=0.04)


def test_designs_are_named():
    assert gls.fit_personas(NESTED).method == "GLS on prompts, clustered by text"
    assert gls.fit_personas(BLOCKED).method == "GLS on prompt blocks, one text each"


def test_order_and_names_of_responses_do_not_matter():
    fit = gls.fit_personas(NESTED)
    shuffled = gls.fit_personas(NESTED.sample(frac=1, random_state=3))
    np.testing.assert_allclose(shuffled.rate, fit.rate)
    np.testing.assert_allclose((shuffled.moves**2).sum(0), (fit.moves**2).sum(0))
    plain = gls.fit_personas(NESTED.astype({"block": str, "template": str, "text_id": str}))
    np.testing.assert_allclose(plain.rate, fit.rate)


def test_averages_weigh_tasks_alike_and_carry_covariances():
    fit = gls.fit_personas(NESTED)
    mean = fit.average(["model", "persona"])
    rows = (fit.cells["model"] == "B") & (fit.cells["persona"] == "man")
    at = np.flatnonzero((mean.cells["model"] == "B") & (mean.cells["persona"] == "man"))[0]
    assert mean.rate[at] == pytest.approx(fit.rate[rows].mean())
    np.testing.assert_allclose(mean.moves[:, at], fit.moves[:, rows].sum(1) / 3)
    assert mean.cells.loc[at, "n"] == fit.cells.loc[rows, "n"].sum()
    assert mean.cells.loc[at, "averaged"] == 3
    np.testing.assert_array_equal(mean.responses.sum(0), mean.cells["n"])


def test_pairing_makes_differences_sharper_than_plain_rates():
    design = blocked(400, PERSONAS, 9)
    outcomes, _ = judge(design, ["A"], PERSONAS, [0.3], 10, noise=0.3)
    fit = gls.fit_personas(outcomes).average(["model", "persona"])
    difference = np.sqrt(((fit.moves[:, 1] - fit.moves[:, 0]) ** 2).sum())
    arms = np.sqrt((fit.moves**2).sum(0))
    assert difference < 0.6 * np.hypot(arms[0], arms[1])
    assert (fit.effective() > fit.cells["n"])[1:].all()  # baseline prompts add information


def test_estimates_are_unbiased_and_limits_cover():
    hit, error = [], []
    for seed in range(20):
        outcomes, true_rates = judge(nested(60, 45, PERSONAS, [1, seed]), MODELS, PERSONAS, [0.4, 0.1], [2, seed])
        fit = gls.fit_personas(outcomes)
        target = true_rates.reshape(-1)
        lo, hi = fit.limits()
        hit.append((lo <= target) & (target <= hi))
        error.append(fit.rate - target)
    spread = np.std(error, axis=0) / np.sqrt(20)
    assert (np.abs(np.mean(error, axis=0)) < 4 * spread).all()
    assert np.mean(hit) >= 0.94


@pytest.mark.parametrize("value", [False, True])
def test_no_refusals_and_nothing_else(value):
    fit = gls.fit_personas(NESTED.assign(refusal=value))
    np.testing.assert_allclose(fit.rate, float(value), atol=1e-12)
    lo, hi = fit.limits()
    assert (hi - lo > 0.02).all() and np.isfinite(hi - lo).all()
    assert (fit.within == 0).all()


def test_one_text_and_one_persona_are_defined():
    one = NESTED[(NESTED["text_id"] == "nli-t3") & (NESTED["persona"] == "man")]
    fit = gls.fit_personas(one)
    lo, hi = fit.limits()
    assert (fit.moves == 0).all() and (hi - lo > 0.5).all()


def test_a_lost_response_and_a_model_missing_from_a_task():
    part = NESTED.drop(index=NESTED.index[5])
    part = part[~((part["model"] == "B") & (part["task"] == "nli"))]
    fit = gls.fit_personas(part)
    assert not ((fit.cells["model"] == "B") & (fit.cells["task"] == "nli")).any()
    mean = fit.average(["model", "persona"])
    assert mean.cells.set_index(["model", "persona"]).loc[("B", "man"), "averaged"] == 2


def test_incomplete_outcomes_are_refused():
    with pytest.raises(InputError, match="block"):
        gls.fit_personas(NESTED.drop(columns="block"))
