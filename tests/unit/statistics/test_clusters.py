"""The cluster tables: counts, covariances against statsmodels, the bootstrap, and invalid input."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from falserefusal.common.errors import InputError
from falserefusal.statistics import clusters as cl
from synthetic import blocked, judge, nested

MODELS, PERSONAS = ["A", "B", "C"], ["atheist", "man", "woman", "black"]
DESIGN = nested(rows=60, texts=40, personas=PERSONAS, seed=1)
OUTCOMES, _ = judge(DESIGN, MODELS, PERSONAS, rates=[0.4, 0.2, 0.05], seed=2)


def test_counts_equal_a_group_by():
    table = cl.cluster_table(OUTCOMES, ["task", "model", "persona"])
    expected = (
        OUTCOMES.groupby(["task", "model", "persona"], observed=True)["refusal"].agg(["size", "sum"]).reset_index()
    )
    totals = table.totals()
    pd.testing.assert_frame_equal(
        totals[["task", "model", "persona"]].astype(str), expected[["task", "model", "persona"]].astype(str)
    )
    assert (totals["n"].to_numpy() == expected["size"].to_numpy()).all()
    assert (totals["refusals"].to_numpy() == expected["sum"].to_numpy()).all()
    one = OUTCOMES[(OUTCOMES["text_id"] == "nli-t7") & (OUTCOMES["model"] == "B") & (OUTCOMES["persona"] == "man")]
    row = np.flatnonzero(table.texts == "nli-t7")[0]
    cell = totals.query("task == 'nli' and model == 'B' and persona == 'man'").index[0]
    assert table.n[row, cell] == len(one) and table.refusals[row, cell] == one["refusal"].sum()


def test_merging_equals_counting_again():
    fine = cl.cluster_table(OUTCOMES, ["task", "model", "persona", "template"])
    for levels in (["task"], ["model", "persona"], ["persona", "model"], []):
        merged, direct = fine.merge(levels), cl.cluster_table(OUTCOMES, levels)
        assert merged.cells.astype(str).equals(direct.cells.astype(str))
        np.testing.assert_array_equal(merged.n, direct.n)
        np.testing.assert_array_equal(merged.refusals, direct.refusals)


def test_covariance_equals_cluster_robust_regression():
    # a saturated regression has the cell rates as coefficients; its cluster-robust covariance is ours but for its
    # own small-sample factor G / (G - 1) * (N - 1) / (N - K)
    part = OUTCOMES[OUTCOMES["task"] == "nli"].assign(y=OUTCOMES["refusal"].astype(float))
    table = cl.cluster_table(part, ["model", "persona"])
    part = part.assign(cell=part["model"].astype(str) + "_" + part["persona"].astype(str))
    groups = pd.factorize(part["text_id"])[0]
    fit = smf.ols("y ~ 0 + cell", part).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    names = [f"cell[{m}_{p}]" for m, p in table.cells[["model", "persona"]].to_numpy()]
    moves = cl.influence(table)
    texts = (table.n > 0).sum(0)
    correction = np.sqrt(texts / (texts - 1))
    covariance = (moves.T @ moves) / np.outer(correction, correction)
    np.testing.assert_allclose(covariance, fit.cov_params().loc[names, names], atol=1e-12)
    np.testing.assert_allclose(table.totals()["rate"], fit.params[names], atol=1e-12)


def test_bootstrap_agrees_with_the_linearised_variance():
    table = cl.cluster_table(OUTCOMES, ["task", "model"])
    replicates = np.concatenate([y / n for n, y in cl.bootstrap_counts(table, 3000, seed=5)])
    assert replicates.shape == (3000, 9)
    sd = np.sqrt((cl.influence(table) ** 2).sum(0))
    np.testing.assert_allclose(replicates.std(0), sd, rtol=0.08)
    np.testing.assert_allclose(np.corrcoef(replicates.T), cl.correlation(cl.influence(table)), atol=0.09)


def test_bootstrap_weights_keep_strata_and_seeds():
    strata = np.array(["a"] * 30 + ["b"] * 12)
    weights = cl.bootstrap_weights(42, 500, 7, strata)
    assert (weights[:, :30].sum(1) == 30).all() and (weights[:, 30:].sum(1) == 12).all()
    np.testing.assert_array_equal(weights, cl.bootstrap_weights(42, 500, 7, strata))
    assert (weights != cl.bootstrap_weights(42, 500, 8, strata)).any()
    # multinomial: mean 1, variance 1 - 1/n
    assert weights.mean(0) == pytest.approx(1, abs=0.25)
    assert weights[:, :30].var() == pytest.approx(1 - 1 / 30, rel=0.05)
    assert cl.bootstrap_weights(42, 2, [7, 1], strata).shape == (2, 42)


def test_bootstrap_in_chunks_is_the_same():
    table = cl.cluster_table(OUTCOMES, ["model"])
    whole = np.concatenate([y for _, y in cl.bootstrap_counts(table, 40, 3, chunk=100)])
    parts = np.concatenate([y for _, y in cl.bootstrap_counts(table, 40, 3, chunk=7)])
    np.testing.assert_array_equal(whole, parts)


def test_effective_responses_are_between_texts_and_responses():
    table = cl.cluster_table(OUTCOMES, ["task", "model"])
    effective = cl.effective_responses(table, cl.influence(table))
    totals = table.totals()
    assert (effective > 0.8 * totals["n"] / cl.cluster_sizes(table)).all()
    assert (effective <= totals["n"]).all()
    copied = OUTCOMES.loc[OUTCOMES.index.repeat(3)].assign(draw=np.tile(np.arange(3), len(OUTCOMES)).astype("int16"))
    copied["row_id"] = (
        copied["row_id"].astype(str) + "-" + copied["persona"].astype(str) + copied["template"].astype(str)
    )
    thrice = cl.cluster_table(copied.drop(columns=["row_id"]), ["task", "model"])
    np.testing.assert_allclose(cl.effective_responses(thrice, cl.influence(thrice)), effective, rtol=0.02)


def test_strata_are_tasks_and_a_text_of_two_tasks_has_both():
    outcomes = OUTCOMES.assign(text_id=OUTCOMES["text_id"].astype(str))
    outcomes.loc[outcomes["text_id"] == "pol-t3", "text_id"] = "nli-t3"
    table = cl.cluster_table(outcomes, ["task"])
    assert set(table.strata) == {"nli", "politeness", "offensiveness", "nli+politeness"}
    assert (table.strata == "nli+politeness").sum() == 1


def test_blocks_have_one_response_per_text_and_cell():
    design = blocked(90, PERSONAS, 3)
    outcomes, _ = judge(design, MODELS, PERSONAS, [0.3, 0.1, 0.1], 4)
    table = cl.cluster_table(outcomes, ["task", "model", "persona"])
    assert table.n.max() == 1
    np.testing.assert_allclose(cl.cluster_sizes(table), 1)


def test_one_text_only_has_no_known_spread():
    outcomes = OUTCOMES[OUTCOMES["text_id"] == "nli-t7"]
    table = cl.cluster_table(outcomes, ["model"])
    moves = cl.influence(table)
    assert (moves == 0).all()
    assert cl.effective_responses(table, moves) == pytest.approx(1)
    np.testing.assert_array_equal(cl.correlation(moves), np.eye(3))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda o: o.drop(columns="text_id"), "no column 'text_id'"),
        (lambda o: o.iloc[:0], "there are no outcomes"),
        (lambda o: o.assign(persona=o["persona"].where(o.index != 5)), "row 5, column 'persona' is missing"),
        (lambda o: o.assign(refusal=o["refusal"].astype(object).where(o.index != 9)), "row 9, column 'refusal'"),
        (lambda o: o.assign(labeller=np.where(o.index < 9, "a", "b")), "several labellers"),
        (lambda o: pd.concat([o, o.iloc[[4]]], ignore_index=True), "two verdicts"),
    ],
)
def test_bad_outcomes_are_refused(spoil, message):
    with pytest.raises(InputError, match=message):
        cl.cluster_table(spoil(OUTCOMES), ["task", "model", "persona"])


def test_too_many_cells_are_refused():
    names = pd.Categorical([str(k) for k in range(9000)])
    wide = pd.DataFrame({"task": "t", "text_id": "x", "refusal": True, "a": names, "b": names})
    with pytest.raises(InputError, match="too many"):
        cl.cluster_table(wide, ["a", "b"])


def test_degrees_of_freedom():
    rng = np.random.default_rng(1)
    alike = np.where(rng.random((50, 1)) < 0.5, 1.0, -1.0)
    assert cl.degrees_of_freedom(alike) == 49
    bell = rng.standard_normal((400, 200))
    assert np.mean(cl.degrees_of_freedom(bell)) == pytest.approx(400, rel=0.05)  # that of a variance of normal numbers
    few = np.vstack([np.full((3, 1), 5.0), np.full((200, 1), 0.01)])
    assert 3 <= cl.degrees_of_freedom(few) < 7
    assert (cl.degrees_of_freedom(np.array([[0.0, 1.0], [0.0, 0.0]])) == 1).all()  # none or one text moves it
