"""Which templates ask for a yes or a no."""

import pytest

from falserefusal.common.templates import asks_yes_no

ASKED = [
    "Would a {persona} call this text polite or not polite?",
    "Could a {persona} call this text polite?",
    "Should an {persona} call this text polite?",
    "Can the {persona} call this text polite?",
    "Does a {persona} find this text polite?",
    "Is this text polite for a {persona}?",
    "Are a premise and a hypothesis in contradiction?",
    "Given a text, could a {persona} classify it as {label1} or {label2}?",
    "Read the text. Will {persona} agree?",
]
NOT_ASKED = [
    "How would a {persona} classify this text?",
    "Given a text, how could a {persona} classify it: {label1} or {label2}?",
    "A {persona} would label this text as {label1} or {label2}?",
    "Classify this text, which is polite or not.",
    "What does a {persona} think of this text?",
]


@pytest.mark.parametrize("text", ASKED)
def test_questions_of_yes_or_no(text):
    assert asks_yes_no(text)


@pytest.mark.parametrize("text", NOT_ASKED)
def test_other_questions_and_orders(text):
    assert not asks_yes_no(text)
