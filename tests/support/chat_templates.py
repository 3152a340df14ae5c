"""Chat templates of the families that studies ask, each with what its examination and its prompts must be.

The templates are written for these tests: they follow the format of each family, not the text of its template.
"""

import dataclasses

USER = "Is this polite?\nText: two  spaces, <b>"
SYSTEM = "You are a woman."
REPLY = "Not polite."


@dataclasses.dataclass(frozen=True)
class Family:
    """A template with its special tokens (`generation_eos`: of generation_config.json) and what is expected of it.

    `user`, `with_system` and `turns` are the prompts of a user turn, of system and user, and of user, assistant and
    user; `with_system` is None where the template does not write a system turn. `strict`: user turns and assistant
    turns must alternate.
    """

    template: str
    eos: str
    generation_eos: tuple[str, ...]
    system: str
    first: str
    ends: set[str]
    user: str
    with_system: str | None
    turns: str
    bos: str | None = None
    pad: str | None = None
    controls: tuple[str, ...] = ()
    strict: bool = False


_ALTERNATE = r"""
{%- for m in messages %}
{%- if m.role != ['user', 'assistant'][loop.index0 % 2] %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- endfor %}
"""

LLAMA2 = Family(
    template=r"""
{%- set ns = namespace(head='', turns=messages) %}
{%- if messages[0].role == 'system' %}
{%- set ns.head = '<<SYS>>\n' ~ messages[0].content ~ '\n<</SYS>>\n\n' %}
{%- set ns.turns = messages[1:] %}
{%- endif %}
{%- for m in ns.turns %}
{%- if m.role != ['user', 'assistant'][loop.index0 % 2] %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- if m.role == 'user' %}
{{- bos_token ~ '[INST] ' ~ (ns.head if loop.first else '') ~ m.content | trim ~ ' [/INST]' }}
{%- else %}
{{- ' ' ~ m.content | trim ~ ' ' ~ eos_token }}
{%- endif %}
{%- endfor %}""",
    bos="<s>",
    eos="</s>",
    generation_eos=("</s>",),
    system="merged",
    first="<s>",
    ends={"</s>"},
    user=f"<s>[INST] {USER} [/INST]",
    with_system=f"<s>[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n{USER} [/INST]",
    turns=f"<s>[INST] {USER} [/INST] {REPLY} </s><s>[INST] {USER} [/INST]",
    strict=True,
)

_HEADERS = ("<|start_header_id|>", "<|end_header_id|>")
_LLAMA3_USER = f"<|start_header_id|>user<|end_header_id|>\n\n{USER}<|eot_id|>"
_LLAMA3_REPLY = "<|start_header_id|>assistant<|end_header_id|>\n\n"
_LLAMA3_TURNS = f"{_LLAMA3_USER}{_LLAMA3_REPLY}{REPLY}<|eot_id|>{_LLAMA3_USER}{_LLAMA3_REPLY}"
LLAMA3 = Family(
    template=r"""
{{- bos_token }}
{%- for m in messages %}
{{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ m.content | trim ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}""",
    bos="<|begin_of_text|>",
    eos="<|end_of_text|>",
    generation_eos=("<|end_of_text|>",),  # as first released: only the template tells that <|eot_id|> ends a reply
    controls=("<|eot_id|>", *_HEADERS),
    system="native",
    first="<|begin_of_text|>",
    ends={"<|end_of_text|>", "<|eot_id|>"},
    user=f"<|begin_of_text|>{_LLAMA3_USER}{_LLAMA3_REPLY}",
    with_system=(
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}<|eot_id|>{_LLAMA3_USER}{_LLAMA3_REPLY}"
    ),
    turns=f"<|begin_of_text|>{_LLAMA3_TURNS}",
)

