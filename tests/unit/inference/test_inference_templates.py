"""The chat templates of the field: each is examined rightly, and its prompts are exactly what the family expects."""

import dataclasses
import re

import pytest

from chat_templates import FAMILIES, REPLY, SYSTEM, USER, Family
from falserefusal.common.errors import InputError
from falserefusal.inference.chat import Chat, examine
from tiny_checkpoints import build_tokenizer

ASK = {"role": "user", "content": USER}
PERSONA = {"role": "system", "content": SYSTEM}
ANSWERED = {"role": "assistant", "content": REPLY}
EVERY = pytest.mark.parametrize("name", list(FAMILIES))


def chat(family: Family, policy: str = "native", thinks: str = "keep") -> Chat:
    fast = build_tokenizer(family.template, family.bos, family.eos, family.pad, family.controls)
    return examine(fast, fast.convert_tokens_to_ids(list(family.generation_eos)), policy, thinks)


def prompt(found: Chat, *turns: dict) -> str:
    """The rendered prompt, once its token ids are seen to spell it, each control token as one id."""
    (text,) = found.render([list(turns)], ["p"])
    (ids,) = found.encode([text], ["p"], 2048, 8)
    assert found.tokenizer.decode(ids) == text
    for token in found.tokenizer.all_special_tokens:
        assert ids.count(found.tokenizer.convert_tokens_to_ids(token)) == text.count(token)
    return text


@EVERY
def test_the_examination(name):
    family = FAMILIES[name]
    found = chat(family)
    (ids,) = found.encode(found.render([[ASK]], ["p"]), ["p"], 2048, 8)
    assert found.tokenizer.convert_ids_to_tokens(ids[0]) == family.first
    assert found.bos == ("first" if family.first == family.bos else "none")
    assert found.system == family.system
    assert set(found.tokenizer.convert_ids_to_tokens(found.eos_ids)) == family.ends


@EVERY
def test_a_user_turn_alone_and_after_a_reply(name):
    family = FAMILIES[name]
    found = chat(family)
    assert prompt(found, ASK) == family.user
    assert prompt(found, ASK, ANSWERED, ASK) == family.turns


@EVERY
def test_a_system_turn_left_to_the_template(name):
    family = FAMILIES[name]
    found = chat(family)
    if family.with_system is None:
        with pytest.raises(InputError, match=r"prompt p: .*(rejects|drops) system turns; set system_role: merge"):
            prompt(found, PERSONA, ASK)
    else:
        assert prompt(found, PERSONA, ASK) == family.with_system


@EVERY
def test_a_system_turn_merged_or_forbidden(name):
    family = FAMILIES[name]
    with pytest.raises(InputError, match=r"prompt p: .*forbids"):
        prompt(chat(family, "error"), PERSONA, ASK)
    if name == "falcon":  # it would join the persona and the text in one paragraph
        with pytest.raises(InputError, match="prompt p: the chat template lost or changed its user turn"):
            prompt(chat(family, "merge"), PERSONA, ASK)
    else:
        assert prompt(chat(family, "merge"), PERSONA, ASK) == family.user.replace(USER, f"{SYSTEM}\n\n{USER}")


@EVERY
def test_user_turns_in_a_row(name):
    family = FAMILIES[name]
    if family.strict:
        with pytest.raises(InputError, match=r"prompt p: the chat template rejects it .*alternate"):
            prompt(chat(family), ASK, ASK)
    else:
        assert prompt(chat(family), ASK, ASK).count(USER) == 2


def test_a_system_turn_goes_where_mistral_puts_it():
    text = prompt(chat(FAMILIES["mistral 0.3"]), PERSONA, ASK, ANSWERED, ASK)
    assert text == f"<s>[INST] {USER}[/INST] {REPLY}</s>[INST] {SYSTEM}\n\n{USER}[/INST]"


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.bos])
def test_a_doubled_bos_is_refused(name):
    family = FAMILIES[name]
    doubled = "{{- bos_token }}" + ("" if family.first == family.bos else "{{- bos_token }}") + family.template
    with pytest.raises(InputError, match=f"starts the prompt with two BOS tokens .{re.escape(family.bos)}"):
        chat(dataclasses.replace(family, template=doubled))


@pytest.mark.parametrize(
    ("name", "on", "effect"),
    [("qwen 3", {}, ""), ("granite 3.2", {"thinking": True}, "Write your thoughts first")],
)
def test_thinking_left_to_the_template(name, on, effect):
    """Each model starts as its template's default has it: Qwen 3 thinks, Granite 3.2 does not."""
    found = chat(FAMILIES[name])
    assert prompt(found, ASK) == FAMILIES[name].user
    assert effect in found.tokenizer.apply_chat_template([ASK], tokenize=False, add_generation_prompt=True, **on)


@EVERY
def test_thinking_switched_off(name):
    found = chat(FAMILIES[name], thinks="disabled")
    switched = {"qwen 3": {"enable_thinking": False}, "granite 3.2": {"thinking": False}}
    assert found.setting == switched.get(name, {}) and found.reply.thinks == (name in switched)
    assert prompt(found, ASK) == FAMILIES[name].user + ("<think>\n\n</think>\n\n" if name == "qwen 3" else "")
