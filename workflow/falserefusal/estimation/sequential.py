"""Sequential studies: interim results, stopping rule, and confidence intervals that stay valid under interim looks.

At each interim look, every model's targets (a half-width for named quantities) are compared with its intervals so far.
A model that meets all its targets is not asked further. Repeated looks spend confidence: intervals of nominal level 95%
cover less when data collection stops as soon as they look narrow. Two kinds of intervals account for that:

- *Calibrated* intervals have a nominal level chosen so that coverage after stopping by the rule is at least 95%. For
  one rate the level is exact (tests/unit/estimation/test_sequential.py enumerates every outcome of the rule). For
  persona effects it comes from simulation. They are valid only if the model stopped by the rule or reached the last
  planned look.
- *Confidence sequences* are valid at all looks simultaneously, and therefore for any reason to stop. They are wider.

The table of every interim look has both, so additional looks do no harm.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.estimation.effects import against_baseline, correlated, with_any_persona
from falserefusal.statistics.clusters import as_outcomes
from falserefusal.statistics.gls import PersonaFit, fit_personas
from falserefusal.statistics.intervals import Limits, mixture_sequence, mover_difference
from falserefusal.study.config import COMPARED_WITH_BASELINE

ALPHA_RATE = 0.036  # Clopper-Pearson at level 0.964 covers at least 95% after stopping, for usual schedules of looks
ALPHA_EFFECT = 0.04  # the same for MOVER intervals of persona effects, by simulation
FEWEST_TEXTS = 30  # texts per model and task below which no target counts as met

# The levels that a target quantity has within a model.
LEVELS = {
    "model rate": (),
    "task rates": ("task",),
    "persona rates": ("persona",),
    "any-persona effect": (),
    "persona effects": ("persona",),
}
_WORST = ["responses", "quantity", "level", "half_width", "target"]


def interim_table(outcomes: pd.DataFrame | Outcomes, targets: Mapping[str, float], look: int) -> pd.DataFrame:
    """Estimate every target quantity of every model at an interim look, from all responses so far.

    Parameters
    ----------
    outcomes : outcomes of one labeller so far.
    targets : target half-width, as a proportion, of each quantity (see LEVELS).
    look : number of the interim look, from 0.

    Returns
    -------
    Columns interim_look, model, quantity, level (a task or persona; "*" for a quantity with one value per model),
    responses (of the model so far, of all kinds), n (responses behind this quantity), estimate, lo, hi (calibrated),
    half_width, always_lo, always_hi (confidence sequence), target, met.

    Raises
    ------
    InputError for an unknown quantity, a half-width outside (0, 1), or outcomes that lack what a quantity needs.
    """
    check_targets(targets)
    outcomes = as_outcomes(outcomes, ["model", "task", "persona", "interim_look"])
    fit = fit_personas(outcomes)
    asked, texts = {}, {}
    for part in outcomes.parts(["task", "text_id"]):
        model = part["model"].iloc[0]
        asked[model] = len(part)
        texts[model] = part.groupby("task", observed=True)["text_id"].nunique().min()
    parts = []
    for quantity, target in targets.items():
        levels, effect = LEVELS[quantity], quantity in COMPARED_WITH_BASELINE
        part = (_effects if effect else _rates)(fit, levels).assign(quantity=quantity, target=target)
        part["met"] = (part["half_width"] <= target) & (part["model"].map(texts) >= FEWEST_TEXTS)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True).assign(interim_look=look)
    table["responses"] = table["model"].map(asked).astype(int)
    columns = ["interim_look", "model", "quantity", "level", "responses", "n", "estimate", "lo", "hi", "half_width"]
    return table[[*columns, "always_lo", "always_hi", "target", "met"]]


def decide(looks: pd.DataFrame | Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Decide which models have met all their targets.

    A model that has met all its targets once remains stopped, whatever later tables show.

    Parameters
    ----------
    looks : tables of `interim_table` of all interim looks so far, in one frame or several.

    Returns
    -------
    One row per model: model, met, interim_look (the one that met the targets, else the last), responses, and, of the
    quantity furthest from its target at that look, quantity, level, half_width, target.
    """
    table = pd.concat(looks, ignore_index=True) if not isinstance(looks, pd.DataFrame) else looks
    if table.empty:
        raise InputError("there is no interim look yet")
    if table[["half_width", "target"]].isna().any(axis=None):
        raise InputError("the table of an interim look lacks a half-width or a target")
    rows = []
    for model, part in table.groupby("model", sort=False, observed=True):
        met = part.groupby("interim_look")["met"].all()
        at = met.index[met.to_numpy()].min() if met.any() else met.index.max()
        look = part[part["interim_look"] == at]
        worst = look.loc[(look["half_width"] / look["target"]).idxmax()]
        rows.append({"model": model, "met": bool(met.any()), "interim_look": int(at)} | worst[_WORST].to_dict())
    return pd.DataFrame(rows)


