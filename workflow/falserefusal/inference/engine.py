"""Contract of an engine, which generates one model's responses, and the registry of engines by name.

A new engine is a class in a module of its own, decorated with `@register("name")`, and one import in `_engines`. The
tests of `tests/unit/inference/test_engine_contract.py` then run on it.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from falserefusal.common.errors import InputError
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.store import Response

_registered: dict[str, type["Engine"]] = {}


class Unavailable(InputError):
    """An engine cannot go on now, but may later. `respond` adds how many responses are stored."""


class Engine(Protocol):
    """One model that generates responses to prompts.

    `respond` calls `render` with all prompts of a study, looks their responses up in the store, calls `prepare` with
    the prompts that have none, and then `generate`. It repeats the two for prompts that are asked again in other
    batches, and calls `close` at the end. Weights are loaded, or a server is contacted, only in the first `generate`: a
    run that finds every response in the store needs neither.

    Attributes
    ----------
    name : str
        The name under which the engine is registered; set by `register`.
    identity : dict
        Everything about the model and its weights that can change a response, as JSON. A response is stored under
        `identity`, the rendered prompt and the decoding parameters, and under nothing else. `identity["name"]` names
        the model's folder in the store.
    version : dict of str
        What may change although the model keeps its name, in words: a warning says so. Empty if it is not known.
    repeats_batches : bool
        Whether responses depend on the prompts they were computed with, and the engine can compute the same batch
        again, so that an interrupted one is computed again as a whole.
    depends_on_batch : bool
        Whether responses may depend on the prompts they were computed with, and the engine can be asked in other
        batches. A share of the prompts is then asked again (see `batch_check`).
    batch_tokens : int or None
        Tokens of one batch. None: the engine forms batches in its own way.
    keeps_batch_tokens : bool
        Whether `batch_tokens` follows from the cost estimate and responses depend on it. `respond` then sets it to that
        of the model's first run before it calls `generate`.
    packages : tuple of str
        The Python packages that compute or request a response here; their versions go into the provenance.
    """

    name: str
    identity: dict
    version: dict[str, str]
    repeats_batches: bool
    depends_on_batch: bool
    batch_tokens: int | None
    keeps_batch_tokens: bool
    packages: tuple[str, ...]

    def __init__(self, model: dict, decoding: Decoding): ...

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Return the text of each conversation as the store identifies it.

        Parameters
        ----------
        conversations : list of list of dict
            The turns of each prompt: {"role": ..., "content": ...}.
        names : list of str
            Prompt ids, for messages.

        Raises
        ------
        InputError
            A prompt cannot be rendered without losing or changing a turn.
        """
        ...

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Take the rendered prompts that `generate` will respond to; return their lengths in tokens.

        Lengths may be estimates. Raises InputError for a prompt that the model cannot take.
        """
        ...

    def generate(
        self, keys: list[str], decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Iterator[tuple[str, dict[int, Response]]]:
        """Generate a response to every prepared prompt and yield the responses as they are finished.

        Parameters
        ----------
        keys : list of str
            Store key of each prepared prompt; random numbers are seeded with it.
        decided : callable or None
            Whether the verdict is certain for every response that starts with a text. Generation of a response stops
            there, with the finish reason "decided". None: responses are always generated in full.
        in_full : list of bool
            Prompts whose responses are generated in full although `decided` is given.

        Yields
        ------
        (str, dict)
            Name of the batch (`store.NO_BATCH` or `store.batch_name`), and the finished responses by index of the
            prepared prompt. The first item is empty: it tells that loading is done.
        """
        ...

    def close(self) -> None:
        """Free the memory of the model; nothing is generated afterwards."""
        ...

    def provenance(self) -> dict:
        """Return a JSON record of the model and of what was checked about it. Includes `backend` and `identity`."""
        ...


def register(name: str) -> Callable[[type], type]:
    """Register the decorated class as the engine called `name` in `inference.backend`."""

    def decorate(engine: type) -> type:
        engine.name = name
        _registered[name] = engine
        return engine

    return decorate


def _engines() -> dict[str, type[Engine]]:
    # each registers itself
    from falserefusal.inference import dummy_engine, server_engine, transformers_engine, vllm_engine  # noqa: F401

    return _registered


def engine_names() -> list[str]:
    """Names of all engines."""
    return sorted(_engines())


def create_engine(model: dict, decoding: Decoding) -> Engine:
    """Create the engine that `model["backend"]` names."""
    return _engines()[model["backend"]](model, decoding)
