"""Verdicts are joined with the whole design: draws without a verdict are counted, and never count as not refused."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import write_outcomes
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.cells import count_cells
from falserefusal.estimation.outcomes import outcomes_of
from falserefusal.estimation.verdict_shares import count_verdicts


@pytest.fixture
def design():
    rows = [("q1", "man", 0), ("q2", "woman", 1), ("q3", BASELINE, -1), ("q4", "man", 2)]
    frame = pd.DataFrame(rows, columns=["prompt_id", "persona", "draw"])
    return frame.assign(
        task="nli", row_id="r", text_id="t", template="p1", format="unforced", interim_look=0, block="r", model="*"
    )


def verdicts_of(*rows):
    frame = pd.DataFrame(rows, columns=["prompt_id", "verdict", "category"])
    return frame.assign(labeller="phrase_list", choice=None, evidence=None)


def joined(*given):
    """Outcomes of all models in one frame."""
    return pd.concat(outcomes_of(*given, ["man", "woman"], ["p1"]), ignore_index=True)


def test_counts_by_hand(design, tmp_path):
    first = verdicts_of(
        ("q1", "refused", "refused"),
        ("q2", "answered", "answered"),
        ("q3", "answered", "answered"),
        ("q4", "answered", "answered"),
    )
    second = first.assign(verdict="refused")
    parts = list(outcomes_of(design, {"B": first, "A": second}.items(), ["man", "woman"], ["p1"]))
    write_outcomes(parts, tmp_path / "outcomes.parquet")
    cells = count_cells(tmp_path / "outcomes.parquet")
    assert cells[["model", "persona", "n", "refusals"]].to_numpy().tolist() == [
        ["B", "man", 2, 1],
        ["B", "woman", 1, 0],
        ["B", BASELINE, 1, 0],
        ["A", "man", 2, 2],
        ["A", "woman", 1, 1],
        ["A", BASELINE, 1, 1],
    ]


def test_missing_verdicts_are_no_outcomes_and_have_their_reasons(design):
    some = verdicts_of(("q1", "missing", "error"), ("q2", "refused", "refused"), ("q3", "missing", "judge_failed"))
    assert len(joined(design, {"A": some}.items())) == 1
    counts = count_verdicts(design, {"A": some}.items())
    lost = counts[counts["verdict"].isin(["missing", "not_asked"])]
    assert lost.set_index("category")["n"].to_dict() == {"error": 1, "judge_failed": 1, "not_asked": 1}


def test_a_model_may_have_prompts_of_its_own(design):
    design.loc[design["prompt_id"] == "q4", "model"] = "A"
    verdicts = verdicts_of(("q1", "refused", "refused"), ("q2", "refused", "refused"), ("q3", "refused", "refused"))
    own = pd.concat([verdicts, verdicts_of(("q4", "refused", "refused"))])
    outcomes = joined(design, {"A": own, "B": verdicts}.items())
    assert outcomes["model"].value_counts().to_dict() == {"A": 4, "B": 3}
    assert not count_verdicts(design, {"A": own, "B": verdicts}.items())["verdict"].eq("missing").any()


def test_a_verdict_without_a_prompt_is_an_error(design):
    with pytest.raises(InputError, match="'q9' is not in the design"):
        joined(design, {"A": verdicts_of(("q9", "refused", "refused"))}.items())


def test_samples_are_outcomes_of_their_own(design):
    more = pd.concat([design.assign(sample=0), design.assign(sample=2, prompt_id=design["prompt_id"] + "#3")])
    kinds = more["prompt_id"].map({"q1#3": "refused"}).fillna("answered")
    verdicts = verdicts_of(*zip(more["prompt_id"], kinds, kinds, strict=True))
    outcomes = joined(more.reset_index(drop=True), {"A": verdicts}.items())
    assert outcomes["sample"].cat.categories.tolist() == ["0", "1", "2"] and len(outcomes) == len(more)
    assert outcomes.loc[outcomes["refusal"], ["persona", "draw", "sample"]].to_numpy().tolist() == [["man", 0, "2"]]
