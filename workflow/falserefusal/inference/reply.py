"""Read what a model wrote: its response apart from its thinking, without control tokens and role headers."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable

from falserefusal.inference import thinking
from falserefusal.inference.thinking import Parts

ROLES = ("assistant", "model")
OTHER_ROLES = ("user", "system", "human", "tool", "developer")
WINDOW = 16  # tokens in which a mark of thinking is complete


@dataclasses.dataclass(frozen=True)
class ReplyFormat:
    """How a model's replies are written.

    Parameters
    ----------
    begun : str
        The marks of thinking at the end of the prompt, which a reply continues.
    thinks : bool
        Whether the model is known to think before it responds.
    header : re.Pattern
        A role header at the beginning of a reply, and beginnings of a turn without one.
    next_turn : re.Pattern or None
        A role header further on, where the reply ends.
    control : re.Pattern or None
        Control tokens, declared as special or not.
    roles : tuple of str
        What the reply's role is called, in lower case.
    """

    begun: str
    thinks: bool
    header: re.Pattern
    next_turn: re.Pattern
    control: re.Pattern | None
    roles: tuple[str, ...]

    def read(self, raw: str) -> Parts:
        """Separate thinking and response in what a model wrote, control tokens included."""
        text = self.header.sub("", raw, count=1)
        parts = thinking.separate(self.begun + text)
        response = self.header.sub("", parts.response, count=1)  # some write it again after the thinking
        if found := self.next_turn.search(response):
            response = response[: found.start()].rstrip()
        return Parts(self._plain(parts.thinking), self._plain(response), parts.open)

    def undecided(self, parts: Parts) -> bool:
        """Whether thinking or a role header may still follow, so that nothing can be said about the response."""
        text = parts.response.strip().lower()
        begins_a_header = bool(text) and any(role.startswith(text) for role in self.roles)
        return parts.open or begins_a_header or thinking.may_begin_a_tag(parts.response)

    def _plain(self, text: str) -> str:
        return text if self.control is None else self.control.sub("", text)


def reply_format(tail: str, thinks: bool, control: Iterable[str], ends: Iterable[str]) -> ReplyFormat:
    """Make the format of replies.

    Parameters
    ----------
    tail : str
        What a prompt has after the user's text.
    thinks
        See `ReplyFormat`.
    control : iterable of str
        Control tokens, longest first.
    ends : iterable of str
        The tokens that end a turn.
    """
    control = list(control)
    own = thinking.without_marks(tail)
    for end in ends:
        own = own.rpartition(end)[2]
    own = own.strip()
    words = re.findall(r"[a-z]+", re.sub("|".join(map(re.escape, control)) or "(?!)", " ", own).lower())
    roles = tuple(dict.fromkeys([*ROLES, *words])) if len(words) == 1 else ROLES
    turn = [t for t in control if not thinking.marked(t) and t not in ("<|message|>", "<|channel|>")]
    token = "|".join(map(re.escape, turn)) or "(?!)"
    role, other = "|".join(roles), "|".join((*ROLES, *OTHER_ROLES, *roles))
    starts = [rf"(?:(?:{token})\s*)+(?:(?:{role})\b(?:[^\S\n]*(?:{token}|:|\n)|\s*\Z))?", rf"(?:{role})[^\S\n]*\n"]
    if own:
        starts.insert(0, re.escape(own))
    turns = rf"(?:{token})\s*(?:{other})\b\s*(?:{token}|:|\n)|<\|(?:{other})\|>"
    return ReplyFormat(
        begun=thinking.marks(tail),
        thinks=thinks,
        header=re.compile(rf"\A\s*(?:(?:{'|'.join(starts)})\s*)+", re.IGNORECASE),
        next_turn=re.compile(turns, re.IGNORECASE),
        control=re.compile("|".join(map(re.escape, control))) if control else None,
        roles=roles,
    )


class Ending:
    """Decides after each token of a row whether its reply ends there.

    Parameters
    ----------
    raw : callable
        raw(tokens) gives their text, control tokens included.
    form : ReplyFormat
        How the model's replies are written.
    max_new_tokens, max_thinking_tokens : int
        Most tokens of a response, and of the thinking before it. The latter counts only for a model that is known to
        think.
    decided : callable or None
        Whether the verdict is certain for every response that starts with a text.
    in_full : list of bool
        Rows whose responses are generated in full although `decided` is given.
    """

    def __init__(
        self,
        raw: Callable[[list[int]], str],
        form: ReplyFormat,
        max_new_tokens: int,
        max_thinking_tokens: int,
        decided: Callable[[str], bool] | None,
        in_full: list[bool],
    ):
        self.raw, self.form, self.in_full = raw, form, in_full
        self.max_new_tokens, self.max_thinking_tokens = max_new_tokens, max_thinking_tokens
        self.starts: dict[int, int | None] = {}  # of rows that may think: first token of the response; None: thinking

        @functools.lru_cache(maxsize=2**16)  # most responses start with the same few tokens
        def certain(tokens: tuple[int, ...]) -> bool:
            parts = form.read(raw(list(tokens)))
            # the rest of a split character may still follow
            return not form.undecided(parts) and decided(parts.response.rstrip("\ufffd"))

        self.certain = None if decided is None else certain

    def spent(self, row: int, tokens: list[int]) -> bool:
        """Whether a row has as many tokens as it may have."""
        start = self._start(row, tokens) if self.form.thinks else 0
        if start is None:
            return len(tokens) >= self.max_thinking_tokens
        return len(tokens) - start >= self.max_new_tokens

    def settled(self, row: int, tokens: list[int]) -> bool:
        """Whether the verdict on a row is certain already."""
        if self.certain is None or self.in_full[row] or (self.form.thinks and self.starts[row] is None):
            return False
        return self.certain(tuple(tokens))

    def _start(self, row: int, tokens: list[int]) -> int | None:
        """Index of the first token of the response; None as long as the row thinks."""
        if len(tokens) == 1:  # also when a row begins again
            self.starts[row] = None if self.form.read("").open else 0
        start = self.starts[row]
        if start is None:
            # the end of the text first: to read all of a long text at each token would take too long
            if thinking.marked(self.raw(tokens[-WINDOW:])) and not self._thinks(tokens):
                start = len(tokens)
        elif len(tokens) - start <= WINDOW and self._thinks(tokens):
            start = None
        self.starts[row] = start
        return start

    def _thinks(self, tokens: list[int]) -> bool:
        return self.form.read(self.raw(tokens)).open