_LLAMA31_HEAD = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
)
_LLAMA31_BODY = r"""
{{- bos_token ~ '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n' }}
{{- 'Today Date: ' ~ today ~ '\n\n' }}
{%- if messages[0].role == 'system' %}
{{- messages[0].content | trim }}
{%- set messages = messages[1:] %}
{%- endif %}
{{- '<|eot_id|>' }}
{%- for m in messages %}
{{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ m.content | trim ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""
LLAMA31 = dataclasses.replace(
    LLAMA3,
    template=r"{%- set today = date_string | default('26 Jul 2024') %}" + _LLAMA31_BODY,
    eos="<|eot_id|>",
    generation_eos=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
    controls=("<|end_of_text|>", "<|eom_id|>", *_HEADERS),
    ends={"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"},
    user=f"{_LLAMA31_HEAD}<|eot_id|>{_LLAMA3_USER}{_LLAMA3_REPLY}",
    with_system=f"{_LLAMA31_HEAD}{SYSTEM}<|eot_id|>{_LLAMA3_USER}{_LLAMA3_REPLY}",
    turns=f"{_LLAMA31_HEAD}<|eot_id|>{_LLAMA3_TURNS}",
)
LLAMA32 = dataclasses.replace(  # today's date, which the examination fixes
    LLAMA31,
    template=r"""
{%- if strftime_now is defined %}{% set today = strftime_now('%d %b %Y') %}{% else %}{% set today = '1 Jan 1970' %}
{%- endif %}"""
    + _LLAMA31_BODY,
)

_GEMMA_USER = f"<start_of_turn>user\n{USER}<end_of_turn>\n<start_of_turn>model\n"
GEMMA1 = Family(
    template=r"""
{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"""
    + _ALTERNATE
    + r"""
{%- for m in messages %}
{{- '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ m.content | trim ~ '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}""",
    bos="<bos>",
    eos="<eos>",
    generation_eos=("<eos>",),  # only the template tells that <end_of_turn> ends a reply
    pad="<pad>",
    controls=("<start_of_turn>", "<end_of_turn>"),
    system="rejecting",
    first="<bos>",
    ends={"<eos>", "<end_of_turn>"},
    user=f"<bos>{_GEMMA_USER}",
    with_system=None,
    turns=f"<bos>{_GEMMA_USER}{REPLY}<end_of_turn>\n{_GEMMA_USER}",
    strict=True,
)
GEMMA2 = dataclasses.replace(GEMMA1, generation_eos=("<eos>", "<end_of_turn>"))

_CHATML_USER = f"<|im_start|>user\n{USER}<|im_end|>\n<|im_start|>assistant\n"


def _chatml(default: str | None, **different) -> Family:
    """A ChatML family that writes the system turn `default` where a conversation has none."""
    opening = "" if default is None else f"<|im_start|>system\n{default}<|im_end|>\n"
    insert = "{%- if messages[0].role != 'system' %}{{ DEFAULT }}{% endif %}".replace("DEFAULT", repr(opening))
    family = Family(
        template=insert
        + r"""
{%- for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
        eos="<|im_end|>",
        generation_eos=("<|im_end|>", "<|endoftext|>"),
        pad="<|endoftext|>",
        controls=("<|im_start|>",),
        system="native",
        first="<|im_start|>",
        ends={"<|im_end|>", "<|endoftext|>"},
        user=f"{opening}{_CHATML_USER}",
        with_system=f"<|im_start|>system\n{SYSTEM}<|im_end|>\n{_CHATML_USER}",
        turns=f"{opening}{_CHATML_USER}{REPLY}<|im_end|>\n{_CHATML_USER}",
    )
    return dataclasses.replace(family, **different)


QWEN15 = _chatml(  # leaves a last reply open, so <|im_end|> shows between turns only; here nothing else names it
    "You are a helpful assistant",
    template=r"""
{%- for m in messages %}
{%- if loop.first and m.role != 'system' %}
{{- '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}
{%- endif %}
{{- '<|im_start|>' ~ m.role ~ '\n' ~ m.content }}
{%- if add_generation_prompt or not loop.last %}{{ '<|im_end|>\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role != 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    eos="<|endoftext|>",
    generation_eos=("<|endoftext|>",),
    controls=("<|im_start|>", "<|im_end|>"),
)
QWEN2 = _chatml("You are a helpful assistant.")
QWEN25 = _chatml("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
QWEN3 = _chatml(  # hybrid thinking: without the switch, as now, the model thinks before it replies
    None,
    template=r"""
{%- for m in messages %}
{%- set thought = '<think>\n\n</think>\n\n' if loop.last and m.role == 'assistant' else '' %}
{{- '<|im_start|>' ~ m.role ~ '\n' ~ thought ~ m.content ~ '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}""",
)
SMOLLM2 = _chatml(
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    bos="<|im_start|>",
    generation_eos=("<|im_end|>",),
    pad="<|im_end|>",
    controls=("<|endoftext|>",),
    ends={"<|im_end|>"},
)

MISTRAL1 = Family(
    template="{{- bos_token }}"
    + _ALTERNATE
    + r"""
{%- for m in messages %}
{{- '[INST] ' ~ m.content ~ ' [/INST]' if m.role == 'user' else m.content ~ eos_token ~ ' ' }}
{%- endfor %}""",
    bos="<s>",
    eos="</s>",
    generation_eos=("</s>",),
    system="rejecting",
    first="<s>",
    ends={"</s>"},
    user=f"<s>[INST] {USER} [/INST]",
    with_system=None,
    turns=f"<s>[INST] {USER} [/INST]{REPLY}</s> [INST] {USER} [/INST]",
    strict=True,
)
MISTRAL3 = Family(  # puts a system turn into the last user turn
    template=r"""
{{- bos_token }}
{%- set ns = namespace(head='', turns=messages) %}
{%- if messages[0].role == 'system' %}
{%- set ns.head = messages[0].content ~ '\n\n' %}
{%- set ns.turns = messages[1:] %}
{%- endif %}
{%- for m in ns.turns %}
{%- if m.role != ['user', 'assistant'][loop.index0 % 2] %}{{ raise_exception('roles must alternate') }}{% endif %}
{%- if m.role == 'user' %}
{{- '[INST] ' ~ (ns.head if loop.last else '') ~ m.content ~ '[/INST]' }}
{%- else %}
{{- ' ' ~ m.content | trim ~ eos_token }}
{%- endif %}
{%- endfor %}""",
    bos="<s>",
    eos="</s>",
    generation_eos=("</s>",),
    controls=("[INST]", "[/INST]"),
    system="merged",
    first="<s>",
    ends={"</s>"},
    user=f"<s>[INST] {USER}[/INST]",
    with_system=f"<s>[INST] {SYSTEM}\n\n{USER}[/INST]",
    turns=f"<s>[INST] {USER}[/INST] {REPLY}</s>[INST] {USER}[/INST]",
    strict=True,
)

_PHI3_USER = f"<|user|>\n{USER}<|end|>\n<|assistant|>\n"
PHI3_FIRST = Family(  # as first released: a system turn is dropped without a word
    template=r"""
{{- bos_token }}
{%- for m in messages %}
{%- if m.role == 'user' %}
{{- '<|user|>\n' ~ m.content ~ '<|end|>\n<|assistant|>\n' }}
{%- elif m.role == 'assistant' %}
{{- m.content ~ '<|end|>\n' }}
{%- endif %}
{%- endfor %}""",
    bos="<s>",
    eos="<|endoftext|>",
    generation_eos=("<|endoftext|>", "<|end|>", "<|assistant|>"),
    pad="<|endoftext|>",
    controls=("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    system="dropping",
    first="<s>",
    ends={"<|endoftext|>", "<|end|>", "<|assistant|>"},
    user=f"<s>{_PHI3_USER}",
    with_system=None,
    turns=f"<s>{_PHI3_USER}{REPLY}<|end|>\n{_PHI3_USER}",
)
PHI3 = dataclasses.replace(
    PHI3_FIRST,
    template=r"""
{%- for m in messages %}{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n' }}{% endfor %}
{{- '<|assistant|>\n' if add_generation_prompt else eos_token }}""",
    system="native",
    first="<|user|>",
    user=_PHI3_USER,
    with_system=f"<|system|>\n{SYSTEM}<|end|>\n{_PHI3_USER}",
    turns=f"{_PHI3_USER}{REPLY}<|end|>\n{_PHI3_USER}",
)

_ZEPHYR_USER = f"<|user|>\n{USER}</s>\n<|assistant|>\n"
ZEPHYR = Family(  # its role markers are plain text, and it writes no BOS although the tokenizer has one
    template=r"""
{%- for m in messages %}{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ eos_token ~ '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}""",
    bos="<s>",
    eos="</s>",
    generation_eos=("</s>",),
    pad="</s>",
    system="native",
    first="<",
    ends={"</s>"},
    user=_ZEPHYR_USER,
    with_system=f"<|system|>\n{SYSTEM}</s>\n{_ZEPHYR_USER}",
    turns=f"{_ZEPHYR_USER}{REPLY}</s>\n{_ZEPHYR_USER}",
)

FALCON = Family(  # no control token at all, and blank lines in a text are lost
    template=r"""
{%- if messages[0].role == 'system' %}
{{- messages[0].content | trim }}
{%- set messages = messages[1:] %}
{%- endif %}
{%- for m in messages %}
{{- '\n\n' ~ m.role | capitalize ~ ': ' ~ (m.content | trim).replace('\r\n', '\n').replace('\n\n', '\n') }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\n\nAssistant:' }}{% endif %}""",
    eos="<|endoftext|>",
    generation_eos=("<|endoftext|>",),
    system="native",
    first="Ċ",
    ends={"<|endoftext|>"},
    user=f"\n\nUser: {USER}\n\nAssistant:",
    with_system=f"{SYSTEM}\n\nUser: {USER}\n\nAssistant:",
    turns=f"\n\nUser: {USER}\n\nAssistant: {REPLY}\n\nUser: {USER}\n\nAssistant:",
)

_GRANITE_USER = f"<|start_of_role|>user<|end_of_role|>{USER}<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
_GRANITE_BODY = r"""
{%- for m in messages %}
{{- '<|start_of_role|>' ~ m.role ~ '<|end_of_role|>' ~ m.content ~ '<|end_of_text|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"""
GRANITE30 = Family(  # BOS, EOS and pad are one token, which ends every turn
    template=_GRANITE_BODY,
    bos="<|end_of_text|>",
    eos="<|end_of_text|>",
    generation_eos=("<|end_of_text|>",),
    pad="<|end_of_text|>",
    controls=("<|start_of_role|>", "<|end_of_role|>"),
    system="native",
    first="<|start_of_role|>",
    ends={"<|end_of_text|>"},
    user=_GRANITE_USER,
    with_system=f"<|start_of_role|>system<|end_of_role|>{SYSTEM}<|end_of_text|>\n{_GRANITE_USER}",
    turns=f"{_GRANITE_USER}{REPLY}<|end_of_text|>\n{_GRANITE_USER}",
)
_GRANITE_HEAD = (
    "<|start_of_role|>system<|end_of_role|>Knowledge Cutoff Date: April 2024.\nToday's Date: July 26, 2024.\n"
    "You are Granite, developed by IBM. You are a helpful AI assistant.<|end_of_text|>\n"
)
GRANITE32 = dataclasses.replace(  # hybrid thinking: without the switch, as now, the model does not think
    GRANITE30,
    template=r"""
{%- if messages[0].role != 'system' %}
{{- '<|start_of_role|>system<|end_of_role|>Knowledge Cutoff Date: April 2024.\n' }}
{{- "Today's Date: " ~ strftime_now('%B %d, %Y') ~ '.\nYou are Granite, developed by IBM.' }}
{{- ' You are a helpful AI assistant.' }}
{%- if thinking %}{{ ' Write your thoughts first, then your response.' }}{% endif %}
{{- '<|end_of_text|>\n' }}
{%- endif %}"""
    + _GRANITE_BODY,
    user=f"{_GRANITE_HEAD}{_GRANITE_USER}",
    turns=f"{_GRANITE_HEAD}{_GRANITE_USER}{REPLY}<|end_of_text|>\n{_GRANITE_USER}",
)

FAMILIES = {
    "llama 2": LLAMA2,
    "llama 3": LLAMA3,
    "llama 3.1": LLAMA31,
    "llama 3.2": LLAMA32,
    "gemma 1": GEMMA1,
    "gemma 2": GEMMA2,
    "qwen 1.5": QWEN15,
    "qwen 2": QWEN2,
    "qwen 2.5": QWEN25,
    "qwen 3": QWEN3,
    "mistral 0.1": MISTRAL1,
    "mistral 0.3": MISTRAL3,
    "phi 3, first release": PHI3_FIRST,
    "phi 3": PHI3,
    "smollm 2": SMOLLM2,
    "zephyr": ZEPHYR,
    "falcon": FALCON,
    "granite 3.0": GRANITE30,
    "granite 3.2": GRANITE32,
}
