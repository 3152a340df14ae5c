"""The page's description of the models that were asked, and the refusal that it quotes."""

import pandas as pd
import pytest

from falserefusal.report.asked import DEQUANTIZED, ONE_CHECKPOINT, language_limits, limits_of, models_asked, one_refusal

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


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "German (language: de). Its patterns"), ("fr", "fr (language: fr). The workflow")],
)
def test_a_language_with_fewer_tested_words_is_a_limitation(language, words):
    (line,) = language_limits({"config": {"language": language}})
    assert words in line
    assert language_limits({"config": {"language": "en"}}) == language_limits(None) == []


def test_what_is_odd_about_a_chat_template_is_a_limitation():
    gates = {
        "odd": {"bos": "none", "tokenizer_adds_bos": True, "header_added": "<|assistant|>"},
        "fine": {"bos": "first", "tokenizer_adds_bos": True, "header_added": None},
        "none": {"bos": "none", "tokenizer_adds_bos": False, "header_added": None},
    }
    found = limits_of(models_asked({"models": {name: {"gate": gate} for name, gate in gates.items()}}), False)
    assert len(found) == 2 and all(line.startswith("odd: ") for line in found)
    assert "no BOS token" in found[0] and "header of the reply" in found[1]


def test_the_quoted_refusal_is_from_the_model_with_most():
    refusals = pd.DataFrame(
        [
            ("a", "p1", "man", "nli", "I can't.", "can't", 1, "Ask a", None),
            ("b", "p2", "baseline", "nli", "Never.", None, 7, "Ask b0", None),
            ("b", "p3", "man", "nli", "No way.", None, 7, "Ask b", "You are a man."),
        ],
        columns=["model", "prompt_id", "persona", "task", "response", "evidence", "agreed", "prompt", "system_text"],
    )
    found = one_refusal(refusals, " (stand-in)")
    assert found["model"] == "b (stand-in)" and found["agreed"] == 8
    assert found["response"] == [("No way.", False)] and found["prompt"] == "Ask b"
    assert found["system_text"] == "You are a man."
    assert one_refusal(refusals.iloc[[0]], "")["system_text"] == ""
    assert one_refusal(refusals.head(0), "") is None
