"""Batch check: ask a share of the prompts again in other batches, to see whether responses depend on their batch.

The second responses are stored under keys of their own. They are compared with the first ones, and used for nothing
else.
"""

import hashlib
from collections.abc import Iterable
from math import ceil

PARTS = 2  # in which prompts are asked again, so that batches are others even if all prompts are asked again
LEAST = 50  # prompts of a model; the interval of a difference between two rates is then about 0.1 wide to each side


def chosen(keys: Iterable[str], share: float) -> list[str]:
    """The store keys of the prompts that are asked again: `share` of them, by hash, and at least LEAST if it is not 0.

    In an order that depends on the keys alone. The choice is independent of shards and of the recheck of early
    decisions, which follow from other digits of a key.
    """
    ordered = sorted(set(keys), key=lambda key: key[16:])
    return ordered[: max(ceil(share * len(ordered)), LEAST)] if share else []


def key_in_other_batch(key: str) -> str:
    """Store key of the response that is computed in another batch.

    It begins like `key`, because seed, shard and recheck follow from the beginning and must be the same.
    """
    return key[:16] + hashlib.sha256(f"batch check {key}".encode()).hexdigest()[:48]


def part(key: str) -> int:
    """The part in which a prompt is asked again."""
    return int(key[-8:], 16) % PARTS
