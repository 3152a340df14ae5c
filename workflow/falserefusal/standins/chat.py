"""Chat styles of the stand-ins: three chat templates with properties that often break pipelines.

The header style of Llama 3 has no pad token. ChatML, as in Qwen, adds its own system message. Gemma's template rejects
a system message, and messages whose roles do not alternate. A message header is one token here, as is the reply's.
"""

import dataclasses
import functools

import jinja2
import jinja2.sandbox

from falserefusal.common.errors import InputError


@dataclasses.dataclass(frozen=True)
class Style:
    """A chat template with its control tokens; `fixed` is text that the template itself adds."""

    template: str
    bos: str | None
    end: str
    pad: str | None
    headers: tuple[str, ...]
    reply: str
    fixed: str = ""

    @property
    def control(self) -> list[str]:
        """The control tokens, each once."""
        return list(dict.fromkeys(t for t in (self.bos, self.end, self.pad, *self.headers, self.reply) if t))


@dataclasses.dataclass(frozen=True)
class System:
    """The system message of a study (None: it has none) and how it is sent, see `render`."""

    message: str | None
    role: str


_HEADER_STYLE = """\
{{- bos_token }}
{%- for turn in messages %}
    {{- '<|start_header_id|>' ~ turn.role ~ '<|end_header_id|>\\n\\n' ~ turn.content | trim ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

_CHATML = """\
{%- if messages[0].role != 'system' %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for turn in messages %}
    {{- '<|im_start|>' ~ turn.role ~ '\\n' ~ turn.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

_GEMMA = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for turn in messages %}
    {%- if turn.role != ('user', 'assistant')[loop.index0 % 2] %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {{- '<start_of_turn>' ~ ('model' if turn.role == 'assistant' else 'user') ~ '\\n' }}
    {{- turn.content | trim ~ '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

STYLES = {
    "headers": Style(
        template=_HEADER_STYLE,
        bos="<|begin_of_text|>",
        end="<|eot_id|>",
        pad=None,
        headers=tuple(f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user")),
        reply="<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "chatml": Style(
        template=_CHATML,
        bos=None,
        end="<|im_end|>",
        pad="<|endoftext|>",
        headers=("<|im_start|>system\n", "<|im_start|>user\n"),
        reply="<|im_start|>assistant\n",
        fixed="You are a helpful assistant.",
    ),
    "gemma": Style(
        template=_GEMMA,
        bos="<bos>",
        end="<end_of_turn>",
        pad="<pad>",
        headers=("<start_of_turn>user\n",),
        reply="<start_of_turn>model\n",
    ),
}


def render(style: Style, messages: list[dict], system_role: str) -> str:
    """Render messages with the style's chat template, up to the header of the reply.

    system_role "merge" puts a system message at the start of the first user message; "native" leaves it to the
    template. Raises InputError if the template rejects the messages.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
    if system_role == "merge" and len(turns) > 1 and turns[0]["role"] == "system":
        turns = [{"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}, *turns[2:]]
    try:
        return _compiled(style.template).render(messages=turns, bos_token=style.bos, add_generation_prompt=True)
    except jinja2.TemplateError as error:
        raise InputError(f"stand-ins: the chat template rejects the messages ({error})") from None


@functools.cache
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _raise
    return environment.from_string(template)


def _raise(message: str):
    raise jinja2.TemplateError(message)
