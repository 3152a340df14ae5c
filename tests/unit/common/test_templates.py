"""Which templates are yes/no questions."""

import pytest

from falserefusal.common.templates import asks_yes_no

YES_NO = [
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
OTHER = [
    "How would a {persona} classify this text?",
    "Given a text, how could a {persona} classify it: {label1} or {label2}?",
    "A {persona} would label this text as {label1} or {label2}?",
    "Classify this text, which is polite or not.",
    "What does a {persona} think of this text?",
]


@pytest.mark.parametrize("text", YES_NO)
def test_yes_no_questions(text):
    assert asks_yes_no(text)


@pytest.mark.parametrize("text", OTHER)
def test_other_questions_and_orders(text):
    assert not asks_yes_no(text)
