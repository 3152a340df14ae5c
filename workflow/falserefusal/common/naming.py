"""What a reader sees in place of a name: stand-ins are marked, and "model" may have to be "system prompt"."""

import re
from collections.abc import Callable, Iterable


def suffixed(models: Iterable[str], suffix: str) -> Callable[[str], str]:
    """A function that puts `suffix` behind every name of `models` in a text; "Llama3" is none in "Llama3.1"."""
    names = "|".join(map(re.escape, sorted(models, key=len, reverse=True)))
    if not suffix or not names:
        return str
    name = re.compile(rf"(?<![\w.-])({names})(?![\w-]|\.\w)")
    return lambda text: name.sub(lambda match: match[0] + suffix, text)


def system_prompts_for_models(text: str) -> str:
    """`text` with "system prompt" for every "model": for a study of one checkpoint under several system prompts."""
    return re.sub(r"\b([Mm])odel(s?)\b", lambda m: f"{'S' if m[1] == 'M' else 's'}ystem prompt{m[2]}", text)
