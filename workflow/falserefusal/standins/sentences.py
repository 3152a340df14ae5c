"""The sentences that a stand-in can say, and the grammar that produces them: each token has exactly one next token.

Sentences are data (config/standins/sentences.csv), of three kinds. *caught*: the phrase list counts the sentence as a
refusal (most are refusals, some only look like one). *missed*: a refusal that the phrase list does not find. *none*: no
refusal. Which sentence of a kind a stand-in says depends on whether the question is a yes/no question, on whether it
forces a format, and on one of SLOTS numbers drawn from the text, whose shares are planted for each model.
"""

import dataclasses
import itertools
import re

import pandas as pd
import pandera.pandas as pa

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv

KINDS = ("caught", "missed", "none")
SLOTS = 8
SLOT_SHARES = (0.36, 0.22, 0.14, 0.09, 0.07, 0.05, 0.04, 0.03)  # before the variation between models
LENGTHS, QUESTIONS = ("short", "unforced"), ("plain", "yes_no")
CONTEXTS = tuple(itertools.product(LENGTHS, QUESTIONS))
PLACES = ("{persona}", "{label}", "{Label}")
_PIECE = re.compile(r"\s*\S?\{\w+\}\S*|\s*[^\s{]{1,4}")  # a placeholder with its punctuation, or four letters

SCHEMA = pa.DataFrameSchema(
    {
        "sentence": pa.Column(str, unique=True),
        "kind": pa.Column(str, pa.Check.isin(KINDS)),
        "category": pa.Column(str),
        "format": pa.Column(str, pa.Check.isin(["any", *LENGTHS])),
        "question": pa.Column(str, pa.Check.isin(["any", *QUESTIONS])),
        "slots": pa.Column(str, pa.Check.str_matches(rf"^[0-{SLOTS - 1}]( [0-{SLOTS - 1}])*$"), coerce=True),
        "text": pa.Column(str, nullable=True),
    },
    strict=True,
    name="sentences",
)


def read_sentences(path) -> pd.DataFrame:
    """Read the sentences in file order; raises InputError unless every kind, context and slot has exactly one."""
    sentences = read_csv(path, SCHEMA, dtype={"slots": str})
    empty = sentences[sentences["text"].isna()]
    if len(empty):
        raise InputError(f"{path}: sentence {empty['sentence'].iloc[0]} has no text")
    sentence_table(sentences)
    return sentences


def sentence_table(sentences: pd.DataFrame) -> dict[tuple[str, str, str, int], int]:
    """Position in `sentences` by (kind, length, question, slot); raises InputError if one is missing or given twice."""
    found: dict[tuple[str, str, str, int], int] = {}
    for i, row in enumerate(sentences.itertuples()):
        lengths = LENGTHS if row.format == "any" else [row.format]
        questions = QUESTIONS if row.question == "any" else [row.question]
        for key in itertools.product([row.kind], lengths, questions, map(int, row.slots.split())):
            if key in found:
                raise InputError(
                    f"stand-in sentences: {key} is given by {sentences['sentence'][found[key]]} and {row.sentence}"
                )
            found[key] = i
    missing = set(itertools.product(KINDS, LENGTHS, QUESTIONS, range(SLOTS))) - set(found)
    if missing:
        raise InputError(f"stand-in sentences: none for {min(missing)}")
    return found


def is_refusal(category: pd.Series) -> pd.Series:
    """Whether a person would call a sentence of this category a refusal."""
    return category.str.startswith("refused")


def say(text: str, persona: str, option: str) -> str:
    """Fill the placeholders of a sentence."""
    return text.replace("{persona}", persona).replace("{label}", option).replace("{Label}", capital(option))


def capital(option: str) -> str:
    """The option with a capital first letter."""
    return option[:1].upper() + option[1:]


@dataclasses.dataclass(frozen=True)
class Grammar:
    """Pieces of sentences. Each piece is one token, or one token per persona or option where it has a placeholder.

    follows: the piece after each piece ("" for the end of the sentence). openings: the first piece of each sentence, by
    position; no other sentence starts with it, and no sentence continues with it.
    """

    follows: dict[str, str]
    openings: list[str]

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each sentence, its end included."""
        return [self._length(opening) for opening in self.openings]

    def _length(self, piece: str) -> int:
        return 1 if piece == "" else 1 + self._length(self.follows[piece])


def grammar(texts: list[str]) -> Grammar:
    """Cut sentences into pieces, of a few letters where possible, such that a piece determines the one after it.

    Cutting runs from the end of each sentence, so that the next piece is known. A piece that already has another next
    piece is joined with the piece to its right until it is unique. Raises InputError for two equal sentences, or for a
    piece with two placeholders.
    """
    follows: dict[str, str] = {}
    openings: list[str] = []
    for text in texts:
        after = ""
        for match in reversed(list(_PIECE.finditer(text))):
            piece, opens = match[0], match.start() == 0
            while piece in openings or (piece in follows if opens else follows.get(piece, after) != after):
                if after == "":
                    raise InputError(f"stand-in sentences: {text!r} ends like another one; reword one of them")
                piece, after = piece + after, follows[after]
            if sum(piece.count(place) for place in PLACES) > 1:
                raise InputError(f"stand-in sentences: {text!r} has two placeholders in {piece!r}; add words between")
            follows[piece] = after
            after = piece
        openings.append(after)
    used = set()
    for piece in openings:
        while piece and piece not in used:
            used.add(piece)
            piece = follows[piece]
    return Grammar({piece: after for piece, after in follows.items() if piece in used}, openings)


def expand(piece: str, personas: dict[str, str], options: list[str]) -> dict[tuple[str | None, str | None], str]:
    """The tokens of a piece by the (persona, option) they name; (None, None) for a piece without a placeholder."""
    if "{persona}" in piece:
        return {(name, None): say(piece, spoken, "") for name, spoken in personas.items()}
    if "{label}" in piece or "{Label}" in piece:
        return {(None, option): say(piece, "", option) for option in options}
    return {(None, None): piece}
