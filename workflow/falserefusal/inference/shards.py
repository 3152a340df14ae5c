"""Combine the responses of a model's shards into the frame that a single job would have written."""

from collections import Counter

import pandas as pd

from falserefusal.common.errors import InputError

SAME = ("model", "backend", "name", "revision", "adapter", "dtype", "quantization", "decoding", "early_decision")
COUNTED = ("prompts", "distinct", "reused", "generated", "empty")


def gather(parts: list[pd.DataFrame], order: pd.Series) -> pd.DataFrame:
    """Responses of all shards (RESPONSES frames), in the order of the prompt ids `order`.

    Ids of `order` that no shard was asked are left out. Raises InputError if two shards have a response to the same
    prompt, or a shard has a response to a prompt that is not in `order`.
    """
    responses = pd.concat(parts, ignore_index=True)
    place = pd.Index(order).get_indexer(responses["prompt_id"])
    twice = responses["prompt_id"].duplicated()
    for wrong, why in ((place < 0, "is not among the study's prompts"), (twice, "is in two shards")):
        if wrong.any():
            prompt = responses.loc[wrong, "prompt_id"].iloc[0]
            raise InputError(f"shards: prompt {prompt!r} {why}; remove the shards and run again")
    return responses.assign(place=place).sort_values("place", ignore_index=True).drop(columns="place")


def gather_provenance(parts: list[dict]) -> dict:
    """Combine the provenance of the shards: shared entries, summed counts, and under `shards` what differs.

    Raises InputError if the shards differ in model or settings.
    """
    first, *others = parts
    for key in SAME:
        if any(part.get(key) != first.get(key) for part in others):
            found = "; ".join(dict.fromkeys(str(part.get(key)) for part in parts))
            raise InputError(f"shards of {first['model']}: they differ in {key} ({found}); remove them and run again")
    shared = {key: value for key, value in first.items() if all(part.get(key) == value for part in others)}
    summed = {name: sum(part["responses"][name] for part in parts) for name in COUNTED}
    reasons = sum((Counter(part["responses"]["finish_reasons"]) for part in parts), Counter())
    checks = [part.get("batch_check", {}) for part in parts]
    checked = {name: sum(check.get(name, 0) for check in checks) for name in ("prompts", "generated")}
    own = [{key: value for key, value in part.items() if key not in shared} for part in parts]
    return shared | {
        "responses": summed | {"finish_reasons": dict(sorted(reasons.items()))},
        "batch_check": checks[0] | checked,
        "seconds": round(sum(part["seconds"] for part in parts), 3),
        "shards": own,
    }
