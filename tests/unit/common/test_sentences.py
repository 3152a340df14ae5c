"""Every branch of every sentence has an example, and every example reads as written."""

import jinja2
import pytest
from jinja2 import nodes

from falserefusal.common import numbers
from falserefusal.common.sentences import _ENVIRONMENT, SENTENCES, TEMPLATES, say


def texts_of(node: nodes.Node, environment=_ENVIRONMENT) -> list[str]:
    """The fixed words of a template, branch by branch, and the words of conditional expressions."""
    found = [data.data for data in node.find_all(nodes.TemplateData)]
    for choice in node.find_all(nodes.CondExpr):
        found += [part.value for part in (choice.expr1, choice.expr2) if isinstance(part, nodes.Const)]
    return [words for words in found if words.strip(" ();:,.")]


@pytest.mark.parametrize("name", SENTENCES)
def test_every_example_reads_as_written(name):
    for values, text in SENTENCES[name].examples:
        assert say(name, **values) == text


@pytest.mark.parametrize("name", SENTENCES)
def test_every_branch_has_an_example(name):
    sentence = SENTENCES[name]
    rendered = "\n".join(text for _, text in sentence.examples)
    unseen = [words for words in texts_of(_ENVIRONMENT.parse(sentence.text)) if words not in rendered]
    assert not unseen, f"{name}: no example has {unseen}"


def test_a_branch_without_an_example_is_found():
    tree = _ENVIRONMENT.parse("{% if a %}one{% else %}two{% endif %} {{ 'x' if b else 'yes' }}")
    assert texts_of(tree) == ["one", "two", "x", "yes"]


def test_a_missing_value_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="models"):
        say("importance by model", factor="persona")
    assert set(TEMPLATES) == set(SENTENCES)


@pytest.mark.parametrize(
    "rate, lo, hi, text",
    [
        (2 / 50_000, float("nan"), float("nan"), "<0.01%"),
        (1 - 2 / 50_000, float("nan"), float("nan"), ">99.99%"),
        (0, 0, 0.2, "0%"),
        (1, 0.8, 1, "100%"),
        (0.248, 0.209, 0.293, "24.8%"),
        (0.248, 0.05, 0.5, "25%"),
        (0.004, 0.0, 0.9, "0.4%"),
        (0.0, 0.0, 0.03, "0%"),
        (-0.00001, 0.0, 0.0, ">−0.01%"),
        (0.9999, 0.0, 1.0, "99.99%"),
        (float("nan"), 0, 1, "unknown"),
    ],
)
def test_percent_has_the_digits_that_its_interval_allows(rate, lo, hi, text):
    assert numbers.percent(rate, lo, hi) == text


@pytest.mark.parametrize(
    "value, lo, hi, text",
    [
        (0.0821, 0.0034, 0.1608, "+8.2"),
        (-0.00004, float("nan"), float("nan"), "−0.004"),
        (0.0, -0.1, 0.1, "0"),
        (0.002, -0.3, 0.3, "+0.2"),
    ],
)
def test_points(value, lo, hi, text):
    assert numbers.points(value, lo, hi) == text


def test_counts_and_lists():
    assert [numbers.counted(n, "family") for n in (0, 1, 1216)] == ["no families", "1 family", "1,216 families"]
    assert numbers.listing(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert numbers.index(0.004) == "<0.01" and numbers.index(-0.2) == "−0.20"
