"""The findings of each study in a few lines: its summary, and the page that lists all studies of a checkout.

Importing this module is cheap (no pandas), because Snakemake's main process does it at the end of a run.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
SUMMARY = "*/report/summary.json"  # below the folder of results


def write_summary(path: str | Path, study: Any, kind_line: str, findings: Iterable[Any]) -> None:
    """Write what other pages and the terminal say about a study.

    Parameters
    ----------
    study : the `Study` of the page
    kind_line : what kind of study it is, in a sentence
    findings : the cards of the page
    """
    from falserefusal.common.files import write_json

    about = {name: getattr(study, name) for name in ("name", "kind", "title", "banner")}
    found = [{"value": card.value, "label": card.label, "by_task": card.by_task} for card in findings]
    write_json(about | {"kind_line": kind_line, "findings": found}, path)


def read_summary(path: str | Path) -> dict[str, Any] | None:
    """Read a summary; None if there is none, or it is not one."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"name", "banner", "findings"} <= set(found) else None


def summary_text(summary: Mapping[str, Any]) -> str:
    """Format the findings of a study for a terminal, a line each; those of single tasks are left to the page."""
    title = "" if summary["title"] == summary["name"] else summary["title"]
    lines = [f"{summary['name']}: {summary['banner'] or title or summary['kind_line']}"]
    lines += [f"  {finding(card)}" for card in summary["findings"] if not card["by_task"]]
    return "\n".join(lines)


def finding(card: Mapping[str, Any]) -> str:
    """A card as one line: "12 of 15 claims …", "no clear difference: No persona …"."""
    goes_on = card["value"][:1].isdigit() and card["label"][:1].islower()
    return f"{card['value']}{' ' if goes_on else ': '}{card['label']}"


def write_index(results: str | Path) -> Path | None:
    """Write index.html into the folder of results: every study that has a page, with its findings.

    Returns
    -------
    The path of the index; None if no study has a page.
    """
    from falserefusal.common.files import write_text

    folder = Path(results)
    studies = []
    for path in sorted(folder.glob(SUMMARY)):
        summary = read_summary(path)
        if summary and (path.parent / "index.html").is_file():
            studies.append(summary | {"folder": path.parents[1].name})
    if not studies:
        return None
    studies.sort(key=lambda study: (study["kind"] == "rehearsal", study["kind"] == "published", study["name"]))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    style = (HERE / "page.css").read_text(encoding="utf-8")
    page = environment.get_template("overview.html.jinja").render(studies=studies, style=style)
    write_text(page, folder / "index.html")
    return folder / "index.html"
