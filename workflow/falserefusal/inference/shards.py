"""Put the answers of a model's shards together: the same frame as if one job had asked every prompt."""

from collections import Counter

import pandas as pd

from falserefusal.common.errors import InputError

SAME = ("model", "backend", "name", "revision", "dtype", "quantization", "decoding", "early_decision")
COUNTED = ("prompts", "distinct", "reused", "generated", "empty")


def gather(parts: list[pd.DataFrame], order: pd.Series) -> pd.DataFrame:
    """Answers of all shards (RESPONSES frames), in the order of the prompt ids `order`; ids nobody was asked are left.

    Raises InputError where two shards answered one prompt, or a shard answered a prompt that is not in `order`.
    """
    answers = pd.concat(parts, ignore_index=True)
    place = pd.Index(order).get_indexer(answers["prompt_id"])
    twice = answers["prompt_id"].duplicated()
    for wrong, why in ((place < 0, "is not among the study's prompts"), (twice, "was answered by two shards")):
        if wrong.any():
            prompt = answers.loc[wrong, "prompt_id"].iloc[0]
            raise InputError(f"shards: prompt {prompt!r} {why}; remove the shards and run again")
    return answers.assign(place=place).sort_values("place", ignore_index=True).drop(columns="place")


def gather_provenance(parts: list[dict]) -> dict:
    """One record from those of the shards: what they share, their counts summed, and under `shards` what differs.

    Raises InputError where they were not asked the same model in the same way.
    """
    first, *others = parts
    for key in SAME:
        if any(part.get(key) != first.get(key) for part in others):
            found = "; ".join(dict.fromkeys(str(part.get(key)) for part in parts))
            raise InputError(f"shards of {first['model']}: they differ in {key} ({found}); remove them and run again")
    shared = {key: value for key, value in first.items() if all(part.get(key) == value for part in others)}
    summed = {name: sum(part["answers"][name] for part in parts) for name in COUNTED}
    reasons = sum((Counter(part["answers"]["finish_reasons"]) for part in parts), Counter())
    own = [{key: value for key, value in part.items() if key not in shared} for part in parts]
    return shared | {
        "answers": summed | {"finish_reasons": dict(sorted(reasons.items()))},
        "seconds": round(sum(part["seconds"] for part in parts), 3),
        "shards": own,
    }
