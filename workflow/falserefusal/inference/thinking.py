"""Separate what a model thinks before it responds from its response, and recognise both in a chat template.

Thinking is marked by tags of many names (<think>, [THINK], <|begin_of_thought|>, <|START_THINKING|>, ...) or by named
channels (harmony, as in gpt-oss: analysis and commentary are thinking, final is the response).
"""

import dataclasses
import re

_WORDS = (
    "think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratch_?pad|rationale|deliberation|"
    "inner_monologue|chain_of_thought|cot"
)
_RESPONSE = "answer|response|solution|final(?:_answer|_response)?|output"


def _tag(words: str) -> str:
    """Pattern of a tag named by one of `words`; its groups `end`, `close` and `last` say whether it closes a block."""
    return (
        r"(?:<\s?[|｜]?|\[|◁)(?P<close>/)?(?:(?:(?P<end>end)|begin|start)(?:_?of)?_)?(?:[a-z]\w*:)?"
        rf"(?:{words})(?:_(?:(?P<last>end|suffix)|start|begin|prefix|content|process|block|mode))?(?:[|｜]?\s?>|\]|▷)"
    )


TAG = re.compile(
    rf"{_tag(_WORDS)}|<\|inner_(?:prefix|(?P<inner>suffix))\|>|<\|channel>\s*\w+|(?P<channel><channel\|>)"
    r"|<unused94>thought|(?P<unused><unused95>)",
    re.IGNORECASE,
)
_WRAPPER = re.compile(_tag(_RESPONSE), re.IGNORECASE)
_TAG_BEGUN = re.compile(r"\s*[<\[◁][^>\]▷\n]{0,40}")  # at the start of a text, not yet closed
_CHANNEL = r"<\|channel\|>\s*(?P<name>\w*)[^<]*(?:<\|constrain\|>[^<]*)?(?P<said><\|message\|>)?"
_CHANNEL_HEAD = re.compile(rf"(?:<\|start\|>[^<]*)?{_CHANNEL}")
_CHANNEL = re.compile(_CHANNEL)
_MESSAGE_END = re.compile(r"<\|(?:end|return|call|start)\|>")


@dataclasses.dataclass(frozen=True)
class Parts:
    """The thinking and the response in what a model wrote; `open`: it ends inside the thinking."""

    thinking: str
    response: str
    open: bool = False


def separate(text: str) -> Parts:
    """Separate thinking from the response.

    Parameters
    ----------
    text : str
        What the model wrote, with its control tokens, after whatever of its thinking the prompt had begun.
    """
    if "<|channel|>" in text:
        return _by_channel(text)
    thinking, rest = [], text
    while found := TAG.search(rest):
        before, after = rest[: found.start()], rest[found.end() :]
        if _closes(found):  # of thinking that the prompt began, or that began without a tag
            thinking, rest = [*thinking, before], after
            continue
        if before.strip():  # a tag within the response
            break
        end = next((tag for tag in TAG.finditer(after) if _closes(tag)), None)
        if end is None:
            return Parts(_joined([*thinking, after]), "", open=True)
        thinking, rest = [*thinking, after[: end.start()]], after[end.end() :]
    return Parts(_joined(thinking), _unwrapped(rest) if thinking else rest)


def marked(text: str) -> bool:
    """Whether a text has a mark of thinking anywhere."""
    return "<|channel|>" in text or TAG.search(text) is not None


def may_begin_a_tag(text: str) -> bool:
    """Whether a text is nothing yet but the beginning of a tag, so that thinking may follow."""
    return _TAG_BEGUN.fullmatch(text) is not None


def state(text: str) -> str:
    """How the thinking stands after the end of a prompt: open, closed (the response comes next) or none."""
    end = marks(text)
    return "none" if not end else "open" if separate(end).open else "closed"


def marks(text: str) -> str:
    """What follows the user's text in a prompt, from its first mark of thinking on."""
    found = _CHANNEL.search(text) if "<|channel|>" in text else TAG.search(text)
    return text[found.start() :] if found else ""


def without_marks(text: str) -> str:
    """What follows the user's text in a prompt, without marks of thinking and of a response."""
    text = _CHANNEL.sub("", text)
    while found := TAG.search(text):
        rest = text[found.end() :]
        end = None if _closes(found) else next((tag for tag in TAG.finditer(rest) if _closes(tag)), None)
        text = text[: found.start()] + (rest[end.end() :].lstrip() if end else rest)
    return _WRAPPER.sub("", text)


def _by_channel(text: str) -> Parts:
    heads = list(_CHANNEL_HEAD.finditer(text))
    thinking, response, final = [], "", False
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : following.start() if following else None]
        body = _MESSAGE_END.split(body, maxsplit=1)[0]
        if head["said"] and head["name"].lower() == "final":
            final, response = True, response + body
        elif head["said"]:
            thinking.append(body)
    return Parts(_joined(thinking), response, open=not final)


def _closes(tag: re.Match) -> bool:
    return any(tag.groupdict().values())


def _joined(pieces: list[str]) -> str:
    return "\n\n".join(piece.strip() for piece in pieces if piece.strip())


def _unwrapped(text: str) -> str:
    """The response without tags around it, such as <answer>, and without blank lines before it."""
    text = text.lstrip()
    if (found := _WRAPPER.match(text)) is None or _closes(found):
        return text
    text = text[found.end() :].lstrip()
    end = next((tag for tag in _WRAPPER.finditer(text) if _closes(tag)), None)
    return text[: end.start()].rstrip() if end else text
