"""Stopping when the answer is known well enough, with limits that hold although one has looked before.

A study may ask in rounds. After each, every model's targets (a half-width for named quantities) are compared with its
limits so far; a model that meets all of them is frozen and asked no more. Looking repeatedly spends confidence: limits
of nominal 95 % cover less when data stop the moment they look narrow. Two kinds of limits answer that:

- *calibrated* limits, of a nominal level chosen so that coverage after stopping by the rule is at least 95 %. For one
  rate the level is exact (tests/unit/estimation/test_sequential.py enumerates every outcome of the rule); for persona
  effects it comes from simulation. They are right if, and only if, the model stopped by the rule or reached the last
  planned look.
- *confidence sequences*, which hold at all looks at once and hence whatever made the study stop. They are wider.

Both are in the table of every round, so that peeking does no harm.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.estimation.effects import against_baseline, correlated, with_any_persona
from falserefusal.statistics.clusters import check_outcomes
from falserefusal.statistics.gls import PersonaFit, fit_personas
from falserefusal.statistics.intervals import Limits, mixture_sequence, mover_difference

ALPHA_RATE = 0.036  # Clopper-Pearson at 1 - .036 covers at least .95 after stopping, for the usual schedules of looks
ALPHA_EFFECT = 0.04  # the same for MOVER limits of persona effects, by simulation
FEWEST_TEXTS = 30  # of a model and task: with fewer, no target counts as met

# quantity: (levels that have one each within a model, compares with baseline answers)
QUANTITIES = {
    "model rate": ((), False),
    "task rates": (("task",), False),
    "persona rates": (("persona",), False),
    "any-persona effect": ((), True),
    "persona effects": (("persona",), True),
}


def interim_table(outcomes: pd.DataFrame, targets: Mapping[str, float], look: int) -> pd.DataFrame:
    """Every target quantity of every model after a round, from all answers so far.

    targets: half-width wanted, by quantity (see QUANTITIES), as proportions. Columns: round, model, quantity, level (a
    task or persona, "*" if there is one per model), answers (of the model so far, all kinds), n (behind this quantity),
    estimate, lo, hi (calibrated), half_width, always_lo, always_hi (confidence sequence), target, met.
    Raises InputError on an unknown quantity, a half-width outside (0, 1), or outcomes that cannot give it.
    """
    check_targets(targets)
    check_outcomes(outcomes, ["model", "task", "persona", "interim_look"])
    fit = fit_personas(outcomes)
    asked = outcomes.groupby("model", observed=True).size()
    texts = (
        outcomes.groupby(["model", "task"], observed=True)["text_id"].nunique().groupby("model", observed=True).min()
    )
    parts = []
    for quantity, target in targets.items():
        levels, effect = QUANTITIES[quantity]
        part = (_effects if effect else _rates)(fit, levels).assign(quantity=quantity, target=target)
        part["met"] = (part["half_width"] <= target) & (part["model"].map(texts) >= FEWEST_TEXTS)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(interim_look=look)
    table["answers"] = table["model"].map(asked).astype(int)
    columns = ["interim_look", "model", "quantity", "level", "answers", "n", "estimate", "lo", "hi", "half_width"]
    return table[[*columns, "always_lo", "always_hi", "target", "met"]]


def decide(rounds: pd.DataFrame | Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Which models are done: one row per model from the tables of all rounds so far (in one frame or several).

    A model that has once met all its targets is frozen, whatever later tables say. Columns: model, met, round (the one
    that met them, else the last), answers, quantity, level (the one furthest from its target in that round),
    half_width, target.
    """
    table = pd.concat(rounds, ignore_index=True) if not isinstance(rounds, pd.DataFrame) else rounds
    if table.empty:
        raise InputError("no round has been looked at yet")
    if table[["half_width", "target"]].isna().any(axis=None):
        raise InputError("a round's table lacks a half-width or a target")
    rows = []
    for model, part in table.groupby("model", sort=False, observed=True):
        met = part.groupby("interim_look")["met"].all()
        at = met.index[met.to_numpy()].min() if met.any() else met.index.max()
        look = part[part["interim_look"] == at]
        worst = look.loc[(look["half_width"] / look["target"]).idxmax()]
        rows.append({"model": model, "met": bool(met.any()), "interim_look": int(at)} | worst[_WORST].to_dict())
    return pd.DataFrame(rows)


