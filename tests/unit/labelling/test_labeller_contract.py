"""The contract of a labeller, checked on every registered labeller."""

import subprocess
import sys

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.files import write_parquet
from falserefusal.common.schemas import RESPONSES, VERDICTS
from falserefusal.common.verdicts import VERDICT_KINDS
from falserefusal.labelling.labeller import VERDICT_OF
from falserefusal.labelling.registry import built_in_labellers, labeller_class, labeller_names, load_labeller
from falserefusal.labelling.unread import without_thinking
from falserefusal.labelling.verdicts import label

OPTIONS = ("offensive", "not offensive")
TEXTS = [
    "offensive",
    "I cannot answer that.",
    "Text?",
    "OK",
    "Sorry, but as an AI I have no opinion.",
    "不",
    "No.\nIt is not offensive.",
]


@pytest.fixture
def responses():
    return pd.DataFrame(
        {
            "prompt_id": [f"q{i}" for i in range(len(TEXTS))],
            "response": TEXTS,
            "finish_reason": "stop",
            "options": [OPTIONS] * len(TEXTS),
            "yes_no": True,
        }
    )


@pytest.fixture
def files(root, tmp_path, responses):
    """For each labeller a file that it reads."""
    judges, classifiers = tmp_path / "judges.parquet", tmp_path / "classifiers.parquet"
    replies = responses[["prompt_id"]].assign(response="category: refused_policy", finish_reason="stop")
    write_parquet(replies.assign(prompt_tokens=1, new_tokens=1), judges, RESPONSES)
    p_refusal = [0.1, 0.9, 0.9, 0.2, 0.5, 0.3, 0.0]
    scores = responses[["prompt_id"]].assign(label="refusal", p_refusal=p_refusal)
    scores["category"] = ["refused" if p >= 0.5 else "not_refused" for p in p_refusal]
    write_parquet(scores, classifiers)
    given = tmp_path / "given.parquet"
    write_parquet(scores[["prompt_id", "category"]], given)
    return {
        "phrase_list": root / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt",
        "structured": root / "workflow/falserefusal/labelling/languages/en/patterns.yaml",
        "judge": judges,
        "classifier": classifiers,
        "given": given,
    }


@pytest.fixture(params=labeller_names())
def labeller(request, files):
    assert request.param in files, f"add a file for the labeller {request.param} to the fixture `files`"
    return load_labeller(request.param, files[request.param])


def test_the_verdicts_are_one_row_per_response_in_order(labeller, responses):
    verdicts = labeller.label(responses)
    assert list(verdicts.columns) == ["verdict", "category", "choice", "evidence"]
    assert len(verdicts) == len(responses)
    assert verdicts["category"].map(VERDICT_OF).tolist() == verdicts["verdict"].tolist()
    assert verdicts["choice"].dropna().isin(OPTIONS).all()
    assert {"refused"} <= set(verdicts["verdict"]) <= set(VERDICT_KINDS) - {"missing"}


def test_a_verdict_depends_on_its_response_alone(labeller, responses):
    together = labeller.label(responses)
    backwards = labeller.label(responses[::-1].reset_index(drop=True))[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(together, backwards)
    alone = [labeller.label(responses[i : i + 1].reset_index(drop=True)) for i in range(len(responses))]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))


def test_the_responses_are_not_changed(labeller, responses):
    before = responses.copy(deep=True)
    labeller.label(responses)
    pd.testing.assert_frame_equal(responses, before)


@pytest.mark.parametrize(
    ("text", "finish", "thinking", "verdict", "category"),
    [
        ("", "stop", "", "missing", "empty"),
        (" \u200b\u2060\n", "stop", "", "missing", "empty"),
        ("</s>", "stop", "", "missing", "empty"),
        ("<|eot_id|><pad>", "length", "", "missing", "empty"),
        ("", "length", "The user names a persona", "missing", "thinking_only"),
        ("<think>I must refuse.</think>\n", "stop", "", "missing", "thinking_only"),
        ("<think>Is it offensive? I cannot", "length", "", "missing", "thinking_only"),
        ("<thinking>offensive", "length", "", "missing", "thinking_only"),
        ("it is offensive</think>", "stop", "", "missing", "thinking_only"),
        ("", "error", "", "missing", "error"),
        ("", "recitation", "", "missing", "recitation"),
        ("offensive", "recitation", "", "missing", "recitation"),
        ("", "content_filter", "", "refused", "blocked_by_provider"),
        ("It is offen", "content_filter", "", "refused", "blocked_by_provider"),
        ("...", "stop", "", "invalid", "off_format"),
        ("\N{THUMBS UP SIGN}", "stop", "", "invalid", "off_format"),
    ],
)
def test_a_response_that_is_no_answer_is_never_not_refused(labeller, text, finish, thinking, verdict, category):
    """The verdict on what no labeller reads is the same for every labeller."""
    row = {"prompt_id": "q0", "response": text, "finish_reason": finish, "thinking": thinking}
    read = without_thinking(pd.DataFrame([row])).assign(options=[OPTIONS], yes_no=True)
    found = label(read, [labeller]).iloc[0]
    assert (found["verdict"], found["category"]) == (verdict, category)


def test_what_follows_the_thinking_is_read(labeller):
    texts = ["<think>offensive</think>I cannot answer that.", "offensive</think>I cannot answer that."]
    rows = pd.DataFrame({"prompt_id": ["q1", "q2"], "response": texts, "finish_reason": "stop", "thinking": ""})
    read = without_thinking(rows).assign(options=[OPTIONS] * 2, yes_no=True)
    assert read["response"].tolist() == ["I cannot answer that."] * 2
    assert label(read, [labeller])["verdict"].tolist() == ["refused"] * 2


def test_no_responses_give_no_verdicts(labeller, responses):
    verdicts = label(responses[:0], [labeller])
    assert verdicts.empty and list(verdicts.columns) == list(VERDICTS.columns)


def test_verdicts_are_stacked_under_the_name_of_the_labeller(labeller, responses):
    assert labeller.name in labeller_names()
    verdicts = label(responses.assign(finish_reason=["error", *["stop"] * (len(responses) - 1)]), [labeller])
    VERDICTS.validate(verdicts)
    assert set(verdicts["labeller"]) == {labeller.name}
    assert verdicts.loc[0, ["verdict", "category"]].tolist() == ["missing", "error"]


def test_languages_are_codes(labeller):
    assert isinstance(labeller.languages, tuple) and all(len(code) == 2 for code in labeller.languages)


def test_a_wrong_file_is_an_input_error(labeller, tmp_path):
    with pytest.raises(InputError):
        type(labeller).load(tmp_path / "absent")


def test_the_config_chooses_from_the_labellers_that_need_no_model():
    assert built_in_labellers() == ["given", "phrase_list", "structured"]
    with pytest.raises(InputError, match="there is no labeller 'paper'; choose from given, phrase_list, structured"):
        labeller_class("paper")


def test_a_labeller_can_have_another_name(files):
    first, second = (load_labeller("judge", files["judge"], name) for name in ("gemma", "qwen"))
    assert (first.name, second.name, type(first).name) == ("gemma", "qwen", "judge")


def test_listing_the_labellers_imports_no_pandas(root):
    code = "import sys; from falserefusal.labelling.registry import built_in_labellers as names; names()"
    code += "; sys.exit('pandas' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "workflow")}).returncode == 0
