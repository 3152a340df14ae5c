"""The choices of a study: names for settings that it is repeated under, one at a time, on the same prompts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from falserefusal.common.errors import InputError
from falserefusal.study.config import Config, read_config
from falserefusal.study.problems import hint

# What leaves the design as it is, so that results are compared prompt by prompt, and the jobs of the study as well.
VARIED = re.compile(
    r"tasks\.[^.]+\.(options|layout)|prompts\.\w+|labellers|materials\.(personas|templates|refusal_phrases|patterns)"
    r"|inference\.(max_new_tokens|thinking|max_thinking_tokens|dtype|quantization|batch_tokens|system_role|control_tokens)"
)
NAMED = (
    "options and layout of a task, prompts, labellers, materials (personas, templates, refusal_phrases, patterns), "
    "and of inference the length, thinking and number format"
)


def under_choice(config: Config, name: str, shards: Mapping[str, int] | None = None) -> Config:
    """The config under one of its choices.

    Parameters
    ----------
    config
        Of the study.
    name
        Of the choice.
    shards
        In how many jobs each model is asked: as in the study itself. None: as the config has it.

    Raises
    ------
    InputError
        with one line for each mistake in the choice.
    """
    override = config.choices[name]
    given = config.model_dump(exclude_unset=True, exclude={"choices"})
    if found := list(_unknown_tasks(config, override)):
        raise InputError("\n".join(f"choices.{name}: {line}" for line in found))
    try:
        changed = read_config(merged(given, override))
    except InputError as error:
        raise InputError("\n".join(f"choices.{name}: {line}" for line in str(error).splitlines())) from None
    fixed = [key for key in keys(override) if not VARIED.fullmatch(key)]
    if fixed:
        raise InputError(f"choices.{name}: '{fixed[0]}' cannot vary between choices, which may change {NAMED}")
    if changed.model_dump() == config.model_dump() | {"choices": {}}:
        raise InputError(f"choices.{name}: repeats the study's own settings; change one, or leave this choice out")
    if shards is None:
        return changed
    return read_config(merged(merged(given, override), {"inference": {"shards": dict(shards)}}))


def merged(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the keys of `changes`, part by part; lists are replaced."""
    result = dict(given)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def keys(changes: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The keys that are changed, such as tasks.nli.options."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from keys(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _unknown_tasks(config: Config, override: Mapping[str, Any]) -> Iterator[str]:
    tasks = override.get("tasks")
    for task in tasks if isinstance(tasks, Mapping) else ():
        if task not in config.tasks:
            yield f"tasks: '{task}' is not a task of the study; {hint(task, config.tasks)}"
