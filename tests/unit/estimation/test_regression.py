"""The logit: the paper's cells, independent references, separation, clustered errors."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.estimation.regression import (
    REFERENCES,
    NotFitted,
    choose_references,
    collapse,
    deviance_table,
    dummies,
    firth_table,
    fit_logit,
    interaction_table,
    printed_terms,
    regression_table,
)

PAPER = {factor: REFERENCES[factor] for factor in ("persona", "task", "model")}


@pytest.fixture(scope="module")
def cells(root):
    frame = read_csv(root / "config" / "published" / "counts_task_model_persona.csv")
    return frame.assign(template="*", format="*", labeller="phrase_list")


@pytest.fixture(scope="module")
def counts(cells):
    return collapse(cells, list(PAPER))


@pytest.fixture(scope="module")
def table(root, cells):
    return regression_table(cells, printed=read_csv(root / "config" / "published" / "table7_logit.csv"), own=True)


@pytest.fixture(scope="module")
def ml(table):
    return table[~table["method"].str.startswith("Firth")].set_index("level")


@pytest.fixture(scope="module")
def outcomes():
    """Three models of different rates, four personas, texts that matter: 2,400 responses about 100 texts."""
    rng = np.random.default_rng(3)
    draws = [(f"x{i}", p, t) for i in range(100) for p, t in rng.integers(0, [4, 2], (8, 2))]
    frame = pd.DataFrame(draws, columns=["text_id", "persona", "template"])
    frame["draw"] = frame.groupby("text_id").cumcount()
    frame["persona"] = np.array(["atheist", "man", "woman", "black"])[frame["persona"]]
    frame["template"] = np.array(["p1", "p2"])[frame["template"]]
    frame["task"] = np.where(frame["text_id"].str[1:].astype(int) < 50, "nli", "offensiveness")
    frame = frame.merge(pd.DataFrame({"model": ["A", "B", "C"]}), how="cross")
    text = frame["text_id"].str[1:].astype(int).map(dict(enumerate(rng.normal(0, 1.2, 100))))
    eta = text + frame["model"].map({"A": -1.5, "B": -0.5, "C": 0.2}) + 0.8 * (frame["persona"] == "black")
    return frame.assign(refusal=rng.random(len(frame)) < 1 / (1 + np.exp(-eta)), labeller="x")


def test_the_papers_cells(ml):
    known = {"black": 2.45, "white": 2.04, "politeness": 1.90, "offensiveness": 3.85, "Llama2-7B": -0.44}
    known |= {"Llama3-8B": -3.11, "Llama3.1-8B": -4.73, "Gemma2-9B": -3.32, "Qwen1.5-32B": -2.87}
    for level, value in known.items():
        assert ml.loc[level, "coef"] == pytest.approx(value, abs=0.006), level
    assert ml.loc["McFadden R2", "coef"] == pytest.approx(0.541, abs=0.0005)


def test_table_7_is_added(table, ml):
    assert ml.loc["black", "printed"] == 2.62
    assert ml.loc["transgender woman", "printed"] == 1.37
    assert ml.loc["McFadden R2", "printed"] == 0.5733
    templates = table[table["term"] == "template"]
    assert len(templates) == 8 and templates["coef"].isna().all()
    assert templates["printed_term_note"].str.contains("cannot be recomputed").all()


def test_rows_that_look_mislabelled_are_found_and_no_others(ml):
    odd = ml[ml["printed_term_note"].str.startswith("outlier")]
    assert set(odd.index) == {"Llama3-8B", "Llama3.1-8B"}
    assert "Gemma2-9B" in odd.loc["Llama3-8B", "printed_term_note"]
    assert "Llama3-8B" in odd.loc["Llama3.1-8B", "printed_term_note"]


def test_models_that_never_refuse_are_separated_and_finite_under_firth(cells, table, ml):
    for model in ("Qwen2.5-7B", "Qwen2.5-32B"):
        assert ml.loc[model, "coef"] == -np.inf
        assert "separated" in ml.loc[model, "method"]
        firth = firth_table(cells).set_index("level").loc[model]
        assert -15 < firth["coef"] < -9 and "no interval: texts unknown" in firth["method"]
        row = table[table["method"].str.startswith("Firth")].set_index("level").loc[model]
        assert row["coef"] == firth["coef"] and row[["se", "lo", "hi", "p"]].isna().all()
        assert "too few refusals" in row["method"]


def small(refusals):
    cells = [(p, m, 40) for p in ("atheist", "man", "woman") for m in "AB"]
    return pd.DataFrame(cells, columns=["persona", "model", "n"]).assign(refusals=refusals)


def test_a_reference_without_refusals_cannot_serve():
    counts = small([0, 0, 3, 4, 5, 6])
    with pytest.raises(NotFitted, match="choose other reference levels"):
        fit_logit(dummies(counts, {"persona": "atheist", "model": "A"}), counts["n"], counts["refusals"])
    assert choose_references(counts, ["persona", "model"]) == {"persona": "man", "model": "A"}
    ml = regression_table(counts).drop_duplicates(["term", "level"]).set_index("level")
    assert ml.loc["atheist", "coef"] == -np.inf


def test_the_papers_references_are_kept_where_they_can_serve(counts):
    assert choose_references(counts, list(PAPER)) == PAPER
    with pytest.raises(InputError, match="every persona was refused always or never"):
        choose_references(small(0), ["persona"])


def test_confounded_factors_are_not_fitted_and_say_so():
    counts = small([1, 2, 3, 4, 5, 6])
    counts["task"] = counts["model"].map({"A": "nli", "B": "offensiveness"})
    for make in (regression_table, firth_table, deviance_table, interaction_table):
        table = make(counts)
        assert len(table) == 1 and "confounded" in table["method"].iloc[0]


@pytest.mark.parametrize("refusals", [0, 40])
def test_a_study_of_one_outcome_is_not_fitted_and_says_so(refusals):
    for make in (regression_table, firth_table, deviance_table, interaction_table):
        table = make(small(refusals))
        assert len(table) == 1 and table["method"].iloc[0].startswith("not fitted: regression: every persona")


def test_two_labellers_are_an_error():
    both = pd.concat([small(3).assign(labeller="phrase_list"), small(3).assign(labeller="structured")])
    with pytest.raises(InputError, match="one labeller"):
        regression_table(both)


def test_nothing_left_to_fit_is_an_error():
    with pytest.raises(InputError, match="nothing to fit"):
        collapse(small(3).assign(persona="*"), ["persona"])


def test_clustered_errors_are_a_jackknife_over_texts(outcomes):
    """Against statsmodels: fits without each text in turn; and the plain sandwich is a little smaller."""
    table = regression_table(outcomes).set_index("level")
    names = [("persona", "man"), ("persona", "woman"), ("persona", "black"), ("template", "p2")]
    names += [("task", "offensiveness"), ("model", "B"), ("model", "C")]
    x = np.column_stack([np.ones(len(outcomes))] + [outcomes[f] == level for f, level in names]).astype(float)
    y, groups = outcomes["refusal"].to_numpy(float), pd.factorize(outcomes["text_id"])[0]
    fit = sm.GLM(y, x, family=sm.families.Binomial())
    fit = fit.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    without = [sm.GLM(y[groups != g], x[groups != g], family=sm.families.Binomial()).fit() for g in range(100)]
    moved = np.array([part.params for part in without]) - fit.params
    jackknife = np.sqrt((moved**2).sum(0) * 99 / 100)
    assert table.loc["black", "method"] == "ML logit, errors clustered by text"
    for k, (_, level) in enumerate(names, start=1):
        row = table.loc[level]
        assert row["coef"] == pytest.approx(fit.params[k])
        assert row["se"] == pytest.approx(jackknife[k], rel=0.01)  # linearised: not to the last digit
        assert 1 < row["se"] / fit.bse[k] < 1.05
        assert (row["hi"] - row["lo"]) / 2 > 1.96 * row["se"]  # Student's, not normal


def test_baseline_responses_are_left_out(outcomes):
    baseline = outcomes.assign(persona="baseline", refusal=True)
    pd.testing.assert_frame_equal(regression_table(pd.concat([outcomes, baseline])), regression_table(outcomes))


def test_deviance_is_shared_out_completely(outcomes):
    table = deviance_table(outcomes).set_index("factor")
    assert table["share"].sum() == pytest.approx(1)
    assert list(table["df"]) == [3, 1, 1, 2]
    assert table.loc["model", "share"] > table.loc["persona", "share"] > table.loc["template", "share"]
    assert table.loc["persona", "p"] < 1e-3 < table.loc["template", "p"]
    # type II by hand: full model against the one without the factor
    counts = collapse(outcomes, ["persona", "template", "task", "model"])
    references = choose_references(counts, ["persona", "template", "task", "model"])
    full = fit_logit(dummies(counts, references), counts["n"], counts["refusals"])
    references.pop("persona")
    less = fit_logit(dummies(counts, references), counts["n"], counts["refusals"])
    assert table.loc["persona", "last"] == pytest.approx(2 * (full.loglik - less.loglik), abs=1e-6)


def test_cells_give_no_interval_and_no_p_for_penalised_fits(counts):
    for table in (firth_table(counts), interaction_table(counts)):
        assert table["coef"].notna().all() and table[["se", "lo", "hi", "p"]].isna().all(axis=None)
        assert table["method"].str.contains("no interval: texts unknown").all()


def test_firth_errors_are_a_jackknife_over_texts(outcomes):
    """Against Firth's fits without each text in turn; with ample data close to maximum likelihood."""
    outcomes = outcomes[outcomes["text_id"].str[1:].astype(int) % 2 == 0]
    table, ml = firth_table(outcomes), regression_table(outcomes)
    key, texts = ["term", "level"], outcomes["text_id"].unique()
    index = pd.MultiIndex.from_frame(table[key])
    without = [firth_table(outcomes[outcomes["text_id"] != text]).set_index(key)["coef"][index] for text in texts]
    jackknife = np.sqrt(((np.array(without) - table["coef"].to_numpy()) ** 2).sum(0) * 49 / 50)
    np.testing.assert_allclose(table["se"], jackknife, rtol=0.03)
    np.testing.assert_allclose(table["se"], ml["se"].iloc[: len(table)], rtol=0.05)
    assert (table["method"] == "Firth logit, errors clustered by text").all()
    assert ((table["p"] < 0.05) == ((table["lo"] > 0) | (table["hi"] < 0))).all()


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_levels_with_few_refusals_have_no_interval_and_say_so(outcomes, refusals):
    of_c = outcomes["model"] == "C"
    few = outcomes.assign(refusal=outcomes["refusal"] & ~of_c)
    few.loc[few.index[of_c][:refusals], "refusal"] = True
    table = firth_table(few).set_index("level")
    assert np.isfinite(table.loc["C", "coef"]) and table.loc["C", ["se", "lo", "hi", "p"]].isna().all()
    assert "no interval: too few refusals (or other responses), below 10" in table.loc["C", "method"]
    assert table.loc["B", ["lo", "hi", "p"]].notna().all()
    table = interaction_table(few).set_index("level")
    assert "too few refusals" in table.loc["*:C", "method"] and np.isnan(table.loc["*:C", "coef"])
    assert table.drop("*:C")["p"].notna().all() and not table.index.str.contains("[a-z]:C").any()
    with pytest.raises(NotFitted, match="nothing to fit"):
        collapse(few[few["persona"] == "nobody"], ["model"])
    alone = few[of_c]
    assert interaction_table(alone)["method"].str.startswith("not fitted").all()


