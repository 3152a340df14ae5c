"""Load the experiment's materials: personas, templates, models and refusal phrases, each a data file under config/."""

from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import MODELS, PERSONAS, TEMPLATES
from falserefusal.study.models_file import rows_of


def load_personas(path: str | Path, keep: list[str] | None = None) -> pd.DataFrame:
    """Personas in file order: persona (id), group, printed (the paper's Table 2), surface (as in a prompt), article."""
    return _keep(read_csv(path, PERSONAS), "persona", keep, path)


def load_templates(path: str | Path, tasks: list[str], keep: list[str] | None = None) -> pd.DataFrame:
    """Templates of `tasks`: task, template, phrasing (1-3), format, text, baseline_text."""
    templates = read_csv(path, TEMPLATES)
    templates = _keep(templates, "task", tasks, path)
    return _keep(templates, "template", keep, path)


def load_models(path: str | Path, keep: list[str] | None = None) -> pd.DataFrame:
    """Models in file order, with family, generation, size (10^9 parameters), hub id and the shape of the network.

    `hub_id` of a model from a package is the folder its weights are kept in; `system_prompt` is the text, also where
    the file names a file of one.
    """
    models = _keep(read_csv(path, MODELS), "model", keep, path)
    if "hub_id" in models and models["hub_id"].notna().all() and "system_prompt" not in models:
        return models
    rows = rows_of(path, models["model"].tolist(), {})
    return models.assign(**{name: [row[name] or None for row in rows] for name in ("hub_id", "system_prompt")})


def are_variants(models: pd.DataFrame) -> bool:
    """Whether all models are one checkpoint under different system prompts, so that "model" means system prompt."""
    sources = models.reindex(columns=["hub_id", "revision"]).drop_duplicates()
    if sources["hub_id"].isna().any():  # where the models come from is not known
        return False
    return len(models) > 1 and len(sources) == 1


def load_phrases(path: str | Path) -> list[str]:
    """Refusal phrases, one a line, lower case, in file order; raises InputError on an empty or upper-case line."""
    phrases = Path(path).read_text(encoding="utf-8-sig").splitlines()
    for number, phrase in enumerate(phrases, start=1):
        if not phrase.strip() or phrase != phrase.lower().lstrip():
            raise InputError(
                f"{path}: line {number} is {phrase!r}; a phrase is lower case, not empty, without leading blanks, "
                "because responses are converted to lower case and stripped before they are compared"
            )
    return phrases


def _keep(frame: pd.DataFrame, column: str, keep: list[str] | None, path: str | Path) -> pd.DataFrame:
    """Rows whose `column` is in `keep` (None: all); an unknown name is an error, not an empty result."""
    if frame.empty:
        raise InputError(f"{path}: no rows below the header")
    if keep is None:
        return frame
    unknown = [name for name in keep if name not in set(frame[column])]
    if unknown:
        known = ", ".join(frame[column].drop_duplicates())
        raise InputError(f"{path}: no {column} {', '.join(map(repr, unknown))}; the file has {known}")
    return frame[frame[column].isin(keep)].reset_index(drop=True)
