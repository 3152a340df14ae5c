"""The rates to plant: their margins are the printed ones."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import BASELINE
from falserefusal.standins.rates import UNLISTED, rake, rates_from_published, shifted
from standin_study import CONFIG, load_study


@pytest.fixture(scope="module")
def study():
    return load_study(rows=20)


@pytest.fixture(scope="module")
def named(study):
    rates = study.rates.merge(study.templates[["task", "template", "format"]], on=["task", "template"])
    return rates[~rates["persona"].isin([BASELINE, UNLISTED])]


def test_rake_meets_both_margins_and_keeps_the_odds_within_a_group():
    rows, groups = np.array([0.1, 0.5, 0.6]), np.array([0.3, 0.5])
    rates = rake(rows, groups, np.array([0, 0, 1, 1]), np.array([1.0, 0.25, 1.0, 1.0]))
    np.testing.assert_allclose(rates.mean(1), rows, atol=1e-9)
    np.testing.assert_allclose([rates[:, :2].mean(), rates[:, 2:].mean()], groups, atol=1e-9)
    np.testing.assert_allclose(logit(rates[:, 0]) - logit(rates[:, 1]), np.log(4), atol=1e-6)
    np.testing.assert_allclose(rates[:, 2], rates[:, 3])


def test_rake_fails_when_zeros_leave_no_solution():
    with pytest.raises(ValueError, match="did not converge"):
        rake(np.array([0.9, 0.0]), np.array([0.9, 0.0]), np.array([0, 1]), np.ones(2))


def test_shifted_has_the_mean_and_keeps_log_odds_differences():
    rates = np.array([0.0, 0.1, 0.4])
    moved = shifted(rates, 0.5)
    assert moved[0] == 0 and moved.mean() == pytest.approx(0.5)
    assert logit(moved[2]) - logit(moved[1]) == pytest.approx(logit(0.4) - logit(0.1))
    assert (shifted(rates, 0.0) == 0).all() and (shifted(np.zeros(3), 0.2) == 0.2).all()


def test_the_mean_over_templates_is_the_printed_persona_rate(named):
    printed = read_csv(CONFIG / "published/counts_task_model_persona.csv")
    mean = named.groupby(["task", "model", "persona"])["rate"].mean().reset_index().merge(printed)
    assert len(mean) == 720
    np.testing.assert_allclose(mean["rate"], mean["refusals"] / mean["n"], atol=1e-8)


def test_the_mean_over_a_format_is_the_printed_format_rate_up_to_the_papers_own_disagreement(named):
    printed = read_csv(CONFIG / "published/format_heatmaps.csv")
    mean = named.groupby(["task", "model", "format"])["rate"].mean().reset_index().merge(printed)
    assert len(mean) == 144
    assert (100 * mean["rate"] - mean["refusal_pct"]).abs().max() < 0.2


def test_the_mean_over_cells_is_table_1_but_for_its_slip(named):
    printed = read_csv(CONFIG / "published/table1_refusal_pct.csv").melt("model", var_name="task")
    mean = named.groupby(["model", "task"])["rate"].mean().reset_index().merge(printed)
    difference = (100 * mean["rate"] - mean["value"]).abs()
    assert list(mean.loc[difference > 0.1, ["model", "task"]].agg("/".join, axis=1)) == ["Qwen2.5-7B/offensiveness"]


def test_baseline_rates_are_figure_1s_where_it_has_them(study):
    printed = read_csv(CONFIG / "published/fig1_baseline_offensiveness.csv").set_index("model").iloc[:, 0]
    baseline = study.rates[(study.rates["persona"] == BASELINE) & (study.rates["task"] == "offensiveness")]
    means = baseline.groupby("model")["rate"].mean().reindex(printed.index)
    np.testing.assert_allclose(means, printed / 100, atol=1e-9)


def test_null_keeps_the_rates_of_templates_and_no_persona_differs(study, named):
    by_template = ["model", "task", "template"]
    assert (study.rates_null.groupby(by_template)["rate"].nunique() == 1).all()
    pd.testing.assert_series_equal(
        study.rates_null.groupby(by_template)["rate"].first(), named.groupby(by_template)["rate"].mean()
    )
    assert set(study.rates_null["persona"]) == set(study.rates["persona"])


def test_a_model_without_printed_rates_is_an_error(study):
    names = ["counts_task_model_persona", "format_heatmaps", "fig1_baseline_offensiveness", "table7_logit"]
    printed = [read_csv(CONFIG / f"published/{name}.csv") for name in names]
    with pytest.raises(InputError, match="no rates for SmolLM in nli"):
        rates_from_published(*printed, study.templates, ["SmolLM"])


def test_a_template_the_paper_does_not_have_gets_its_formats_mean(study):
    names = ["counts_task_model_persona", "format_heatmaps", "fig1_baseline_offensiveness", "table7_logit"]
    printed = [read_csv(CONFIG / f"published/{name}.csv") for name in names]
    extra = study.templates.query("task == 'politeness' and template == 'p1'").assign(template="mine")
    rates = rates_from_published(*printed, pd.concat([study.templates, extra]), ["Llama2-7B"])
    rates = rates.query("task == 'politeness' and persona == 'black'").set_index("template")["rate"]
    assert rates["mine"] == pytest.approx(rates[["p1", "p2", "p3"]].mean())
