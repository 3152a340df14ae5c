"""Check a tokenizer's chat template before the first batch: system turn, user text, reply, thinking, BOS and EOS.

A program that drops a system message, doubles BOS, truncates a prompt or leaves out the header of the reply still
returns responses, but to other prompts. So each template is rendered with sentinel turns, and every prompt is checked
to contain its turns verbatim.
"""

import dataclasses
import datetime
import hashlib
import itertools
import re
from collections.abc import Iterable

from falserefusal.common.errors import InputError
from falserefusal.inference import thinking
from falserefusal.inference.reply import ReplyFormat, reply_format
from falserefusal.inference.switch import Switch, find_switch
from falserefusal.inference.tokens import decoded, lost

SYSTEM, USER, REPLY = "Sentinel persona Qzvk.", "Sentinel text Wxjq.", "Sentinel reply Jqpx."
DAY = datetime.datetime(2024, 7, 26)  # the default date of Llama 3.1's template; others would print today's date
FIXED_DATE = DAY.strftime("%d %b %Y")
DATE_CODES = {f"%{code}": DAY.strftime(f"%{code}") for code in ("Y", "y", "B", "b", "m", "-m", "d", "-d", *"AajHMS")}
VERBS = {"rejecting": "rejects", "dropping": "drops"}
BRACKETED = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|◁[^◁▷\s]+▷")  # an added token that may be a control token
CONTROL = re.compile(r"<[|｜].+[|｜]>")  # ... and one that is, wherever it comes from


