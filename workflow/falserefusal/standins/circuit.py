"""The weights of a stand-in as arrays: one decoder layer that makes exactly the decisions of `Planted`.

Attention copies: each head attends to the token with the highest key, so it moves one token's value, never a mixture.
The MLP decides: its gates are saturated, and each unit is a logical AND or the product of a bit and a weight. The
output layer writes: each piece of a sentence holds the code of the next piece. Channels of the residual stream have
names. All constants are multiples of powers of two with at most eight significant bits, and all sums that are compared
are accumulated before they are rounded, so bfloat16 and float32 make the same decisions.
"""

import dataclasses
import itertools
import math
from collections import Counter

import numpy as np

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.standins.chat import STYLES
from falserefusal.standins.planted import FORCED_LENGTH, GAIN, Planted
from falserefusal.standins.planting import STEP
from falserefusal.standins.sentences import CONTEXTS, KINDS, SLOTS, expand, grammar, sentence_table
from falserefusal.standins.texthash import BITS, HEADS, REFUSE, STYLE

HOT = 128.0  # logits between a possible next token and any other; margins stay below it
SATURATED = 32.0  # an activation at or below minus this is nothing, above it the identity
QUERY = 192.0  # 24 nats from one level to the next, with a head width of 64
PAD_WEIGHT = 8.0

NO_HEADER = "[stand-in: the prompt does not end with the header of a reply]"
PADDING = "[stand-in: padding is visible]"
TWO_BOS = "[stand-in: BOS is doubled]"
NO_BOS = "[stand-in: BOS is missing]"
NO_QUESTION = "[stand-in: no known question, or more than one]"
COMPLAINTS = (NO_HEADER, PADDING, TWO_BOS, NO_BOS, NO_QUESTION)


@dataclasses.dataclass(frozen=True)
class Circuit:
    """Weight arrays and their shapes.

    embedding, output: V x d; query: heads * width x d; key, value: groups * width x d; merge: d x heads * width;
    gate, up: units x d; down: d x units. Norms multiply by `gain` and return the residual stream unchanged, because
    channel 0, which no other part reads, is much larger than all others.
    """

    embedding: np.ndarray
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    merge: np.ndarray
    gate: np.ndarray
    up: np.ndarray
    down: np.ndarray
    output: np.ndarray
    heads: int
    groups: int
    width: int
    gain: float


@dataclasses.dataclass(frozen=True)
class Spoken:
    """One token of a sentence: its piece, the persona or option it names, and its text."""

    piece: str
    persona: str | None
    option: str | None
    text: str


def spoken_tokens(sentences: list[str], personas: dict[str, str], options: dict[str, list[str]]) -> list[Spoken]:
    """List every token a stand-in can write except the end of turn, complaints last.

    Raises InputError where two of them have the same text, since a token can have only one next token.
    """
    words = sorted(set(itertools.chain.from_iterable(options.values())))
    tokens = [
        Spoken(piece, persona, option, text)
        for piece in grammar(sentences).follows
        for (persona, option), text in expand(piece, personas, words).items()
    ]
    counts = Counter(token.text for token in tokens)
    if twice := [text for text, count in counts.items() if count > 1]:
        raise InputError(f"stand-in sentences: {twice[0]!r} occurs for two reasons; reword a sentence or an option")
    return tokens + [Spoken(text, None, None, text) for text in COMPLAINTS]


def codes(count: int) -> np.ndarray:
    """Distinct vectors of 1 and -1, shape (count, ceil(log2(count))), with at least one bit."""
    bits = max(1, math.ceil(math.log2(max(count, 2))))
    return 1 - 2 * ((np.arange(count)[:, None] >> np.arange(bits)) & 1)