_WORST = ["answers", "quantity", "level", "half_width", "target"]


def final_limits(rounds: pd.DataFrame | Sequence[pd.DataFrame], last_look: int) -> pd.DataFrame:
    """What to report of each quantity: calibrated limits if its model stopped by the rule, else the sequence's.

    `last_look` is the last one planned; stopping there is by the rule. Columns as in a round's table, with lo and hi
    the limits to report and method saying which they are.
    """
    table = pd.concat(rounds, ignore_index=True) if not isinstance(rounds, pd.DataFrame) else rounds
    decision = decide(table).set_index("model")
    final = table[table["interim_look"] == table["model"].map(decision["interim_look"])].copy()
    done = final["model"].map(decision["met"]).to_numpy()
    ruled = done | (final["interim_look"] >= last_look).to_numpy()
    final["lo"], final["hi"] = np.where(ruled, [final["lo"], final["hi"]], [final["always_lo"], final["always_hi"]])
    final["half_width"] = (final["hi"] - final["lo"]) / 2
    ends = np.where(done, "stopped by the rule", "asked in full")
    final["method"] = np.where(
        ruled, "calibrated for repeated looks; " + ends, "confidence sequence; stopped, but not by the rule"
    )
    return final.drop(columns=["always_lo", "always_hi"]).reset_index(drop=True)


def check_targets(targets: Mapping[str, float]) -> None:
    """Raise InputError unless `targets` maps known quantities to half-widths between 0 and 1."""
    if not targets:
        raise InputError("a study in rounds needs a target, such as {persona effects: 0.02}")
    for quantity, half_width in targets.items():
        if quantity not in QUANTITIES:
            raise InputError(f"targets: unknown quantity {quantity!r}; known are {', '.join(QUANTITIES)}")
        if not (isinstance(half_width, int | float) and 0 < half_width < 1):
            raise InputError(f"targets: the half-width of '{quantity}' is {half_width!r}, but must lie between 0 and 1")


def _rates(fit: PersonaFit, levels: tuple[str, ...]) -> pd.DataFrame:
    part = fit.keep(fit.cells["persona"] != BASELINE).average(["model", *levels])
    lo, hi = part.limits(1 - ALPHA_RATE, exact=True)
    low, high = _always(part)
    return _rows(part.cells, levels, np.clip(part.rate, 0, 1), (lo, hi), (low, high))


def _effects(fit: PersonaFit, levels: tuple[str, ...]) -> pd.DataFrame:
    part = fit.average(["model", "persona"]) if levels else with_any_persona(fit)
    left, right = against_baseline(part)
    shared, rate = correlated(part, left, right), np.clip(part.rate, 0, 1)
    limits = []
    for lo, hi in (part.limits(1 - ALPHA_EFFECT), _always(part)):
        limits.append(mover_difference(rate[left], (lo[left], hi[left]), rate[right], (lo[right], hi[right]), shared))
    cells = part.cells.iloc[left].reset_index(drop=True)
    return _rows(cells, levels, part.rate[left] - part.rate[right], *limits)


def _always(fit: PersonaFit) -> Limits:
    """Confidence sequence at the effective counts: exact for independent answers, close for clustered ones."""
    effective = fit.effective()
    return mixture_sequence(np.clip(fit.rate, 0, 1) * effective, effective)


def _rows(cells: pd.DataFrame, levels, estimate: np.ndarray, limits: Limits, always: Limits) -> pd.DataFrame:
    (lo, hi), (low, high) = limits, always
    return pd.DataFrame(
        {
            "model": cells["model"],
            "level": cells[levels[0]] if levels else ALL,
            "n": cells["n"],
            "estimate": estimate,
            "lo": lo,
            "hi": hi,
            "half_width": (hi - lo) / 2,
            "always_lo": low,
            "always_hi": high,
        }
    )
