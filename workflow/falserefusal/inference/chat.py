"""The chat template, examined before the first batch: what happens to a system turn, the persona, the text, BOS, EOS.

A harness that drops a system message, doubles BOS or cuts a prompt still returns answers, only to other prompts. So
each template is rendered once with sentinel turns, and every prompt is checked to hold its turns verbatim.
"""

import dataclasses
import datetime
import hashlib
import itertools
import re
from collections.abc import Iterable

from falserefusal.common.errors import InputError

SYSTEM, USER, REPLY = "Sentinel persona Qzvk.", "Sentinel text Wxjq.", "Sentinel reply Jqpx."
DAY = datetime.datetime(2024, 7, 26)  # the default date of Llama 3.1's template; others would print today's date
FIXED_DATE = DAY.strftime("%d %b %Y")
DATE_CODES = {f"%{code}": DAY.strftime(f"%{code}") for code in ("Y", "y", "B", "b", "m", "-m", "d", "-d", *"AajHMS")}
SYSTEM_ROLES = ("native", "merge", "error")


@dataclasses.dataclass
class Chat:
    """A tokenizer with its examined template.

    `system` is what the template does with a system turn: native (a turn of its own), merged (into the user's turn),
    rejecting (raises) or dropping (loses it). `policy`, from the config, is what we do: native (leave it to the
    template; an error where it rejects or drops), merge (into the first user turn, alike in every model) or error.
    """

    tokenizer: object
    system: str
    policy: str
    bos: str  # "first" (every prompt starts with it) or "none"
    eos_ids: list[int]
    template_sha256: str
    control: re.Pattern | None  # the tokenizer's control tokens, to find texts that contain one
    preamble: str = ""  # what the template writes before the user's text where a prompt has no system turn

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Rendered prompts, each checked to hold every turn verbatim. Raises InputError naming the first bad prompt."""
        if not conversations:
            return []
        turns = [
            place_system(turns, self.policy, name, self.system)
            for turns, name in zip(conversations, names, strict=True)
        ]
        try:
            rendered = _apply(self.tokenizer, turns)
        except Exception:  # find the prompt that the template refuses, to name it
            for conversation, name in zip(turns, names, strict=True):
                try:
                    _apply(self.tokenizer, [conversation])
                except Exception as error:
                    raise InputError(f"prompt {name}: the chat template refuses it ({_short(error)})") from error
            raise
        for text, conversation, name in zip(rendered, turns, names, strict=True):
            for turn in conversation:
                if turn["content"].strip() not in text:
                    raise InputError(
                        f"prompt {name}: the chat template lost or changed its {turn['role']} turn (some remove blank "
                        "lines); change the text, or leave the model out"
                    )
        return rendered

    def encode(self, rendered: list[str], names: list[str], context: int, new_tokens: int) -> list[list[int]]:
        """Token ids, BOS as the template writes it. Raises InputError for a doubled BOS, a piece of text that the
        tokenizer does not know, or too short a context."""
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
            )
        for row, text, name in zip(ids, rendered, names, strict=True):
            # the unknown token's own name in a text or template is no lost text: some use it as their BOS
            if unknown is not None and row.count(unknown) > text.count(self.tokenizer.unk_token):
                raise InputError(
                    f"prompt {name}: holds text that this model's tokenizer does not know, which the model would see "
                    f"as {self.tokenizer.unk_token}; change the text, or leave the model out"
                )
            if not row:
                raise InputError(f"prompt {name}: no tokens after rendering")
            if _doubles_bos(self.tokenizer, row):
                raise InputError(f"prompt {name}: starts with two BOS tokens; the text must not bring its own")
        return ids

    def holding_control_tokens(self, conversations: list[list[dict]]) -> list[int]:
        """Which conversations hold a control token of this tokenizer in their own text; the model would obey it."""
        if self.control is None:
            return []
        return [i for i, c in enumerate(conversations) if any(self.control.search(turn["content"]) for turn in c)]


def examine(tokenizer, generation_eos: Iterable[int], policy: str = "native") -> Chat:
    """Examine a tokenizer's chat template with sentinel turns; raises InputError where no prompt could be right."""
    if policy not in SYSTEM_ROLES:
        raise InputError(f"system_role: '{policy}' is none of {', '.join(SYSTEM_ROLES)}")
    source = tokenizer.chat_template
    if isinstance(source, dict):
        source = tokenizer.chat_template = source.get("default")
    if not source:
        raise InputError("the tokenizer has no chat template: an instruction-tuned checkpoint is needed")
    digest = hashlib.sha256(source.encode()).hexdigest()
    if "strftime_now" in source:  # a prompt that changes at midnight could neither be stored nor reproduced
        tokenizer.chat_template = _fixing_the_date(source)
    user = [{"role": "user", "content": USER}]
    try:
        plain = _apply(tokenizer, [user])[0]
    except Exception as error:
        raise InputError(f"the chat template cannot render a single user turn ({_short(error)})") from error
    if plain.count(USER) != 1:
        raise InputError(f"the chat template writes the user's text {plain.count(USER)} times instead of once")
    if not plain.partition(USER)[2].strip():
        raise InputError("the chat template writes nothing after the user's text: the model could not see the turn end")
    ids = tokenizer(plain, add_special_tokens=False)["input_ids"]
    if _doubles_bos(tokenizer, ids):
        raise InputError(
            f"the chat template starts the prompt with two BOS tokens ({tokenizer.bos_token}); remove one from it"
        )
    control = _control_tokens(tokenizer)
    return Chat(
        tokenizer=tokenizer,
        system=_system_handling(tokenizer, plain),
        policy=policy,
        bos="first" if tokenizer.bos_token_id in ids[:1] else "none",
        eos_ids=_end_of_turn(tokenizer, generation_eos),
        template_sha256=digest,
        control=re.compile("|".join(map(re.escape, control))) if control else None,
        preamble=plain.partition(USER)[0],
    )


