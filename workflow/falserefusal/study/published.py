"""The study that the paper's printed numbers make."""

from dataclasses import dataclass
from typing import Any

from falserefusal.common.tasks import PAPER_TASKS
from falserefusal.study.base import AnyStudy
from falserefusal.study.comparison import Comparison, whole_paper
from falserefusal.study.fields import PUBLISHED
from falserefusal.study.files import MEASURED_ACCURACY, PRINTED, PRINTED_FILES

PUBLISHED_TITLE = "No for Some, Yes for Others: the paper's results, recomputed from its printed numbers"


@dataclass(frozen=True, eq=False)
class PublishedStudy(AnyStudy):
    """The study that the paper's printed numbers make. No config changes it, so that none runs it again."""

    name = PUBLISHED
    kind = PUBLISHED
    title = PUBLISHED_TITLE
    notice = ""
    suffix = ""
    variants = False
    seed = 2025
    bootstrap = 1000
    permutations = 999
    models = None
    reported_models = None
    personas = None
    tasks = tuple(PAPER_TASKS)
    labellers = ("phrase_list",)
    headline = "phrase_list"
    baseline = False
    sequential = False
    several_samples = False
    annotation_files = ()

    @property
    def materials(self) -> dict[str, str]:
        """The files of the models and personas that the study is about."""
        return {
            "models": f"{PRINTED}/models.csv",
            "personas": f"{PRINTED}/personas.csv",
            "baseline": f"{PRINTED}/fig1_baseline_offensiveness.csv",
        }

    @property
    def comparison(self) -> Comparison:
        """All that the paper prints."""
        return whole_paper()

    @property
    def estimation_inputs(self) -> dict[str, str]:
        """What every estimate reads."""
        return {"cells": self.files.cells}

    @property
    def samples(self) -> dict[str, str]:
        """None: the paper prints no responses."""
        return {}

    @property
    def data_files(self) -> list[str]:
        """The data that the study is made of."""
        return [*PRINTED_FILES, self.materials["models"], self.materials["personas"]]

    @property
    def provenance_inputs(self) -> dict[str, Any]:
        """Its data, once their check has passed (`checked`)."""
        return {"data": self.data_files, "labelling": [MEASURED_ACCURACY], "checked": self.files.cells}

    @property
    def record(self) -> dict[str, Any]:
        """The settings that its provenance states."""
        return {"study": self.name, **{name: getattr(self, name) for name in ("seed", "bootstrap", "permutations")}}
