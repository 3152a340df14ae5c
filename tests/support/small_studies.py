"""Whole small studies: all tables that sentences are made from, and the sentences of their figures and cards."""

import pandas as pd

import synthetic
from falserefusal.estimation import claims, rates
from falserefusal.estimation.effects import mean_effects, persona_effects
from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes
from falserefusal.estimation.pooling import shrunken_effects
from falserefusal.estimation.regression import firth_table, regression_table
from falserefusal.estimation.separations import separations
from falserefusal.figures.context import Context
from falserefusal.figures.draw import MODULES, NothingToDraw
from falserefusal.figures.registry import FigureSet
from falserefusal.figures.style import Page
from falserefusal.report.headline import headline
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.multiplicity import max_t, screen


class Titled(Exception):
    """Raised by a page when its title is known; nothing is drawn."""


def panel(models: list[str], variants: bool = False) -> pd.DataFrame:
    """A models table; `variants`: all models are one checkpoint under different system prompts."""
    return pd.DataFrame(
        {
            "model": models,
            "family": ["one" if variants else f"family {k // 2}" for k in range(len(models))],
            "generation": [f"generation {k % 2}" for k in range(len(models))],
            "capability": [30.0 + 10 * k for k in range(len(models))],
            "hub_id": ["x/one" if variants else f"x/{name}" for name in models],
        }
    )


def tables_of(
    outcomes: pd.DataFrame, models: pd.DataFrame, groups: dict[str, str], regressions: bool = True
) -> dict[str, pd.DataFrame]:
    """Return the tables of a study with these outcomes, as the rules make them."""
    cells = synthetic.cells_of(outcomes)
    fit = fit_personas(outcomes)
    effects = screen(persona_effects(outcomes, fit), max_t(outcomes, permutations=99, seed=1))
    sensitivity = sensitivity_from_outcomes(outcomes, replicates=60, permutations=39, seed=1)
    scopes = rates.model_scopes(models)
    tables = {
        "rates_model_task": rates.rates_model_task(cells, outcomes),
        "rates_persona": rates.rates_persona(cells, scopes, groups, outcomes),
        "rates_model_persona": rates.rates_model_persona(cells, outcomes),
        "rates_task_model_persona": rates.rates_task_model_persona(cells, outcomes),
        "rates_format": rates.rates_format(cells, outcomes),
        "rates_baseline": rates.rates_baseline(cells, outcomes),
        "separations": separations(cells, outcomes, scopes),
        "importance": importance_table(sensitivity, None),
        "effects_persona": effects,
        "effects_mean": mean_effects(fit),
        "claims": claims.claims_table(models, outcomes=outcomes, screened=effects),
    }
    if len(models) >= 3:
        tables["effects_shrunken"] = shrunken_effects(fit, effects)
    if regressions:
        tables |= {"regression": regression_table(outcomes), "regression_firth": firth_table(outcomes)}
    return tables


def sentences_of(
    tables: dict[str, pd.DataFrame],
    models: pd.DataFrame,
    tasks: list[str],
    personas: list[str],
    variants: bool = False,
) -> dict[str, str]:
    """Return the title of every figure that the tables allow, the cards, and the notes of the claims."""
    families = dict(zip(models["model"], models["family"], strict=True))
    context = Context("small", families, dict.fromkeys(personas, "group"), variants=variants)
    shrunken = "effects_shrunken" in tables
    said = {}
    for figure in FigureSet("run", tasks=tuple(tasks), printed=(), shrunken=shrunken).figures():
        if set(figure.tables) <= set(tables):
            said[figure.name] = title_of(figure, tables, context)
    for number, card in enumerate(headline(tables)):
        said[f"card {number}"] = context.say(f"{card.value}: {card.label}")
    for row in tables["claims"].itertuples():
        said[f"claim {row.claim}"] = context.say(f"{row.conclusion}; {row.note}")
    return said


def title_of(figure, tables: dict[str, pd.DataFrame], context: Context) -> str:
    """Return the title of a figure without drawing it, or why it is not drawn."""
    original = Page.__init__

    def stop(self, context, message, *others, **options):
        raise Titled(context.say(message))

    module, function = figure.function.split(".")
    Page.__init__ = stop
    try:
        getattr(MODULES[module], function)(tables, context, **dict(figure.options))
    except (Titled, NothingToDraw) as said:
        return str(said)
    finally:
        Page.__init__ = original
    raise AssertionError(f"{figure.name} makes no page")
