"""Which of many persona effects are real: error rates over all models x personas at once.

`max_t` is the test of record. Under its hypothesis (no persona changes any answer to a prompt) the answers to one
prompt may be relabelled; the largest statistic over all cells, taken over many relabellings of all models at once, says
how large a chance effect gets. It needs no normality and no independence between cells, texts or models, and controls
the chance of any false finding.
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
TIES = 1e-9  # statistics that differ by less are equal but for rounding
MIN_INFORMATIVE = 10  # prompts with different answers that a model needs to be tested: below, no relabelling is extreme


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the chance of any false finding (Holm 1979), same shape as `p`."""
    p = np.asarray(p, float)
    if not p.size or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p-values lie between 0 and 1, none is missing, and there is at least one")
    return multipletests(p.ravel(), method="holm")[1].reshape(p.shape)


def screen(effects: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Add the family's verdicts to a table of `effects.persona_effects`: one row per model and persona.

    New columns: p_max_t (family-wise, from `tested`, a table of `max_t`), informative and tested (from there as well),
    and raises: p_max_t <= .05 and lower limit above 0.
    """
    table = effects.merge(tested[["model", "persona", "p_max_t", "informative", "tested"]], how="left")
    if table["p_max_t"].isna().any():
        lost = table.loc[table["p_max_t"].isna(), ["model", "persona"]].iloc[0]
        raise InputError(
            f"{' / '.join(map(str, lost))} was estimated but not tested: both tables need the same outcomes"
        )
    table["raises"] = (table["p_max_t"] <= ALPHA) & (table["lo"] > 0)
    return table


def max_t(
    outcomes: pd.DataFrame,
    permutations: int = 2000,
    seed: int | list[int] = 1,
    reference: str = BASELINE,
) -> pd.DataFrame:
    """Step-down maximum-statistic permutation test of every model x persona (Westfall and Young 1993).

    Equal prompts count once, however often they were drawn.
    reference "baseline": persona minus the same prompts without one, by least squares on prompts. Labels are
    permuted within prompts (a text in a template), the one without a persona among them: under the hypothesis that
    personas change nothing the answers to a prompt are exchangeable, in the blocked and in the nested design alike, so
    the test is exact.
    reference "mean": persona minus the mean of all personas, by plain rates, for studies without baseline prompts.
    Labels are permuted within the text, whose personas were assigned at random, baseline ones left out. Exact if
    personas were drawn independently of templates, as they are up to draws without replacement.

    Models that answer the same prompts get the same relabelling, which keeps what they have in common. Tasks weigh the
    same. Statistics are centred by their permutation mean and scaled by their model's permutation standard deviation.
    The test is one-sided: the persona raises refusal.
    Columns: model, persona, difference, statistic, p (of this cell alone), p_max_t (family-wise), informative (prompts
    or blocks of the model whose answers differ), tested. Models with fewer than 10 informative ones are not tested and
    have p_max_t 1. Answers to a prompt of which the model lost some are left out.
    """
    if reference not in (BASELINE, MEAN):
        raise InputError(f"max_t knows the references '{BASELINE}' and '{MEAN}', not {reference!r}")
    if permutations < 1:
        raise InputError("max_t needs at least one permutation")
    test = _test(outcomes, reference)
    model = test.cells["model"].to_numpy()
    values = np.vstack(
        [test.differences(test.labels[None]), *test.relabelled(np.random.default_rng(seed), permutations)]
    )
    # the observed labels are one relabelling among the others: with them counted in, the test is exact
    centred = values - values.mean(0)
    variance = pd.Series(values.var(0)).groupby(model, sort=False).transform("mean").to_numpy()
    statistic = np.divide(centred, np.sqrt(variance), out=np.zeros_like(centred), where=variance > 0)
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


def _step_down(statistics: np.ndarray) -> np.ndarray:
    """Adjusted p-values of row 0 among all rows (relabellings) of (R + 1, K) statistics."""
    order = np.argsort(-statistics[0], kind="stable")
    ranked = statistics[:, order]
    largest = np.maximum.accumulate(ranked[:, ::-1], axis=1)[:, ::-1]  # over this and all smaller observed ones
    p = (largest >= ranked[0] - TIES).mean(0)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


@dataclass(frozen=True)
class _Test:
    """Statistics of all cells that are linear in the refusals per (model, task, persona).

    A slot is the place of an answer in the design, shared by the models that were asked it. group (S,), ascending:
    slots of the same group exchange labels; labels (S,): persona of each slot. slot, base (R,): for each refusal its
    slot and where the personas of its model and task begin among the counts. A statistic is (fixed + counts) @ weights,
    counts being refusals per model, task and persona.
    """

    cells: pd.DataFrame
    group: np.ndarray
    labels: np.ndarray
    slot: np.ndarray
    base: np.ndarray
    fixed: np.ndarray
    weights: np.ndarray

    def relabelled(self, rng: np.random.Generator, copies: int) -> Iterator[np.ndarray]:
        """Statistics of `copies` permutations of labels within groups, a few rows at a time."""
        few = max(1, 2_000_000 // (len(self.group) + len(self.slot) + 1))
        for start in range(0, copies, few):
            keys = self.group + rng.random((min(few, copies - start), len(self.group)))
            yield self.differences(self.labels[np.argsort(keys, axis=1, kind="stable")])

    def differences(self, labels: np.ndarray) -> np.ndarray:
        """(copies, K) statistics of (copies, S) labels."""
        copies, size = len(labels), len(self.fixed)
        code = labels[:, self.slot] + self.base + np.arange(copies)[:, None] * size
        counts = np.bincount(code.ravel(), minlength=copies * size).reshape(copies, size)
        return (self.fixed + counts) @ self.weights


def _test(outcomes: pd.DataFrame, reference: str) -> _Test:
    check_outcomes(outcomes, ["model", "task", "persona", *PROMPT])
    free = (outcomes["persona"] == BASELINE).to_numpy()
    if reference == BASELINE and not free.any():
        raise InputError("there are no baseline answers to compare with: use reference 'mean'")
    if free.all():
        raise InputError("outcomes: every prompt is baseline, so there is no persona to test")
    if reference == MEAN:
        outcomes = outcomes[~free]
    outcomes = _asked_once(outcomes)
    group = _joint(outcomes, ["task", *(PROMPT if reference == BASELINE else ["block"])])
    slot = _joint(outcomes, ["task", *PROMPT, "persona"])
    whole = _complete(group, slot, level_codes(outcomes["model"])[0])
    outcomes, group, slot = outcomes[whole], group[whole], slot[whole]
    if outcomes.empty:
        raise InputError("every prompt lost an answer in every model: there is nothing left to permute")

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

    # slots of the groups that matter, in group order
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
    """Each answer of a model once, with the text as its block.

    A text that was sampled in several rows may meet a template and persona several times. The answer is the same;
    counted as several, only some of which are relabelled together, it would no longer be exchangeable.
    """
    _, first = np.unique(_joint(outcomes, ["model", "task", "text_id", "template", "persona"]), return_index=True)
    return outcomes.iloc[np.sort(first)].assign(block=lambda kept: kept["text_id"])


def _statistics(strata: Strata, reference: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Where the counts of each model and task begin, what is added to them, their weights, and the cells tested."""
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
            free = strata.personas[part.personas] == BASELINE
            if not free.any():
                raise InputError(f"{strata.models[m]} / {strata.tasks[t]} has no baseline answers to compare with")
            contrast = np.eye(len(own)) - free
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
    """Which answers belong to a group of which their model has every slot that any model has."""
    groups, group = np.unique(group, return_inverse=True)
    _, first = np.unique(slot, return_index=True)
    wanted = np.bincount(group[first], minlength=len(groups))
    key = model * len(groups) + group
    return np.bincount(key)[key] == wanted[group]


def _joint(outcomes: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """One integer per row that tells the combinations of `columns` apart."""
    code = np.zeros(len(outcomes), np.int64)
    for column in columns:
        part, names = level_codes(outcomes[column])
        code = code * len(names) + part
    return code
