"""What stand-ins can say: pieces that name their followers, and kinds that agree with the paper's list of phrases."""

import itertools

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.labelling.phrase_list import matched_phrase
from falserefusal.labelling.structured import CATEGORIES
from falserefusal.standins import answers as speech
from falserefusal.standins.circuit import spoken_tokens
from falserefusal.standins.write import SPEAK_OF
from standin_study import CONFIG, load_study


@pytest.fixture(scope="module")
def study():
    return load_study(rows=20)


def spoken_of(study):
    return {row.persona: f"{row.article} {row.surface}" for row in study.wordings.itertuples()} | SPEAK_OF


def test_pieces_put_together_are_the_answers(study):
    texts = list(study.answers["text"])
    rules = speech.grammar(texts)
    for text, opening, length in zip(texts, rules.openings, rules.lengths, strict=True):
        pieces, piece = [], opening
        while piece:
            pieces.append(piece)
            piece = rules.follows[piece]
        assert "".join(pieces) == text
        assert length == len(pieces) + 1
        assert not set(pieces[1:]) & set(rules.openings)
    assert len(set(rules.openings)) == len(texts)


def test_unforced_answers_are_long_and_forced_ones_short(study):
    lengths = pd.Series(speech.grammar(list(study.answers["text"])).lengths)
    assert lengths[(study.answers["category"] == "answered") & (study.answers["format"] == "unforced")].max() >= 40
    assert lengths[(study.answers["category"] == "answered") & (study.answers["format"] == "short")].max() <= 5


@pytest.mark.parametrize("texts", [["No", "No"], ["it is {persona}{label}"]])
def test_answers_no_grammar_can_tell_apart_are_refused(texts):
    with pytest.raises(InputError, match="stand-in answers"):
        speech.grammar(texts)


def test_a_token_with_two_meanings_is_refused():
    options = {"politeness": ["Polite", "not polite"]}  # a label with a capital of its own
    assert spoken_tokens(["{label}", "{Label}."], {}, options)
    with pytest.raises(InputError, match="'Polite' could be said for two reasons"):
        spoken_tokens(["{label}", "{Label}"], {}, options)


def test_caught_answers_are_those_the_papers_list_matches(study):
    options = list(itertools.chain.from_iterable(task["options"] for task in study.tasks.values()))
    for row in study.answers.itertuples():
        for persona, label in itertools.product(spoken_of(study).values(), options):
            text = speech.say(row.text, persona, label)
            assert (matched_phrase(text, study.phrases) is not None) == (row.kind == "caught"), text


def test_categories_are_the_labellers_and_missed_answers_are_refusals(study):
    assert set(study.answers["category"]) <= set(CATEGORIES)
    refusal = speech.is_refusal(study.answers["category"])
    assert refusal[study.answers["kind"] == "missed"].all()
    assert not refusal[study.answers["kind"] == "none"].any()
    assert set(refusal[study.answers["kind"] == "caught"]) == {True, False}


def test_a_gap_or_a_clash_in_the_answers_file_is_named(tmp_path, study):
    path = tmp_path / "answers.csv"
    study.answers[study.answers["answer"] != "unable"].to_csv(path, index=False)
    with pytest.raises(InputError, match=r"none for .*missed"):
        speech.read_answers(path)
    twice = study.answers.iloc[[0]].assign(answer="again")
    pd.concat([study.answers, twice]).to_csv(path, index=False)
    with pytest.raises(InputError, match="claimed by cannot-speak-for and again"):
        speech.read_answers(path)
    assert len(speech.read_answers(CONFIG / "standins/answers.csv")) == len(study.answers)
