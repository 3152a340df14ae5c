"""Screen many persona effects at a family-wise error rate over all models and personas together.

`max_t` is the confirmatory test. Under its null hypothesis (no persona changes any response to a prompt), the personas
of the responses to one prompt are exchangeable. The largest statistic over all cells, under many permutations of all
models together, shows how large an effect chance alone produces. The test assumes neither normality nor independence
between cells, texts or models, and controls the probability of any false positive.

A persona may also change responses to some texts in one direction, to others in the opposite one, so that its mean
effect is zero. Responses are then not exchangeable, and differences vary more than permutations show. `screen`
therefore also demands that the text-robust intervals exclude a mean effect of zero, at the same family-wise error rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes, union_of_sorted
from falserefusal.common.schemas import BASELINE
from falserefusal.statistics.clusters import SLOT, as_outcomes, asked_once, joint_code, level_codes
from falserefusal.statistics.gls import PROMPT, stratify

MEAN = "mean"
ALPHA = 0.05  # family-wise
TIES = 1e-9  # statistics that differ by less are equal, apart from rounding
MIN_INFORMATIVE = 10  # prompts with differing responses for a test; with fewer, no permutation is extreme


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the family-wise error rate (Holm 1979), in the shape of `p`."""
    p = np.asarray(p, float)
    if not p.size or not ((p >= 0) & (p <= 1)).all():
        raise InputError("p-values must be between 0 and 1, not missing, and at least one")
    order = p.argsort(axis=None)
    steps = (p.size - np.arange(p.size)) * p.ravel()[order]
    adjusted = np.empty(p.size)  # not multipletests of statsmodels: it collects garbage, 0.1 s a call
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.reshape(p.shape)


def simultaneous(comparisons: int) -> float:
    """Two-sided level of intervals whose lower limits (and whose upper ones) all hold together in 95% (Bonferroni)."""
    return 1 - 2 * ALPHA / comparisons


