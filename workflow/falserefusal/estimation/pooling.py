"""Partially pooled rates and persona effects: cells borrow strength from each other.

An unusual cell is pulled towards the others, and its interval may miss its value. Tests and claims therefore use the
unpooled estimates. See `statistics.pooling` for the models.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.effects import against_baseline
from falserefusal.estimation.rates import Outcomes, cell_rates
from falserefusal.statistics.gls import PersonaFit
from falserefusal.statistics.pooling import Effects, shrink, shrink_effects
from falserefusal.study.files import FEWEST_SHRUNKEN


def shrunken_rates(
    cells: pd.DataFrame, within: Sequence[str] = ("task", "model"), outcomes: Outcomes | None = None
) -> pd.DataFrame:
    """Shrink the rate of every persona towards those with the same `within`; prompts without a persona are left out.

    Returns
    -------
    Columns of `within`, persona, n, refusals, rate (plain), shrunken, lo, hi (of the shrunken rate), method.
    """
    frame, _ = cell_rates(cells, [*within, "persona"], outcomes)
    frame = frame[frame["persona"] != BASELINE]
    parts = []
    for _, part in frame.groupby(list(within), sort=False, observed=True):
        estimate, lo, hi = shrink(part["rate"] * part["effective"], part["effective"])
        parts.append(part.assign(shrunken=estimate, lo=lo, hi=hi))
    table = pd.concat(parts, ignore_index=True)
    table["method"] = "shrunken: beta-binomial over personas, full Bayes; for display only"
    return table[[*within, "persona", "n", "refusals", "rate", "shrunken", "lo", "hi", "method"]]


def shrunken_effects(fit: PersonaFit, raw: pd.DataFrame) -> pd.DataFrame:
    """Shrink the effect of every persona in every model towards what models and personas have in common.

    Parameters
    ----------
    fit : as `fit_personas` returns it, with a baseline.
    raw : as `persona_effects` returns it, of the same fit.

    Returns
    -------
    Columns model, persona, difference (raw), shrunken, lo, hi (of the shrunken effect), shrinkage (weight of the cell's
    own estimate: 1 is raw, near 0 is what the other cells say), method. With fewer than three models the raw effects
    and their intervals, and method gives the reason.
    """
    models = len(fit.within)
    if models < FEWEST_SHRUNKEN:
        reason = f"raw: shrinkage needs {FEWEST_SHRUNKEN} models, there {'is' if models == 1 else 'are'} {models}"
        table = raw.assign(shrunken=raw["difference"], shrinkage=1.0, method=reason)
    else:
        by_model = fit.average(["model", "persona"])
        effects = effects_of(by_model)
        table = by_model.cells.loc[by_model.cells["persona"] != BASELINE, ["model", "persona"]]
        shrunken, lo, hi, weight = shrink_effects(effects)
        method = f"{fit.method}; shrunken over {models} models and their personas: full Bayes, probit scale"
        table = table.assign(
            difference=effects.effect, shrunken=shrunken, lo=lo, hi=hi, shrinkage=weight, method=method
        )
    columns = ["model", "persona", "difference", "shrunken", "lo", "hi", "shrinkage", "method"]
    return table[columns].reset_index(drop=True)


def effects_of(by_model: PersonaFit) -> Effects:
    """Persona effects of a fit that has one cell for each model and persona, as `shrink_effects` needs them."""
    left, right = against_baseline(by_model)  # in the order of the cells
    cells, n = by_model.cells, by_model.responses.sum(0, dtype=float)
    model, names = pd.factorize(cells["model"])
    size = np.bincount(model)
    total, refusals = np.bincount(model, n), np.bincount(model, cells["refusals"])
    moves = np.stack([by_model.moves[:, model == m].sum(1) / size[m] for m in range(len(names))], axis=1)
    baseline = np.empty(len(names), int)
    baseline[model[right]] = right
    return Effects(
        effect=by_model.rate[left] - by_model.rate[right],
        model=model[left],
        persona=pd.factorize(cells["persona"].to_numpy()[left])[0],
        moves=by_model.moves[:, left] - by_model.moves[:, right],
        n=n[left],
        n_baseline=n[baseline],
        total=total,
        rate=(refusals + 0.5) / (total + 1),
        rate_error=np.sqrt((moves**2).sum(0) + 0.5 / total**2),
    )
