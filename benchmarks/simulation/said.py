"""How often a study without persona effects says anything that singles out a persona."""

import re
import warnings
from functools import partial

import pandas as pd
from scipy import stats

import small_studies
from simulation.catalogue import WORLDS
from simulation.experiments import Setting, panel
from simulation.true_values import task_names

NULL = ("no effect of persona, template or task", "heavy-tailed texts, no effect", "rare refusals, no effect")
NOMINAL = 0.05


def said(setting: Setting) -> pd.DataFrame:
    """Share of studies in which a title, a card or a note of a claim names a persona.

    Returns
    -------
    Columns world, design, calls, studies, naming, rate, p (one-sided: more often than NOMINAL), where (the sentences).
    """
    parts = setting.run(partial(_once, setting))
    naming = int((parts["where"] != "").sum())
    row = {"world": setting.world, "design": setting.design, "calls": setting.calls, "studies": len(parts)}
    row |= {"naming": naming, "rate": naming / len(parts), "p": stats.binom.sf(naming - 1, len(parts), NOMINAL)}
    return pd.DataFrame([row | {"where": "; ".join(sorted(set(parts["where"]) - {""}))}])


def _once(setting: Setting, replicate: int) -> pd.DataFrame:
    warnings.simplefilter("ignore")
    world = WORLDS[setting.world]([setting.seed, 1])
    outcomes = setting.study(world, replicate)
    outcomes["task"] = outcomes["task"].cat.rename_categories(task_names(world))
    models = panel(world.models)
    tables = small_studies.tables_of(outcomes, models, dict.fromkeys(world.personas, "group"), regressions=False)
    sentences = small_studies.sentences_of(tables, models, list(outcomes["task"].cat.categories), world.personas)
    names = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in world.personas))
    return pd.DataFrame([{"where": ", ".join(where for where, text in sentences.items() if names.search(text))}])
