"""What Snakemake's own report (snakemake --report) says about each figure and table."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from falserefusal.figures.registry import Figure
from falserefusal.report.notes import note_for

SHOWN = re.compile(r"results/(?P<study>.+)/(?P<folder>tables|figures)/(?P<name>\w+)\.(?:csv|png)$")


def described(path: str, figures: Mapping[str, Figure]) -> dict[str, Any] | None:
    """Category, labels and caption (text) of an output; None for a file that the report does not hold.

    Parameters
    ----------
    path : an output of a rule; its study may be the wildcard {study}
    figures : the figures of the study by name
    """
    found = SHOWN.match(path)
    if not found or (found["folder"] == "figures") != path.endswith(".png"):
        return None
    if found["folder"] == "figures":
        figure = figures.get(found["name"])
        caption = figure.caption if figure else ""
        return {"category": "Figures", "labels": {"figure": found["name"].replace("_", " ")}, "caption": caption}
    note = note_for(found["name"])
    return {"category": "Tables", "labels": {"table": found["name"], "title": note.title}, "caption": note.how}


def flag_outputs(rules: Iterable[Any], figures: Iterable[Figure], folder: str | Path) -> None:
    """Mark the figures and tables among the outputs of `rules` for Snakemake's report; write captions to `folder`."""
    from snakemake.io import ReportObject
    from snakemake.sourcecache import LocalSourceFile

    by_name = {figure.name: figure for figure in figures}
    for rule in rules:
        for file in rule.output:
            if not (about := described(str(file), by_name)):
                continue
            caption = Path(folder, f"{about['category']}_{Path(str(file)).stem}.rst").absolute()
            caption.parent.mkdir(parents=True, exist_ok=True)
            escaped = re.sub(r"([*`_|\\])", r"\\\1", about["caption"])
            caption.write_text(f"{{% raw %}}{escaped}{{% endraw %}}\n", encoding="utf-8")  # no braces to fill in
            source, category, labels = LocalSourceFile(str(caption)), about["category"], about["labels"]
            if not file.flags:
                file.clone_flags(file)  # else there is no place for a flag
            file.flags["report"] = ReportObject(source, category, None, labels, [], None)
