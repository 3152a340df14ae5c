"""Verdicts are joined with the whole design: draws without a verdict are counted, and never count as not refused."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import write_outcomes
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.cells import count_cells
from falserefusal.estimation.outcomes import outcomes_of


@pytest.fixture
def design():
    rows = [("q1", "man", 0), ("q2", "woman", 1), ("q3", BASELINE, -1), ("q4", "man", 2)]
    frame = pd.DataFrame(rows, columns=["prompt_id", "persona", "draw"])
    return frame.assign(
        task="nli", row_id="r", text_id="t", template="p1", format="unforced", interim_look=0, block="r", model="*"
    )


def verdicts_of(*rows):
    frame = pd.DataFrame(rows, columns=["prompt_id", "refusal", "category"])
    return frame.assign(labeller="phrase_list", choice=None, evidence=None)


def joined(*given):
    """Outcomes and missing draws of all models in one frame each."""
    outcomes, missing = zip(*outcomes_of(*given, ["man", "woman"], ["p1"]), strict=True)
    return pd.concat(outcomes, ignore_index=True), pd.concat(missing, ignore_index=True)


def test_counts_by_hand(design, tmp_path):
    first = verdicts_of(
        ("q1", True, "refused"), ("q2", False, "answered"), ("q3", False, "answered"), ("q4", False, "answered")
    )
    second = first.assign(refusal=True)
    parts = list(outcomes_of(design, {"B": first, "A": second}.items(), ["man", "woman"], ["p1"]))
    write_outcomes((outcomes for outcomes, _ in parts), tmp_path / "outcomes.parquet")
    cells = count_cells(tmp_path / "outcomes.parquet")
    assert cells[["model", "persona", "n", "refusals"]].to_numpy().tolist() == [
        ["B", "man", 2, 1],
        ["B", "woman", 1, 0],
        ["B", BASELINE, 1, 0],
        ["A", "man", 2, 2],
        ["A", "woman", 1, 1],
        ["A", BASELINE, 1, 1],
    ]
    assert all(missing.empty for _, missing in parts)


def test_errors_and_missing_responses_are_counted_separately(design):
    some = verdicts_of(("q1", False, "error"), ("q2", True, "refused"), ("q3", False, "judge_failed"))
    outcomes, missing = joined(design, {"A": some}.items())
    assert len(outcomes) == 1
    assert missing.set_index("reason")["n"].to_dict() == {"error": 1, "judge_failed": 1, "no response": 1}


def test_a_model_may_have_prompts_of_its_own(design):
    design.loc[design["prompt_id"] == "q4", "model"] = "A"
    verdicts = verdicts_of(("q1", True, "refused"), ("q2", True, "refused"), ("q3", True, "refused"))
    own = pd.concat([verdicts, verdicts_of(("q4", True, "refused"))])
    outcomes, missing = joined(design, {"A": own, "B": verdicts}.items())
    assert outcomes["model"].value_counts().to_dict() == {"A": 4, "B": 3}
    assert missing.empty


def test_a_verdict_without_a_prompt_is_an_error(design):
    with pytest.raises(InputError, match="'q9' is not in the design"):
        joined(design, {"A": verdicts_of(("q9", True, "refused"))}.items())


def test_samples_are_outcomes_of_their_own(design):
    more = pd.concat([design.assign(sample=0), design.assign(sample=2, prompt_id=design["prompt_id"] + "#3")])
    verdicts = verdicts_of(*((name, name == "q1#3", "answered") for name in more["prompt_id"]))
    outcomes, missing = joined(more.reset_index(drop=True), {"A": verdicts}.items())
    assert outcomes["sample"].cat.categories.tolist() == ["0", "1", "2"] and missing.empty
    assert outcomes.loc[outcomes["refusal"], ["persona", "draw", "sample"]].to_numpy().tolist() == [["man", 0, "2"]]
