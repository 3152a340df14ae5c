"""Until the words are renamed everywhere: a config's parts under the keys that the road still reads. Then delete."""

from typing import Any

from falserefusal.study.config import Design, Source


def design_keys(design: Design) -> dict[str, Any]:
    """The design as `falserefusal.design` reads it."""
    keys = design.model_dump()
    return keys | {"persona_free": keys.pop("baseline"), "rounds": keys.pop("sequential")}


def source_keys(source: Source) -> dict[str, Any]:
    """A text source as `falserefusal.texts` reads it."""
    keys = source.model_dump(exclude_none=True)
    if "gold_label_map" in keys:
        keys["label_map"] = keys.pop("gold_label_map")
    if "columns" in keys:
        keys["columns"]["label"] = keys["columns"].pop("gold_label")
    return keys
