"""Screen many persona effects at a family-wise error rate over all models and personas together.

`max_t` is the confirmatory test. Under its null hypothesis (no persona changes any response to a prompt), the personas
of the responses to one prompt are exchangeable. The largest statistic over all cells, under many permutations of all
models together, shows how large an effect chance alone produces. The test assumes neither normality nor independence
between cells, texts or models, and controls the probability of any false positive.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.statistics.clusters import check_outcomes, level_codes
from falserefusal.statistics.gls import PROMPT, Strata, stratify

MEAN = "mean"
ALPHA = 0.05  # family-wise
TIES = 1e-9  # statistics that differ by less are equal, apart from rounding
MIN_INFORMATIVE = 10  # prompts with differing responses for a test; with fewer, no permutation is extreme


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the family-wise error rate (Holm 1979), in the shape of `p`."""
    p = np.asarray(p, float)
    if not p.size or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p-values must be between 0 and 1, not missing, and at least one")
    adjusted: np.ndarray = multipletests(p.ravel(), method="holm")[1].reshape(p.shape)
    return adjusted


def screen(effects: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Add the result of the screen to a table of persona effects.

    Parameters
    ----------
    effects : as `effects.persona_effects` returns it: one row per model and persona.
    tested : as `max_t` returns it, from the same outcomes.

    Returns
    -------
    The columns of effects, p_max_t (family-wise p-value), informative, tested, and raises: p_max_t <= 0.05 and lower
    limit above 0.
    """
    table = effects.merge(tested[["model", "persona", "p_max_t", "informative", "tested"]], how="left")
    if table["p_max_t"].isna().any():
        lost = table.loc[table["p_max_t"].isna(), ["model", "persona"]].iloc[0]
        raise InputError(
            f"{' / '.join(map(str, lost))} has an estimate but no test: make both tables from the same outcomes"
        )
    table["raises"] = (table["p_max_t"] <= ALPHA) & (table["lo"] > 0)
    return table


def max_t(
    outcomes: pd.DataFrame,
    permutations: int = 2000,
    seed: int | list[int] = 1,
    reference: str = BASELINE,
) -> pd.DataFrame:
    """Step-down maximum-statistic permutation test of every model and persona (Westfall and Young 1993), one-sided.

    Equal prompts count once, however often they were drawn. Models that respond to the same prompts get the same
    permutations, which keeps their correlation. Tasks have equal weight. Statistics are centred by their permutation
    mean and scaled by their model's permutation standard deviation. Responses to a prompt are left out if the model
    lacks some of them.

    With reference "baseline" a statistic is persona minus the same prompts without one, by least squares on prompts.
    Personas are permuted within prompts (a text in a template), the baseline among them: under the null hypothesis the
    responses to a prompt are exchangeable, in the blocked and in the nested design, so the test is exact.

    With reference "mean" it is persona minus the mean of all personas, by plain rates, for studies without baseline
    prompts. Personas are permuted within the text, where they were assigned at random. The test is exact if personas
    were drawn independently of templates, which holds up to draws without replacement.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    permutations : number of permutations.
    seed : seed of the permutations.
    reference : "baseline" or "mean".

    Returns
    -------
    Columns model, persona, difference, statistic, p (of this cell alone), p_max_t (family-wise), informative (prompts
    or blocks of the model whose responses differ), tested. Models with fewer than 10 informative prompts are not tested
    and have p_max_t 1.
    """
    if reference not in (BASELINE, MEAN):
        raise InputError(f"reference of the permutation test: use '{BASELINE}' or '{MEAN}', not {reference!r}")
    if permutations < 1:
        raise InputError("the permutation test needs at least one permutation")
    test = _test(outcomes, reference)
    model = test.cells["model"].to_numpy()
    values = np.vstack(
        [test.differences(test.personas[None]), *test.permuted(np.random.default_rng(seed), permutations)]
    )
    statistic = _standardised(values, model)
    tested = (test.cells["informative"] >= MIN_INFORMATIVE).to_numpy()
    adjusted = np.ones(len(tested))
    if tested.any():
        adjusted[tested] = _step_down(statistic[:, tested])
    return pd.DataFrame(
        {
            "model": model,
            "persona": test.cells["persona"],
            "difference": values[0],
            "statistic": statistic[0],
            "p": (statistic >= statistic[0] - TIES).mean(0),
            "p_max_t": adjusted,
            "informative": test.cells["informative"],
            "tested": tested,
        }
    )


def _standardised(values: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Differences, one row a permutation, centred by their mean and scaled by the deviation of their model.

    The observed assignment, row 0, counts as one of the permutations: this makes the test exact.
    """
    centred = values - values.mean(0)
    variance = pd.Series(values.var(0)).groupby(model, sort=False).transform("mean").to_numpy()
    statistic: np.ndarray = np.divide(centred, np.sqrt(variance), out=np.zeros_like(centred), where=variance > 0)
    return statistic


def _step_down(statistics: np.ndarray) -> np.ndarray:
    """Adjusted p-values of row 0 among all rows (permutations) of (R + 1, K) statistics."""
    order = np.argsort(-statistics[0], kind="stable")
    ranked = statistics[:, order]
    largest = np.maximum.accumulate(ranked[:, ::-1], axis=1)[
        :, ::-1
    ]  # over this statistic and all with smaller observed values
    p = (largest >= ranked[0] - TIES).mean(0)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


@dataclass(frozen=True)
class _Test:
    """Statistics of all cells that are linear in the refusals per (model, task, persona).

    A slot is a position of the design, shared by the models that have it. group (S,), ascending: slots of the same
    group exchange personas; personas (S,): persona of each slot. slot, base (R,): for each refusal its slot, and where
    the personas of its model and task start among the counts. A statistic is (fixed + counts) @ weights, counts being
    refusals per model, task and persona.
    """

    cells: pd.DataFrame
    group: np.ndarray
    personas: np.ndarray
    slot: np.ndarray
    base: np.ndarray
    fixed: np.ndarray
    weights: np.ndarray

    def permuted(self, rng: np.random.Generator, copies: int) -> Iterator[np.ndarray]:
        """Yield statistics of `copies` permutations of personas within groups, a few rows at a time."""
        few = max(1, 2_000_000 // (len(self.group) + len(self.slot) + 1))
        for start in range(0, copies, few):
            keys = self.group + rng.random((min(few, copies - start), len(self.group)))
            yield self.differences(self.personas[np.argsort(keys, axis=1, kind="stable")])

    def differences(self, personas: np.ndarray) -> np.ndarray:
        """(copies, K) statistics of (copies, S) personas."""
        copies, size = len(personas), len(self.fixed)
        code = personas[:, self.slot] + self.base + np.arange(copies)[:, None] * size
        counts = np.bincount(code.ravel(), minlength=copies * size).reshape(copies, size)
        differences: np.ndarray = (self.fixed + counts) @ self.weights
        return differences


def _test(outcomes: pd.DataFrame, reference: str) -> _Test:
    """Set up the statistics and the groups of exchangeable slots for `max_t`."""
    check_outcomes(outcomes, ["model", "task", "persona", *PROMPT])
    baseline = (outcomes["persona"] == BASELINE).to_numpy()
    if reference == BASELINE and not baseline.any():
        raise InputError("there are no baseline responses to compare with: use reference 'mean'")
    if baseline.all():
        raise InputError("outcomes: every prompt is baseline, so there is no persona to test")
    if reference == MEAN:
        outcomes = outcomes[~baseline]
    outcomes = _asked_once(outcomes)
    group = _joint(outcomes, ["task", *(PROMPT if reference == BASELINE else ["block"])])
    slot = _joint(outcomes, ["task", *PROMPT, "persona"])
    whole = _complete(group, slot, level_codes(outcomes["model"])[0])
    outcomes, group, slot = outcomes[whole], group[whole], slot[whole]
    if outcomes.empty:
        raise InputError("every prompt lacks a response of every model: there is nothing to permute")

    strata = stratify(outcomes)
    base, offset, weights, cells = _statistics(strata, reference)
    model, persona = level_codes(outcomes["model"])[0], level_codes(outcomes["persona"])[0]
    start = base[model, level_codes(outcomes["task"])[0]]
    y = outcomes["refusal"].to_numpy(bool)

    groups, group = np.unique(group, return_inverse=True)
    key = model * len(groups) + group
    size, refusals = np.bincount(key), np.bincount(key, y)
    mixed = (refusals > 0) & (refusals < size)
    informative = np.bincount(np.flatnonzero(mixed) // len(groups), minlength=len(strata.models))
    matters = np.zeros(len(groups), bool)
    matters[np.flatnonzero(mixed) % len(groups)] = True
    inside = matters[group]
    fixed = offset + np.bincount((start + persona)[y & ~inside], minlength=len(offset))

    # slots of the groups with refusals and others, in group order
    slots, first, position = np.unique(slot[inside], return_index=True, return_inverse=True)
    order = np.argsort(group[inside][first], kind="stable")
    rank = np.empty(len(slots), int)
    rank[order] = np.arange(len(slots))
    refused = y[inside]
    return _Test(
        cells.assign(informative=informative[cells.pop("place")]),
        group[inside][first][order],
        persona[inside][first][order],
        rank[position][refused],
        start[inside][refused],
        fixed,
        weights,
    )


def _asked_once(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Keep each response of a model once, with the text as its block.

    A text that was sampled in several rows may meet a template and persona several times, with the same response. If it
    counted as several, only some of which are permuted together, it would no longer be exchangeable.
    """
    _, first = np.unique(_joint(outcomes, ["model", "task", "text_id", "template", "persona"]), return_index=True)
    return outcomes.iloc[np.sort(first)].assign(block=lambda kept: kept["text_id"])


def _statistics(strata: Strata, reference: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Start of each model and task's counts, constants added to the counts, their weights, and the tested cells."""
    personas, within = len(strata.personas), strata.within()
    base = np.full((len(strata.models), len(strata.tasks)), -1)
    offset = np.zeros(len(strata.parts) * personas)
    columns: dict[tuple[int, int], list[np.ndarray]] = {}
    for k, ((m, t), part) in enumerate(strata.parts.items()):
        base[m, t] = k * personas
        own = k * personas + part.personas
        if reference == MEAN:
            inverse = np.diag(1 / part.x.sum(0))
            contrast = np.eye(len(own)) - 1 / len(own)
        else:
            a, shared = part.normal_equations(within[m])
            inverse, offset[own] = np.linalg.inv(a), -shared
            baseline = strata.personas[part.personas] == BASELINE
            if not baseline.any():
                raise InputError(f"{strata.models[m]} / {strata.tasks[t]} has no baseline responses to compare with")
            contrast = np.eye(len(own)) - baseline
        for j, p in enumerate(part.personas):
            if strata.personas[p] != BASELINE:
                column = np.zeros(len(offset))
                column[own] = contrast[j] @ inverse
                columns.setdefault((m, p), []).append(column)
    keys = sorted(columns)
    weights = np.column_stack([np.mean(columns[key], axis=0) for key in keys])
    cells = pd.DataFrame(
        {
            "model": [strata.models[m] for m, _ in keys],
            "persona": [strata.personas[p] for _, p in keys],
            "place": [m for m, _ in keys],
        }
    )
    return base, offset, weights, cells


def _complete(group: np.ndarray, slot: np.ndarray, model: np.ndarray) -> np.ndarray:
    """True for responses in groups of which their model has every slot that any model has."""
    groups, group = np.unique(group, return_inverse=True)
    _, first = np.unique(slot, return_index=True)
    expected = np.bincount(group[first], minlength=len(groups))
    key = model * len(groups) + group
    complete: np.ndarray = np.bincount(key)[key] == expected[group]
    return complete


def _joint(outcomes: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """One integer per row for the combination of `columns`."""
    code = np.zeros(len(outcomes), np.int64)
    for column in columns:
        part, names = level_codes(outcomes[column])
        code = code * len(names) + part
    return code
