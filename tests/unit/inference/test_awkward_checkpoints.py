"""Between prompt and reply: templates that think, leave out or begin the reply, and replies that are more than one."""

import functools
import logging

import pandas as pd
import pytest

from awkward_checkpoints import CHATML, fixed_reply, fixed_tokenizer, with_end
from falserefusal.common.errors import InputError
from falserefusal.inference import EarlyDecision, respond
from falserefusal.inference.chat import examine
from falserefusal.inference.engine import create_engine
from falserefusal.inference.reply import Ending, reply_format
from falserefusal.inference.thinking import separate, state
from job_settings import decoding_with, settings

REFUSAL = "I'm sorry, but I can't answer that."
OPEN = with_end("{{ '<think>\n' }}")  # always thinks
SWITCHED = with_end(
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)
HARMONY = (
    "{%- for m in messages %}{{ '<|start|>' ~ m.role ~ ('<|channel|>final' if m.role == 'assistant' else '')"
    " ~ '<|message|>' ~ m.content ~ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
PROMPTS = pd.DataFrame({"prompt_id": ["p"], "messages": [[{"role": "user", "content": "Is it polite?"}]]})


@pytest.fixture
def ask(tmp_path):
    """Ask a checkpoint with a fixed reply; returns its row of RESPONSES and the provenance."""

    def asked(reply, *, new=64, thinking=64, early=None, keep=False, **checkpoint):
        folder = fixed_reply(tmp_path / "model", reply, **checkpoint)
        model = settings(path=str(folder), max_thinking_tokens=thinking, **({"thinking": "keep"} if keep else {}))
        options = {"early": EarlyDecision(early, 0.0)} if early else {}
        frame, about = respond(
            model, decoding_with(max_new_tokens=new), PROMPTS, tmp_path / "store", progress=False, **options
        )
        return frame.iloc[0], about

    return asked


def chat(template, pieces=(), thinks="disabled", bos=None, controls=("<|im_start|>", "<|im_end|>"), eos="<|im_end|>"):
    return examine(fixed_tokenizer(template, pieces, controls, bos, eos), [], "native", thinks)


def prompt(found) -> str:
    return found.render(PROMPTS["messages"].tolist(), ["p"])[0]


IF = "{{% if {0} %}}{{{{ '{1}' }}}}{{% endif %}}"
CLOSED = "<think>\\n\\n</think>\\n\\n"


@pytest.mark.parametrize(
    ("end", "setting", "ends"),
    [
        (
            IF.format("enable_thinking is defined and not enable_thinking", CLOSED),
            {"enable_thinking": False},
            "</think>\n\n",
        ),
        ("{{ '<think>\n' if thinking else '</think>' }}", {"thinking": False}, "</think>"),
        (IF.format("think | default(true)", "<thinking>\\n"), {"think": False}, "assistant\n"),
        (IF.format("not reasoning is defined or reasoning", "<reasoning>"), {"reasoning": False}, "assistant\n"),
        (
            IF.format('reasoning_effort | default("high") != "none"', "[THINK]"),
            {"reasoning_effort": "none"},
            "assistant\n",
        ),
        (IF.format('thinking_mode != "off"', "<|begin_of_thought|>"), {"thinking_mode": "off"}, "assistant\n"),
        (IF.format("not disable_thinking", "<think>"), {"disable_thinking": True}, "assistant\n"),
        (
            "{% set effort = budget | default('long') %}" + IF.format('effort in ["long", "short"]', "<think>"),
            {"budget": False},
            "assistant\n",
        ),
        (
            "{{ '<|START_THINKING|><|END_THINKING|>' if fast else '<|START_THINKING|>' }}",
            {"fast": True},
            "<|END_THINKING|>",
        ),
    ],
)
def test_thinking_is_switched_off_by_whatever_name(end, setting, ends):
    found = chat(with_end(end))
    assert found.setting == setting and found.reply.thinks
    assert prompt(found).endswith(ends) and not found.reply.read("").open
    kept = chat(with_end(end), thinks="keep")
    assert kept.setting == {} and kept.switch.setting == setting, "left to the template"


def test_a_switch_in_the_instructions_is_known_by_its_name():
    head = (
        "{% if thinking %}{{ 'Write your thoughts first. ' }}{% endif %}{% if formal %}{{ 'Be formal. ' }}{% endif %}"
    )
    assert chat(head + CHATML).setting == {"thinking": False}
    assert chat("{% if formal %}{{ 'Be formal. ' }}{% endif %}" + CHATML).switch is None


def test_a_level_of_thinking_that_the_template_only_prints_is_left_alone():
    found = chat("{{ 'Reasoning: ' ~ reasoning_effort | default('medium') ~ '\n' }}" + CHATML)
    assert found.switch is None and prompt(found).startswith("Reasoning: medium")


def test_each_prompt_is_seen_to_end_with_thinking_switched_off():
    end = "{% if not enable_thinking and 'now' not in messages[0].content %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    found = chat(with_end(end))
    with pytest.raises(InputError, match=r"prompt b: the chat template ends other prompts with '<think>"):
        found.render([[{"role": "user", "content": text}] for text in ("then", "now")], ["a", "b"])


TAGS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<Thought>", "</Thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<analysis>", "</analysis>"),
    ("<scratchpad>", "</scratchpad>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|think|>", "<|/think|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|thinking_start|>", "<|thinking_end|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel>thought\n", "<channel|>"),
]


