"""Logits on counts: against statsmodels and brglm2, separation, Firth's penalty."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.statistics.logit import dummies, fit_firth, fit_logit

PAPER = {"persona": "atheist", "task": "nli", "model": "Llama2-13B"}


@pytest.fixture(scope="module")
def counts(root):
    return read_csv(root / "config" / "published" / "counts_task_model_persona.csv")


def small(refusals):
    cells = [(p, m, 40) for p in ("atheist", "man", "woman") for m in "AB"]
    return pd.DataFrame(cells, columns=["persona", "model", "n"]).assign(refusals=refusals)


def test_the_separated_limit_is_the_limit(counts):
    """An unguarded fit drifts towards what the limit gives at once; all other coefficients agree."""
    design = dummies(counts, PAPER)
    n, y = counts["n"], counts["refusals"]
    fit = fit_logit(design, n, y)
    unguarded = sm.GLM(np.column_stack([y, n - y]), design.x, family=sm.families.Binomial()).fit(maxiter=60)
    np.testing.assert_allclose(fit.coef[fit.finite], unguarded.params[fit.finite], atol=1e-5)
    assert (unguarded.params[~fit.finite] < -15).all()
    np.testing.assert_allclose(fit.mean, unguarded.mu, atol=1e-6)


def test_main_effects_equal_a_logit_on_single_responses():
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"a": rng.choice(list("xyz"), 900), "b": rng.choice(list("uv"), 900)})
    rows["refusal"] = rng.random(900) < 0.2 + 0.3 * (rows["a"] == "z") + 0.1 * (rows["b"] == "v")
    references = {"a": "x", "b": "u"}
    counts = rows.groupby(list(references))["refusal"].agg(n="size", refusals="sum").reset_index()
    fit = fit_logit(dummies(counts, references), counts["n"], counts["refusals"])
    x = np.column_stack([np.ones(900)] + [rows[f] == level for f, level in fit.names[1:]]).astype(float)
    logit = sm.Logit(rows["refusal"].astype(int), x).fit(disp=0)
    np.testing.assert_allclose(fit.coef, logit.params, atol=1e-6)
    np.testing.assert_allclose(fit.se, logit.bse, rtol=1e-4)
    assert fit.loglik == pytest.approx(logit.llf)
    assert fit.mcfadden == pytest.approx(logit.prsquared)


def test_firth_equals_brglm2():
    """16 levels x 3 tasks, 9 refusals in 3,840 responses: reference values from R's brglm2, type AS_mean."""
    refused = {(3, 1): 1, (14, 1): 1, (15, 1): 1, (2, 2): 1, (3, 2): 2, (4, 2): 1, (14, 2): 1, (15, 2): 1}
    cells = [(str(p), str(t), 320 if p == 0 else 64, refused.get((p, t), 0)) for p in range(16) for t in range(3)]
    counts = pd.DataFrame(cells, columns=["level", "task", "n", "refusals"])
    fit = fit_firth(dummies(counts, {"level": "0", "task": "0"}), counts["n"], counts["refusals"])
    np.testing.assert_allclose(fit.coef[:5], [-9.452312, 1.605964, 2.712305, 3.575201, 2.712305], atol=2e-6)


def test_firth_adds_half_a_response_of_each_kind_where_every_level_has_its_own_rate():
    """Cells of one to three responses, most of them all refusals: what a study of one persona and few texts gives."""
    n, y = np.array([3, 2, 2, 1, 2, 3]), np.array([2, 2, 2, 1, 2, 3])
    counts = pd.DataFrame({"template": [f"p{i}" for i in range(1, 7)], "n": n, "refusals": y})
    fit = fit_firth(dummies(counts, {"template": "p1"}), n, y)
    logit = np.log((y + 0.5) / (n - y + 0.5))
    np.testing.assert_allclose(fit.coef, [logit[0], *(logit[1:] - logit[0])], atol=1e-6)


@pytest.mark.parametrize("refusals", [0, 40])
def test_a_constant_outcome_is_an_error(refusals):
    counts = small(refusals)
    with pytest.raises(InputError, match="constant"):
        fit_logit(dummies(counts, {"persona": "atheist", "model": "A"}), counts["n"], counts["refusals"])


def test_a_level_of_refusals_only_is_plus_infinite():
    counts = small([3, 4, 40, 40, 5, 6])
    fit = fit_logit(dummies(counts, {"persona": "atheist", "model": "A"}), counts["n"], counts["refusals"])
    assert fit.coef[fit.names.index(("persona", "man"))] == np.inf


def test_an_unknown_reference_is_an_error():
    with pytest.raises(InputError, match="'agnostic' is not among"):
        dummies(small(3), {"persona": "agnostic"})
