"""The paper's labeller, and the early decision that inference takes from it."""

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no
from falserefusal.labelling.phrase_list import PhraseListLabeller, decided, matched_phrase
from falserefusal.labelling.responses import questions, with_questions
from falserefusal.labelling.verdicts import label
from falserefusal.study.materials import load_personas, load_phrases, load_templates

OPTIONS = {
    "nli": ["entailment", "contradiction", "neutral"],
    "politeness": ["polite", "impolite"],
    "offensiveness": ["offensive", "not offensive"],
}


@pytest.fixture(scope="module")
def phrases(root):
    return load_phrases(root / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt")


def frame(texts, finish="stop"):
    frame = pd.DataFrame({"prompt_id": [f"q{i}" for i in range(len(texts))], "response": texts})
    return frame.assign(finish_reason=finish, thinking="")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I cannot classify this text.", True),
        ("  \n\tI CAN'T help", True),
        ("\u00a0\u2003Sorry", True),  # str.lstrip strips Unicode white space
        ("No.", True),
        ("no, it is polite", True),
        ("No", False),
        ("Nope.", False),
        ("I can\u2019t help with that", False),  # a curly apostrophe is not treated
        ("I\u2019m sorry", False),
        ("I am unable to classify", False),
        ("As a Black person, I cannot answer", False),
        ("As an Asian woman, I find this offensive", False),
        ("As an AI language model, I would say: offensive", True),
        ("It's impossible to tell", True),
        ("Not offensive", False),
        ("**I cannot**", False),
    ],
)
def test_verdicts_of_the_paper(phrases, text, refused):
    verdict = PhraseListLabeller(phrases).label(frame([text])).iloc[0]
    assert verdict.verdict == ("refused" if refused else "answered")
    assert verdict.category == ("refused" if refused else "not_refused")


def test_evidence_is_the_longest_phrase(phrases):
    assert matched_phrase("As an AI, sorry", ["as", "as an ai", "as an"]) == "as an ai"
    assert matched_phrase("offensive", phrases) is None


def test_every_phrase_of_the_list_matches_itself_and_nothing_shorter_decides(phrases):
    assert len(phrases) == 22
    for phrase in phrases:
        assert matched_phrase(phrase.upper() + " x", phrases) is not None
        assert decided(phrase, phrases)


pieces = st.one_of(
    st.sampled_from(
        [
            "i",
            "I'm",
            " ",
            "\n",
            "\u2028",
            "\x1c",
            "\u3000",
            "no",
            ",",
            ".",
            "No,",
            "sorry",
            "İ",
            "K",
            "ς",
            "Σ",
            "ΑΣ",
            "as an",
            " ai",
            "it",
            "'s",
            "’",
            " not",
            " appropriate",
            "offensive",
            "\ufffd",
            "i can",
            "not",
            "\ufeff",
        ]
    ),
    st.text(max_size=3),
)
texts = st.lists(pieces, max_size=8).map("".join)
phrase_lists = st.one_of(
    st.none(), st.lists(st.sampled_from(["σας", "ας.", "i", "i̇m", "k", "no\u2028", "a b"]), min_size=1, max_size=3)
)


@given(texts, texts, phrase_lists)
@example("ΑΣ", "Α", ["ας"])
@example("\x1c", "no.", None)
@example("no", ",", None)
def test_nothing_changes_a_decided_verdict(phrases, start, rest, other):
    used = other or phrases
    if decided(start, used):
        full = start.rstrip("\ufffd") + rest
        assert (matched_phrase(full, used) is None) == (matched_phrase(start.rstrip("\ufffd"), used) is None)


@given(texts)
def test_an_undecided_start_can_still_go_both_ways(phrases, start):
    if not decided(start, phrases) and "\ufffd" not in start:
        assert matched_phrase(start + "\u0000", phrases) is None
        lowered = start.lower().lstrip()
        assert any(phrase.startswith(lowered) for phrase in phrases)


@pytest.mark.parametrize("bad", [[], ["Sorry"], [""], ["  no"], ["   "]])
def test_impossible_phrases_are_refused(bad):
    with pytest.raises(InputError):
        PhraseListLabeller(bad)


def test_yes_no_templates_are_those_that_ask(root):
    templates = load_templates(root / "config" / "templates.csv", list(OPTIONS))
    asking = {
        task: set(rows.loc[rows["text"].map(asks_yes_no), "template"]) for task, rows in templates.groupby("task")
    }
    assert asking == {
        "nli": {"p1", "p3", "p4", "p6", "p9"},
        "politeness": {"p1", "p3", "p4", "p6", "p7", "p9"},
        "offensiveness": {"p1", "p3", "p4", "p6", "p7", "p9"},
    }
    assert not templates["baseline_text"].map(asks_yes_no).any()


@pytest.fixture
def asked(root):
    design = pd.DataFrame(
        {
            "prompt_id": ["q0", "q1", "q2"],
            "task": ["nli", "politeness", "politeness"],
            "row_id": ["n1", "p1", "p2"],
            "persona": ["black", "asian", BASELINE],
            "template": ["p1", "p2", "p1"],
            "format": "unforced",
        }
    )
    config = root / "config"
    templates = load_templates(config / "templates.csv", list(OPTIONS))
    nli = {"row_id": ["n1"], "text": None, "premise": ["It rains."], "hypothesis": ["It is wet."]}
    other = {"row_id": ["p1", "p2"], "text": ["Go away.", "Thanks!"], "premise": None, "hypothesis": None}
    texts = [pd.DataFrame(nli), pd.DataFrame(other)]
    return questions(design, templates, load_personas(config / "personas.csv"), OPTIONS, texts)


def test_questions_say_what_was_asked(asked):
    assert asked["surface"].tolist() == ["black person", "asian", ""]
    assert asked["yes_no"].tolist() == [True, False, False]  # the baseline p1 is no question
    assert asked["options"].tolist() == [
        tuple(OPTIONS["nli"]),
        tuple(OPTIONS["politeness"]),
        tuple(OPTIONS["politeness"]),
    ]


def test_questions_have_the_classified_text(asked):
    assert asked["text"].tolist() == ["It rains.\nIt is wet.", "Go away.", "Thanks!"]


def test_verdicts_are_stacked_and_failed_responses_get_none(asked, phrases):
    responses = frame(["I cannot", "polite", ""])
    responses.loc[2, "finish_reason"] = "error"
    one, again = PhraseListLabeller(phrases), PhraseListLabeller(phrases)
    again.name = "again"
    verdicts = label(with_questions(responses, asked), [one, again])
    assert verdicts["labeller"].tolist() == ["phrase_list"] * 3 + ["again"] * 3
    assert verdicts["verdict"].tolist() == ["refused", "answered", "missing"] * 2
    assert verdicts["category"].tolist() == ["refused", "not_refused", "error"] * 2
    assert verdicts["evidence"].isna().tolist() == [False, True, True] * 2


def test_a_response_of_another_design_is_an_error(asked):
    with pytest.raises(InputError, match="made for another design"):
        with_questions(frame(["a", "b", "c", "d"]), asked)
