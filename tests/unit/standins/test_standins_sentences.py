"""Sentences of stand-ins: pieces with one next piece each, and kinds that agree with the phrase list."""

import itertools

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.labelling.labeller import CATEGORIES
from falserefusal.labelling.phrase_list import matched_phrase
from falserefusal.standins import sentences
from falserefusal.standins.circuit import spoken_tokens
from falserefusal.standins.write import SPEAK_OF
from standin_study import CONFIG, load_study


@pytest.fixture(scope="module")
def study():
    return load_study(rows=20)


def spoken_of(study):
    return {row.persona: f"{row.article} {row.surface}" for row in study.wordings.itertuples()} | SPEAK_OF


def test_pieces_put_together_are_the_sentences(study):
    texts = list(study.sentences["text"])
    rules = sentences.grammar(texts)
    for text, opening, length in zip(texts, rules.openings, rules.lengths, strict=True):
        pieces, piece = [], opening
        while piece:
            pieces.append(piece)
            piece = rules.follows[piece]
        assert "".join(pieces) == text
        assert length == len(pieces) + 1
        assert not set(pieces[1:]) & set(rules.openings)
    assert len(set(rules.openings)) == len(texts)


def test_unforced_sentences_are_long_and_forced_ones_short(study):
    lengths = pd.Series(sentences.grammar(list(study.sentences["text"])).lengths)
    assert lengths[(study.sentences["category"] == "answered") & (study.sentences["format"] == "unforced")].max() >= 40
    assert lengths[(study.sentences["category"] == "answered") & (study.sentences["format"] == "short")].max() <= 5


@pytest.mark.parametrize("texts", [["No", "No"], ["it is {persona}{label}"]])
def test_sentences_that_are_not_distinct_are_errors(texts):
    with pytest.raises(InputError, match="stand-in sentences"):
        sentences.grammar(texts)


def test_a_token_with_two_meanings_is_an_error():
    options = {"politeness": ["Polite", "not polite"]}  # an option that starts with a capital letter
    assert spoken_tokens(["{label}", "{Label}."], {}, options)
    with pytest.raises(InputError, match="'Polite' occurs for two reasons"):
        spoken_tokens(["{label}", "{Label}"], {}, options)


def test_caught_sentences_are_those_the_phrase_list_matches(study):
    options = list(itertools.chain.from_iterable(task["options"] for task in study.tasks.values()))
    for row in study.sentences.itertuples():
        for persona, option in itertools.product(spoken_of(study).values(), options):
            text = sentences.say(row.text, persona, option)
            assert (matched_phrase(text, study.phrases) is not None) == (row.kind == "caught"), text


def test_categories_are_the_labellers_and_missed_sentences_are_refusals(study):
    assert set(study.sentences["category"]) <= set(CATEGORIES)
    refusal = sentences.is_refusal(study.sentences["category"])
    assert refusal[study.sentences["kind"] == "missed"].all()
    assert not refusal[study.sentences["kind"] == "none"].any()
    assert set(refusal[study.sentences["kind"] == "caught"]) == {True, False}


def test_a_missing_or_double_sentence_is_named(tmp_path, study):
    path = tmp_path / "sentences.csv"
    study.sentences[study.sentences["sentence"] != "unable"].to_csv(path, index=False)
    with pytest.raises(InputError, match=r"none for .*missed"):
        sentences.read_sentences(path)
    twice = study.sentences.iloc[[0]].assign(sentence="again")
    pd.concat([study.sentences, twice]).to_csv(path, index=False)
    with pytest.raises(InputError, match="given by cannot-speak-for and again"):
        sentences.read_sentences(path)
    assert len(sentences.read_sentences(CONFIG / "standins/sentences.csv")) == len(study.sentences)