def test_penalised_p_values_are_level_where_texts_differ_and_tasks_do_not():
    """60 studies without any effect of the task: p below .05 in about 5% of the coefficients."""
    small, of_task, of_pairs = 0, 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        draws = pd.DataFrame({"text_id": np.repeat([f"x{i}" for i in range(90)], 6)})
        draws["persona"] = np.array(["atheist", "man", "woman"])[rng.integers(0, 3, len(draws))]
        draws = draws.assign(template="p1", task=np.repeat(["nli", "politeness", "offensiveness"], 180))
        frame = draws.merge(pd.DataFrame({"model": ["A", "B"]}), how="cross")
        text = dict(zip(draws["text_id"].unique(), rng.normal(0, 2, 90), strict=True))
        eta = frame["text_id"].map(text) - frame["model"].map({"A": 0.5, "B": 1.5})
        frame = frame.assign(refusal=rng.random(len(frame)) < 1 / (1 + np.exp(-eta)), labeller="x")
        task = firth_table(frame).query("term == 'task'")["p"]
        small, of_task = small + (task < 0.05).sum(), of_task + len(task)
        of_pairs += [(interaction_table(frame)["p"] < 0.05).mean()]
    assert small / of_task <= 0.13  # coefficients of one study are correlated: 60 units, 3 standard errors
    assert np.mean(of_pairs) <= 0.12


