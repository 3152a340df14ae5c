"""The embedded corpus: small original texts for the paper's tasks, for trying out the workflow without a download."""

import os
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.texts.sources.source import SCALES, Source, text_source

CORPUS = Path(__file__).resolve().parents[4] / "config" / "corpus"


@text_source("embedded")
def embedded(entry: dict[str, Any], task: str) -> Source:
    """The file of the task in config/corpus."""
    if task not in SCALES:
        raise InputError(f"embedded has texts for {', '.join(SCALES)}; use kind: file for other tasks")
    content = ("premise", "hypothesis") if task == "nli" else ("text",)
    columns = {name: name for name in ("id", *content, "gold_label")}
    return Source("embedded", columns, path=os.path.relpath(CORPUS / f"{task}.csv"), scale=SCALES[task])