def final_limits(looks: pd.DataFrame | Sequence[pd.DataFrame], last_look: int) -> pd.DataFrame:
    """Select the interval to report: calibrated if the model stopped by the rule, else the confidence sequence.

    Parameters
    ----------
    looks : tables of `interim_table` of all interim looks.
    last_look : the last planned look; stopping there is by the rule.

    Returns
    -------
    The columns of `interim_table` without the confidence sequence; lo and hi are the interval to report, and method
    names its kind.
    """
    table = pd.concat(looks, ignore_index=True) if not isinstance(looks, pd.DataFrame) else looks
    decision = decide(table).set_index("model")
    final = table[table["interim_look"] == table["model"].map(decision["interim_look"])].copy()
    done = final["model"].map(decision["met"]).to_numpy()
    ruled = done | (final["interim_look"] >= last_look).to_numpy()
    final["lo"], final["hi"] = np.where(ruled, [final["lo"], final["hi"]], [final["always_lo"], final["always_hi"]])
    final["half_width"] = (final["hi"] - final["lo"]) / 2
    ends = np.where(done, "stopped by the rule", "all prompts asked")
    final["method"] = np.where(
        ruled, "calibrated for interim looks; " + ends, "confidence sequence; stopped, but not by the rule"
    )
    return final.drop(columns=["always_lo", "always_hi"]).reset_index(drop=True)


def check_targets(targets: Mapping[str, float]) -> None:
    """Raise InputError unless `targets` maps known quantities to half-widths between 0 and 1."""
    if not targets:
        raise InputError(
            "estimation.targets: a sequential study needs at least one target, such as {persona effects: 0.02}"
        )
    for quantity, half_width in targets.items():
        if quantity not in LEVELS:
            raise InputError(f"estimation.targets: unknown quantity {quantity!r}; use one of {', '.join(LEVELS)}")
        if not (isinstance(half_width, int | float) and 0 < half_width < 1):
            raise InputError(
                f"estimation.targets: the half-width of '{quantity}' is {half_width!r}; use a number between 0 and 1"
            )


def _rates(fit: PersonaFit, levels: tuple[str, ...]) -> pd.DataFrame:
    """Rates by model (and levels) over prompts with a persona, with both kinds of intervals."""
    part = fit.keep(fit.cells["persona"] != BASELINE).average(["model", *levels])
    lo, hi = part.limits(1 - ALPHA_RATE, exact=True)
    low, high = _always(part)
    return _rows(part.cells, levels, np.clip(part.rate, 0, 1), (lo, hi), (low, high))


def _effects(fit: PersonaFit, levels: tuple[str, ...]) -> pd.DataFrame:
    """Persona effects by model (and persona), with both kinds of intervals."""
    part = fit.average(["model", "persona"]) if levels else with_any_persona(fit)
    left, right = against_baseline(part)
    shared, rate = correlated(part, left, right), np.clip(part.rate, 0, 1)
    limits = []
    for lo, hi in (part.limits(1 - ALPHA_EFFECT), _always(part)):
        limits.append(mover_difference(rate[left], (lo[left], hi[left]), rate[right], (lo[right], hi[right]), shared))
    cells = part.cells.iloc[left].reset_index(drop=True)
    return _rows(cells, levels, part.rate[left] - part.rate[right], *limits)


def _always(fit: PersonaFit) -> Limits:
    """Confidence sequence at the effective counts: exact for independent responses, approximate for clustered ones."""
    effective = fit.effective()
    return mixture_sequence(np.clip(fit.rate, 0, 1) * effective, effective)


def _rows(cells: pd.DataFrame, levels, estimate: np.ndarray, limits: Limits, always: Limits) -> pd.DataFrame:
    """Rows of `interim_table` for one quantity."""
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
