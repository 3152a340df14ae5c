"""The embedded corpus: small original texts for the paper's tasks, for trying out the workflow without a download."""

import os
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.texts.sources.source import SCALES, Source, text_source

CORPUS = Path(__file__).resolve().parents[4] / "config" / "corpus"


@text_source("embedded", keys=())
def embedded(entry: dict, task: str) -> Source:
    """The file of the task in config/corpus."""
    path = CORPUS / f"{task}.csv"
    if not path.exists():
        available = ", ".join(sorted(file.stem for file in CORPUS.glob("*.csv")))
        raise InputError(f"task '{task}': the embedded corpus has {available}; use kind: file for other tasks")
    content = ("premise", "hypothesis") if task == "nli" else ("text",)
    columns = {name: name for name in ("id", *content, "gold_label")}
    return Source("embedded", columns, path=os.path.relpath(path), scale=SCALES[task])
