"""Separate thinking at the start of a text whose model is not known: a server's reply, or a response made elsewhere.

Only tags that no response begins with are known here. A local model's own marks are read by `inference.thinking`.
"""

import re

# What encloses thinking at the start of a text.
TAGS = {
    f"<{name}>": f"</{name}>" for name in ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think")
} | {
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
}
_THINKING = [
    re.compile(rf"\s*{re.escape(start)}(.*?)(?:{re.escape(end)}\s*|\Z)", re.IGNORECASE | re.DOTALL)
    for start, end in TAGS.items()
]
_END_ONLY = {end: re.compile(rf"(.*){re.escape(end)}\s*", re.IGNORECASE | re.DOTALL) for end in TAGS.values()}


def split_thinking(text: str) -> tuple[str, str]:
    """What a text has between tags of thinking at its start, and the response that follows.

    Thinking without its end leaves no response. An end without a start ends thinking whose first tag the server or the
    chat template wrote.
    """
    thinking, opened = "", False
    while match := next((match for tag in _THINKING if (match := tag.match(text))), None):
        thinking, text, opened = thinking + match[1], text[match.end() :], True
    small = "" if opened else text.lower()
    for end, pattern in _END_ONLY.items():
        if end in small and (match := pattern.match(text)):  # the first test alone is fast on long texts
            return match[1].strip(), text[match.end() :]
    return thinking.strip(), text


def may_be_thinking(text: str) -> bool:
    """Whether a text is nothing yet but the beginning of a tag."""
    start = text.lstrip().lower()
    return any(tag.startswith(start) for tag in TAGS)
