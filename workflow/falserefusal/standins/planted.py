"""What is planted in one stand-in, as data, and the decision its weights make, in integer arithmetic."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.files import write_text
from falserefusal.standins.planting import STEP
from falserefusal.standins.sentences import CONTEXTS, KINDS, SLOTS, sentence_table
from falserefusal.standins.texthash import STYLE, TextHash

FILE = "planted.json"
GAIN = 4.0  # logits per unit of score
FORCED_LENGTH = {"unforced": "unforced", "semi-forced": "short", "forced": "short"}


@dataclasses.dataclass(frozen=True)
class Planted:
    """Everything that decides a stand-in's responses; its weights and tokenizer are made from this alone.

    model: the borrowed name, and where the rates come from; style: its chat style. markers: marker, cell (position in
    `cells`). cells: task, persona, template, format, yes_no, target (the rate to plant), variant (which of the two
    style heads picks its wording). weights: cells x bits; caught, missed: thresholds in half steps (see `planting`).
    slots: 2 x levels, the wording of each level of a style head; picks: by number of options, the option of each level.
    options: by task; personas: how sentences name each persona; sentences: see `sentences.read_sentences`.
    """

    model: dict
    style: str
    markers: pd.DataFrame
    cells: pd.DataFrame
    weights: np.ndarray
    caught: np.ndarray
    missed: np.ndarray
    hash: TextHash
    slots: np.ndarray
    picks: dict[int, np.ndarray]
    options: dict[str, list[str]]
    personas: dict[str, str]
    sentences: pd.DataFrame

    @functools.cached_property
    def sentence_of(self) -> np.ndarray:
        """Position of the sentence by kind, cell and slot, shape (3, cells, SLOTS)."""
        table = sentence_table(self.sentences)
        length = self.cells["format"].map(FORCED_LENGTH)
        question = np.where(self.cells["yes_no"], "yes_no", "plain")
        by_context = {
            context: [[table[kind, *context, slot] for slot in range(SLOTS)] for kind in KINDS] for context in CONTEXTS
        }
        return np.array([by_context[context] for context in zip(length, question, strict=True)]).transpose(1, 0, 2)

    def margins(self, cell: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half steps by which prompts exceed the thresholds (caught, missed) of their cells; never 0."""
        bits = self.hash.refusal_bits(levels) > 0
        scores = 2 * np.einsum("nb,nb->n", bits, self.weights[cell])
        return scores - self.caught[cell], scores - self.missed[cell]

    def decide(self, cell: np.ndarray, levels: np.ndarray) -> pd.DataFrame:
        """Compute what greedy decoding gives for prompts of these cells (n) and levels (n x heads).

        Columns: kind (position in KINDS), sentence (position in `sentences`), pick (position in the task's options),
        p_caught (probability, to about .0003, of a caught sentence when responses are sampled at temperature 1 from
        all tokens).
        """
        caught, missed = self.margins(cell, levels)
        kind = np.where(caught > 0, 0, np.where(missed > 0, 1, 2))
        variant = self.cells["variant"].to_numpy()[cell]
        style = np.where(variant == 0, levels[:, STYLE.start], levels[:, STYLE.start + 1])
        n_options = self.cells["task"].map({task: len(words) for task, words in self.options.items()}).to_numpy()[cell]
        pick = np.zeros(len(cell), dtype=int)
        for n, table in self.picks.items():
            pick[n_options == n] = table[variant, style][n_options == n]
        sentence = self.sentence_of[kind, cell, self.slots[variant, style]]
        logits = np.stack([caught, np.zeros_like(caught), -missed]) * GAIN / (2 * STEP)
        p_caught = np.exp(logits[0] - np.logaddexp.reduce(logits, axis=0))
        return pd.DataFrame({"kind": kind, "sentence": sentence, "pick": pick, "p_caught": p_caught})

    def save(self, folder: str | Path) -> None:
        """Write planted.json next to the weights."""
        data = {
            field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self) if field.name != "hash"
        }
        data["hash"] = {"levels": self.hash.levels.tolist(), "bits": self.hash.bits.tolist()}
        write_text(
            json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n", Path(folder, FILE)
        )


def load(folder: str | Path) -> Planted:
    """Read what is planted in a stand-in."""
    data = json.loads(Path(folder, FILE).read_text(encoding="utf-8"))
    for name in ("markers", "cells", "sentences"):
        data[name] = pd.DataFrame(data[name])
    for name in ("weights", "caught", "missed", "slots"):
        data[name] = np.array(data[name])
    data["picks"] = {int(n): np.array(table) for n, table in data["picks"].items()}
    data["hash"] = TextHash(np.array(data["hash"]["levels"]), np.array(data["hash"]["bits"]))
    return Planted(**data)


def _plain(value):
    if isinstance(value, pd.DataFrame):
        return value.to_dict("list")
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return value
