"""Noise floors of the sensitivity indices: permute the levels of a factor as the design could have assigned them.

A permuted copy of a factor keeps all dependence between responses: all responses to a text stay with the text, all
models' responses to one prompt get the same new level, and a task keeps its prompts. The index of the permuted copy is
therefore what the noise of this study alone can produce, clustering included.
"""

import numpy as np
import pandas as pd

from falserefusal.statistics.clusters import ClusterTable


def levels(
    outcomes: pd.DataFrame,
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
    task, model, level = (
        pd.Index(part).get_indexer(outcomes[column])
        for column, part in zip(("task", "model", factor), names, strict=True)
    )
    block = pd.factorize(outcomes["block"])[0] * shape[0] + task
    draw = pd.factorize(outcomes["draw"])[0]
    prompts, first, prompt = np.unique(block * (draw.max() + 1) + draw, return_index=True, return_inverse=True)
    of_prompt = level[first]

    # a number for the set of models that responded to a prompt: sums of random 63-bit keys
    keys = np.random.default_rng([*seed, 0]).integers(0, 2**63, shape[1], dtype=np.uint64)
    responded = np.zeros(len(prompts), np.uint64)
    np.add.at(responded, prompt, keys[model])

    exchangeable = _same_kind(block[first], task[first], responded)
    refused = outcomes["refusal"].to_numpy(bool)
    refused_prompt = prompt[refused]
    cell = (task[refused] * shape[1] + model[refused]) * shape[2]
    rng = np.random.default_rng([*seed, 1])
    out = np.empty((permutations, *shape), dtype=np.int64)
    for k in range(permutations):
        new = of_prompt.copy()
        for members in exchangeable:
            drawn = of_prompt[members[rng.permutation(len(members))]]
            new[members] = rng.permuted(drawn, axis=1)
        out[k] = np.bincount(cell + new[refused_prompt], minlength=np.prod(shape)).reshape(shape)
    return out


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
