"""What a figure must know about its study beyond the numbers: names, groups and the warning a rehearsal carries."""

from dataclasses import dataclass

from falserefusal.common.naming import system_prompts_for_models


@dataclass(frozen=True)
class Context:
    """The study's vocabulary, in the order in which it is to be drawn.

    `models` and `personas` map an id to its family and its attribute; `banner` is put into every title (empty for a
    study of real models) and `model_suffix` behind every model name, so that no figure can be taken for what it is not.
    """

    study: str
    models: dict[str, str]
    personas: dict[str, str]
    banner: str = ""
    model_suffix: str = ""
    variants: bool = False  # all models are one checkpoint under different system prompts

    def model_label(self, name: object) -> object:
        """The name a reader sees of a model; whatever is no model of the study (`mean`, a persona) keeps its own."""
        return f"{name}{self.model_suffix}" if name in self.models else name

    def say(self, text: str) -> str:
        """A title, label or caption in the study's own words: its "models" may be system prompts."""
        return system_prompts_for_models(text) if self.variants else text
