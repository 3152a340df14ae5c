"""Verdicts that came with responses from elsewhere, as a labeller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from falserefusal.common.errors import InputError
from falserefusal.labelling.labeller import Labeller, labeller, verdict_frame

if TYPE_CHECKING:
    import pandas as pd

GIVEN = "given"


@labeller(GIVEN, reads="given")
class GivenLabeller(Labeller):
    """Repeats the verdict that the file of responses has."""

    def __init__(self, categories: pd.Series):
        self.categories = categories

    @classmethod
    def load(cls, path: str | Path) -> GivenLabeller:
        """Create the labeller from a Parquet file with prompt_id and category."""
        from falserefusal.common.files import read_parquet

        return cls(read_parquet(path).set_index("prompt_id")["category"])

    def label(self, responses: pd.DataFrame) -> pd.DataFrame:
        """Return the verdicts; reads prompt_id."""
        found = self.categories.reindex(responses["prompt_id"])
        if found.isna().any():
            raise InputError(f"no verdict was imported for prompt {found.index[found.isna()][0]}; import again")
        return verdict_frame(found.tolist())
