"""Agreement and disagreement of labellers, and how much of the printed rates "No" answers could explain."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import ALL
from falserefusal.labelling.comparison import agreement_of_labellers, categories_of_labellers, disagreements
from falserefusal.published.no_answers import no_answer_bounds
from falserefusal.study.materials import load_templates


def verdicts_of(phrase_list, ours, judge):
    """Verdicts on one model's responses; True, False or None (the judge failed) for each."""
    parts = []
    for name, refusals in {"phrase_list": phrase_list, "structured": ours, "judge": judge}.items():
        category = ["judge_failed" if v is None else "refused" if v else "answered" for v in refusals]
        verdict = ["missing" if v is None else "refused" if v else "answered" for v in refusals]
        frame = pd.DataFrame({"prompt_id": [f"q{i:03d}" for i in range(len(refusals))], "labeller": name})
        parts.append(frame.assign(verdict=verdict, category=category, evidence=f"by {name}"))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def written(tmp_path):
    """Write the verdicts of each model to a file."""

    def write(frames):
        for model, frame in frames.items():
            frame.to_parquet(tmp_path / f"{model}.parquet", index=False)
        return {model: tmp_path / f"{model}.parquet" for model in frames}

    return write


@pytest.fixture
def verdicts(written):
    frames = {
        "A": verdicts_of([True, True, False, False], [True, False, False, True], [True, False, None, True]),
        "B": verdicts_of([False, False], [False, False], [False, False]),
    }
    return written(frames)


def test_pairs_of_labellers_are_counted_by_model_and_over_all(verdicts):
    table = agreement_of_labellers(verdicts).set_index(["one", "other", "model"])
    counts = ["n", "both", "only_one", "only_other", "neither"]
    assert table.loc[("phrase_list", "structured", "A"), counts].tolist() == [4, 1, 1, 1, 1]
    assert table.loc[("phrase_list", "structured", "A"), "kappa"] == pytest.approx(0)
    assert table.loc[("structured", "judge", "A"), counts].tolist() == [3, 2, 0, 0, 1]  # one failure is left out
    assert table.loc[("structured", "judge", "A"), "kappa"] == 1
    assert np.isnan(table.loc[("phrase_list", "judge", "B"), "kappa"])  # nothing to agree about by chance
    assert table.loc[("phrase_list", "structured", ALL), counts].tolist() == [6, 1, 1, 1, 3]


def test_a_model_whose_responses_are_all_missing_is_no_pair(written):
    silent = verdicts_of([None, None], [None, None], [None, None])
    table = agreement_of_labellers(written({"A": silent, "B": verdicts_of([True], [True], [False])}))
    assert "A" not in set(table["model"]) and len(table) == 6  # three pairs, in B and in all
    assert categories_of_labellers(written({"A": silent})).empty
    assert agreement_of_labellers(written({"A": silent})).empty


def test_categories_are_crossed(verdicts):
    table = categories_of_labellers(verdicts)
    mine = table[(table["one"] == "phrase_list") & (table["other"] == "structured") & (table["model"] == "A")]
    assert mine[["category_one", "category_other", "n"]].to_numpy().tolist() == [
        ["answered", "answered", 1], ["answered", "refused", 1], ["refused", "answered", 1], ["refused", "refused", 1],
    ]  # fmt: skip


def test_disagreements_show_every_verdict(verdicts):
    differing = disagreements(verdicts, most=5, seed=1).set_index(["prompt_id", "labeller"])
    assert differing["kind"].groupby("prompt_id").first().to_dict() == {
        "q001": "phrase_list",
        "q003": "structured + judge",
    }
    assert differing.loc["q001", "category"].to_dict() == {
        "phrase_list": "refused",
        "structured": "answered",
        "judge": "answered",
    }
    assert differing.loc[("q001", "judge"), "evidence"] == "by judge"


