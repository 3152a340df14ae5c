"""Say in three sentences what was asked, what was found, and what limits it."""

from collections.abc import Mapping

import pandas as pd

from falserefusal.common.schemas import ANY_PERSONA
from falserefusal.common.sentences import say
from falserefusal.common.separation import MIN_REFUSALS
from falserefusal.figures.said import inside_of_planted, scopes, separation
from falserefusal.report.asked import SMALL
from falserefusal.report.present import task_word

MEAN = "mean"  # the model of a row that is a mean over models


def in_short(
    tables: Mapping[str, pd.DataFrame], kind: str, variants: bool, models: list[dict], missing: int
) -> dict[str, str]:
    """Return the sentences by what they are about: Asked, Found, Limits.

    Parameters
    ----------
    tables : as the page shows them.
    kind : published, run or rehearsal.
    variants : whether all models are one checkpoint.
    models : as `asked.models_asked` returns them.
    missing : number of models without results.
    """
    rates = tables.get("rates_model_task")
    if rates is None or rates.empty:
        return {}
    own = rates[rates["model"] != MEAN]
    kind = "dummies" if any(model.get("fixed") for model in models) else kind
    about = {"kind": kind, "variants": variants, "models": own["model"].nunique()}
    asked = say(
        "short: asked",
        **about,
        n=int(own["n"].sum()),
        refusals=int(own["refusals"].sum()),
        tasks=[task_word(task) for task in dict.fromkeys(own["task"])],
        personas=_personas(tables),
    )
    sizes = [model["parameters"] for model in models if model["parameters"]]
    limits = say(
        "short: limits",
        **about,
        missing=missing,
        largest=round(max(sizes) / 1e6) if sizes and max(sizes) < SMALL else 0,
        annotated="corrected_rates" in tables,
    )
    return {"Asked": asked, "Found": _found(tables, kind), "Limits": limits}


def _personas(tables: Mapping[str, pd.DataFrame]) -> int:
    table = tables.get("rates_model_persona", pd.DataFrame({"persona": []}))
    return table["persona"].nunique()


def _found(tables: Mapping[str, pd.DataFrame], kind: str) -> str:
    """The main finding: of a rehearsal, whether planted rates are recovered; else, what personas do."""
    if kind == "rehearsal" and "planted_rates" in tables:
        known, inside, certain = inside_of_planted(tables["planted_rates"])
        about = say("planted rates", known=known, inside=inside, certain=certain)
        return say("short: found", effect=None, about=about, clear=False)
    rows = scopes(dict(tables), "persona") if "separations" in tables else pd.DataFrame()
    if rows.empty:
        return ""
    personas = separation(rows, "“{}”".format)
    effect = _effect(tables) if personas.refusals >= MIN_REFUSALS else None
    about = say("levels differ", s=personas, noun="persona", verb="is refused")
    return say("short: found", effect=effect, about=about, clear=personas.clear > 0)


def _effect(tables: Mapping[str, pd.DataFrame]) -> dict[str, float] | None:
    """The mean effect of naming a persona, with its interval, if the study has it."""
    table = tables.get("effects_mean")
    if table is None:
        return None
    row = table[(table["persona"] == ANY_PERSONA) & (table["model"] == MEAN)][["difference", "lo", "hi"]].dropna()
    return None if row.empty else row.iloc[0].to_dict()
