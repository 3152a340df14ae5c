"""Put the drawings of figures into the page: as SVG where it is the smaller file, else as PNG."""

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

from falserefusal.common.errors import InputError
from falserefusal.figures.style import MESSAGE, TITLE_SIZE

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
LINE = 1.22 * TITLE_SIZE  # points from one line of the title to the next, as `figures.style` sets it
ElementTree.register_namespace("", SVG[1:-1])


def drawing(directory: Path, name: str, title: str, description: str) -> dict[str, str]:
    """Return a figure as `svg` (an element of the page) or `png` (base64); the other is empty.

    Parameters
    ----------
    directory : folder of the figure's files.
    name : of the figure; begins every id of its SVG, so that all figures of a page have different ids.
    title, description : the text alternative.

    Raises
    ------
    InputError
        If a file is missing.
    """
    files = [directory / f"{name}.{ending}" for ending in ("svg", "png")]
    for file in files:
        if not file.exists():
            raise InputError(f"{file}: no such file, but the index of the figures lists it; draw the figures again")
    png = base64.b64encode(files[1].read_bytes()).decode("ascii")
    try:
        svg = inline(files[0].read_text(encoding="utf-8"), name, title, description)
    except ElementTree.ParseError:  # a name with a character that XML does not have
        return {"svg": "", "png": png}
    return {"svg": "", "png": png} if len(svg) > len(png) else {"svg": svg, "png": ""}


def inline(svg: str, name: str, title: str, description: str) -> str:
    """Return an SVG file as an element of an HTML page, without its title, which is a heading of the page.

    What is above the title (the banner) moves down by its height.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If the file is no XML.
    """
    root = ElementTree.fromstring(svg)
    for style in root.iter(f"{SVG}defs"):
        for rule in style.findall(f"{SVG}style"):  # is in page.css; here it would be about the whole page
            style.remove(rule)
    _prefix(root, f"{name}-")
    left, top, width, height = map(float, root.get("viewBox", "").split())
    cut = _without_title(root, f"{name}-{MESSAGE}")
    root.attrib.clear()
    root.set("viewBox", f"{left:g} {top + cut:g} {width:g} {height - cut:g}")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        part = ElementTree.Element(f"{SVG}{tag}", {"id": f"{name}-{tag}"})
        part.text = text
        root.insert(place, part)
    return ElementTree.tostring(root, encoding="unicode").replace(f' xmlns="{SVG[1:-1]}"', "", 1)


def _prefix(root: ElementTree.Element, prefix: str) -> None:
    """Put `prefix` before every id of the tree, and before every reference to one."""
    for node in root.iter():
        for key, value in list(node.attrib.items()):
            if key == "id":
                node.set("id", prefix + value)
            elif key == LINK:
                del node.attrib[key]
                node.set("href", value.replace("#", f"#{prefix}", 1))
            elif "url(#" in value:
                node.set(key, re.sub(r"url\(#", f"url(#{prefix}", value))


def _without_title(root: ElementTree.Element, title: str) -> float:
    """Remove the title, move what is drawn before it (the banner) down, and return the height to cut off."""
    for parent in root.iter():
        for place, node in enumerate(parent):
            if node.get("id") != title:
                continue
            height = LINE * len(node.findall(f"{SVG}text"))
            parent.remove(node)
            before = parent[place - 1] if place else None
            if before is not None and _y(before) < _y(node):
                before.set("transform", f"translate(0 {height:.2f})")
            return height
    return 0.0


def _y(group: ElementTree.Element) -> float:
    """Return the height at which the first text of a group begins."""
    text = group.find(f"{SVG}text")
    if text is None:
        return float("inf")
    moved = re.search(r"translate\([-\d.]+ ([-\d.]+)\)", text.get("transform", ""))
    return float(text.get("y", moved[1] if moved else "inf"))  # one line has y, the first of several is moved
