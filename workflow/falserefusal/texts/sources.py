"""What the `source` of a task means: where its file is and how it is read. Every kind comes down to one `Source`."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from falserefusal.common.files import InputError

CORPUS = Path(__file__).resolve().parents[3] / "config" / "corpus"

NLI_LABELS = ("entailment", "contradiction", "neutral")
RATINGS = ("1", "2", "3", "4", "5")
SCALES = {"nli": NLI_LABELS, "politeness": RATINGS, "offensiveness": RATINGS}

XNLI_HUB = "facebook/xnli"
# The commit that converted the data set to Parquet: the default, so that a study means the same rows next year.
XNLI_REVISION = "b8dd5d7af51114dbda02c0e3f6133f332186418e"
XNLI_HUB_CODES = {"0": "entailment", "1": "neutral", "2": "contradiction"}
POPQUORN = "https://raw.githubusercontent.com/Jiaxin-Pei/Potato-Prolific-Dataset/main/dataset/{folder}/raw_data.csv"
POPQUORN_TASKS = {  # folder of the data set, column of the rating
    "politeness": ("politeness_rating", "politeness"),
    "offensiveness": ("offensiveness", "offensiveness"),
}

KEYS = {
    "embedded": set(),
    "xnli": {"path", "sha256", "split", "revision"},
    "popquorn": {"path", "sha256", "url"},
    "file": {
        "path",
        "sha256",
        "columns",
        "separator",
        "quoting",
        "round_gold_labels",
        "gold_label_map",
        "scale",
        "where",
    },
}


@dataclass(frozen=True)
class Source:
    """Where a task's file is, and what its columns mean."""

    name: str  # names the source in the texts frame
    columns: dict[str, str | list[str]]  # ours (id, label, text | premise, hypothesis) -> the file's
    path: str | None = None  # a file already on this machine; None: it is fetched
    url: str | None = None
    hub: tuple[str, str, str] | None = None  # hub data set, revision, file in it
    sha256: str | None = None
    separator: str = ","
    quoting: str = "minimal"  # none: quotes are ordinary characters
    where: dict[str, str] = field(default_factory=dict)  # keep only rows with these values
    gold_label_map: dict[str, str] = field(default_factory=dict)
    round_gold_labels: bool = False
    scale: tuple[str, ...] | None = None  # the labels there are; None: any label counts
    id_optional: bool = False  # number the rows if the id columns are not there

    @property
    def id_columns(self) -> list[str]:
        """The file's columns that together name a row; none: rows are known by their number."""
        columns = self.columns.get("id", [])
        return [columns] if isinstance(columns, str) else list(columns)

    @property
    def content(self) -> list[str]:
        """The columns that hold what is asked about: ['text'] or ['premise', 'hypothesis']."""
        return ["text"] if "text" in self.columns else ["premise", "hypothesis"]

    @property
    def origin(self) -> str:
        """The address of the file, for messages and provenance."""
        if self.path is not None:
            return self.path
        return self.url or "hf://datasets/{}@{}/{}".format(*self.hub)

    @property
    def file(self) -> str:
        """A file name for what is fetched; it differs whenever the address does."""
        address = hashlib.sha256(self.origin.encode()).hexdigest()[:8]
        name = PurePosixPath(urlsplit(self.url).path if self.url else self.hub[2])
        return f"{name.stem}-{address}{name.suffix}"


def resolve(source: dict, task: str) -> Source:
    """The `Source` that a task's `source` entry in a study config stands for.

    Raises InputError on an unknown kind or key, and where the kind has no data for the task.
    """
    kind = source.get("kind")
    if kind not in KEYS:
        raise InputError(f"task '{task}': source kind {kind!r} is not one of {', '.join(KEYS)}")
    unknown = sorted(set(source) - {"kind"} - KEYS[kind])
    if unknown:
        known = ", ".join(sorted(KEYS[kind])) or "no other key"
        raise InputError(f"task '{task}': a source of kind {kind} knows no {', '.join(unknown)}; it may have {known}")
    given = {key: value for key, value in source.items() if key in ("path", "sha256") and value is not None}
    if "path" in given:
        given["path"] = str(Path(given["path"]).expanduser())
    if "sha256" in given:
        given["sha256"] = str(given["sha256"]).lower().removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", given["sha256"]):
            raise InputError(f"task '{task}': sha256 is {source['sha256']!r}, but must be 64 hexadecimal digits")
    if "@" in urlsplit(source.get("url") or "").netloc:  # not shown: it would be in logs and provenance, too
        raise InputError(
            f"task '{task}': leave user name and password out of the source's url; fetch the file yourself and name it "
            "as path"
        )
    return _KINDS[kind](source, task, given)


