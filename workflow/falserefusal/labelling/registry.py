"""Look labellers up by name. Listing them does not import pandas.

The imports are here and not in `labeller`, so that a rule that uses one labeller does not depend on the code of all.
"""

from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.labelling.labeller import REGISTERED, Labeller


def _labellers() -> dict[str, type[Labeller]]:
    # each module registers its labeller
    from falserefusal.labelling import classifier, given, judge, phrase_list, structured  # noqa: F401

    return REGISTERED


def labeller_names() -> list[str]:
    """Names of all registered labellers."""
    return sorted(_labellers())


def built_in_labellers() -> list[str]:
    """Names of the labellers that a config may list under `labellers`."""
    return [name for name in labeller_names() if _labellers()[name].built_in]


def labeller_class(name: str) -> type[Labeller]:
    """The registered labeller called `name`."""
    if name not in _labellers():
        raise InputError(f"labellers: there is no labeller '{name}'; choose from {', '.join(built_in_labellers())}")
    return _labellers()[name]


def load_labeller(kind: str, path: str | Path, name: str | None = None) -> Labeller:
    """Create the labeller registered as `kind` from the file it reads, under another `name` if one is given."""
    loaded = labeller_class(kind).load(path)
    loaded.name = name or kind
    return loaded