@pytest.mark.parametrize(("begin", "end"), TAGS)
def test_thinking_in_any_tags_is_no_part_of_the_response(begin, end):
    for text in (f"{begin}No, {{it}} is.{end}\n\n{REFUSAL}", f"\n{begin}\nNo, {{it}} is.\n{end}{REFUSAL}"):
        parts = separate(text)
        assert (parts.thinking, parts.response, parts.open) == ("No, {it} is.", REFUSAL, False)
    assert separate(f"{begin}No, it") == separate(f"{begin}No, it{end[:1]}"[:-1]) and separate(f"{begin}No, it").open
    assert separate(f"No, it is.{end}{REFUSAL}").response == REFUSAL, "the prompt began it, or nothing did"
    assert (state(f"x{begin}\n"), state(f"x{begin}\n\n{end}\n\n"), state("x")) == ("open", "closed", "none")


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("<think>a</think><think>b</think>No", "No"),
        ("<think>a<think>b</think>c</think>No", "No"),
        ("<think>a</think>\n<answer>\nNo\n</answer>", "No"),
        ("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>No<|end_of_solution|>", "No"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>No", "No"),
        (
            "<|channel|>commentary to=x <|constrain|>json<|message|>{}<|call|><|channel|>final<|message|>No<|return|>",
            "No",
        ),
        ("<|channel|>final<|message|>No", "No"),
        ("<|channel|>analysis<|message|>No", ""),
        ("<|channel|>ana", ""),
        ("No. <b>bold</b> [polite] <reasoning>x</reasoning>", "No. <b>bold</b> [polite] <reasoning>x</reasoning>"),
        ("[not offensive]", "[not offensive]"),
    ],
)
def test_only_the_response_is_left(text, response):
    assert separate(text).response == response


THOUGHT = [" The user", " names a", " persona."]


@pytest.mark.parametrize(
    ("reply", "template", "last"),
    [
        (["<think>", *THOUGHT, "</think>", "\n\n", REFUSAL], CHATML, "\n"),  # unasked
        (["<think>", *THOUGHT, "</think>", "\r", REFUSAL], SWITCHED, "\n\n"),  # though it is switched off
        ([*THOUGHT, "</think>", "\n\n", REFUSAL], OPEN, "\n"),
        ([*THOUGHT, "</thi", "nk>\n\n", REFUSAL], OPEN, "\n"),  # a tag that is no token
        (["<|im_start|>", "assistant", "\n\n", "<think>", *THOUGHT, "</think>", REFUSAL], CHATML, "\n"),
    ],
)
def test_what_follows_the_thinking_is_the_response(ask, reply, template, last):
    row, about = ask(reply, template=template, last=last, new=4)
    assert row["response"] == REFUSAL and row["finish_reason"] in ("stop", "length")
    assert row["thinking"] == "The user names a persona." and about["cut_in_thinking"] == 0
    assert about["gate"]["thinking"]["max_thinking_tokens"] == 64


def test_thinking_kept_on_is_separated_too(ask):
    row, about = ask(["<think>", *THOUGHT, "</think>", "\n\n", REFUSAL], template=SWITCHED, keep=True)
    assert (row["response"], row["thinking"]) == (REFUSAL, "The user names a persona.")
    assert about["gate"]["thinking"]["switch"] == "enable_thinking" and about["gate"]["thinking"]["switched"] is None


@pytest.mark.parametrize(
    ("reply", "template"),
    [(["<think>", *THOUGHT, "</think>", REFUSAL], CHATML), ([*THOUGHT, "</think>", REFUSAL], OPEN)],
)
def test_a_reply_that_is_cut_inside_its_thinking_has_no_response(ask, reply, template, caplog):
    row, about = ask(reply, template=template, thinking=3)
    assert row["response"] == "" and row["finish_reason"] == "length" and "The user" in row["thinking"]
    assert row["new_tokens"] == 3 and about["cut_in_thinking"] == 1
    assert "1 of 1 replies end inside their thinking" in caplog.text and "max_thinking_tokens" in caplog.text


def test_the_verdict_of_an_early_decision_is_on_the_response_alone(ask):
    seen = []

    def certain(text):
        seen.append(text)
        return bool(text.strip())

    reply = ["<", "think", ">", *THOUGHT, "</think>", "\n\n", "Not", " polite", "."]
    row, _ = ask(reply, early=certain)
    assert (row["response"], row["finish_reason"], row["thinking"]) == ("Not", "decided", "The user names a persona.")
    assert {text.strip() for text in seen} <= {"", "Not"}


