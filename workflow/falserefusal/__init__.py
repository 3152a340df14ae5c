"""Measure false refusal in chat models under sociodemographic personas (Plaza-del-Arco et al. 2025).

The library behind the workflow: plain functions on data frames, no Snakemake in it. A stage of the study is a
sub-package. The names of `__all__` are for Python and notebooks (docs/python.md); they are imported when first used,
because each job of the workflow imports this package.
"""

from importlib import import_module
from typing import Any

__all__ = ["Analysis", "InputError", "analyse", "label", "load_study"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("falserefusal.api"), name)
    raise AttributeError(f"module 'falserefusal' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
