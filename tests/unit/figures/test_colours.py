"""A family, an attribute or a task has the same colour in every study."""

from falserefusal.figures.colours import ATTRIBUTES, FAMILIES, MORE_FAMILIES, of_attributes, of_families, of_tasks


def test_colours_do_not_depend_on_the_order_or_on_the_other_families():
    assert of_families(["Qwen", "Llama"]) == {"Qwen": FAMILIES["Qwen"], "Llama": FAMILIES["Llama"]}
    alone = of_families(["Mistral"])["Mistral"]
    assert of_families(["Qwen", "Mistral", "Gemma"])["Mistral"] == alone not in FAMILIES.values()
    assert of_attributes(["Age", "Race"])["Race"] == of_attributes(["Race"])["Race"] == ATTRIBUTES["Race"]
    assert of_tasks(["sentiment", "nli"])["nli"] == of_tasks(["nli"])["nli"]


def test_two_families_of_one_study_never_share_a_colour():
    many = [f"family {i}" for i in range(40)] + list(FAMILIES)
    found = of_families(many)
    assert len(set(found.values())) == len(many) > len(MORE_FAMILIES) + len(FAMILIES)
    assert found == {name: of_families(many[::-1])[name] for name in many}


def test_families_and_attributes_share_no_colour():
    families = of_families([*FAMILIES, *(f"other {i}" for i in range(8))])
    attributes = of_attributes([*ATTRIBUTES, *(f"other {i}" for i in range(8))])
    assert not set(families.values()) & set(attributes.values())
