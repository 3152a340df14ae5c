"""Rate tables against hand-computed values, and what clustering and missing cells do to them."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.printed import RATE_MEAN
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.estimation import rates as rt
from falserefusal.statistics.clusters import cluster_table
from falserefusal.statistics.intervals import mover, wilson_rare
from falserefusal.study.comparison import Comparison
from synthetic import cells_of, judge, nested

MODELS, PERSONAS = ["A", "B", "C"], ["atheist", "man", "woman"]
DESIGN = nested(rows=50, texts=30, personas=PERSONAS, seed=1)
OUTCOMES, _ = judge(DESIGN, MODELS, PERSONAS, rates=[0.4, 0.2, 0.02], seed=2)
CELLS = cells_of(OUTCOMES)


def cell(model, task, persona, n, refusals, form=ALL):
    keys = {"model": model, "task": task, "persona": persona, "template": ALL, "format": form, "labeller": "paper"}
    return keys | {"n": n, "refusals": refusals}


PRINTED = pd.DataFrame(
    [
        cell("A", "nli", "man", 100, 10),
        cell("A", "nli", "woman", 50, 0),
        cell("B", "nli", "man", 100, 0),
        cell("B", "nli", "woman", 50, 0),
        cell("A", "nli", ALL, 90, 9, "forced"),
        cell("A", "nli", ALL, 61, 2, "unforced"),
        cell("B", "nli", ALL, 90, 0, "forced"),
        cell("B", "nli", ALL, 61, 0, "unforced"),
    ]
)


def test_margins_are_taken_from_persona_cells_and_pooled():
    table = rt.rates(PRINTED, ["model", "task"])
    assert list(table["n"]) == [150, 150] and list(table["refusals"]) == [10, 0]
    np.testing.assert_allclose(table[["lo", "hi"]].T, wilson_rare([10, 0], [150, 150]))
    assert (table["method"] == "binomial: Wilson").all()


def test_format_cells_are_used_for_formats():
    table = rt.rates_format(PRINTED)
    assert table.set_index(["model", "format"])["refusals"].to_dict() == {
        ("A", "forced"): 9,
        ("A", "unforced"): 2,
        ("B", "forced"): 0,
        ("B", "unforced"): 0,
    }


def test_mean_is_unweighted_and_keeps_zero_cells_in_its_limits():
    table = rt.mean_rates(PRINTED, ["model"], ["persona"]).set_index("model")
    assert table.loc["A", "rate"] == pytest.approx((0.1 + 0) / 2)
    lo, hi = wilson_rare([10, 0], [100, 50])
    np.testing.assert_allclose(table.loc["A", ["lo", "hi"]].astype(float), mover(0.5, [0.1, 0], lo, hi))
    assert table.loc["B", "hi"] > 0 and table.loc["B", "lo"] == 0
    assert "mean of 2 cells" in table.loc["A", "method"]


def test_model_task_table_has_a_mean_row_and_printed_values():
    printed = pd.DataFrame({"model": ["A", "mean"], "nli": [6.67, 3.33]})
    table = rt.rates_model_task(PRINTED, printed=printed)
    assert list(table["model"]) == ["A", "B", "mean"]
    assert table["rate"].iloc[2] == pytest.approx(10 / 300)
    np.testing.assert_array_equal(table["printed_pct"], [6.67, np.nan, 3.33])
    wide = rt.table1(table)
    assert list(wide.columns) == ["model", "nli"] and list(wide["nli"]) == [6.67, 0.0, 3.33]


def test_the_mean_has_the_printed_one_of_the_same_models(root):
    table1, quoted = (
        pd.read_csv(root / f"config/published/{name}.csv") for name in ("table1_refusal_pct", "quoted_statements")
    )
    whole = Comparison(True, tuple(table1["model"]), (), ("nli", "politeness", "offensiveness"))
    printed = rt.printed_table1(table1, quoted, whole)
    assert printed.iloc[-1].to_dict() == {"model": "mean", "nli": 1.37, "politeness": 5.64, "offensiveness": 14.68}
    some = Comparison(True, ("Gemma-2B", "Llama2-7B"), (), ("nli",), {RATE_MEAN: "2 of the paper's 16 models"})
    part = rt.printed_table1(table1, quoted, some)
    assert list(part["model"]) == ["Llama2-7B", "Gemma-2B"] and list(part.columns) == ["model", "nli"]
    assert "printed_pct" not in rt.rates_model_task(PRINTED)


def test_persona_means_by_scope():
    groups = {"man": "Gender", "woman": "Gender"}
    table = rt.rates_persona(PRINTED, {"all models": ["A", "B"], "only B": ["B"]}, groups)
    assert list(table["scope"]) == ["all models"] * 2 + ["only B"] * 2
    assert table["rate"].tolist() == pytest.approx([0.05, 0, 0, 0])
    assert (table["hi"] > 0).all() and (table["group"] == "Gender").all()
    with pytest.raises(InputError, match="no group"):
        rt.rates_persona(PRINTED, {"all": ["A"]}, {"man": "Gender"})
    with pytest.raises(InputError, match="scope 'x'"):
        rt.rates_persona(PRINTED, {"x": ["Z"]}, groups)


def test_scopes_come_from_the_model_list():
    models = pd.DataFrame(
        {
            "model": ["L2", "L3", "L31", "L32", "G2a", "G2b"],
            "family": ["Llama"] * 4 + ["Gemma"] * 2,
            "generation": ["Llama2", "Llama3", "Llama3.1", "Llama3.2", "Gemma2", "Gemma2"],
        }
    )
    scopes = rt.model_scopes(models)
    assert scopes["all models"] == list(models["model"])
    assert scopes["Llama 2/3/3.1"] == ["L2", "L3", "L31"]
    assert scopes["Gemma2"] == scopes["Gemma"] == ["G2a", "G2b"]
    assert "Llama3" not in scopes


def test_runs_leave_baseline_prompts_out_unless_asked():
    with_persona = OUTCOMES[OUTCOMES["persona"] != BASELINE]
    for outcomes in (None, OUTCOMES):
        table = rt.rates(CELLS, ["task", "model"], outcomes)
        assert table["n"].sum() == len(with_persona)
        assert table["refusals"].sum() == with_persona["refusal"].sum()
        assert BASELINE not in set(rt.rates_model_persona(CELLS, outcomes)["persona"])
        assert BASELINE in set(rt.rates(CELLS, ["persona"], outcomes)["persona"])


def test_clustered_limits_are_wider_and_estimates_the_same():
    plain, clustered = rt.rates(CELLS, ["task", "model"]), rt.rates(CELLS, ["task", "model"], OUTCOMES)
    both = plain.merge(clustered, on=["task", "model"], suffixes=("", "_c"))
    assert len(both) == 9
    np.testing.assert_allclose(both["rate"], both["rate_c"])
    assert (both["hi_c"] - both["lo_c"] > 1.3 * (both["hi"] - both["lo"])).all()
    assert clustered["method"].str.contains("clustered by text").all()


def test_a_table_made_once_gives_the_same_rows():
    table = cluster_table(OUTCOMES, ["task", "model", "persona"])
    for function in (rt.rates_model_task, rt.rates_model_persona, rt.rates_task_model_persona, rt.rates_baseline):
        pd.testing.assert_frame_equal(function(CELLS, table), function(CELLS, OUTCOMES), check_dtype=False)
    with pytest.raises(InputError, match="format"):
        rt.rates_format(CELLS, table)


def test_mean_over_models_allows_for_shared_texts():
    # the same outcomes under three names: the mean of copies is as uncertain as one of them
    one = OUTCOMES[OUTCOMES["model"] == "A"]
    copies = [one.assign(model=name) for name in MODELS]
    table = rt.rates_model_task(None, pd.concat(copies, ignore_index=True)).set_index(["model", "task"])
    for task in ("nli", "politeness", "offensiveness"):
        width = table["hi"] - table["lo"]
        assert width["mean", task] == pytest.approx(width["A", task])


def test_coverage_of_model_and_mean_rates():
    hit = []
    for seed in range(60):
        design = nested(rows=60, texts=60, personas=PERSONAS, seed=[3, seed], tasks=("nli",), baseline=False)
        outcomes, true_rates = judge(design, MODELS, PERSONAS, [0.6, 0.3, 0.15], [4, seed])
        table = rt.rates_model_task(None, outcomes)
        target = np.append(true_rates[:, 0, 1], true_rates[:, 0, 1].mean())
        hit.append((table["lo"] <= target) & (target <= table["hi"]))
    assert np.mean(hit, axis=0).min() >= 0.85
    assert np.mean(hit) >= 0.92


def test_baseline_difference_is_paired_through_texts():
    table = rt.rates_baseline(CELLS, OUTCOMES)
    alone = rt.rates_baseline(CELLS)
    np.testing.assert_allclose(table["difference"], table["persona_rate"] - table["baseline_rate"])
    np.testing.assert_allclose(table["difference"], alone["difference"])
    common = OUTCOMES[(OUTCOMES["model"] == "A") & (OUTCOMES["task"] == "nli")]
    baseline = common["persona"] == BASELINE
    assert table.loc[0, "baseline_rate"] == pytest.approx(common[baseline]["refusal"].mean())
    assert table.loc[0, "persona_rate"] == pytest.approx(common[~baseline]["refusal"].mean())
    # clustered limits of each arm are wider, yet their difference gains from the shared texts
    apart = np.hypot(table["persona_rate"] - table["lo"], table["baseline_hi"] - table["baseline_rate"])
    assert (table["difference"] - table["d_lo"] < apart + 1e-12).all()
    assert (table["difference"] - table["d_lo"])[0] < 0.8 * apart[0]


def test_baseline_rates_may_be_printed_without_n():
    printed = pd.DataFrame({"task": ["nli"], "model": ["A"], "baseline_rate": [0.02]})
    table = rt.rates_baseline(PRINTED, printed=printed).set_index("model")
    assert table.loc["A", "difference"] == pytest.approx(10 / 150 - 0.02)
    assert pd.isna(table.loc["A", ["baseline_n", "baseline_lo", "baseline_hi", "d_lo", "d_hi"]]).all()
    assert "without its n" in table.loc["A", "method"]
    assert "no baseline responses" in table.loc["B", "method"]
    assert pd.isna(table.loc["B", "difference"])


def test_a_model_missing_from_a_task_is_named_in_the_method():
    part = OUTCOMES[~((OUTCOMES["model"] == "C") & (OUTCOMES["task"] == "nli"))]
    for outcomes in (None, part):
        means = rt.rates_model_persona(cells_of(part), outcomes).set_index(["model", "persona"])
        assert "mean of 2 cells" in means.loc[("C", "man"), "method"]
        assert "1 of 3 cells have no responses" in means.loc[("C", "man"), "method"]
        assert "no responses" not in means.loc[("A", "man"), "method"]
        table = rt.rates_model_task(cells_of(part), outcomes)
        row = table[(table["model"] == "mean") & (table["task"] == "nli")].iloc[0]
        assert "1 of 3 cells have no responses" in row["method"]


@pytest.mark.parametrize("value, end", [(False, "lo"), (True, "hi")])
def test_no_refusals_and_nothing_but_refusals_have_limits(value, end):
    outcomes = OUTCOMES.assign(refusal=value)
    for table in (rt.rates_model_task(None, outcomes), rt.rates_task_model_persona(None, outcomes)):
        assert (table["rate"] == float(value)).all()
        assert table[end].to_numpy() == pytest.approx(float(value))
        assert (table["hi"] - table["lo"] > 0).all()
        assert not table[["rate", "lo", "hi"]].isna().any(axis=None)
    means = rt.rates_model_task(None, outcomes)
    one = rt.rates_model_task(None, outcomes[outcomes["model"] == "A"])
    for table in (means, one, rt.mean_rates(None, ["model"], ["task", "persona"], outcomes)):
        assert (table["hi"] - table["lo"] > 0.01).all()
    np.testing.assert_allclose(
        one.loc[one["model"] == "mean", ["lo", "hi"]], one.loc[one["model"] == "A", ["lo", "hi"]]
    )
    # 30 texts, thousands of responses: the interval is that of the texts
    nli = rt.rates(None, ["task"], outcomes).iloc[0]
    assert nli["hi"] - nli["lo"] > wilson_rare(0, 45)[1]


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda c: c.drop(columns="n"), "no column 'n'"),
        (lambda c: c.assign(n=0), "no responses"),
        (lambda c: c.assign(refusals=10**6), "more refusals than responses"),
        (lambda c: c.assign(labeller=["a", "b"] * (len(c) // 2)), "several labellers"),
        (lambda c: c.assign(template=ALL), "has the levels task, template"),
    ],
)
def test_bad_cells_are_refused(spoil, message):
    with pytest.raises(InputError, match=message):
        rt.rates(spoil(PRINTED), ["task", "template"] if "template" in message else ["task"])


def test_only_baseline_prompts_are_refused():
    with pytest.raises(InputError, match="baseline"):
        rt.rates(None, ["task"], OUTCOMES[OUTCOMES["persona"] == BASELINE])
