"""Find the variable of a chat template that switches thinking, by whatever name, and check that it does."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable

from falserefusal.inference import thinking

# What apply_chat_template itself gives to a template, and what no switch is
KNOWN = {
    "messages",
    "tools",
    "documents",
    "custom_tools",
    "add_generation_prompt",
    "continue_final_message",
    "raise_exception",
    "strftime_now",
    "date_string",
}
_NAMES = re.compile(r"think|reason|thought|reflect|(?:^|_)cot(?:_|$)", re.IGNORECASE)
_INVERSE = re.compile(r"(?:^|_)(?:no|non|not|disable|disabled|skip|without|suppress|hide|omit)(?:_|$)", re.IGNORECASE)
_OFF = ("none", "off", "disabled", "disable", "no", "false", "no_think", "no_thinking", "chat", "direct")
_PROBE = "Qzvk"  # a value that a template could only print


@dataclasses.dataclass(frozen=True)
class Switch:
    """The variable of a chat template that switches thinking, and the value that switches it off."""

    name: str
    off: bool | str

    @property
    def setting(self) -> dict[str, bool | str]:
        """Keyword argument of apply_chat_template that switches thinking off."""
        return {self.name: self.off}


def find_switch(template: str, given: Iterable[str], user: str, render: Callable[..., str]) -> Switch | None:
    """The switch of a chat template; None if it has none that works.

    Parameters
    ----------
    template : str
        The chat template (Jinja).
    given : iterable of str
        Variables that the tokenizer sets, such as bos_token.
    user : str
        The text of a user turn.
    render : callable
        render(**variables) gives the prompt of that turn alone; it raises where the template does.
    """
    candidates = _variables(template)
    names = sorted(candidates.keys() - KNOWN - set(given), key=lambda name: (not _NAMES.search(name), name))
    usual = render()
    found = []
    for name in names:
        prompts = _rendered(name, candidates[name], render)
        if len({*prompts.values(), usual}) > 1:
            states = {value: thinking.state(prompt.rpartition(user)[2]) for value, prompt in prompts.items()}
            found += _off(name, states, thinking.state(usual.rpartition(user)[2]))
    return min(found, key=lambda one: one[0])[1] if found else None


def _off(name: str, states: dict[bool | str, str], usual: str) -> list[tuple[int, Switch]]:
    """A variable as a switch of thinking, with how sure that is (0: most); empty if it is none.

    states: how thinking stands at the end of the prompt under each value; usual: and without a value.
    """
    values = sorted(states, key=lambda value: not _says_off(name, value))
    for rank, wanted in enumerate(("closed", "none")):
        off = [value for value in values if states[value] == wanted]
        if off and {*states.values(), usual} != {wanted}:
            return [(rank, Switch(name, off[0]))]
    if not _NAMES.search(name):  # the prompt differs in its instructions: only the name says that it is about thinking
        return []
    return [(2, Switch(name, value)) for value in values if _says_off(name, value)][:1]


def _says_off(name: str, value: bool | str) -> bool:
    """Whether a value would switch thinking off by what it and the variable are called."""
    if isinstance(value, bool):
        return value == bool(_INVERSE.search(name))
    return value.lower() in _OFF


def _rendered(name: str, words: set[str], render: Callable[..., str]) -> dict[bool | str, str]:
    """The prompts under the values that the template may expect: `words`, which it compares with, false and true."""
    prompts: dict[bool | str, str] = {}
    for value in (_PROBE, *sorted(words), False, True):
        # a variable whose value the template prints takes no value but those that the template names
        if isinstance(value, bool) and _PROBE in prompts.get(_PROBE, ""):
            continue
        with contextlib.suppress(Exception):  # the template raises whatever it likes about a value
            prompts[value] = render(**{name: value})
    prompts.pop(_PROBE, None)
    return prompts


def _variables(template: str) -> dict[str, set[str]]:
    """The variables that a template expects to be given, each with the words that it compares it with."""
    import jinja2
    import jinja2.meta
    from jinja2 import nodes

    plain = re.sub(r"\{%-?\s*(?:end)?generation\s*-?%\}", "", template)  # a tag of transformers, not of Jinja
    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"], autoescape=False)
    try:
        tree = environment.parse(plain)
        names = jinja2.meta.find_undeclared_variables(tree)
    except jinja2.TemplateError:
        return {}
    aliases = {name: {name} for name in names}
    for assigned in tree.find_all(nodes.Assign):  # {% set effort = reasoning_effort | default('high') %}
        found_names = list(assigned.find_all(nodes.Name))
        for name in {node.name for node in found_names if node.ctx == "load"} & names:
            aliases[name] |= {node.name for node in found_names if node.ctx == "store"}
    found: dict[str, set[str]] = {name: set() for name in names}
    for comparison in tree.find_all(nodes.Compare):
        inside = {node.name for node in comparison.find_all(nodes.Name)}
        words = {node.value for node in comparison.find_all(nodes.Const) if isinstance(node.value, str) and node.value}
        for name in names:
            if inside & aliases[name]:
                found[name] |= words
    return found
