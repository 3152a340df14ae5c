"""XNLI (Conneau et al., 2018), English: pairs of sentences and the relation between them, from the hub."""

from falserefusal.common.errors import InputError
from falserefusal.texts.sources.source import NLI_LABELS, Source, located, text_source

HUB = "facebook/xnli"
# The commit that converted the data set to Parquet. It is the default, so that a study uses the same rows next year.
REVISION = "b8dd5d7af51114dbda02c0e3f6133f332186418e"
CODES = {"0": "entailment", "1": "neutral", "2": "contradiction"}
SPLITS = ("test", "validation", "train")


@text_source("xnli", keys=("path", "sha256", "split", "revision"))
def xnli(entry: dict, task: str) -> Source:
    """A split of XNLI (the default: test); `revision` is a commit of the hub's data set."""
    split = entry.get("split") or SPLITS[0]
    if split not in SPLITS:
        raise InputError(f"task '{task}': source kind xnli has no split {split!r}, only {', '.join(SPLITS)}")
    return Source(
        f"xnli/{split}",
        {name: name for name in ("premise", "hypothesis")} | {"gold_label": "label"},
        hub=(HUB, entry.get("revision") or REVISION, f"en/{split}-00000-of-00001.parquet"),
        gold_label_map=CODES,
        scale=NLI_LABELS,
        **located(entry),
    )
