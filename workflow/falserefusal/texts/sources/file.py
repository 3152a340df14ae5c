"""A delimited or Parquet file of one's own texts."""

from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.texts.sources.source import SCALES, Source, located, text_source

OPTIONAL = ("sha256", "separator", "quoting", "round_gold_labels", "gold_label_map", "scale", "where")


@text_source("file", keys=("path", "columns", *OPTIONAL))
def file(entry: dict, task: str) -> Source:
    """A file at `path`, whose `columns` name the gold label and the text, or premise and hypothesis."""
    where = f"task '{task}', source of kind file"
    if entry.get("path") is None:
        raise InputError(f"{where}: path is missing")
    columns = {name: column for name, column in (entry.get("columns") or {}).items() if column is not None}
    if set(columns) - {"id"} not in ({"gold_label", "text"}, {"gold_label", "premise", "hypothesis"}):
        raise InputError(
            f"{where}: columns must give the file's column of gold_label and of text (or of premise and hypothesis), "
            f"and may give that of id; it names {', '.join(columns) or 'nothing'}"
        )
    separator = entry.get("separator") or ("," if Path(entry["path"]).suffix.lower() == ".csv" else "\t")
    quoting = entry.get("quoting") or ("none" if separator == "\t" else "minimal")
    if quoting not in ("none", "minimal") or len(separator) != 1:
        raise InputError(f"{where}: quoting is 'minimal' or 'none', and separator is one character")
    scale = entry.get("scale") or SCALES.get(task)
    return Source(
        Path(entry["path"]).name,
        columns,
        separator=separator,
        quoting=quoting,
        where={str(key): str(value) for key, value in (entry.get("where") or {}).items()},
        gold_label_map={str(key): str(value) for key, value in (entry.get("gold_label_map") or {}).items()},
        round_gold_labels=bool(entry.get("round_gold_labels")),
        scale=tuple(map(str, scale)) if scale else None,
        **located(entry),
    )
