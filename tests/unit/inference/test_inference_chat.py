"""The gate before the first batch: templates that drop, double, cut or refuse are caught, by name."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from falserefusal.common.errors import InputError
from falserefusal.inference.chat import FIXED_DATE, REPLY, SYSTEM, USER, examine
from tiny_checkpoints import STYLES, build_tokenizer, tokenizer

ASK = [{"role": "user", "content": "Given a text, would a woman classify it as polite?\n\nText:  two  spaces "}]
WITH_SYSTEM = [{"role": "system", "content": "You are a woman."}, *ASK]


def chat(style: str = "llama3", policy: str = "native", template: str | None = None, eos=()):
    return examine(tokenizer(style, template), eos, policy)


@pytest.mark.parametrize(
    ("style", "system", "bos"),
    [
        ("llama3", "native", "first"),
        ("chatml", "native", "none"),
        ("llama2", "merged", "first"),
        ("gemma", "rejecting", "first"),
    ],
)
def test_templates_of_the_field_are_told_apart(style, system, bos):
    found = chat(style)
    assert (found.system, found.bos) == (system, bos)
    (text,) = found.render([ASK], ["p"])
    assert ASK[0]["content"].strip() in text
    (ids,) = found.encode([text], ["p"], 2048, 8)
    assert ids.count(found.tokenizer.bos_token_id) == (bos == "first")


@pytest.mark.parametrize("style", list(STYLES))
def test_every_token_that_ends_a_turn_ends_an_answer(style):
    ends = {"llama3": "<|eot_id|>", "chatml": "<|im_end|>", "gemma": "<end_of_turn>", "llama2": "</s>"}
    found = chat(style, eos=[7])
    names = found.tokenizer.convert_ids_to_tokens(found.eos_ids)
    assert {ends[style], STYLES[style][2]} <= set(names) and 7 in found.eos_ids


def test_an_end_of_turn_that_is_not_declared_as_special_ends_an_answer():
    """Some ChatML checkpoints add <|im_end|> as a common token and keep <|endoftext|> as EOS."""
    plain = build_tokenizer(STYLES["chatml"][0], None, "<|endoftext|>", None, [])
    plain.add_tokens(["<|im_start|>", "<|im_end|>"])
    assert plain.convert_ids_to_tokens(examine(plain, [], "native").eos_ids) == ["<|endoftext|>", "<|im_end|>"]


def test_no_end_token_at_all_is_an_error():
    bare = tokenizer("llama2", "{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}")
    bare.eos_token = None
    with pytest.raises(InputError, match="EOS"):
        examine(bare, [], "native")


def test_a_system_turn_that_the_template_rejects_is_merged_or_refused_as_configured():
    with pytest.raises(InputError, match=r"prompt q7: .*rejects system turns; set system_role: merge"):
        chat("gemma").render([WITH_SYSTEM], ["q7"])
    (text,) = chat("gemma", "merge").render([WITH_SYSTEM], ["q7"])
    assert "<start_of_turn>user\nYou are a woman.\n\nGiven a text" in text
    (text,) = chat("llama3", "native").render([WITH_SYSTEM], ["q7"])
    assert "system<|end_header_id|>\n\nYou are a woman.<|eot_id|>" in text
    with pytest.raises(InputError, match="forbids"):
        chat("llama3", "error").render([WITH_SYSTEM], ["q7"])


def test_a_template_that_drops_the_system_turn_is_caught():
    dropping = STYLES["llama3"][0].replace("for m in messages", "for m in messages if m['role'] != 'system'")
    found = chat("llama3", template=dropping)
    assert found.system == "dropping"
    with pytest.raises(InputError, match="drops system turns"):
        found.render([WITH_SYSTEM], ["q7"])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no chat here') }}", "cannot render a single user turn.*no chat here"),
        ("{% for m in messages %}{{ m['content'][:9] }}</s>{% endfor %}", "0 times"),
        ("{% for m in messages %}{{ m['content'] }}|{{ m['content'] }}</s>{% endfor %}", "2 times"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "nothing after the user's text"),
        ("{% for m in messages %}{{ bos_token }}{{ bos_token }}{{ m['content'] }}[/INST]{% endfor %}", "two BOS"),
        ("{% for m in messages %}{{ m['content'] ", "cannot render"),
    ],
)
def test_templates_that_could_never_be_right_are_errors(template, message):
    with pytest.raises(InputError, match=message):
        chat("llama2", template=template)


def test_a_tokenizer_without_a_template_is_an_error():
    bare = tokenizer()
    bare.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        examine(bare, [], "native")


def test_a_text_that_the_template_changes_is_named():
    shouting = STYLES["llama3"][0].replace("m['content'] | trim", "m['content'].replace('rude', 'r*de')")
    found = chat("llama3", template=shouting)
    with pytest.raises(InputError, match="prompt b: the chat template lost or changed its user turn"):
        found.render([ASK, [{"role": "user", "content": "a rude text"}]], ["a", "b"])


def test_a_prompt_that_the_template_refuses_is_named():
    picky = (
        "{% if 'rude' in messages[0]['content'] %}{{ raise_exception('not that') }}{% endif %}" + STYLES["llama3"][0]
    )
    with pytest.raises(InputError, match=r"prompt b: the chat template rejects it \(not that\)"):
        chat("llama3", template=picky).render([ASK, [{"role": "user", "content": "a rude text"}]], ["a", "b"])


@pytest.mark.parametrize(
    ("wanted", "date"),
    [
        ("%d %b %Y", FIXED_DATE),
        ("%B %d, %Y", "July 26, 2024"),
        ("%Y-%m-%d", "2024-07-26"),
        ("%A %-d.%-m.%y", "Friday 26.7.24"),
    ],
)
def test_a_template_that_prints_the_date_prints_the_same_every_day(wanted, date):
    dated = f"{{{{ 'Today Date: ' + strftime_now('{wanted}') + '\n' }}}}{STYLES['llama3'][0]}"
    (text,) = chat("llama3", template=dated).render([ASK], ["p"])
    assert text.startswith(f"Today Date: {date}\n<|begin_of_text|>")


def test_fixing_the_date_changes_nothing_else_in_the_prompt():
    head = "  {% macro day() %}{{ strftime_now('%Y') }}{% endmacro %}\n\n  In {{ day() }}:\n"
    (text,) = chat("llama3", template=head + STYLES["llama3"][0]).render([ASK], ["p"])
    assert text.startswith("\n  In 2024:<|begin_of_text|>")


def test_prompts_too_long_for_the_context_are_errors_before_any_batch():
    found = chat()
    texts = found.render([ASK, [{"role": "user", "content": "long " * 300}]], ["short", "long"])
    with pytest.raises(InputError, match=r"1 prompt\(s\) do not fit .* 200 tokens with 40 new ones.*longest is long"):
        found.encode(texts, ["short", "long"], 200, 40)


def test_a_text_that_brings_its_own_bos_is_an_error_and_control_tokens_are_seen():
    found = chat("llama2", template="{% for m in messages %}{{ bos_token + m['content'] }} [/INST]{% endfor %}")
    sly = [{"role": "user", "content": "<s>hello"}]
    with pytest.raises(InputError, match="prompt x: starts with two BOS"):
        found.encode(found.render([sly], ["x"]), ["x"], 2048, 8)
    assert found.control_tokens_in([ASK, sly]) == {1: "<s>"}


def test_a_bos_that_also_marks_the_turns_is_accepted():
    """SmolLM2's BOS opens every ChatML turn; Llama 2 and Mistral write BOS before every user turn."""
    marks = tokenizer("chatml")
    marks.bos_token, marks.eos_token = "<|im_start|>", "<|im_end|>"
    conversation = [*ASK, {"role": "assistant", "content": "polite"}, *ASK]
    for fast, turns in ((marks, ASK), (marks, WITH_SYSTEM), (tokenizer("llama2"), conversation)):
        found = examine(fast, [], "native")
        (ids,) = found.encode(found.render([turns], ["p"]), ["p"], 2048, 8)
        assert found.bos == "first" and ids[0] == fast.bos_token_id and ids.count(fast.bos_token_id) > 1


def test_a_text_that_the_tokenizer_does_not_know_is_named():
    """It would ask every persona the same question."""
    known = {word: i for i, word in enumerate(["[UNK]", "<s>", "</s>", *f"{SYSTEM} {USER} {REPLY} a woman .".split()])}
    words = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", bos_token="<s>", eos_token="</s>")
    fast.chat_template = "{{ bos_token }}{% for m in messages %} {{ m['content'] }} </s>{% endfor %}"
    found = examine(fast, [], "native")
    good, bad, named = ([{"role": "user", "content": text}] for text in ("a woman", "a muslim woman", "[UNK] woman"))
    with pytest.raises(InputError, match=r"prompt b: contains text that this model's tokenizer does not know.*\[UNK\]"):
        found.encode(found.render([good, bad], ["a", "b"]), ["a", "b"], 99, 4)
    assert len(found.encode(found.render([good, named], ["a", "c"]), ["a", "c"], 99, 4)) == 2


@pytest.mark.parametrize(
    "turns", [[], [{"role": "system", "content": "s"}], [*ASK, {"role": "assistant", "content": "a"}]]
)
def test_a_prompt_must_end_with_the_user(turns):
    with pytest.raises(InputError, match="must end with a user turn"):
        chat().render([turns], ["p"])