@dataclasses.dataclass
class Chat:
    """A tokenizer and the properties of its chat template.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer with a chat template.
    system : str
        What the template does with a system turn: native (a turn of its own), merged (into the user turn), rejecting
        (raises) or dropping (omits it).
    policy : str
        What the config says to do with a system turn: native (leave it to the template; an error if the template
        rejects or drops it), merge (into the first user turn, in the same way for every model) or error.
    bos : str
        "first" (every prompt starts with BOS) or "none".
    adds_bos : bool
        Whether the tokenizer writes BOS before a text where it is not told otherwise.
    eos_ids : list of int
        Tokens that end a response.
    template_sha256 : str
        Hash of the template.
    control : re.Pattern or None
        The tokenizer's control tokens, declared as special or not.
    control_ids : frozenset of int
        Their ids.
    preamble : str
        What the template writes before the user's text if a prompt has no system turn.
    reply : ReplyFormat
        How the model's replies are written and read.
    switch : Switch or None
        The template's variable that switches thinking.
    setting : dict
        Variables that every prompt is rendered with: the switch at off, or none.
    header : str
        The header of a reply that the template leaves out of a prompt, although it writes it into a conversation.
    """

    tokenizer: object
    system: str
    policy: str
    bos: str
    adds_bos: bool
    eos_ids: list[int]
    template_sha256: str
    control: re.Pattern | None
    control_ids: frozenset[int]
    preamble: str
    reply: ReplyFormat
    switch: Switch | None
    setting: dict
    header: str

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Render prompts and check that each contains every turn verbatim; InputError names the first bad prompt."""
        if not conversations:
            return []
        turns = [
            place_system(turns, self.policy, name, self.system)
            for turns, name in zip(conversations, names, strict=True)
        ]
        try:
            rendered = _apply(self.tokenizer, turns, **self.setting)
        except Exception:  # find the prompt that the template rejects, to name it
            for conversation, name in zip(turns, names, strict=True):
                try:
                    _apply(self.tokenizer, [conversation], **self.setting)
                except Exception as error:
                    raise InputError(f"prompt {name}: the chat template rejects it ({_short(error)})") from error
            raise
        for text, conversation, name in zip(rendered, turns, names, strict=True):
            for turn in conversation:
                if turn["content"].strip() not in text:
                    raise InputError(
                        f"prompt {name}: the chat template lost or changed its {turn['role']} turn (some remove blank "
                        "lines); change the text, or leave the model out"
                    )
            if not text.endswith(self.reply.begun):
                raise InputError(
                    f"prompt {name}: the chat template ends other prompts with {self.reply.begun!r}, but not "
                    "this one; change the text, or leave the model out"
                )
        return [text + self.header for text in rendered]

    def encode(self, rendered: list[str], names: list[str], context: int, new_tokens: int) -> list[list[int]]:
        """Tokenise rendered prompts, with BOS as the template writes it.

        Raises InputError for a doubled BOS, text that the tokenizer does not know or keep, a control token that is not
        in the rendered text, and a prompt that does not fit the context with `new_tokens` further tokens.
        """
        if not rendered:
            return []
        ids = self.tokenizer(rendered, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        unknown = self.tokenizer.unk_token_id
        long = [i for i, row in enumerate(ids) if len(row) + new_tokens > context]
        if long:
            worst = max(long, key=lambda i: len(ids[i]))
            raise InputError(
                f"{len(long)} prompt(s) do not fit the model's context of {context} tokens with {new_tokens} new ones: "
                f"the longest is {names[worst]} with {len(ids[worst])} tokens; shorten the texts or max_new_tokens"
                f"{' or max_thinking_tokens' if self.reply.thinks else ''}"
            )
        for row, text, name in zip(ids, rendered, names, strict=True):
            # the unknown token written out in a text or template is not lost text: some use it as BOS
            if unknown is not None and row.count(unknown) > text.count(self.tokenizer.unk_token):
                raise InputError(
                    f"prompt {name}: contains text that this model's tokenizer does not know; the model would see it "
                    f"as {self.tokenizer.unk_token}; change the text, or leave the model out"
                )
            if not row:
                raise InputError(f"prompt {name}: no tokens after rendering")
            if _doubles_bos(self.tokenizer, row):
                raise InputError(f"prompt {name}: starts with two BOS tokens; remove the one in the text")
        self._check_kept(ids, rendered, names)
        return ids

    def _check_kept(self, ids: list[list[int]], rendered: list[str], names: list[str]) -> None:
        """Raise InputError for a prompt that lost a character, or got a control token that its text does not have."""
        for row, text, kept, name in zip(ids, rendered, decoded(self.tokenizer, ids), names, strict=True):
            if missing := lost(text, kept):
                raise InputError(
                    f"prompt {name}: this model's tokenizer drops these characters: {' '.join(missing[:5])}; change "
                    "the text, or leave the model out"
                )
            if self.control and sum(map(self.control_ids.__contains__, row)) > len(self.control.findall(text)):
                raise InputError(
                    f"prompt {name}: this model's tokenizer reads some of its text as a control token; change the text"
                )

    def control_tokens_in(self, conversations: list[list[dict]]) -> dict[int, str]:
        """The first control token in the text of a conversation, by its index; the model would treat it as one."""
        found: dict[int, str] = {}
        for i, turns in enumerate(conversations if self.control else []):
            if match := next(filter(None, (self.control.search(turn["content"]) for turn in turns)), None):
                found[i] = match[0]
        return found

    def escaped(self, conversation: list[dict], name: str) -> list[dict]:
        """The turns of a prompt with a space after the first character of each control token in their text."""

        def split(found: re.Match) -> str:
            return f"{found[0][0]} {found[0][1:]}"

        turns = [turn | {"content": self.control.sub(split, turn["content"])} for turn in conversation]
        if left := self.control_tokens_in([turns]):
            raise InputError(f"prompt {name}: the control token {left[0]!r} cannot be escaped; change the text")
        return turns


def examine(tokenizer, generation_eos: Iterable[int], policy: str, thinks: str = "keep") -> Chat:
    """Examine a tokenizer's chat template with sentinel turns.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    generation_eos : iterable of int
        EOS ids that the checkpoint's configuration declares.
    policy : str
        What to do with a system turn, see `Chat`.
    thinks : str
        disabled (switch thinking off, if the template can) or keep (leave it to the template).

    Raises
    ------
    InputError
        No prompt can be rendered faithfully with this template.
    """
    source = tokenizer.chat_template
    if isinstance(source, dict):
        source = tokenizer.chat_template = source.get("default")
    if not source:
        raise InputError("the tokenizer has no chat template: an instruction-tuned checkpoint is needed")
    if "strftime_now" in source:  # a prompt that changes every day could not be reproduced
        tokenizer.chat_template = _fixing_the_date(source)
    plain = _plain(tokenizer, {})
    switch = _switch(tokenizer, source)
    setting = switch.setting if switch and thinks == "disabled" else {}
    plain = _plain(tokenizer, setting) if setting else plain
    ids = tokenizer(plain, add_special_tokens=False)["input_ids"]
    if _doubles_bos(tokenizer, ids):
        raise InputError(
            f"the chat template starts the prompt with two BOS tokens ({tokenizer.bos_token}); remove one of them"
        )
    eos_ids = _end_of_turn(tokenizer, generation_eos)
    tail, header = _reply_head(tokenizer, plain.partition(USER)[2], setting)
    every = sorted(_declared(tokenizer) | _undeclared(tokenizer, source, eos_ids), key=lambda t: (-len(t), t))
    texts = [source, tail, *map(str, tokenizer.added_tokens_decoder.values())]
    thinking_shown = bool(switch) or any(map(thinking.marked, texts))
    return Chat(
        tokenizer=tokenizer,
        system=_system_handling(tokenizer, plain),
        policy=policy,
        bos="first" if tokenizer.bos_token_id in ids[:1] else "none",
        adds_bos=tokenizer.bos_token_id in tokenizer(USER)["input_ids"][:1],
        eos_ids=eos_ids,
        template_sha256=hashlib.sha256(source.encode()).hexdigest(),
        control=re.compile("|".join(map(re.escape, every))) if every else None,
        control_ids=frozenset(tokenizer.convert_tokens_to_ids(every)) - {tokenizer.unk_token_id},
        preamble=plain.partition(USER)[0],
        reply=reply_format(tail + header, thinking_shown, every, tokenizer.convert_ids_to_tokens(eos_ids)),
        switch=switch,
        setting=setting,
        header=header,
    )


def _plain(tokenizer, setting: dict) -> str:
    """The prompt of a single user turn."""
    try:
        plain = _apply(tokenizer, [[{"role": "user", "content": USER}]], **setting)[0]
    except Exception as error:
        raise InputError(f"the chat template cannot render a single user turn ({_short(error)})") from error
    if plain.count(USER) != 1:
        raise InputError(f"the chat template writes the user's text {plain.count(USER)} times instead of once")
    if not plain.partition(USER)[2].strip():
        raise InputError("the chat template adds nothing after the user's text, so the model does not see it end")
    return plain


def _switch(tokenizer, source: str) -> Switch | None:
    """The variable of the template that switches thinking."""

    def render(**variables) -> str:
        return _apply(tokenizer, [[{"role": "user", "content": USER}]], **variables)[0]

    return find_switch(source, tokenizer.special_tokens_map, USER, render)


def _reply_head(tokenizer, tail: str, setting: dict) -> tuple[str, str]:
    """What a prompt ends with, and the header of the reply if the template leaves it out of a prompt.

    tail: what the prompt has after the user's text. It is compared with what the template writes between a user's text
    and a reply in a conversation.

    Raises InputError if the template begins the response itself.
    """
    turns = [{"role": "user", "content": USER}, {"role": "assistant", "content": REPLY}]
    try:
        text = _apply(tokenizer, [turns], reply=False, **setting)[0]
    except Exception:  # a template for questions alone
        return tail, ""
    _, found, between = text.partition(REPLY)[0].partition(USER)
    if REPLY not in text or not found:
        return tail, ""
    prompt, conversation = (thinking.without_marks(part).rstrip() for part in (tail, between))
    if conversation.startswith(prompt):
        missing = conversation[len(prompt) :].strip()
        space = between[len(between.rstrip()) :]
        return tail, f"{missing}{space}" if missing else ""
    begun = BRACKETED.sub("", prompt.removeprefix(conversation)).strip()
    if prompt.startswith(conversation) and any(map(str.isalnum, begun)):
        raise InputError(
            f"the chat template starts the response with {begun!r}, so the model does not choose its first words; "
            "remove these words from the chat template"
        )
    return tail, ""


def _apply(tokenizer, conversations: list[list[dict]], reply: bool = True, **variables) -> list[str]:
    return tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=reply, **variables)


def _doubles_bos(tokenizer, ids: list[int]) -> bool:
    """Whether a prompt starts with BOS twice; later ones are turn markers in some templates (ChatML, Llama 2)."""
    return tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2


def _fixing_the_date(template: str) -> str:
    """The template with a `strftime_now` that always writes FIXED_DATE, in the format that the template requests."""
    codes = "".join(f".replace('{code}', '{value}')" for code, value in DATE_CODES.items())
    # Jinja removes the line break after a block, so leading white space of the template stays as it was
    return f"{{%- macro strftime_now(format) -%}}{{{{ format{codes} }}}}{{%- endmacro %}}\n{template}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _declared(tokenizer) -> set[str]:
    """Control tokens that are declared as special."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in {*added, *tokenizer.all_special_tokens} if token.strip()}


