"""Contract of a text source, and the file that it resolves to.

A new kind of source is a function in a module of this package, decorated with `@text_source("kind")`, one import in
`__init__`, and a class with its keys in `study/config.py`. The tests of `tests/unit/texts/test_source_contract.py` then
run on it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

NLI_LABELS = ("entailment", "contradiction", "neutral")
RATINGS = ("1", "2", "3", "4", "5")
SCALES = {"nli": NLI_LABELS, "politeness": RATINGS, "offensiveness": RATINGS}  # gold labels of the paper's tasks
MAX_LOST = 0.05  # largest share of unusable rows of a file that is read as meant


@dataclass(frozen=True)
class Source:
    """Where a task's file is, and what its columns mean.

    Parameters
    ----------
    name : str
        The source's name in the texts frame.
    columns : dict
        Column of the file for each of gold_label, and text or premise and hypothesis; for id a column or several.
    path : str, optional
        A file on this machine; None: the file is downloaded.
    url : str, optional
        Address to download from.
    hub : (str, str, str), optional
        Hub data set, revision, and file in it.
    sha256 : str, optional
        Checksum of the file.
    encoding : str
        Python's name of the encoding of a delimited or JSON file.
    mixed_encodings : bool
        Whether bytes that are not UTF-8 are read as Windows-1252 and reported: for a published file that mixes the two.
    separator, quoting : str
        How a delimited file is read; quoting "none": quotes are ordinary characters.
    where : dict
        Keep only rows with these values (by column).
    gold_label_map : dict
        Gold label for each value of the file that stands for one.
    round_gold_labels : bool
        Whether scores are rounded to whole numbers.
    scale : tuple of str, optional
        The possible gold labels; None: any.
    id_optional : bool
        Whether rows are numbered if the file has no id columns.
    max_lost : float
        Largest share of the rows that may be unusable.
    """

    name: str
    columns: dict[str, str | Sequence[str]]
    path: str | None = None
    url: str | None = None
    hub: tuple[str, str, str] | None = None
    sha256: str | None = None
    encoding: str = "utf-8"
    mixed_encodings: bool = False
    separator: str = ","
    quoting: str = "minimal"
    where: dict[str, str] = field(default_factory=dict)
    gold_label_map: dict[str, str] = field(default_factory=dict)
    round_gold_labels: bool = False
    scale: tuple[str, ...] | None = None
    id_optional: bool = False
    max_lost: float = MAX_LOST

    @property
    def id_columns(self) -> list[str]:
        """The file's columns that together identify a row; none: rows are identified by their number."""
        columns = self.columns.get("id", [])
        return [columns] if isinstance(columns, str) else list(columns)

    @property
    def content(self) -> list[str]:
        """The columns with the text of a row: ['text'] or ['premise', 'hypothesis']."""
        return ["text"] if "text" in self.columns else ["premise", "hypothesis"]

    @property
    def used_columns(self) -> list[str]:
        """Every column of the file that is read."""
        texts = [self.columns[name] for name in self.content]
        return [*texts, self.columns["gold_label"], *self.id_columns, *self.where]

    @property
    def origin(self) -> str:
        """The address of the file, for messages and provenance."""
        if self.path is not None:
            return self.path
        return self.url or "hf://datasets/{}@{}/{}".format(*self.hub)

    @property
    def file(self) -> str:
        """A file name for a downloaded file; different addresses give different names."""
        address = hashlib.sha256(self.origin.encode()).hexdigest()[:8]
        name = PurePosixPath(urlsplit(self.url).path if self.url else self.hub[2])
        return f"{name.stem}-{address}{name.suffix}"


class TextSource(Protocol):
    """A kind of source: a function that turns a task's `source` entry of a study config into a `Source`.

    It reads no file, so that a config can be checked before anything is downloaded, and it returns the same `Source`
    for the same entry and task.
    """

    def __call__(self, entry: dict[str, Any], task: str) -> Source:
        """Return the source of `task`.

        Parameters
        ----------
        entry : dict
            The entry with its `kind` and all keys of that kind; `path` has no ~ (see `resolve`).
        task : str
            The task's name.

        Raises
        ------
        InputError
            The kind has no texts for the task; the message names the kind.
        """
        ...


KINDS: dict[str, TextSource] = {}


def ending(path: str) -> str:
    """The ending of a file's name in lower case, leaving out .gz: '.csv' for 'Texts.CSV.gz'."""
    return PurePosixPath(path.lower().removesuffix(".gz")).suffix


def text_source(kind: str) -> Callable[[TextSource], TextSource]:
    """Register the decorated function as the source `kind`."""

    def decorate(source: TextSource) -> TextSource:
        KINDS[kind] = source
        return source

    return decorate


def located(entry: dict[str, Any]) -> dict[str, Any]:
    """The keys of `entry` that say where the file is: path and sha256."""
    return {key: entry[key] for key in ("path", "sha256")}
