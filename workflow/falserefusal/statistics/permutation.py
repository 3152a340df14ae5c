"""Noise floors of the sensitivity indices: permute the levels of a factor as the design could have assigned them.

A permuted copy of a factor keeps all dependence between responses: all responses to a text stay with the text, all
models' responses to one prompt get the same new level, and a task keeps its prompts. The index of the permuted copy is
therefore what the noise of this study alone can produce, clustering included.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.outcomes import Outcomes, union_of_sorted
from falserefusal.statistics.clusters import ClusterTable, as_outcomes, level_codes


def levels(
    outcomes: pd.DataFrame | Outcomes,
    factor: str,
    names: tuple[list[str], list[str], list[str]],
    permutations: int,
    seed: list[int],
) -> np.ndarray:
    """Permute a factor that prompts carry (persona or template), and count refusals.

    Blocks (in the nested design: the draws of one sampled row) with the same task, size and models exchange their whole
    sets of levels, which are then permuted within each block. The design draws levels from the same distribution, so
    their counts by task and model stay as they are. A prompt is (task, block, draw); all models share its level. Blocks
    with missing responses keep their levels.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    factor : "persona" or "template".
    names : tasks, models and levels, in the order of the result.
    permutations : number of permutations K.
    seed : seed of the permutations.

    Returns
    -------
    Refusals (K, T, M, L) by task, model and permuted level.
    """
    shape = tuple(len(part) for part in names)
    prompts = _prompts(as_outcomes(outcomes, [factor, *PROMPT_KEY]), factor, names, np.random.default_rng([*seed, 0]))
    exchangeable = _same_kind(prompts.block, prompts.block % shape[0], prompts.responded)
    rng = np.random.default_rng([*seed, 1])
    out = np.empty((permutations, *shape), dtype=np.int64)
    for k in range(permutations):
        new = prompts.level.copy()
        for members in exchangeable:
            drawn = prompts.level[members[rng.permutation(len(members))]]
            new[members] = rng.permuted(drawn, axis=1)
        refused = prompts.refused_cell + new[prompts.refused]
        out[k] = np.bincount(refused, minlength=np.prod(shape)).reshape(shape)
    return out


PROMPT_KEY = ["task", "block", "draw"]


@dataclass(frozen=True)
class _Prompts:
    """The prompts (B) of all models, and the prompts that were refused (R).

    block: code of the block and task of each prompt, block x T + task. level: of the factor.
    responded: a number for the set of models that responded. refused: positions of the prompts of the refusals, and
    refused_cell where the levels of their task and model start among the counts.
    """

    block: np.ndarray
    level: np.ndarray
    responded: np.ndarray
    refused: np.ndarray
    refused_cell: np.ndarray


def _prompts(
    outcomes: Outcomes, factor: str, names: tuple[list[str], list[str], list[str]], rng: np.random.Generator
) -> _Prompts:
    """Join the prompts of all models; `rng` draws a random 63-bit key for each model, whose sums are `responded`."""
    tasks, models, _ = names
    blocks, draws = _order(outcomes, "block"), _order(outcomes, "draw")
    keys = rng.integers(0, 2**63, len(models), dtype=np.uint64)
    prompts = np.empty(0, np.int64)
    level, responded = np.empty(0, np.int64), np.empty(0, np.uint64)
    refused, cells = [], []
    for part in outcomes.parts([*PROMPT_KEY, factor]):
        task, model = _places(part["task"], tasks), models.index(part["model"].iloc[0])
        block = blocks.get_indexer(_codes(part["block"])) * len(tasks) + task
        prompt = block * len(draws) + draws.get_indexer(_codes(part["draw"]))
        own, first, count = np.unique(prompt, return_index=True, return_counts=True)
        every = union_of_sorted(prompts, own)
        old, new = np.searchsorted(every, prompts), np.searchsorted(every, own)
        joined, sums = np.empty(len(every), np.int64), np.zeros(len(every), np.uint64)
        joined[new] = _places(part[factor], names[2])[first]
        joined[old], sums[old] = level, responded  # the first model with a prompt gives its level
        sums[new] += keys[model] * count.astype(np.uint64)
        prompts, level, responded = every, joined, sums
        refusal = part["refusal"].to_numpy(bool)
        refused.append(prompt[refusal])
        cells.append((task[refusal] * len(models) + model) * len(names[2]))
    places = np.searchsorted(prompts, np.concatenate(refused))
    return _Prompts(prompts // len(draws), level, responded, places, np.concatenate(cells))


def _order(outcomes: Outcomes, column: str) -> pd.Index:
    """Codes of a column (see `_codes`) in order of occurrence."""
    found = pd.Index([], dtype=np.int64)
    for part in outcomes.parts([column]):
        own = pd.unique(_codes(part[column]))
        found = found.append(pd.Index(own[found.get_indexer(own) < 0]))
    return found


def _codes(column: pd.Series) -> np.ndarray:
    """The codes of a categorical column, which are much faster to look up than its names; numbers as they are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.codes
    codes: np.ndarray = column.to_numpy(np.int64)
    return codes