def build(planted: Planted, ids: dict[str, int], size: int, sandwich: bool, gain: float, squares: list[int]) -> Circuit:
    """Build the weights of a stand-in.

    Parameters
    ----------
    planted : what the stand-in decides.
    ids : the tokenizer's ids of the pieces, control tokens and markers.
    size : size of the vocabulary.
    sandwich : whether there are norms after attention and MLP too, as in Gemma 2; they need their own large channel.
    gain : gain of the norms.
    squares : roots of the hidden sizes to choose from, ascending.
    """
    return _Builder(planted, ids, size, sandwich, gain, squares).circuit()


class _Builder:
    """Builds the arrays one by one; channels have names."""

    def __init__(self, planted, ids, size, sandwich, gain, squares):
        self.planted, self.ids, self.size, self.sandwich, self.gain = planted, ids, size, sandwich, gain
        self.style = STYLES[planted.style]
        self.tokens = spoken_tokens(list(planted.sentences["text"]), planted.personas, planted.options)
        self.rules = grammar(list(planted.sentences["text"]))
        self._number()
        names = self._names()
        self.at = {name: i for i, name in enumerate(names)}
        root = next((root for root in squares if root * root >= len(names)), None)
        if root is None:
            raise ValueError(f"a stand-in of this study needs {len(names)} channels, more than {squares[-1] ** 2}")
        self.hidden = root * root
        self.norm = gain * root

    def _number(self) -> None:
        """Code vectors for cells, personas and pieces."""
        planted = self.planted
        self.cell_code = codes(len(planted.cells))
        self.persona_code = dict(zip(planted.personas, codes(len(planted.personas)), strict=True))
        pieces = ["", *dict.fromkeys(token.piece for token in self.tokens)]
        self.piece_code = dict(zip(pieces, codes(len(pieces)), strict=True))
        self.option_bits = {n: codes(n).shape[1] for n in planted.picks}
        self.slot_code = codes(SLOTS)

    def _names(self) -> list[str]:
        planted = self.planted
        style_bits = [f"slot.{i}" for i in range(self.slot_code.shape[1])]
        style_bits += [f"pick{n}.{i}" for n, bits in self.option_bits.items() for i in range(bits)]
        refuse, style = HEADS[REFUSE], HEADS[STYLE]
        self.moved = {head: [f"{head}.{i}" for i in range(BITS)] for head in refuse}
        self.moved |= {head: [f"{head}.{bit}" for bit in style_bits] for head in style}
        self.moved["turn"], self.moved["bos"] = ["turn"], ["bos"]
        cell = [f"weight.{i}" for i in range(planted.weights.shape[1])]
        cell += [f"{kind}.{part}" for kind in ("caught", "missed") for part in ("high", "low")]
        cell += [f"cell.{i}" for i in range(self.cell_code.shape[1])]
        cell += [f"persona.{i}" for i in range(len(next(iter(self.persona_code.values()))))]
        cell += [f"task.{task}" for task in planted.options] + ["unforced", "yes_no", "variant"]
        self.moved["cell"] = cell
        following = [f"next.{kind}.{i}" for kind in KINDS for i in range(len(self.piece_code[""]))]
        words = sorted(set(itertools.chain.from_iterable(planted.options.values())))
        keys = [f"key.{head}" for head in self.moved]
        moved = list(itertools.chain.from_iterable(self.moved.values()))
        return [
            "norm",
            "one",
            "reply",
            "margin.caught",
            "margin.missed",
            "question",
            *keys,
            *moved,
            *following,
            *(f"option.{word}" for word in words),
        ]

    def circuit(self) -> Circuit:
        query, key, value, merge, width = self._attention()
        gate, up, down = self._mlp()
        return Circuit(
            self._embedding(), query, key, value, merge, gate, up, down, self._output(), 8, 2, width, self.gain
        )

    # ---- embedding: what each token contributes

    def _embedding(self) -> np.ndarray:
        planted, at, ids = self.planted, self.at, self.ids
        table = np.zeros((self.size, self.hidden), np.float32)
        table[:, at["norm"]], table[:, at["one"]] = self.norm, 1
        table[:, [at[f"key.{head}"] for head in ("turn", "bos", "cell")]] = -1
        table[:, [at[f"key.{head}"] for head in HEADS]] = -1 / 32
        self._name_next(table, slice(None), "none", NO_HEADER)
        levels = planted.hash.levels
        for h, head in enumerate(HEADS):
            (seen,) = np.nonzero(levels[h] > 0)
            table[seen, at[f"key.{head}"]] = levels[h, seen] / 32
            table[np.ix_(seen, np.array(self._at(self.moved[head]), np.intp))] = self._bits(h)[levels[h, seen]]
        for token in self.tokens:
            self._name_next(table, ids[token.text], "none", self.rules.follows.get(token.piece, ""))
        for header in self.style.headers:  # a head without a token of its own attends to a header: level 0, and no cell
            for h, head in enumerate(HEADS):
                table[ids[header], at[f"key.{head}"]] = 0
                table[ids[header], self._at(self.moved[head])] = self._bits(h)[0]
            table[ids[header], at["key.cell"]] = 0
        self._turns(table)
        self._cells(table)
        return table

    def _name_next(self, table: np.ndarray, token, kind: str, piece: str) -> None:
        names = [f"next.{kind}.{i}" for i in range(len(self.piece_code[piece]))]
        table[token, self._at(names)[0] : self._at(names)[-1] + 1] = self.piece_code[piece]

    def _bits(self, head: int) -> np.ndarray:
        """Values of a head by level, shape (levels, moved channels)."""
        if head < REFUSE.stop:
            return self.planted.hash.bits[head]
        style = head - STYLE.start
        parts = [self.slot_code[self.planted.slots[style]]]
        parts += [codes(n)[table[style]] for n, table in self.planted.picks.items()]
        return np.concatenate(parts, axis=1)

    def _turns(self, table: np.ndarray) -> None:
        """Let the heads `turn` and `bos` count: every turn has a header and an end, every conversation one BOS.

        Ends of turn count 1 and headers -1, so that the header of the reply leaves -1. A visible pad token, or an end
        of turn or a zero byte used as padding, makes the sum larger.
        """
        at, ids, style = self.at, self.ids, self.style
        worth = {header: -1.0 for header in (*style.headers, style.reply)} | {style.end: 1.0}
        worth = {ids[token]: value for token, value in worth.items()}
        worth |= {0: PAD_WEIGHT} | ({ids[style.pad]: PAD_WEIGHT} if style.pad else {})
        for token, value in worth.items():
            table[token, at["key.turn"]], table[token, at["turn"]] = 1, value
        if style.bos:
            table[ids[style.bos], [at["key.bos"], at["bos"]]] = 1
        reply = table[ids[style.reply]]
        reply[at["key.bos"]] = reply[at["reply"]] = 1
        reply[self._at([f"next.none.{i}" for i in range(len(self.piece_code[""]))])] = 0

    def _cells(self, table: np.ndarray) -> None:
        planted, at = self.planted, self.at
        rows = np.zeros((len(planted.cells), self.hidden), np.float32)
        rows[:, self._at([f"weight.{i}" for i in range(planted.weights.shape[1])])] = planted.weights / STEP
        for kind, threshold in (("caught", planted.caught), ("missed", planted.missed)):
            coarse = np.rint(-threshold / 64) * 64  # in half steps; a sum of two numbers of eight bits each
            rows[:, at[f"{kind}.high"]] = coarse / (2 * STEP)
            rows[:, at[f"{kind}.low"]] = (-threshold - coarse) / (2 * STEP)
        rows[:, self._at([f"cell.{i}" for i in range(self.cell_code.shape[1])])] = self.cell_code
        names = [f"persona.{i}" for i in range(len(self.persona_code[BASELINE]))]
        rows[:, self._at(names)] = np.array([self.persona_code[persona] for persona in planted.cells["persona"]])
        for task in planted.options:
            rows[:, at[f"task.{task}"]] = planted.cells["task"] == task
        rows[:, at["unforced"]] = np.where(planted.cells["format"].map(FORCED_LENGTH) == "unforced", 1, -1)
        rows[:, at["yes_no"]] = np.where(planted.cells["yes_no"], 1, -1)
        rows[:, at["variant"]] = 2 * planted.cells["variant"] - 1
        channels = self._at(self.moved["cell"])
        tokens = planted.markers["marker"].map(self.ids).to_numpy()
        table[np.ix_(tokens, channels)] = rows[np.ix_(planted.markers["cell"], channels)]
        table[tokens, at["key.cell"]] = 1

    # ---- attention: copy the value of the token with the highest key

    def _attention(self):
        groups = [list(HEADS[:4]), [HEADS[4], "turn", "cell", "bos"]]
        extra = ["norm"] if self.sandwich else []
        carried = [[name for head in group for name in self.moved[head]] for group in groups]
        carried[1] += extra
        width = max(64, 1 << (max(map(len, carried)) - 1).bit_length())
        heads = sum(map(len, groups))
        query = np.zeros((heads * width, self.hidden), np.float32)
        key, value = np.zeros((2, len(groups) * width, self.hidden), np.float32)
        merge = np.zeros((self.hidden, heads * width), np.float32)
        for g, group in enumerate(groups):
            for j, name in enumerate(carried[g]):
                value[g * width + j, self.at[name]] = 1
            for i, head in enumerate(group):
                h = g * len(groups[0]) + i
                slow = width // 2 - 1 - i  # the slowest rotary pairs do not turn within any context
                query[h * width + slow, self.at["one"]] = QUERY * math.sqrt(width / 64)
                key[g * width + slow, self.at[f"key.{head}"]] = 32 if head in HEADS else 1
                for name in self.moved[head] + (extra if head == "cell" else []):
                    merge[self.at[name], h * width + carried[g].index(name)] = 1
        return query, key, value, merge, width

    # ---- MLP: units of (what opens the gate, what is passed, where it goes)

    def _mlp(self):
        units = [*self._margins(), *self._openings(), *self._options(), *self._question_seen()]
        if self.sandwich:
            units.append(({"one": SATURATED}, {"norm": 1 / SATURATED}, {"norm": 1.0}))
        gate, up = np.zeros((2, len(units), self.hidden), np.float32)
        down = np.zeros((self.hidden, len(units)), np.float32)
        for j, (opens, passed, goes) in enumerate(units):
            for matrix, part in ((gate, opens), (up, passed)):
                for name, weight in part.items():
                    matrix[j, self.at[name]] = weight
            for name, weight in goes.items():
                down[self.at[name], j] = weight
        return gate, up, down

    def _margins(self):
        """Add the weight of each set bit; the threshold is already in the cell."""
        both = {"margin.caught": 1.0, "margin.missed": 1.0}
        bits = [name for head in HEADS[REFUSE] for name in self.moved[head]]
        for i, bit in enumerate(bits):
            yield {bit: SATURATED}, {f"weight.{i}": GAIN / SATURATED}, both
        for kind, part in itertools.product(("caught", "missed"), ("high", "low")):
            yield {"one": SATURATED}, {f"{kind}.{part}": GAIN / SATURATED}, {f"margin.{kind}": 1.0}

    def _openings(self):
        """At the reply header, select the opening of each kind of sentence by context and slot."""
        table = sentence_table(self.planted.sentences)
        for (length, question), variant, slot in itertools.product(CONTEXTS, (0, 1), range(SLOTS)):
            signs = {"unforced": 2 * (length == "unforced") - 1, "yes_no": 2 * (question == "yes_no") - 1}
            signs |= {"variant": 2 * variant - 1, "reply": 1}
            signs |= {f"{HEADS[STYLE][variant]}.slot.{i}": sign for i, sign in enumerate(self.slot_code[slot])}
            writes = {}
            for kind in KINDS:
                opening = self.rules.openings[table[kind, length, question, slot]]
                writes |= {f"next.{kind}.{i}": sign for i, sign in enumerate(self.piece_code[opening])}
            yield _all_of(signs, writes)

    def _options(self):
        for (task, words), variant in itertools.product(self.planted.options.items(), (0, 1)):
            for word, code in zip(words, codes(len(words)), strict=True):
                signs = {f"task.{task}": 1, "variant": 2 * variant - 1}
                signs |= {f"{HEADS[STYLE][variant]}.pick{len(words)}.{i}": sign for i, sign in enumerate(code)}
                yield _all_of(signs, {f"option.{word}": 1.0})

    def _question_seen(self):
        """Sum |bit| over the cell's code: its length for one question, less for none or a mixture of two."""
        for i, sign in itertools.product(range(self.cell_code.shape[1]), (1, -1)):
            part = {f"cell.{i}": sign * SATURATED}
            yield part, {f"cell.{i}": sign / SATURATED}, {"question": 1.0}

    # ---- output: the possible next tokens

    def _output(self) -> np.ndarray:
        table = np.zeros((self.size, self.hidden), np.float32)
        table[:, self.at["one"]] = -8 * HOT
        kind_of = {
            opening: kind for opening, kind in zip(self.rules.openings, self.planted.sentences["kind"], strict=True)
        }
        for token in self.tokens:
            if token.text not in COMPLAINTS[1:]:
                self._speak(table[self.ids[token.text]], token, kind_of.get(token.piece))
        end = Spoken("", None, None, self.style.end)
        self._speak(table[self.ids[self.style.end]], end, kind_of.get(""))
        seen = len(self.cell_code[0])
        self._complain(table, PADDING, {"turn": 4096, "one": 4096 * (1 + 1 / 32)})
        self._complain(table, NO_QUESTION, {"question": -4096, "one": 4096 * seen - 2 * HOT})
        if self.style.bos:
            self._complain(table, TWO_BOS, {"bos": 4096, "one": -4096 * 37 / 64})
            self._complain(table, NO_BOS, {"bos": -4096, "one": 4096 / 4})
        return table

    def _speak(self, row: np.ndarray, token: Spoken, opens: str | None) -> None:
        """Give 0 where all conditions hold, at most -HOT otherwise; an opening adds the margin of its kind."""
        row[:] = 0
        signs = {f"next.{opens or 'none'}.{i}": sign for i, sign in enumerate(self.piece_code[token.piece])}
        if token.persona is not None:
            signs |= {f"persona.{i}": sign for i, sign in enumerate(self.persona_code[token.persona])}
        if token.option is not None:
            signs[f"option.{token.option}"] = 1
        for name, sign in signs.items():
            row[self.at[name]] = HOT * sign
        row[self.at["one"]] = -HOT * len(signs)
        if opens == "caught":
            row[self.at["margin.caught"]] = 1
        elif opens == "none":
            row[self.at["margin.missed"]] = -1

    def _complain(self, table: np.ndarray, complaint: str, signs: dict[str, float]) -> None:
        row = table[self.ids[complaint]]
        row[:] = 0
        for name, weight in signs.items():
            row[self.at[name]] = weight
        row[self.at["reply"]] = 2.0**17  # only at the start of the response
        row[self.at["one"]] -= 2.0**17

    def _at(self, names: list[str]) -> list[int]:
        return [self.at[name] for name in names]


def _all_of(signs: dict[str, int], writes: dict[str, float]):
    """A unit that adds `writes` where every channel has its sign (1 or -1), and nothing otherwise."""
    opens = {name: 2 * SATURATED * sign for name, sign in signs.items()}
    opens["one"] = -2 * SATURATED * (len(signs) - 0.5)
    return opens, {"one": 1 / SATURATED}, writes
