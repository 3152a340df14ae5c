"""Text sources: the kinds that the `source` of a task may have; each resolves to a `Source`. Needs no pandas."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# each of these modules registers the source of its name
from falserefusal.texts.sources import embedded, file, popquorn, xnli  # noqa: F401
from falserefusal.texts.sources.source import KINDS, NLI_LABELS, RATINGS, SCALES, Source, TextSource

__all__ = ["KINDS", "NLI_LABELS", "RATINGS", "SCALES", "Source", "TextSource", "resolve"]


def resolve(source: Mapping[str, Any], task: str) -> Source:
    """Return the `Source` that a task's `source` entry in a study config stands for.

    Parameters
    ----------
    source : mapping
        The entry, checked and with all keys of its kind (`study.config.Source`, as a mapping).
    task : str
        The task's name.

    Raises
    ------
    InputError
        The kind has no texts for the task.
    """
    entry = dict(source)
    if entry.get("path") is not None:
        entry["path"] = str(Path(entry["path"]).expanduser())
    return KINDS[entry["kind"]](entry, task)