def _apply(tokenizer, conversations: list[list[dict]], reply: bool = True) -> list[str]:
    return tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=reply)


def _doubles_bos(tokenizer, ids: list[int]) -> bool:
    """Whether a prompt starts with BOS twice; later ones are turn markers in some templates (ChatML, Llama 2)."""
    return tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2


def _fixing_the_date(template: str) -> str:
    """The template with a `strftime_now` that writes FIXED_DATE in the format that the template asks for."""
    codes = "".join(f".replace('{code}', '{value}')" for code, value in DATE_CODES.items())
    # the line break, which Jinja removes after a block, keeps white space at the head of the template as it was
    return f"{{%- macro strftime_now(format) -%}}{{{{ format{codes} }}}}{{%- endmacro %}}\n{template}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _control_tokens(tokenizer) -> list[str]:
    """Strings that the tokenizer turns into control tokens, longest first; not all of them are declared as special."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted({t for t in {*added, *tokenizer.all_special_tokens} if t.strip()}, key=lambda t: (-len(t), t))


def _system_handling(tokenizer, plain: str) -> str:
    """What the template does with a system turn; `plain` is the prompt of the user turn alone."""
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
    """Every token that ends an answer: the declared EOS, and what the template itself writes after a reply."""
    ends = {int(i) for i in generation_eos} | {tokenizer.eos_token_id}
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
    if not ends:
        raise InputError("neither the tokenizer, the generation config nor the chat template names an EOS token")
    return sorted(ends)


def place_system(conversation: list[dict], policy: str, name: str, template: str = "native") -> list[dict]:
    """The turns of a prompt with its system turn where `policy` puts it; `template`: how the template handles one."""
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
            f"prompt {name}: has a system turn, but this model's chat template is {template} it; "
            "set system_role: merge to send it at the head of the user turn"
        )
    return turns
