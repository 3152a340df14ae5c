"""The page's description of the models that were asked, and the refusal that it quotes."""

import pandas as pd

from falserefusal.report.asked import DEQUANTIZED, ONE_CHECKPOINT, batch_limits, limits_of, models_asked, one_refusal

SOURCE = {"file": "some.Q4_1.gguf", "package": "some-model", "version": "1.0", "sha256": "ab" * 32}
PROVENANCE = {
    "models": {
        "none": {"name": "x", "revision": "r", "dtype": "float32", "parameters": 135e6, "source": SOURCE},
        "hub": {"name": "org/hub", "revision": "c0ffee", "dtype": "bfloat16", "system_prompt": "Be kind."},
    }
}


def test_source_checksum_and_system_prompt_of_each_model():
    package, hub = models_asked(PROVENANCE)
    assert package["source"] == "some.Q4_1.gguf of the Python package some-model 1.0"
    assert package["checksum"] == f"sha256 {'ab' * 32}" and package["dequantized"] and package["parameters"] == 135e6
    assert hub["source"] == "org/hub" and hub["checksum"] == "c0ffee" and hub["system_prompt"] == "Be kind."
    assert models_asked(None) == []


def test_the_number_format_of_a_served_model_is_the_one_that_its_server_reports():
    silent = {"dtype": None, "reported": "nothing was generated: every response was in the store"}
    models = {"tgi": {"dtype": None, "reported": {"dtype": "float16"}}, "vllm": silent}
    assert [row["dtype"] for row in models_asked({"models": models})] == ["float16", "an unknown number format"]


def test_limitations_follow_from_the_models():
    package, hub = models_asked(PROVENANCE)
    assert limits_of([package], True)[0] == ONE_CHECKPOINT
    assert "135 million parameters. It does not represent the paper's models" in limits_of([package], False)[0]
    assert limits_of([package], False)[1] == DEQUANTIZED
    assert limits_of([hub], False) == []


def test_the_quoted_refusal_is_from_the_model_with_most():
    refusals = pd.DataFrame(
        [
            ("a", "p1", "man", "nli", "I can't.", "can't", 1, "Ask a"),
            ("b", "p2", "baseline", "nli", "Never.", None, 7, "Ask b0"),
            ("b", "p3", "man", "nli", "No way.", None, 7, "Ask b"),
        ],
        columns=["model", "prompt_id", "persona", "task", "response", "evidence", "agreed", "prompt"],
    )
    found = one_refusal(refusals, " (stand-in)")
    assert found["model"] == "b (stand-in)" and found["agreed"] == 8
    assert found["response"] == [("No way.", False)] and found["prompt"] == "Ask b"
    assert one_refusal(refusals.head(0), "") is None


def test_how_much_responses_depend_on_their_batch_is_a_limitation():
    rows = [("a", 100, 0.5, 0.1, 0.02, -0.01, 0.05), ("b", 300, 0.1, 0.02, -0.03, -0.06, 0.01)]
    names = ["model", "prompts", "responses_changed", "verdicts_changed", "difference", "lo", "hi"]
    check = pd.DataFrame([*rows, ("off", 0, *[float("nan")] * 5)], columns=names)
    (said,) = batch_limits({"batch_check": check}, " (stand-in)")
    assert "Of 400 responses, 20% changed in other batches, and 4% of their verdicts" in said
    assert "at most -3.0 percentage points (95% interval -6.0 to +1.0; b (stand-in))" in said
    assert batch_limits({"batch_check": check.tail(1)}, "") == batch_limits({}, "") == []
