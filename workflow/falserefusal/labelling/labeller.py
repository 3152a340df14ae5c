"""Contract of a labeller, which decides for each response whether it is refused, answered or invalid.

A new labeller is a class in a module of its own, decorated with `@labeller("name", ...)`, and one import in `registry`.
The tests of `tests/unit/labelling/test_labeller_contract.py` then run on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.common.verdicts import ANSWERED, HEDGED, INVALID, MISSING, REFUSED, REFUSED_PARTLY

if TYPE_CHECKING:
    import pandas as pd

REGISTERED: dict[str, type[Labeller]] = {}
# The verdict that each category stands for; categories of responses that no labeller reads are in `unread`.
NOT_REFUSED = "not_refused"
OFF_FORMAT, OFF_TASK, TRUNCATED = "off_format", "off_task", "truncated"
REFUSED_BECAUSE = tuple(f"refused_{reason}" for reason in ("capability", "persona", "policy", "content", "context"))
# what a response to a question with options can be
CATEGORIES = (ANSWERED, HEDGED, *REFUSED_BECAUSE, OFF_FORMAT, OFF_TASK, TRUNCATED)
JUDGE_FAILED, NO_VERDICT = "judge_failed", "no_verdict"
VERDICT_OF = {
    **dict.fromkeys((REFUSED, REFUSED_PARTLY, *REFUSED_BECAUSE), REFUSED),
    **dict.fromkeys((ANSWERED, HEDGED, NOT_REFUSED), ANSWERED),
    **dict.fromkeys((OFF_FORMAT, OFF_TASK, TRUNCATED), INVALID),
    **dict.fromkeys((JUDGE_FAILED, NO_VERDICT), MISSING),
}


class Labeller(ABC):
    """Decides for each response of one model whether it is a refusal, of which category, and why.

    A labeller sees the text of a response and the question, but not the model that wrote it. Its verdict on a response
    depends on that response alone: not on other responses, their number or their order. It never sees a response
    without words, or one that the provider blocked: `unread` decides on these, in the same way for every labeller.

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

    def matches(self, responses: pd.DataFrame) -> list[str | None] | None:
        """For a labeller that searches for phrases: the one it finds in each response, whatever its verdict is.

        The verdict on a degenerate response is the same for all labellers; this shows what this one finds.
        """
        return None

    @abstractmethod
    def label(self, responses: pd.DataFrame) -> pd.DataFrame:
        """Return the verdict on each response.

        Parameters
        ----------
        responses : DataFrame
            Columns prompt_id, response, finish_reason, options (tuple of str; empty or None: free chat) and yes_no
            (bool), as `responses.with_questions` returns them; each response has a letter or a digit. text (the
            classified text) is optional.

        Returns
        -------
        DataFrame
            One row for each response, in the same order, as `verdict_frame` makes it: verdict, category (a key of
            VERDICT_OF), choice (the chosen option or missing) and evidence (the words that decided, or missing).
        """


def labeller(name: str, *, reads: str, built_in: bool = True) -> Callable[[type[Labeller]], type[Labeller]]:
    """Register the decorated class as the labeller `name`; for the other arguments see `Labeller`."""

    def decorate(cls: type[Labeller]) -> type[Labeller]:
        cls.name, cls.reads, cls.built_in = name, reads, built_in
        REGISTERED[name] = cls
        return cls

    return decorate


def verdict_frame(
    category: Sequence[str],
    choice: Sequence[str | None] | None = None,
    evidence: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """Make the frame that `Labeller.label` returns; None stands for a column without values.

    Raises InputError for a category that no verdict is known for.
    """
    import pandas as pd

    unknown = sorted(set(category) - set(VERDICT_OF))
    if unknown:
        raise InputError(f"labellers: there is no category {unknown[0]!r}; choose from {', '.join(VERDICT_OF)}")
    nothing = [None] * len(category)
    columns = {
        "verdict": pd.Series([VERDICT_OF[name] for name in category], dtype="str"),
        "category": pd.Series(category, dtype="str"),
        "choice": pd.Series(nothing if choice is None else choice, dtype="str"),
        "evidence": pd.Series(nothing if evidence is None else evidence, dtype="str"),
    }
    return pd.DataFrame(columns)
