"""Read a prompt as a stand-in does: the cell of its question, and the levels of its words; without torch."""

import numpy as np
import pandas as pd

from falserefusal.standins.chat import STYLES
from falserefusal.standins.circuit import NO_BOS, NO_QUESTION, PAD_WEIGHT, PADDING, TWO_BOS
from falserefusal.standins.planted import Planted


class Reader:
    """Reads rendered prompts as one stand-in does; `tokenizer` is its own (tokenizers.Tokenizer)."""

    def __init__(self, planted: Planted, tokenizer):
        self.tokenizer, self.style = tokenizer, STYLES[planted.style]
        size = tokenizer.get_vocab_size()
        self.levels = np.full((len(planted.hash.levels), size), -1)
        self.levels[:, : planted.hash.levels.shape[1]] = planted.hash.levels
        self.cell = np.full(size, -1)
        self.cell[[self._id(marker) for marker in planted.markers["marker"]]] = planted.markers["cell"]
        self.turn = np.zeros(size)
        for header in (*self.style.headers, self.style.reply):
            self.turn[self._id(header)] = -1
        self.turn[self._id(self.style.end)] = 1
        self.turn[[0, *([self._id(self.style.pad)] if self.style.pad else [])]] = PAD_WEIGHT

    def _id(self, token: str) -> int:
        return self.tokenizer.token_to_id(token)

    def read(self, rendered: list[str]) -> tuple[np.ndarray, np.ndarray, pd.Series]:
        """Read prompts: cells (n; -1: not exactly one question), levels (n x heads), complaints (n; "" for none)."""
        encoded = [np.array(e.ids) for e in self.tokenizer.encode_batch(rendered, add_special_tokens=False)]
        tokens = np.concatenate(encoded)
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in encoded])[:-1]])
        cell = self.cell[tokens]
        last = np.maximum.reduceat(cell, starts)
        first = np.minimum.reduceat(np.where(cell < 0, len(self.cell), cell), starts)
        cells = np.where(first == last, last, -1)
        levels = np.maximum.reduceat(self.levels[:, tokens], starts, axis=1).T.clip(0)
        complaints = np.where(cells < 0, NO_QUESTION, "")
        turns = np.add.reduceat(self.turn[tokens], starts)
        faults = [(turns > -0.5, PADDING)]
        if self.style.bos:
            begins = np.add.reduceat(tokens == self._id(self.style.bos), starts, dtype=int)
            faults += [(begins == 0, NO_BOS), (begins > 1, TWO_BOS)]
        for fault, complaint in faults:
            complaints = np.where(fault & (complaints == ""), complaint, complaints)
        return cells, levels, pd.Series(complaints)
