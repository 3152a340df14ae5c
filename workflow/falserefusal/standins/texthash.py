"""What a stand-in gets out of a text: pseudo-random bits that depend on its rarer words, the same in every precision.

Each of a few attention heads gives every ordinary token a random level, and attends only to the highest level in the
prompt (a min-hash). A level stands for fixed bits. So a bit is either 1 or -1, never a mean over tokens that a low
precision would round. Two texts share bits only where they share rare words.
"""

import dataclasses

import numpy as np

HEADS = ("refuse1", "refuse2", "refuse3", "style1", "style2")  # what the bits of each are used for
REFUSE, STYLE = slice(0, 3), slice(3, 5)
LEVELS = 96  # level 0: no token of this head in the prompt
BITS = 8  # of a refusal head
COMMON = 0.1  # tokens in more than this share of the texts have no level: they would make all texts alike


@dataclasses.dataclass(frozen=True)
class TextHash:
    """levels: H x V (int; -1 for a token that no head looks at); bits: 3 x (LEVELS + 1) x BITS (1 or -1)."""

    levels: np.ndarray
    bits: np.ndarray

    def refusal_bits(self, levels: np.ndarray) -> np.ndarray:
        """Bits (n x 3 * BITS) of prompts with these levels (n x H)."""
        return np.concatenate([self.bits[h, levels[:, h]] for h in range(REFUSE.stop)], axis=1)


def draw_hash(token_ids: list[list[int]], size: int, excluded: set[int], seed: int) -> TextHash:
    """Draw a hash for the ordinary tokens 0 .. size - 1 whose levels spread these texts (their token ids) evenly.

    Levels go to the tokens of `token_ids` that are not `excluded` and in at most COMMON of the texts (one text at
    least, so that a handful of texts has levels too).
    """
    sets = [np.unique(ids) for ids in token_ids]
    frequency = np.bincount(np.concatenate(sets), minlength=size)
    eligible = (frequency > 0) & (frequency <= max(1, COMMON * len(sets)))
    eligible[sorted(excluded)] = False
    rng = np.random.default_rng([seed, 1])
    levels = np.full((len(HEADS), size), -1)
    for head in range(len(HEADS)):
        rank = np.where(eligible, rng.random(size), -1.0)
        highest = np.array([rank[tokens].max() for tokens in sets])
        steps = np.quantile(highest, np.arange(1, LEVELS) / LEVELS)
        levels[head, eligible] = 1 + np.searchsorted(steps, rank[eligible], side="right")
    return TextHash(levels, rng.choice([-1, 1], (REFUSE.stop, LEVELS + 1, BITS)))