@pytest.mark.parametrize("declared", [True, False])
def test_channels(ask, declared):
    marks = ("<|start|>", "<|message|>", "<|end|>", "<|return|>") if declared else ()
    thought = ["<|channel|>analysis", "<|message|>", *THOUGHT, "<|end|>"]
    reply = [*thought, "<|start|>", "assistant<|channel|>final", "<|message|> ", REFUSAL]  # each token occurs once
    row, about = ask(reply, template=HARMONY, last="assistant", controls=marks, eos="<|return|>", new=2)
    assert row["response"].strip() == REFUSAL and row["thinking"] == "The user names a persona."
    assert about["gate"]["eos_tokens"] == ["<|return|>"], "<|end|> ends the thinking"


def test_a_header_that_the_template_leaves_out_is_added(ask, caplog):
    template = CHATML.partition("{%- if add_generation_prompt")[0]
    row, about = ask([REFUSAL], template=template)
    assert row["response"] == REFUSAL and about["gate"]["header_added"] == "<|im_start|>assistant\n"
    assert "without the header of the reply" in caplog.text
    assert prompt(chat(template)) == prompt(chat(CHATML))


HEADERS = [
    ["<|im_start|>", "assistant", "\r\n"],
    ["assistant", "\n\n"],
    ["<|im_start|>assistant\n\n"],
    ["<|start_header_id|>", "assistant", "<|end_header_id|>", "\n\n"],
    ["<|assistant|>", "\r\n"],
]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("header", HEADERS)
def test_a_role_header_is_no_part_of_the_response(ask, header, declared):
    controls = ("<|im_start|>", *(piece for piece in header if piece.startswith("<|"))) if declared else ()
    row, _ = ask([*header, REFUSAL], controls=controls)
    assert row["response"] == REFUSAL


@pytest.mark.parametrize("declared", [True, False])
def test_no_control_token_and_no_further_turn_is_in_the_response(ask, declared):
    reply = ["Not", "<|fim|>", " polite", "<|im_start|>", "user", "\n\n", "And now?"]
    row, _ = ask(reply, controls=("<|fim|>", "<|im_start|>") if declared else ())
    assert row["response"] == "Not polite"


def test_markup_that_is_a_token_stays_in_the_response(ask):
    row, _ = ask(["<b>", "Not", "</b>", "<br>", " polite"])
    assert row["response"] == "<b>Not</b><br> polite"


@pytest.mark.parametrize("words", ["Sure,", "The label is:", "\n\nAnswer: "])
def test_a_template_that_begins_the_response_is_refused(words):
    with pytest.raises(InputError, match="the chat template starts the response with"):
        chat(with_end(f"{{{{ {words!r} }}}}"))


def test_a_bos_that_the_template_leaves_out_is_reported(ask, caplog):
    caplog.set_level(logging.WARNING)
    _, about = ask([REFUSAL], bos="<s>")
    assert about["gate"]["bos"] == "none" and about["gate"]["tokenizer_adds_bos"]
    assert "its tokenizer writes BOS (<s>) before a text, but its chat template writes none" in caplog.text
    caplog.clear()
    _, about = ask([REFUSAL], bos="<s>", template="{{- bos_token }}" + CHATML)
    assert about["gate"]["bos"] == "first" and "BOS" not in caplog.text


def test_only_a_model_that_thinks_is_stored_under_its_thinking(tmp_path):
    def identity(name, reply, template, **own):
        folder = fixed_reply(tmp_path / name, reply, template)
        return create_engine(settings(path=str(folder), **own), decoding_with()).identity

    plain = identity("plain", [REFUSAL], CHATML, thinking="keep", max_thinking_tokens=9)
    assert set(plain) == {"name", "revision", "dtype", "quantization"}, "else stored responses are generated again"
    off = identity("thinks", [REFUSAL], SWITCHED, max_thinking_tokens=9)
    assert off["max_thinking_tokens"] == 9 and "thinking" not in off
    assert identity("thinks", [REFUSAL], SWITCHED, thinking="keep")["thinking"] == "keep"
    assert "max_thinking_tokens" in identity("token", ["<think>", REFUSAL], CHATML)


def test_the_context_must_hold_the_thinking_too(ask):
    with pytest.raises(InputError, match=r"1024 tokens with 1024 new ones.*max_new_tokens or max_thinking_tokens"):
        ask([REFUSAL], template=OPEN, thinking=1000, new=24)
    assert ask([REFUSAL], template=CHATML, thinking=1000, new=24)[0]["response"] == REFUSAL


def test_an_ending_counts_the_tokens_of_the_response_alone_and_again_if_a_row_begins_again():
    form = reply_format("<|im_end|>\n<|im_start|>assistant\n<think>\n", True, ["<|im_end|>"], ["<|im_end|>"])
    ending = Ending(functools.partial(str.join, ""), form, 2, 4, None, [False])
    for _ in range(2):
        reply = ["a", "b", "</think>", "c", "d"]
        assert [ending.spent(0, reply[: n + 1]) for n in range(5)] == [False, False, False, False, True]
    assert [ending.spent(0, ["a"] * n) for n in range(1, 5)] == [False, False, False, True]