def _embedded(source: dict, task: str, given: dict) -> Source:
    path = CORPUS / f"{task}.csv"
    if not path.exists():
        there = ", ".join(sorted(file.stem for file in CORPUS.glob("*.csv")))
        raise InputError(f"task '{task}': the embedded corpus has {there}; use kind: file for other tasks")
    content = ("premise", "hypothesis") if task == "nli" else ("text",)
    columns = {name: name for name in ("id", *content, "gold_label")}
    return Source("embedded", columns, path=os.path.relpath(path), scale=SCALES[task])


def _xnli(source: dict, task: str, given: dict) -> Source:
    split = _split(source, task, ("test", "validation", "train"))
    revision = source.get("revision") or XNLI_REVISION
    return Source(
        f"xnli/{split}",
        {name: name for name in ("premise", "hypothesis", "gold_label")},
        hub=(XNLI_HUB, revision, f"en/{split}-00000-of-00001.parquet"),
        gold_label_map=XNLI_HUB_CODES,
        scale=NLI_LABELS,
        **given,
    )


def _popquorn(source: dict, task: str, given: dict) -> Source:
    if task not in POPQUORN_TASKS:
        raise InputError(f"task '{task}': POPQUORN has {' and '.join(POPQUORN_TASKS)}; use kind: file for other tasks")
    folder, label = POPQUORN_TASKS[task]
    return Source(
        "popquorn",
        {"id": ["instance_id", "user_id"], "text": "text", "gold_label": label},  # a row is one annotator's rating
        url=source.get("url") or POPQUORN.format(folder=folder),
        scale=RATINGS,
        id_optional=True,
        **given,
    )


def _file(source: dict, task: str, given: dict) -> Source:
    where = f"task '{task}', source of kind file"
    if "path" not in given:
        raise InputError(f"{where}: path is missing")
    columns = source.get("columns") or {}
    needed = {"gold_label", "text"}, {"gold_label", "premise", "hypothesis"}
    if set(columns) - {"id"} not in needed:
        raise InputError(
            f"{where}: columns must say which column of the file is the label and which is the text (or the premise "
            f"and the hypothesis), and may name an id; it names {', '.join(columns) or 'nothing'}"
        )
    separator = source.get("separator") or ("," if Path(given["path"]).suffix.lower() == ".csv" else "\t")
    quoting = source.get("quoting") or ("none" if separator == "\t" else "minimal")
    if quoting not in ("none", "minimal") or len(separator) != 1:
        raise InputError(f"{where}: quoting is 'minimal' or 'none', and separator is one character")
    scale = source.get("scale") or SCALES.get(task)
    return Source(
        Path(given["path"]).name,
        columns,
        separator=separator,
        quoting=quoting,
        where={str(key): str(value) for key, value in (source.get("where") or {}).items()},
        gold_label_map={str(key): str(value) for key, value in (source.get("gold_label_map") or {}).items()},
        round_gold_labels=bool(source.get("round_gold_labels")),
        scale=tuple(map(str, scale)) if scale else None,
        **given,
    )


def _split(source: dict, task: str, known: tuple[str, ...]) -> str:
    split = source.get("split") or "test"
    if split not in known:
        raise InputError(f"task '{task}': source kind {source['kind']} has no split {split!r}, only {', '.join(known)}")
    return split


_KINDS = {"embedded": _embedded, "xnli": _xnli, "popquorn": _popquorn, "file": _file}
