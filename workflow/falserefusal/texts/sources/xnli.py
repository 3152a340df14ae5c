"""XNLI (Conneau et al., 2018), English: pairs of sentences and the relation between them, from the hub."""

from typing import Any

from falserefusal.texts.sources.source import NLI_LABELS, Source, located, text_source

HUB = "facebook/xnli"
# The commit that converted the data set to Parquet. With it, a study uses the same rows next year.
REVISION = "b8dd5d7af51114dbda02c0e3f6133f332186418e"
CODES = {"0": "entailment", "1": "neutral", "2": "contradiction"}


@text_source("xnli")
def xnli(entry: dict[str, Any], task: str) -> Source:
    """A split of XNLI; `revision` is a commit of the hub's data set."""
    return Source(
        f"xnli/{entry['split']}",
        {name: name for name in ("premise", "hypothesis")} | {"gold_label": "label"},
        hub=(HUB, entry["revision"] or REVISION, f"en/{entry['split']}-00000-of-00001.parquet"),
        gold_label_map=CODES,
        scale=NLI_LABELS,
        **located(entry),
    )