def test_interactions_depart_from_main_effects_and_sum_to_zero():
    rates = {("a", "A"): 0.2, ("a", "B"): 0.4, ("b", "A"): 0.3, ("b", "B"): 0.9}
    cells = [(p, m, 100_000, round(100_000 * rate)) for (p, m), rate in rates.items()]
    counts = pd.DataFrame(cells, columns=["persona", "model", "n", "refusals"])
    table = interaction_table(counts, [("persona", "model")]).set_index("level")["coef"]
    logit = {key: np.log(rate / (1 - rate)) for key, rate in rates.items()}
    expected = (logit["a", "A"] - logit["a", "B"] - logit["b", "A"] + logit["b", "B"]) / 4
    assert table["a:A"] == pytest.approx(expected, abs=1e-3)
    assert table["a:B"] == pytest.approx(-expected, abs=1e-3)
    assert table["b:B"] == pytest.approx(expected, abs=1e-3)


def test_printed_values_are_rebased_to_the_reference_of_the_fit(cells, root):
    table7 = read_csv(root / "config" / "published" / "table7_logit.csv")
    own = {"persona": "black", "task": "politeness", "model": "Llama2-13B"}
    terms = printed_terms(table7, own).set_index("level")["printed"]
    assert terms["white"] == pytest.approx(2.18 - 2.62) and terms["atheist"] == pytest.approx(-2.62)
    assert terms["nli"] == pytest.approx(-2.06) and terms["offensiveness"] == pytest.approx(4.16 - 2.06)
    assert terms["Gemma-2B"] == -8.58 and terms["black"] == 0
    stopped = printed_terms(table7, {"model": "Qwen2.5-7B"}).set_index(["term", "level"])["printed"]
    assert stopped["model"].isna().all(), "-19.34 is no estimate to subtract"


def test_a_study_with_another_reference_is_not_out_of_line(cells, root):
    table7 = read_csv(root / "config" / "published" / "table7_logit.csv")
    silent = cells.assign(refusals=cells["refusals"] * (cells["model"] != "Llama2-13B"))
    table = regression_table(silent, printed=table7).drop_duplicates(["term", "level"]).set_index("level")
    notes = table["printed_term_note"].astype(str)
    assert not notes.str.contains("outlier|separated").any()
    assert "re-based from the paper's reference Llama2-13B to Llama2-7B" in notes["Gemma-2B"]
    assert table.loc["Gemma-2B", "printed"] == pytest.approx(-8.58 + 0.47)
    assert table.loc["Llama2-13B", "printed"] == pytest.approx(0.47) and table.loc["Llama2-13B", "coef"] == -np.inf
    assert not {"printed", "printed_term_note"} & set(regression_table(silent))
