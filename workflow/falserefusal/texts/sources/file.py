"""A file of one's own texts: delimited text, JSON, Parquet or Excel."""

from pathlib import Path
from typing import Any

from falserefusal.texts.sources.source import SCALES, Source, ending, located, text_source


@text_source("file")
def file(entry: dict[str, Any], task: str) -> Source:
    """A file at `path`, whose `columns` name the gold label and the text, or premise and hypothesis."""
    separator = entry["separator"] or ("," if ending(entry["path"]) == ".csv" else "\t")
    scale = entry["scale"] or SCALES.get(task)
    return Source(
        Path(entry["path"]).name,
        {name: column for name, column in entry["columns"].items() if column is not None},
        encoding=entry["encoding"],
        separator=separator,
        quoting=entry["quoting"] or ("none" if separator == "\t" else "minimal"),
        where=entry["where"],
        gold_label_map=entry["gold_label_map"],
        round_gold_labels=entry["round_gold_labels"],
        scale=tuple(scale) if scale else None,
        max_lost=entry["max_lost"],
        **located(entry),
    )
