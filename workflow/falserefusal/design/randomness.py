"""Permanent random numbers: a candidate owns a number that depends on the seed and on its own name, on nothing else.

Drawing then means taking the candidates with the smallest numbers (sampling with permanent random numbers: Brewer,
Early and Joyce 1972, Austral. J. Statist. 14:231; Ohlsson 1995, in Business Survey Methods, ch. 9). A design drawn
this way does not depend on the order of its inputs, and an added text, persona or draw leaves the others as they were.
"""

import hashlib
from collections.abc import Iterable

import numpy as np


def key(*words: object) -> int:
    """64 random-looking bits for a sequence of words: the first 8 bytes of BLAKE2b over the words, in order."""
    text = "\x1f".join(str(word) for word in words)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def keys(names: Iterable[object], *words: object) -> np.ndarray:
    """One key for each name, all under the same leading words; uint64, shape (number of names,)."""
    return np.array([key(*words, name) for name in names], dtype=np.uint64)


def mix(numbers: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers: SplitMix64's output function (Steele, Lea and Flood 2014, OOPSLA, fig. 17)."""
    z = np.asarray(numbers, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def generator(seed: int, *words: object) -> np.random.Generator:
    """A numpy generator of its own for a named part of the design."""
    return np.random.default_rng([seed, key(*words)])