def screen(effects: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Add the result of the screen to a table of persona effects.

    Parameters
    ----------
    effects : as `effects.persona_effects` returns it: one row per model and persona.
    tested : as `max_t` returns it, from the same outcomes.

    Returns
    -------
    The columns of effects, and informative, tested, p_family and raises. p_family is the family-wise p-value of an
    increase: the larger of that of `max_t` (null hypothesis: no response changes) and Holm's of the intervals (null
    hypothesis: the mean effect is zero). raises: p_family is at most 0.05.
    """
    table = effects.merge(tested[["model", "persona", "p_max_t", "informative", "tested"]], how="left")
    if table["p_max_t"].isna().any():
        lost = table.loc[table["p_max_t"].isna(), ["model", "persona"]].iloc[0]
        raise InputError(
            f"{' / '.join(map(str, lost))} has an estimate but no test: make both tables from the same outcomes"
        )
    one_sided = np.where(table["difference"] > 0, table["p"] / 2, 1 - table["p"] / 2)
    table["p_family"] = np.maximum(table.pop("p_max_t"), holm(one_sided))
    return table.assign(raises=table["p_family"] <= ALPHA)


def max_t(
    outcomes: pd.DataFrame | Outcomes,
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
    of the model whose responses differ), tested. Models with fewer than 10 informative prompts are not tested
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


def _test(outcomes: pd.DataFrame | Outcomes, reference: str) -> _Test:
    """Set up the statistics and the groups of exchangeable slots for `max_t`.

    The first pass over the models finds the slots of the design, the second the responses in complete groups.
    """
    outcomes = as_outcomes(outcomes, ["model", "task", "persona", *PROMPT])
    personas = outcomes.present("persona")
    if reference == BASELINE and BASELINE not in personas:
        raise InputError("there are no baseline responses to compare with: use reference 'mean'")
    if personas == [BASELINE]:
        raise InputError("outcomes: every prompt is baseline, so there is no persona to test")
    if reference == MEAN:
        outcomes = outcomes.without_baseline()
    slots = _Slots.of(outcomes, reference)
    linear = _Linear(reference)
    matters, complete = np.zeros((2, len(slots.groups)), bool)
    informative, refused, start = {}, [], []
    for part in outcomes.parts(SLOT):
        part = asked_once(part)
        slot, group = slots.find(part)
        size = np.bincount(group, minlength=len(slots.groups))
        whole = (size == slots.sizes)[group]
        part, slot, group = part[whole], slot[whole], group[whole]
        if part.empty:
            continue
        y = part["refusal"].to_numpy(bool)
        refusals = np.bincount(group, y, len(slots.groups))
        mixed = (size == slots.sizes) & (refusals > 0) & (refusals < size)
        informative[part["model"].iloc[0]] = int(mixed.sum())
        matters |= mixed
        complete |= size == slots.sizes
        start.append(linear.add(part)[y])
        refused.append(slot[y])
    if not start:
        raise InputError("every prompt lacks a response of every model: there is nothing to permute")
    cells, fixed, weights = linear.finish()
    cells = cells.assign(informative=cells["model"].map(informative))
    base, slot = np.concatenate(start), np.concatenate(refused)
    # only groups in which some model's responses differ can change under permutation
    group_of_slot = slots.group_of(slots.slots)
    kept = matters[group_of_slot]
    inside = matters[slots.group_of(slot)]
    fixed += np.bincount(base[~inside] + slot[~inside] % slots.personas, minlength=len(fixed))
    return _Test(
        cells,
        (np.cumsum(complete) - 1)[group_of_slot[kept]],
        slots.slots[kept] % slots.personas,
        np.searchsorted(slots.slots[kept], slot[inside]),
        base[inside],
        fixed,
        weights,
    )


@dataclass(frozen=True)
class _Slots:
    """Codes of the slots that any model has, sorted; of the groups they form, sorted; and the sizes of the groups."""

    slots: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray
    personas: int
    in_group: int  # a slot's code divided by it is the code of its group

    @classmethod
    def of(cls, outcomes: Outcomes, reference: str) -> "_Slots":
        slots, personas, in_group = np.empty(0, np.int64), 1, 1
        for part in outcomes.parts(SLOT):
            code, names = joint_code(part, SLOT)
            slots = union_of_sorted(slots, np.sort(code, kind="stable"))
            personas = len(names[-1])
            in_group = personas if reference == BASELINE else personas * len(names[-2])
        groups, sizes = np.unique(slots // in_group, return_counts=True)
        return cls(slots, groups, sizes, personas, in_group)

    def find(self, part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Slot, and position of the group, of each response."""
        slot, _ = joint_code(part, SLOT)
        return slot, self.group_of(slot)

    def group_of(self, slot: np.ndarray) -> np.ndarray:
        """Position of each slot's group."""
        position: np.ndarray = np.searchsorted(self.groups, slot // self.in_group)
        return position


class _Linear:
    """The statistics as weights of counts per model, task and persona, collected model by model."""

    def __init__(self, reference: str):
        self.reference = reference
        self.size = 0
        self.offset: list[np.ndarray] = []
        self.columns: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, part: pd.DataFrame) -> np.ndarray:
        """Add a model; return where the counts of the model and task of each response start."""
        strata = stratify(part)
        within = strata.within()
        start = np.full(len(strata.tasks), -1)
        for (m, t), stratum in strata.parts.items():
            start[t] = self.size
            own = self.size + stratum.personas
            offset = np.zeros(len(strata.personas))
            names = strata.personas[stratum.personas]
            if self.reference == MEAN:
                inverse = np.diag(1 / stratum.x.sum(0))
                contrast = np.eye(len(own)) - 1 / len(own)
            else:
                a, shared = stratum.normal_equations(within[m])
                inverse, offset[stratum.personas] = np.linalg.inv(a), -shared
                if not (baseline := names == BASELINE).any():
                    where = f"{strata.models[m]} / {strata.tasks[t]}"
                    raise InputError(f"{where} has no baseline responses to compare with")
                contrast = np.eye(len(own)) - baseline
            for j, p in enumerate(stratum.personas):
                if names[j] != BASELINE:
                    self.columns.setdefault((m, p), []).append((own, contrast[j] @ inverse))
            self.offset.append(offset)
            self.size += len(offset)
        self.names = strata.models, strata.personas
        of_response: np.ndarray = start[level_codes(part["task"])[0]]
        return of_response

    def finish(self) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """The tested cells, constants added to the counts, and the weights (counts, cells): means over tasks."""
        keys = sorted(self.columns)
        weights = np.zeros((self.size, len(keys)))
        for k, key in enumerate(keys):
            for own, values in self.columns[key]:
                weights[own, k] = values / len(self.columns[key])
        models, personas = self.names
        cells = pd.DataFrame({"model": [models[m] for m, _ in keys], "persona": [personas[p] for _, p in keys]})
        return cells, np.concatenate(self.offset), weights
