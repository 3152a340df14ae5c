"""What a stand-in can say, and the grammar that says it: each token of an answer is followed by exactly one other.

Answers are data (config/standins/sentences.csv). An answer is of one of three kinds: *caught*, one that the paper's list
of phrases counts as a refusal (most are, some only look it); *missed*, a refusal which that list does not see; *none*.
Which answer of a kind is given depends on whether the question asks for a yes or a no, on whether it forces a format,
and on one of SLOTS numbers drawn from the text, whose shares are planted for each model.
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
SLOT_SHARES = (0.36, 0.22, 0.14, 0.09, 0.07, 0.05, 0.04, 0.03)  # of a model without character of its own
LENGTHS, QUESTIONS = ("short", "unforced"), ("plain", "yes_no")
CONTEXTS = tuple(itertools.product(LENGTHS, QUESTIONS))
PLACES = ("{persona}", "{label}", "{Label}")
_PIECE = re.compile(r"\s*\S?\{\w+\}\S*|\s*[^\s{]{1,4}")  # a place with its punctuation, or four letters

SCHEMA = pa.DataFrameSchema(
    {
        "answer": pa.Column(str, unique=True),
        "kind": pa.Column(str, pa.Check.isin(KINDS)),
        "category": pa.Column(str),
        "format": pa.Column(str, pa.Check.isin(["any", *LENGTHS])),
        "question": pa.Column(str, pa.Check.isin(["any", *QUESTIONS])),
        "slots": pa.Column(str, pa.Check.str_matches(rf"^[0-{SLOTS - 1}]( [0-{SLOTS - 1}])*$"), coerce=True),
        "text": pa.Column(str, nullable=True),
    },
    strict=True,
    name="answers",
)


def read_answers(path) -> pd.DataFrame:
    """Answers in file order; raises InputError unless every kind, context and slot has exactly one."""
    answers = read_csv(path, SCHEMA, dtype={"slots": str})
    answers["text"] = answers["text"].fillna("")
    silent = answers[(answers["text"] == "") & (answers["kind"] != "none")]
    if len(silent):
        raise InputError(f"{path}: answer {silent['answer'].iloc[0]} is empty, which only one of kind none may be")
    table(answers)
    return answers


def table(answers: pd.DataFrame) -> dict[tuple[str, str, str, int], int]:
    """Position in `answers` by (kind, length, question, slot); raises InputError for a gap or a clash."""
    found: dict[tuple[str, str, str, int], int] = {}
    for i, row in enumerate(answers.itertuples()):
        lengths = LENGTHS if row.format == "any" else [row.format]
        questions = QUESTIONS if row.question == "any" else [row.question]
        for key in itertools.product([row.kind], lengths, questions, map(int, row.slots.split())):
            if key in found:
                raise InputError(
                    f"stand-in answers: {key} is claimed by {answers['answer'][found[key]]} and {row.answer}"
                )
            found[key] = i
    missing = set(itertools.product(KINDS, LENGTHS, QUESTIONS, range(SLOTS))) - set(found)
    if missing:
        raise InputError(f"stand-in answers: none for {min(missing)}")
    return found


def is_refusal(category: pd.Series) -> pd.Series:
    """Whether a person would call an answer of this category a refusal."""
    return category.str.startswith("refused")


def say(text: str, persona: str, label: str) -> str:
    """An answer's text with its places filled."""
    return text.replace("{persona}", persona).replace("{label}", label).replace("{Label}", capital(label))


def capital(label: str) -> str:
    """The label with a capital first letter."""
    return label[:1].upper() + label[1:]


@dataclasses.dataclass(frozen=True)
class Grammar:
    """Pieces of answers, each spoken as one token, or as one per persona or label where it has a place for one.

    follows: the piece after each piece ("" for the end of the answer). openings: the first piece of each answer, by
    position ("" for an empty answer); no other answer starts with it and no answer goes on with it.
    """

    follows: dict[str, str]
    openings: list[str]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each answer, its end included."""
        return [self._length(opening) for opening in self.openings]

    def _length(self, piece: str) -> int:
        return 1 if piece == "" else 1 + self._length(self.follows[piece])


def grammar(texts: list[str]) -> Grammar:
    """Cut answers into pieces, of a few letters where possible, such that a piece determines the one after it.

    Cutting runs from the end of each answer, so that what follows is known: a piece that already has another follower
    grows by the piece to its right until it has none. Raises InputError for two equal answers, or a piece that would
    need two places.
    """
    follows: dict[str, str] = {}
    openings: list[str] = []
    for text in texts:
        after = ""
        for match in reversed(list(_PIECE.finditer(text))):
            piece, opens = match[0], match.start() == 0
            while piece in openings or (piece in follows if opens else follows.get(piece, after) != after):
                if after == "":
                    raise InputError(f"stand-in answers: {text!r} ends like another; they could not be told apart")
                piece, after = piece + after, follows[after]
            if sum(piece.count(place) for place in PLACES) > 1:
                raise InputError(f"stand-in answers: {piece!r} in {text!r} has two places; put more words between them")
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
    """The tokens of a piece by (persona, label) they need; (None, None) where it has no place."""
    if "{persona}" in piece:
        return {(name, None): say(piece, spoken, "") for name, spoken in personas.items()}
    if "{label}" in piece or "{Label}" in piece:
        return {(None, label): say(piece, "", label) for label in options}
    return {(None, None): piece}
