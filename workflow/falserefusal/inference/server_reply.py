"""Read the reply of a chat server: its text, what the model thought first, and why it ended.

Servers share the OpenAI API and differ in its words. What is known of their dialects is here.
"""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from falserefusal.common.leading_thinking import may_be_thinking, split_thinking
from falserefusal.inference.store import Response

UNKNOWN, NONE = "unknown", ""
# Fields of a message that hold its thinking; some servers send the same under two names.
THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
# Keys of a part of a content, in which its words are.
WORDS = ("text", "thinking", "reasoning", "content", "summary", "refusal")
# Finish reasons in small letters without anything else, the first that matches.
FINISH_REASONS = [
    ("recitation", re.compile("recit|copyright|protectedmaterial")),
    (
        "content_filter",
        re.compile(
            "filter|safety|prohibited|block|spii|sensitive|moderat|guardrail|refus|policy|violation|flagged|harm|unsafe|"
            "inappropriate|profan|jailbreak|inspection|responsibleai|modelarmor|toxic|denied"
        ),
    ),
    (
        "length",
        re.compile(
            "length|max.*token|tokens?limit|contextwindow|contextlimit|errorlimit|truncated|truncation|^limit$|cutoff"
        ),
    ),
    ("aborted", re.compile("abort|error|cancel|interrupt|fail|timeout|timedout|insufficient|malformed|overload")),
    (
        "stop",
        re.compile(
            "^(stop(ped)?|eos(token|id)?|end(of|token)?(turn|text|sequence|message|stream)?|stop(sequence|string|word|token)s?|"
            "eot|eom|complete[d]?|completion|done|finish(ed)?|normal|success|tool(calls?|use)|functioncalls?)$"
        ),
    ),
]


class MalformedReply(Exception):
    """The server reported success but sent no usable response; `body` is what it sent."""

    def __init__(self, message: str, body: object = None):
        super().__init__(message)
        self.body = body


def word(value: object) -> str:
    """Small letters alone, so that SPELLING_OF, spellingOf and "spelling of" are one word."""
    return re.sub("[^a-z]", "", str(value).lower())


def kind_of(reason: object) -> str:
    """What a finish reason means: stop, length, content_filter, recitation, aborted, NONE or UNKNOWN."""
    if reason is None or reason == "":
        return NONE
    if not isinstance(reason, str):
        return UNKNOWN
    plain = re.sub("^(finish|stop)reason(?=.)", "", word(reason))
    if plain in ("null", "none"):
        return NONE
    return next((kind for kind, pattern in FINISH_REASONS if pattern.search(plain)), UNKNOWN)


def as_data(reply: object) -> object:
    """What a server sent, as plain data."""
    return reply.to_dict(warnings=False) if hasattr(reply, "to_dict") else reply


def as_reply(data: object) -> object:
    """A reply as the client reads one, from plain data; the reverse of `as_data`."""
    from openai.types.chat import ChatCompletion

    return ChatCompletion.construct(**data) if isinstance(data, dict) else data


def choice_of(reply: Any, part: str) -> tuple[str, str, object]:
    """Text, thinking and finish reason of a reply's only choice; MalformedReply if there is none.

    Parameters
    ----------
    reply : ChatCompletion or ChatCompletionChunk
        The reply, or an event of a streamed one.
    part : str
        Where it has its words: message, or delta of an event.
    """
    try:
        choice = reply.choices[0]
        message, reason = getattr(choice, part), choice.finish_reason
    except (AttributeError, IndexError, TypeError, KeyError) as error:
        raise MalformedReply(f"a reply without a response: {as_data(reply)}", as_data(reply)) from error
    if message is None and part == "delta":
        return "", "", reason
    if not isinstance(message, BaseModel):
        raise MalformedReply(f"a reply without a response: {as_data(reply)}", as_data(reply))
    text, thinking = _content(getattr(message, "content", None))
    thinking += next((words for name in THINKING_FIELDS if (words := _words(getattr(message, name, None)))), "")
    return _words(getattr(message, "refusal", None)) or text, thinking, reason


def _content(content: object) -> tuple[str, str]:
    """Text and thinking of a content: a string, or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    parts: Any = [content] if isinstance(content, dict) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise MalformedReply(f"a response that is not text: {content}")
    return _joined(part for part in parts if not _thinks(part)), _joined(part for part in parts if _thinks(part))


def _thinks(part: dict) -> bool:
    return part.get("thought") is True or re.search("think|thought|reason", word(part.get("type"))) is not None


def _joined(parts: Iterable[object]) -> str:
    return "".join(_words(part) for part in parts)


def _words(value: object) -> str:
    """The words of a string, of a part, or of a list of them."""
    if isinstance(value, dict):
        return next((words for key in WORDS if (words := _words(value.get(key)))), "")
    return _joined(value) if isinstance(value, list) else value if isinstance(value, str) else ""


def response_so_far(text: str) -> str:
    """The response in what has been streamed; empty as long as it may be thinking."""
    return "" if may_be_thinking(text) else split_thinking(text)[1]


def finished(text: str, thinking: str, reason: object, counts: tuple[int, int], limit: int) -> Response:
    """The response that a complete reply makes.

    Parameters
    ----------
    text, thinking : str
        As `choice_of` returns them.
    reason : str or None
        The server's finish reason.
    counts : (int, int)
        Numbers of prompt tokens and new tokens; 0: not reported.
    limit : int
        The most new tokens that were asked for.

    Raises
    ------
    MalformedReply
        The server broke off, or neither text nor a known reason is there.
    """
    kind = kind_of(reason)
    inside, text = split_thinking(text)
    thinking = "\n".join(part for part in (thinking, inside) if part)
    if kind == "aborted":
        raise MalformedReply(f"the server ended the response early ({reason})")
    if kind in ("content_filter", "recitation"):
        return Response(text, kind, *counts, thinking)
    if thinking and not text.strip():
        return Response("", "length", *counts, thinking)  # nothing to judge, however the server calls its end
    if kind in ("stop", "length"):
        return Response(text, kind, *counts, thinking)
    if not text.strip():
        raise MalformedReply(f"neither a response nor a known finish reason ({reason})")
    return Response(text, "length" if counts[1] >= limit else "stop", *counts, thinking)


def token_counts(reply: object) -> tuple[int, int]:
    """Numbers of prompt and new tokens that a reply reports; 0: not reported."""
    usage = getattr(reply, "usage", None)
    prompt, new = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return (prompt if isinstance(prompt, int) else 0, new if isinstance(new, int) else 0)
