"""Raw and shrunken persona effects of simulated studies: error, coverage, and what shrinkage is worth in calls."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from falserefusal.estimation.effects import persona_effects
from falserefusal.estimation.pooling import shrunken_effects
from falserefusal.statistics.gls import fit_personas
from simulation.catalogue import FALLING, WORLDS, of
from simulation.experiments import HOT, TREND, Setting
from simulation.worlds import World

TOP = 0.1  # share of cells with the largest true effects, which shrinkage covers worst
SHRINKAGE_WORLDS: dict[str, Callable[[list[int]], World]] = {
    "one effect for all models": of(rates=FALLING, persona_sd=0.12, common=1.0, presence=0.05),
    "half in common": of(rates=FALLING, persona_sd=0.12, presence=0.05),
    "every model its own effects": of(rates=FALLING, persona_sd=0.12, common=0.0, presence=0.05),
    "no effect": of(rates=FALLING),
    "10 of 240 cells": of(rates=FALLING, hot=HOT),
    "effects fall with capability": of(rates=FALLING, persona_sd=0.17 * np.exp(0.6 * TREND)),
    "families of models": WORLDS["families of models"],
    "nearly always refused": WORLDS["nearly always refused"],
}


def shrinkage(setting: Setting) -> pd.DataFrame:
    """Error and coverage of raw and shrunken persona effects in one setting; every study has effects of its own.

    Returns
    -------
    One row per method (raw, shrunken): rmse (root mean squared error over cells, in points), calls (how many times the
    calls raw effects would need for this rmse: their mean squared error over this one), coverage (of 95% intervals),
    error (Monte Carlo standard error of coverage, with studies as the units), top (coverage of the tenth of the cells
    with the largest true effects, in points; of all cells with an effect if these are fewer; missing without effects),
    worst_model (lowest mean coverage of a model), half_width (mean, in points), weight (mean weight of a cell's own
    estimate), replicates, world, design, prompts (per model).
    """
    cells = setting.run(partial(_once, setting))
    rows = []
    for method, part in cells.groupby("method", sort=False):
        studies = part.groupby("replicate")
        row = {"method": method, "rmse": np.sqrt((part["error"] ** 2).mean()), "coverage": part["covered"].mean()}
        row |= {"error": studies["covered"].mean().std() / np.sqrt(len(studies))}
        row |= {"top": part.loc[part["top"], "covered"].mean()}
        row |= {"worst_model": part.groupby("model")["covered"].mean().min()}
        rows.append(row | {"half_width": part["half_width"].mean(), "weight": part["shrinkage"].mean()})
    table = pd.DataFrame(rows)
    table.insert(2, "calls", (table.loc[table["method"] == "raw", "rmse"].item() / table["rmse"]) ** 2)
    place = {"replicates": setting.count, "world": setting.world, "design": setting.design, "prompts": setting.calls}
    return table.assign(**place)


def _once(setting: Setting, replicate: int) -> pd.DataFrame:
    """Error and coverage of every cell of one study, raw and shrunken."""
    world = SHRINKAGE_WORLDS[setting.world]([setting.seed, 1, replicate])
    outcomes = setting.study(world, replicate)
    fit = fit_personas(outcomes)
    raw = persona_effects(outcomes, fit)
    shrunken = shrunken_effects(fit, raw).assign(difference=lambda table: table["shrunken"])
    rates = world.rates.mean((2, 3))
    true = pd.DataFrame(rates[:, 1:] - rates[:, :1], world.models, world.personas).stack()
    true = true.reindex(pd.MultiIndex.from_frame(raw[["model", "persona"]])).to_numpy()
    size = np.abs(true)
    largest = (size >= np.quantile(size, 1 - TOP)) & (size > 1e-9)
    parts = []
    for method, table in (("raw", raw.assign(shrinkage=1.0)), ("shrunken", shrunken)):
        lo, hi = table["lo"].to_numpy(), table["hi"].to_numpy()
        part = table[["model", "shrinkage"]].assign(method=method, top=largest, half_width=100 * (hi - lo) / 2)
        part["covered"] = (lo - 1e-9 <= true) & (true <= hi + 1e-9)
        parts.append(part.assign(error=100 * (table["difference"].to_numpy() - true), replicate=replicate))
    return pd.concat(parts, ignore_index=True)
