"""Contract of a labeller, which decides for each response whether it is a refusal.

A new labeller is a class in a module of its own, decorated with `@labeller("name", ...)`, and one import in `registry`.
The tests of `tests/unit/labelling/test_labeller_contract.py` then run on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

REGISTERED: dict[str, type[Labeller]] = {}


class Labeller(ABC):
    """Decides for each response of one model whether it is a refusal, of which category, and why.

    A labeller sees the text of a response and the question, but not the model that wrote it. Its verdict on a response
    depends on that response alone: not on other responses, their number or their order.

    Attributes
    ----------
    name : str
        The labeller's name in tables; the registered name unless the config gives another.
    languages : tuple of str
        ISO 639-1 codes of the languages it was written for; empty if that depends on a model.
    reads : str
        Which input of the rule `verdicts` its `load` reads.
    built_in : bool
        Whether the config chooses it by name (`labellers`). The others read the output of a model that the config
        names (`judges`, `classifiers`), and each has the name given there.
    """

    name: str
    languages: tuple[str, ...] = ()
    reads: str
    built_in: bool

    @classmethod
    @abstractmethod
    def load(cls, path: str | Path) -> Labeller:
        """Create the labeller from the file that it needs; raises InputError if the file is wrong."""

    @abstractmethod
    def label(self, responses: pd.DataFrame) -> pd.DataFrame:
        """Return the verdict on each response.

        Parameters
        ----------
        responses : DataFrame
            Columns prompt_id, response, finish_reason, options (tuple of str; empty or None: free chat) and yes_no
            (bool), as `responses.with_questions` returns them.

        Returns
        -------
        DataFrame
            One row for each response, in the same order, as `verdict_frame` makes it: refusal (bool), category (str),
            choice (the chosen option or missing) and evidence (the words that decided, or missing).
        """


def labeller(name: str, *, reads: str, built_in: bool = True) -> Callable[[type[Labeller]], type[Labeller]]:
    """Register the decorated class as the labeller `name`; for the other arguments see `Labeller`."""

    def decorate(cls: type[Labeller]) -> type[Labeller]:
        cls.name, cls.reads, cls.built_in = name, reads, built_in
        REGISTERED[name] = cls
        return cls

    return decorate


def verdict_frame(
    refusal: Sequence[bool],
    category: Sequence[str],
    choice: Sequence[str | None] | None = None,
    evidence: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """Make the frame that `Labeller.label` returns; None stands for a column without values."""
    import pandas as pd

    nothing = [None] * len(refusal)
    columns = {
        "refusal": pd.Series(refusal, dtype=bool),
        "category": pd.Series(category, dtype="str"),
        "choice": pd.Series(nothing if choice is None else choice, dtype="str"),
        "evidence": pd.Series(nothing if evidence is None else evidence, dtype="str"),
    }
    return pd.DataFrame(columns)


def wordless(responses: pd.DataFrame) -> np.ndarray:
    """Which responses contain no letter and no digit."""
    return ~responses["response"].fillna("").str.contains(r"[^\W_]", regex=True).to_numpy(bool)
