"""Text sources: the kinds that the `source` of a task may have; each resolves to a `Source`. Needs no pandas."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from falserefusal.common.errors import InputError

# each of these modules registers the source of its name
from falserefusal.texts.sources import embedded, file, popquorn, xnli  # noqa: F401
from falserefusal.texts.sources.source import KINDS, NLI_LABELS, RATINGS, SCALES, Source, TextSource

__all__ = ["KEYS", "NLI_LABELS", "RATINGS", "SCALES", "Source", "TextSource", "resolve"]

KEYS = {kind: registered.keys for kind, registered in KINDS.items()}  # keys of an entry of each kind, without `kind`


def resolve(source: dict, task: str) -> Source:
    """Return the `Source` that a task's `source` entry in a study config stands for.

    Parameters
    ----------
    source : dict
        The entry: `kind`, and the keys that this kind accepts.
    task : str
        The task's name.

    Raises
    ------
    InputError
        The kind or a key is unknown, a value is wrong, or the kind has no data for the task.
    """
    kind = source.get("kind")
    if kind not in KEYS:
        raise InputError(f"task '{task}': source kind {kind!r} is not one of {', '.join(KEYS)}")
    unknown = sorted(set(source) - {"kind"} - KEYS[kind])
    if unknown:
        known = ", ".join(sorted(KEYS[kind])) or "none besides kind"
        raise InputError(
            f"task '{task}': unknown key {', '.join(unknown)} in a source of kind {kind}; known keys: {known}"
        )
    entry = dict(source)
    if entry.get("path") is not None:
        entry["path"] = str(Path(entry["path"]).expanduser())
    if entry.get("sha256") is not None:
        entry["sha256"] = str(entry["sha256"]).lower().removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", entry["sha256"]):
            raise InputError(f"task '{task}': sha256 is {source['sha256']!r}, but must be 64 hexadecimal digits")
    if "@" in urlsplit(entry.get("url") or "").netloc:  # not shown: it would be in logs and provenance, too
        raise InputError(
            f"task '{task}': leave user name and password out of the source's url; download the file yourself and give "
            "its path"
        )
    return KINDS[kind].source(entry, task)
