"""The names, groups and notices of a study that its figures show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from falserefusal.common.notice import system_prompts_for_models

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Context:
    """Names of a study in the order in which they are drawn.

    `models` maps each model to its family, `personas` each persona to its attribute. `banner` starts every title and
    `model_suffix` follows every model name, so that figures of stand-ins cannot be taken for evidence; both are empty
    for a study of real models.
    """

    study: str
    models: dict[str, str]
    personas: dict[str, str]
    banner: str = ""
    model_suffix: str = ""
    variants: bool = False  # all models are one checkpoint under different system prompts
    paper: str = ""  # "column" or "text": draw for a paper, at that width and without titles

    @classmethod
    def of(cls, about: Mapping[str, Any], models: pd.DataFrame, personas: pd.DataFrame, variants: bool) -> Context:
        """Make the context from the param `about` of a job, and from the study's models and personas."""
        return cls(
            about["study"],
            dict(zip(models["model"], models["family"], strict=True)),
            dict(zip(personas["persona"], personas["group"], strict=True)),
            about["banner"],
            about["model_suffix"],
            variants,
        )

    @property
    def narrow(self) -> bool:
        """Whether figures have the width of one column of a paper."""
        return self.paper == "column"

    def model_label(self, name: str) -> str:
        """Return the name shown for a model; other names (`mean`, a persona) do not change."""
        return f"{name}{self.model_suffix}" if name in self.models else name

    def say(self, text: str) -> str:
        """Return a title, label or caption in the words of the study, whose "models" may be system prompts."""
        return system_prompts_for_models(text) if self.variants else text
