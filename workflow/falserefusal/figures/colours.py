"""Colours of families, attributes and tasks: the same in every study."""

import colorsys
import hashlib
from collections.abc import Iterable

from matplotlib.colors import to_hex

# Colours of Okabe and Ito, distinct under the common colour-vision deficiencies. Families and attributes share none, so
# that a colour has one meaning in all figures.
FAMILIES = {"Llama": "#0072B2", "Qwen": "#D55E00", "Gemma": "#009E73", "SmolLM2": "#8C6BB1", "SmolLM": "#7F7F7F"}
ATTRIBUTES = {"Disability": "#CC79A7", "Race": "#E69F00", "Gender": "#3A9BDC", "Religion": "#333333"}
TASKS = {"nli": "#E69F00", "politeness": "#56B4E9", "offensiveness": "#009E73"}
MORE_FAMILIES = ["#B8860B", "#17909A", "#A6325B", "#5B7F2B", "#3F51A3", "#B0603A", "#6E4B8B", "#2F6F5E"]
MORE_ATTRIBUTES = ["#A6761D", "#66A61E", "#7B5EA7", "#C44E52", "#1F9E89", "#8C510A", "#4D6FB0", "#9E9D24"]
MORE_TASKS = ["#CC79A7", "#D55E00", "#0072B2", "#8C6BB1", "#A6761D", "#66A61E"]


def of_families(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each family."""
    return stable(names, FAMILIES, MORE_FAMILIES)


def of_attributes(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each attribute of personas."""
    return stable(names, ATTRIBUTES, MORE_ATTRIBUTES)


def of_tasks(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each task."""
    return stable(names, TASKS, MORE_TASKS)


def stable(names: Iterable[str], known: dict[str, str], more: list[str]) -> dict[str, str]:
    """Return a colour for each name, which depends on the name and not on the order of the names.

    Parameters
    ----------
    names : the names to colour, such as the families of a study
    known : fixed colours; a name without one takes the colour of `more` at its hash
    more : colours of other names. Only where two names of one study have the same place does one move on to the next
        free colour. Once all are taken, colours are made from the hash.

    Returns
    -------
    Colours by name, in the order of `names`; no two are equal.
    """
    names = list(dict.fromkeys(names))
    found = {name: known[name] for name in names if name in known}
    for name in sorted(name for name in names if name not in known):
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        ring = [more[(place + step) % len(more)] for step in range(len(more))]
        found[name] = next(colour for colour in [*ring, *_made(place)] if colour not in found.values())
    return {name: found[name] for name in names}


def _made(place: int) -> list[str]:
    """Return many dark colours whose hues are spread by the golden ratio."""
    hues = ((place % 997) / 997 + 0.618034 * step for step in range(1000))
    return [to_hex(colorsys.hls_to_rgb(hue % 1, 0.42, 0.55)) for hue in hues]