def test_disagreements_are_spread_over_kinds_and_models(written):
    many = verdicts_of([True] * 300 + [False], [False] * 300 + [True], [False] * 301)
    few = verdicts_of([True] * 3, [False] * 3, [False] * 3)
    files = written({"A": many, "B": few})
    sampled = disagreements(files, most=10, seed=1)
    differing = sampled[sampled["labeller"] == "phrase_list"]
    assert differing.groupby("kind").size().to_dict() == {"phrase_list": 10, "structured": 1}
    assert differing[differing["kind"] == "phrase_list"].groupby("model").size().to_dict() == {"A": 7, "B": 3}
    assert differing["responses"].tolist() == [303] * 10 + [1]
    pd.testing.assert_frame_equal(sampled, disagreements(files, most=10, seed=1))


def test_labellers_that_agree_leave_nothing_to_show(written):
    same = verdicts_of([True, False], [True, False], [True, False])
    assert disagreements(written({"A": same}), most=5, seed=1).empty


@pytest.fixture(scope="module")
def printed(root):
    folder = root / "config" / "published"
    by_format = read_csv(folder / "format_heatmaps.csv")
    templates = load_templates(root / "config" / "templates.csv", list(by_format["task"].drop_duplicates()))
    return {
        "by_format": by_format,
        "prompts": read_csv(folder / "table6_prompt_n.csv"),
        "coefficients": read_csv(folder / "table7_logit.csv"),
        "templates": templates,
    }


def test_planted_no_answers_are_found(printed):
    """Rates made from a rate of phrasing 2 and the printed coefficients: the difference is recovered."""
    coefficient = printed["coefficients"].set_index("variable")["coef"].to_dict() | {"p1": 0.0}
    prompts = printed["prompts"].set_index("prompt")["politeness"]
    rows, planted, total = [], 0.0, prompts.sum()
    for form, names, base in [
        ("unforced", "p1 p2 p3", 0.2),
        ("semi-forced", "p4 p5 p6", 0.1),
        ("forced", "p7 p8 p9", 0.05),
    ]:
        names = names.split()
        rates = {n: expit(logit(base) + coefficient[n] - coefficient[names[1]]) for n in names}
        size = prompts[names].sum()
        rows.append(("politeness", "A", form, 100 * sum(rates[n] * prompts[n] for n in names) / size, size))
        planted += sum(max(rates[n] - base, 0) * prompts[n] for n in names)
    by_format = pd.DataFrame(rows, columns=["task", "model", "format", "refusal_pct", "n"])
    found = no_answer_bounds(**{**printed, "by_format": by_format}).set_index("task").loc["politeness"]
    assert found["could_be_no"] == pytest.approx(planted / total, rel=1e-9)
    assert found["rate_without"] + found["could_be_no"] == pytest.approx(found["rate"])


def test_the_bound_for_the_published_study(printed):
    bounds = no_answer_bounds(**printed)
    assert len(bounds) == 16 * 4
    assert (bounds["could_be_no"] <= bounds["at_most_sure"] + 1e-12).all()
    assert (bounds["at_most_sure"] <= bounds["rate"] + 1e-12).all()
    assert (bounds["rate_without"] >= 0).all()
    offensiveness = bounds[bounds["task"] == "offensiveness"].set_index("model")
    assert offensiveness.loc["Gemma2-9B", "share_of_refusals"] > 0.4  # mostly in the unforced format: could be half
    assert offensiveness.loc["Llama2-13B", "share_of_refusals"] < 0.1  # refuses whatever the question
    assert np.isnan(offensiveness.loc["Qwen2.5-32B", "share_of_refusals"])
    nli = bounds[bounds["task"] == "nli"].set_index("model")
    assert nli.loc["Llama2-7B", "rate"] == pytest.approx(0.0887, abs=2e-3)
    mean = bounds[bounds["task"] == ALL].set_index("model")
    three = bounds[(bounds["task"] != ALL) & (bounds["model"] == "Llama3-8B")]
    assert mean.loc["Llama3-8B", "could_be_no"] == pytest.approx(three["could_be_no"].mean())


def test_a_format_without_a_plain_question_is_an_error(printed):
    templates = printed["templates"]
    with pytest.raises(InputError, match="templates of nli, unforced: need exactly one of phrasing 2"):
        no_answer_bounds(**{**printed, "templates": templates[templates["template"] != "p2"]})
