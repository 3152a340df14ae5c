"""POPQUORN (Pei and Jurgens, 2023): politeness of e-mails and offensiveness of comments, one rating per annotator."""

from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.texts.sources.source import RATINGS, Source, located, text_source

COMMIT = "dbb118c29b3d9bcce5aa172d8249ded9ece4df84"  # the newest of June 2023; the data are older
ADDRESS = "https://raw.githubusercontent.com/Jiaxin-Pei/Potato-Prolific-Dataset/{commit}/dataset/{folder}/raw_data.csv"
TASKS = {  # folder of the data set, column of the rating
    "politeness": ("politeness_rating", "politeness"),
    "offensiveness": ("offensiveness", "offensiveness"),
}


@text_source("popquorn")
def popquorn(entry: dict[str, Any], task: str) -> Source:
    """The ratings of politeness or offensiveness; a row is one annotator's rating."""
    if task not in TASKS:
        raise InputError(f"popquorn has texts for {', '.join(TASKS)}; use kind: file for other tasks")
    folder, rating = TASKS[task]
    return Source(
        "popquorn",
        {"id": ["instance_id", "user_id"], "text": "text", "gold_label": rating},
        url=entry["url"] or ADDRESS.format(commit=COMMIT, folder=folder),
        mixed_encodings=True,  # e-mails and comments as people pasted them
        scale=RATINGS,
        id_optional=True,
        **located(entry),
    )
