"""Generate the glossary, list pages without a place, and let links to files of the repository work in the site."""

import posixpath
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
NAMES = ROOT / "workflow/falserefusal/report/glossary.py"
HOW_TO = "How-to guides"
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the glossary, and the pages that the navigation of mkdocs.yml does not name, to the site."""
    files.append(File.generated(config, "glossary.md", content=glossary()))
    named = set(paths(config.nav))
    next(part[HOW_TO] for part in config.nav if HOW_TO in part).extend(
        {title(file.content_string): file.src_uri}
        for file in sorted(files.documentation_pages(), key=lambda file: file.src_uri)
        if file.src_uri not in named
    )
    return files


def paths(nav: list | dict | str) -> Iterator[str]:
    """Yield the path of every page of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from paths(part)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files outside docs/ open a copy of the file, as text."""

    def local(link: re.Match[str]) -> str:
        if ":" in link[1]:
            return link[0]
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[1]))
        if path.startswith("docs/"):
            return link[0]
        copy = f"source/{path}.txt"
        if copy not in files.src_uris:
            files.append(File.generated(config, copy, content=text_of(path, page.file.src_uri)))
        return posixpath.relpath(copy, posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(local, markdown)


def text_of(path: str, page: str) -> str:
    """Return the text of a file of the repository, or the list of the files of a folder."""
    file = ROOT / path
    if not file.exists():
        raise PluginError(f"docs/{page} links to {path}, which does not exist: correct the link")
    if file.is_dir():
        return "\n".join(sorted(str(one.relative_to(ROOT)) for one in file.rglob("*") if one.is_file())) + "\n"
    return file.read_text(encoding="utf-8")


def title(markdown: str) -> str:
    """Return the heading of a page."""
    return markdown.split("\n", 1)[0].removeprefix("# ").strip()


def glossary() -> str:
    """Return the glossary as Markdown: the words of CONTRIBUTING.md, and the names that the report explains."""
    names = runpy.run_path(str(NAMES))  # not imported: MkDocs has an environment of its own
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Words\n", 1)[1].split("\n## ", 1)[0]
    everything = names["glossary"](*(set(names[key]) for key in ("COLUMNS", "CATEGORIES", "LABELLERS")))
    lines = ["# Glossary", "", "The words of this project, and the names in its tables.", "", "## Words", words.strip()]
    for heading, entries in everything.items():
        lines += ["", f"## {heading}", "", "| name | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {meaning.replace('|', chr(92) + '|')} |" for name, meaning in entries.items()]
    return "\n".join(lines) + "\n"
