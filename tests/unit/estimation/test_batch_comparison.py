"""How much a study depends on batches, from two responses to each of some prompts."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falserefusal.estimation.batch_check import COLUMNS, compare_batches, not_checked, not_labelled


def checked(pairs, reasons=("stop", "stop")):
    """RESPONSES of a batch check, and verdicts on both: a text that begins with "Sorry" is a refusal."""
    texts = pd.DataFrame(pairs, columns=["response", "other_batch_response"])
    texts = texts.assign(finish_reason=reasons[0], other_batch_finish_reason=reasons[1])

    def verdicts(column, reason):
        refused = texts[column].str.startswith("Sorry")
        return pd.DataFrame(
            {
                "verdict": np.select([texts[reason] == "error", refused], ["missing", "refused"], "answered"),
                "category": "any",
                "choice": [None if text.startswith("Sorry") else text[-6:] for text in texts[column]],
            }
        )

    return texts, verdicts("response", "finish_reason"), verdicts("other_batch_response", "other_batch_finish_reason")


def test_changed_responses_verdicts_and_rates_are_counted_apart():
    same, reworded, turned = ("It is polite", "It is polite"), ("It is polite", "I say polite"), ("Sorry", "polite")
    chosen = ("It is polite", "It is rude")
    row = compare_batches("m", *checked([same] * 5 + [reworded] * 3 + [turned] + [chosen]))
    assert list(row) == COLUMNS and row["model"] == "m" and row["prompts"] == 10 and row["note"] == ""
    assert row["responses_changed"] == pytest.approx(0.5) and row["verdicts_changed"] == pytest.approx(0.2)
    assert (row["rate"], row["other_rate"]) == (0.1, 0.0) and row["difference"] == pytest.approx(-0.1)
    assert row["lo"] < -0.1 < row["hi"]


def test_the_interval_covers_the_difference_of_paired_rates():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(200):
        first = rng.random(200) < 0.2
        other = np.where(rng.random(200) < 0.1, rng.random(200) < 0.2, first)
        words = {True: "Sorry", False: "no"}
        row = compare_batches("m", *checked([(words[a], words[b]) for a, b in zip(first, other, strict=True)]))
        inside += row["lo"] <= 0 <= row["hi"]
    assert inside >= stats.binom.ppf(0.001, 200, 0.95)


def test_where_nothing_changed_the_interval_still_has_a_width():
    row = compare_batches("m", *checked([("no", "no")] * 50))
    assert row["responses_changed"] == row["verdicts_changed"] == row["difference"] == 0
    assert -0.1 < row["lo"] < 0 < row["hi"] < 0.1


@pytest.mark.parametrize(
    ("pair", "reasons", "changed"),
    [
        (("Sorry, I", "Sorry, I cannot"), ("decided", "stop"), 0),
        (("Sorry, I cannot", "Sorry, I\ufffd"), ("stop", "decided"), 0),
        (("Sorry, I", "Sorry, I"), ("decided", "decided"), 0),
        (("Sorry, I", "Sorry. I cannot"), ("decided", "stop"), 1),
        (("Sorry, I", "Sorry, I cannot"), ("length", "stop"), 1),
    ],
)
def test_a_response_that_stopped_early_agrees_as_far_as_it_goes(pair, reasons, changed):
    assert compare_batches("m", *checked([pair], reasons))["responses_changed"] == changed


def test_a_pair_without_both_verdicts_is_left_out():
    row = compare_batches("m", *checked([("no", "")], ("stop", "error")))
    assert row["prompts"] == 0 and "no prompt has both" in row["note"] and np.isnan(row["rate"])


def test_why_a_model_was_not_checked_is_in_its_row():
    assert not_checked("m", {"batch_check": {"because": "switched off"}})["note"] == "switched off"
    assert "before there was a batch check" in not_checked("m", {})["note"]


def test_labellers_that_are_models_compare_no_batches():
    row = not_labelled("M")
    assert set(row) == set(COLUMNS) and row["prompts"] == 0 and "add phrase_list or structured" in row["note"]
