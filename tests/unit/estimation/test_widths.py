"""No interval of any table has a width of 0, however few the refusals of a study are."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.estimation import effects as ef
from falserefusal.estimation import rates as rt
from falserefusal.estimation.claims import claims_table
from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes
from falserefusal.estimation.pooling import shrunken_effects, shrunken_rates
from falserefusal.estimation.regression import firth_table, interaction_table, regression_table
from falserefusal.statistics.gls import fit_personas
from synthetic import TEMPLATES, cells_of, frame, nested

PERSONAS = ["atheist", "man", "woman"]
DESIGN = nested(12, 10, PERSONAS, 1, draws=6)
PHRASINGS = {template: 1 + k % 3 for k, template in enumerate(TEMPLATES)}


def study(models, refused, of):
    """Outcomes of a design in which all responses are `of` but `refused` ones of the first model."""
    verdict = np.full((models, len(DESIGN)), of)
    verdict[0, np.random.default_rng(2).choice(len(DESIGN), refused, replace=False)] = not of
    return frame(DESIGN, [f"M{k}" for k in range(models)], PERSONAS, verdict)


def tables(outcomes):
    """Every table of estimates with an interval."""
    models = list(outcomes["model"].cat.categories)
    about = pd.DataFrame({"model": models, "family": models, "generation": models, "capability": range(len(models))})
    cells, fit = cells_of(outcomes), fit_personas(outcomes)
    raw = ef.persona_effects(outcomes, fit)
    sensitivity = sensitivity_from_outcomes(outcomes, PHRASINGS, replicates=100, permutations=99, seed=3)
    yield "rates_model_task", rt.rates_model_task(cells, outcomes)
    yield "rates_model_task of cells", rt.rates_model_task(cells)
    yield "rates_persona", rt.rates_persona(cells, {"all": models}, dict.fromkeys(PERSONAS, "x"), outcomes)
    yield "rates_model_persona", rt.rates_model_persona(cells, outcomes)
    yield "rates_task_model_persona", rt.rates_task_model_persona(cells, outcomes)
    yield "rates_format", rt.rates_format(cells, outcomes)
    yield "rates_baseline", rt.rates_baseline(cells, outcomes)
    yield "rates_shrunken", shrunken_rates(cells, outcomes=outcomes)
    yield "effects_persona", raw
    yield "effects_mean", ef.mean_effects(fit)
    yield "effects_between", ef.persona_differences(fit)
    yield "effects_shrunken", shrunken_effects(fit, raw)
    yield "sensitivity", sensitivity
    yield "importance", importance_table(sensitivity)
    yield "regression", regression_table(outcomes)
    yield "regression_firth", firth_table(outcomes)
    yield "interactions", interaction_table(outcomes)
    yield "claims", claims_table(about, None, outcomes)


@pytest.mark.parametrize("of", [False, True], ids=["hardly refused", "nearly always refused"])
@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("refused", [0, 1, 4, 40])
def test_no_interval_has_a_width_of_0(models, refused, of):
    for name, table in tables(study(models, refused, of)):
        for lo in (column for column in table if column in ("lo", "d_lo", "baseline_lo", "lo_family")):
            hi = lo.replace("lo", "hi") if lo != "baseline_lo" else "baseline_hi"
            width = (table[hi].astype(float) - table[lo].astype(float)).dropna()
            assert (width > 1e-3).all(), f"{name}: {table.loc[width.index[width <= 1e-3]].to_string()}"