def _places(column: pd.Series, names: list[str]) -> np.ndarray:
    """The position in `names` of each value."""
    codes, values = level_codes(column)
    places: np.ndarray = pd.Index(names).get_indexer(values)[codes]
    return places


def _same_kind(block: np.ndarray, task: np.ndarray, responded: np.ndarray) -> list[np.ndarray]:
    """Arrays (blocks, prompts per block) of prompt positions; the blocks of one array may exchange levels."""
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(block[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    ordered = responded[order]
    whole = np.minimum.reduceat(ordered, starts) == np.maximum.reduceat(ordered, starts)
    kinds = pd.DataFrame({"task": task[order][starts], "size": sizes, "responded": ordered[starts]})[whole]
    groups = kinds.groupby(["task", "size", "responded"], sort=True).indices.values()
    starts, sizes = starts[whole], sizes[whole]
    return [order[starts[members][:, None] + np.arange(sizes[members[0]])] for members in groups]


def models(
    table: ClusterTable, tasks: list[str], names: list[str], permutations: int, seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Permute, text by text, which model gave which responses.

    Returns
    -------
    Responses and refusals (K, T, M) by task and model.
    """
    n, y, task = _per_text(table, tasks, names)
    rng = np.random.default_rng([*seed, 0])
    out_n, out_y = np.empty((2, permutations, len(tasks), len(names)))
    columns = np.broadcast_to(np.arange(len(names)), n.shape[:2])
    for k in range(permutations):
        order = rng.permuted(columns, axis=1)
        for out, counts in ((out_n, n), (out_y, y)):
            out[k] = _by_task(np.take_along_axis(counts, order, axis=1), task, len(tasks))
    return out_n, out_y


def tasks(
    table: ClusterTable, names: list[str], models: list[str], permutations: int, seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Permute which texts belong to which task.

    Returns
    -------
    Responses and refusals (K, T, M) by task and model.
    """
    n, y, task = _per_text(table, names, models)
    rng = np.random.default_rng([*seed, 1])
    out_n, out_y = np.empty((2, permutations, len(names), len(models)))
    for k in range(permutations):
        order = rng.permutation(task)
        out_n[k], out_y[k] = _by_task(n, order, len(names)), _by_task(y, order, len(names))
    return out_n, out_y


def _by_task(counts: np.ndarray, task: np.ndarray, tasks: int) -> np.ndarray:
    """Sums (T, M) of counts (C, M) over the texts of each task."""
    member = np.zeros((tasks, len(task)))
    member[task, np.arange(len(task))] = 1
    sums: np.ndarray = member @ counts
    return sums


def _per_text(table: ClusterTable, tasks: list[str], models: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses and refusals (C, M), and task (C,), of each text; a text of several tasks counts once in each."""
    task = pd.Index(tasks).get_indexer(table.cells["task"])
    model = pd.Index(models).get_indexer(table.cells["model"])
    n, y = np.zeros((2, len(tasks), len(table.texts), len(models)))
    for column, (t, m) in enumerate(zip(task, model, strict=True)):
        n[t, :, m], y[t, :, m] = table.n[:, column], table.refusals[:, column]
    t, text = np.nonzero(n.sum(axis=2))
    return n[t, text], y[t, text], t
