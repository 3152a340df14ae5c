"""Say behind the name of every model, wherever a text names one, that it is a stand-in's."""

import re
from collections.abc import Callable, Iterable


def suffixed(models: Iterable[str], suffix: str) -> Callable[[str], str]:
    """A function that puts `suffix` behind every name of `models` in a text; "Llama3" is none in "Llama3.1"."""
    names = "|".join(map(re.escape, sorted(models, key=len, reverse=True)))
    if not suffix or not names:
        return str
    name = re.compile(rf"(?<![\w.-])({names})(?![\w-]|\.\w)")
    return lambda text: name.sub(lambda match: match[0] + suffix, text)