def _undeclared(tokenizer, source: str, eos_ids: list[int]) -> set[str]:
    """Control tokens that are not declared as special: known by their form, the template or the end of a turn."""
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items() if not token.special}
    return {
        token
        for token, number in added.items()
        if (number in eos_ids and token.strip())  # a line break is no sign of anything in a text
        or CONTROL.fullmatch(token)
        or (BRACKETED.fullmatch(token) and token in source)
    }


def _system_handling(tokenizer, plain: str) -> str:
    """What the template does with a system turn (see Chat); `plain` is the prompt with a user turn only."""
    try:
        text = _apply(tokenizer, [[{"role": "system", "content": SYSTEM}, {"role": "user", "content": USER}]])[0]
    except Exception:
        return "rejecting"
    if SYSTEM not in text or USER not in text:
        return "dropping"
    between = text[text.index(SYSTEM) + len(SYSTEM) : text.index(USER)]
    # a header that opens the user's turn, as control tokens or as plain text ("User: "), closes the system turn
    ends = zip(reversed(between), reversed(plain.partition(USER)[0]), strict=False)
    header = itertools.takewhile(lambda pair: pair[0] == pair[1], ends)
    return "native" if any(character.isalnum() for character, _ in header) else "merged"


def _end_of_turn(tokenizer, generation_eos: Iterable[int]) -> list[int]:
    """All tokens that end a response: the declared EOS, and what the template writes after a reply."""
    generation_eos = {int(i) for i in generation_eos}
    ends = generation_eos | {tokenizer.eos_token_id}
    known = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}  # not all are declared as special
    user, reply = {"role": "user", "content": USER}, {"role": "assistant", "content": REPLY}
    for turns in ([user, reply], [user, reply, user]):  # some templates leave the last turn open
        try:
            rendered = _apply(tokenizer, [turns], reply=False)[0]
        except Exception:
            continue
        after = rendered.partition(REPLY)[2].lstrip()
        following = tokenizer(after, add_special_tokens=False)["input_ids"][:1] if after else []
        ends.update(set(following) & known)
    ends.discard(None)
    if "<|channel|>" in tokenizer.chat_template:  # there it ends the thinking; the response is in a channel of its own
        declared = {*generation_eos, tokenizer.eos_token_id}
        ends -= {tokenizer.convert_tokens_to_ids("<|end|>")} - declared
    if not ends:
        raise InputError("neither the tokenizer, the generation config nor the chat template names an EOS token")
    return sorted(ends)


def place_system(conversation: list[dict], policy: str, name: str, template: str = "native") -> list[dict]:
    """Move the system turn of a prompt to where `policy` puts it.

    Parameters
    ----------
    conversation : list of dict
        Turns with role and content.
    policy : str
        What to do with a system turn, see `Chat`.
    name : str
        The prompt's id, for messages.
    template : str
        How the chat template handles a system turn, see `Chat.system`.
    """
    turns = [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in conversation]
    if not turns or turns[-1]["role"] != "user":
        raise InputError(f"prompt {name}: a prompt must end with a user turn")
    if turns[0]["role"] != "system":
        return turns
    if policy == "error":
        raise InputError(f"prompt {name}: has a system turn, which system_role: error forbids")
    if policy == "merge":
        if len(turns) < 2 or turns[1]["role"] != "user":
            raise InputError(f"prompt {name}: its system turn is not followed by a user turn to merge it into")
        return [{"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}, *turns[2:]]
    if template in ("rejecting", "dropping"):
        raise InputError(
            f"prompt {name}: has a system turn, and this model's chat template {VERBS[template]} system turns; "
            "set system_role: merge to put it at the start of the user turn"
        )
    return turns
