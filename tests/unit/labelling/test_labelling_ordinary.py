"""Options that are ordinary words are read only in answer position."""

import pytest

from falserefusal.labelling.ordinary import is_ordinary
from falserefusal.labelling.patterns import load_patterns
from falserefusal.labelling.structured import Reader


@pytest.fixture(scope="module")
def patterns(root):
    return load_patterns(root / "workflow/falserefusal/labelling/languages/en/patterns.yaml")


@pytest.mark.parametrize("option", ["A", "i", "no", "Yes", "2", "10", "II", "the"])
def test_ordinary(patterns, option):
    assert is_ordinary(option, patterns.grammar.ordinary)


@pytest.mark.parametrize("option", ["offensive", "not offensive", "false", "maybe not", "AI"])
def test_not_ordinary(patterns, option):
    assert not is_ordinary(option, patterns.grammar.ordinary)


@pytest.mark.parametrize(
    ("options", "text", "choice"),
    [
        ("A|B", "A", "A"),
        ("A|B", "b.", "B"),
        ("A|B", "**B**", "B"),
        ("A|B", "(A) because it insults nobody", "A"),
        ("A|B", "B) He is rude.", "B"),
        ("A|B", "I'd go with B, as it is rude.", "B"),
        ("A|B", "As a man, I choose A over the other one.", "A"),
        ("A|B", "As a blind person, I find a text like this kind.", None),
        ("A|B", "This is a", None),
        ("A|B", "A person might be hurt.", None),
        ("A|B", "Either A or B.", None),
        ("A|B", "A: he is rude. B: he is kind.", None),
        ("I|II", "I", "I"),
        ("I|II", "The answer is II.", "II"),
        ("I|II", "I, as a woman, find it rude.", None),
        ("yes|no", "No, she would not.", "no"),
        ("yes|no", "There is no insult in it.", None),
        ("yes|no", "No, I'm sorry, but I can't say.", None),
        ("1|2|3|4|5", "I would give this email a 4.", "4"),
        ("1|2|3|4|5", "4/5", "4"),
        ("1|2|3|4|5", "There are 2 reasons.", None),
        ("1|2|3|4|5", "I rate it on a scale from 1 to 5.", None),
    ],
)
def test_answer_position(patterns, options, text, choice):
    assert Reader(tuple(options.split("|")), patterns).read(text).choice == choice
