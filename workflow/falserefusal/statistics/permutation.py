"""Noise floors of the sensitivity indices: permute the levels of a factor as the design could have assigned them.

A permuted copy of a factor keeps all dependence between responses, so its index is what the noise of this study alone
can produce, clustering included. Responses to a text in one template resemble each other, whichever row, draw or model
they belong to. Persona, template, phrasing and format are therefore permuted text by text (see `levels`): responses
that share a level before share one afterwards. Models are permuted within texts, as all of them get the same texts, and
tasks between texts, as every text is drawn for one of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.outcomes import Outcomes, union_of_sorted
from falserefusal.statistics.clusters import ClusterTable, as_outcomes, level_codes

PROMPT_KEY = ["task", "block", "draw", "sample"]
PARTNERS = 10  # texts of a kind that are enough to exchange levels
HAVE_PARTNERS = 0.9  # share of texts with that many of their kind, below which levels are renamed instead
Permute = Callable[[np.random.Generator], np.ndarray]

Names = tuple[list[str], list[str], list[str]]  # of tasks, models and the levels of a factor


def levels(
    outcomes: pd.DataFrame | Outcomes,
    factor: str,
    names: Names,
    permutations: int,
    seed: list[int],
    groups: Sequence[np.ndarray] = (),
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Permute a factor that prompts carry (persona or template) and coarser factors, and count responses and refusals.

    Two kinds of permutation move a text as a whole, over all its rows, draws and models:

    - Exchange: texts of one kind exchange their levels. Texts are of one kind if they have the same task, number of
      levels, and responses of each model at the first level, the second, and so on. All counts by task, model and level
      stay as they are. The design is invariant, nested or blocked, balanced or not, because texts are assigned to the
      positions of the design in random order.
    - Renaming: the levels of each text get a random permutation of the names that its task has. The nested design is
      invariant, because a text draws from all levels with equal chances. Counts by task, model and level change as the
      design could have changed them. A balanced design would have changed them less, which makes the floor slightly too
      high.

    Exchange needs texts of one kind, so levels are renamed if few texts have enough of them: with several draws from
    many levels hardly two texts are alike. A coarser factor permutes whole groups of levels: formats keep the phrasing,
    and phrasings the format. Its groups are renamed if they have the same number of levels; groups of unequal size are
    not symmetric, and single levels are renamed instead.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    factor : "persona" or "template".
    names : tasks, models and levels, in the order of the result.
    permutations : number of permutations K.
    seed : seed of the permutations.
    groups : for each coarser factor, the position of the group of each level, (L,).

    Returns
    -------
    Responses and refusals (K, T, M, L) by task, model and permuted level, of the factor and of each coarser one.
    """
    tasks, models, own = names
    prompts = _Prompts.of(as_outcomes(outcomes, [factor, "text_id", *PROMPT_KEY]), factor, names, seed)
    results = []
    for number, group in enumerate([np.arange(len(own)), *groups]):
        permute, fixed = _permutation(prompts, group, [*seed, 1, number])
        shape = (len(tasks), len(models), group.max() + 1)
        n, y = np.empty((2, permutations, *shape), dtype=np.int64)
        rng = np.random.default_rng([*seed, 2, number])
        for k in range(permutations):
            level = permute(rng)
            y[k] = prompts.refusals(level, shape)
            n[k] = n[0] if fixed and k else prompts.responses(level, shape)
        results.append((n, y))
    return results


@dataclass(frozen=True)
class _Prompts:
    """The prompts (P) of all models, in the order of the design, and who responded to them and refused them.

    text, task, level: of each prompt. owner: the first model that was asked anything in the same block.
    responded: a number for the set of models that responded. refused, refused_cell: for each refusal the position of
    its prompt, and task x M + model. every: (M,) whether most prompts have a response of the model. exceptions,
    exceptions_cell: as for refusals, prompts without a response of such a model, and prompts with one of another model.
    """

    text: np.ndarray
    task: np.ndarray
    level: np.ndarray
    owner: np.ndarray
    responded: np.ndarray
    refused: np.ndarray
    refused_cell: np.ndarray
    every: np.ndarray
    exceptions: np.ndarray
    exceptions_cell: np.ndarray

    @classmethod
    def of(cls, outcomes: Outcomes, factor: str, names: Names, seed: list[int]) -> "_Prompts":
        """Join the prompts of all models; the sum of a random 63-bit key of each model is `responded`."""
        tasks, models, _ = names
        key = _Key.of(outcomes, tasks)
        keys = np.random.default_rng([*seed, 0]).integers(0, 2**63, len(models), dtype=np.uint64)
        code, known = np.empty(0, np.int64), np.empty((3, 0), np.int64)  # text, level, owner
        responded = np.empty(0, np.uint64)
        refused, cells = [], []
        for part in outcomes.parts([*PROMPT_KEY, factor, "text_id"]):
            prompt, model = key.prompts(part), models.index(part["model"].iloc[0])
            own, first = np.unique(prompt, return_index=True)
            every = union_of_sorted(code, own)
            old, new = np.searchsorted(every, code), np.searchsorted(every, own)
            joined, sums = np.empty((3, len(every)), np.int64), np.zeros(len(every), np.uint64)
            text, level = level_codes(part["text_id"])[0][first], _places(part[factor], names[2])[first]
            joined[:, new] = np.stack([text, level, np.full(len(own), model)])
            joined[:, old], sums[old] = known, responded  # the first model with a prompt gives its level
            sums[new] += keys[model]
            code, known, responded = every, joined, sums
            refusal = part["refusal"].to_numpy(bool)
            refused.append(prompt[refusal])
            cells.append(key.task(prompt[refusal]) * len(models) + model)
        text, level, owner = known
        starts = np.flatnonzero(np.diff(key.block(code), prepend=-1))
        owner = np.repeat(np.minimum.reduceat(owner, starts), np.diff(np.r_[starts, len(code)]))
        text = np.unique(text, return_inverse=True)[1]
        task, places = key.task(code), np.searchsorted(code, np.concatenate(refused))
        exceptions = _exceptions(outcomes, key, code, task, models, complete=bool((responded == keys.sum()).all()))
        return cls(text, task, level, owner, responded, places, np.concatenate(cells), *exceptions)

    def refusals(self, level: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Refusals (T, M, L) by task, model and the given level of each prompt."""
        places = self.refused_cell * shape[2] + level[self.refused]
        return np.bincount(places, minlength=np.prod(shape)).reshape(shape)

    def responses(self, level: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Responses (T, M, L) by task, model and the given level of each prompt."""
        tasks, _, size = shape
        asked = np.bincount(self.task * size + level, minlength=tasks * size).reshape(tasks, 1, size)
        places = self.exceptions_cell * size + level[self.exceptions]
        changes = np.bincount(places, minlength=np.prod(shape)).reshape(shape)
        counts: np.ndarray = np.where(self.every[:, None], asked - changes, changes)
        return counts


def _exceptions(
    outcomes: Outcomes, key: "_Key", code: np.ndarray, task: np.ndarray, models: list[str], complete: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fields every, exceptions and exceptions_cell of `_Prompts`."""
    every = np.ones(len(models), bool)
    places = [np.empty(0, np.int64)]
    cells = [np.empty(0, np.int64)]
    for part in () if complete else outcomes.parts(PROMPT_KEY):
        model = models.index(part["model"].iloc[0])
        asked = np.zeros(len(code), bool)
        asked[np.searchsorted(code, key.prompts(part))] = True
        every[model] = asked.mean() > 0.5
        places.append(np.flatnonzero(asked != every[model]))
        cells.append(task[places[-1]] * len(models) + model)
    return every, np.concatenate(places), np.concatenate(cells)


@dataclass(frozen=True)
class _Key:
    """The code of a prompt: its block, task, draw and sample, in order of occurrence."""

    orders: dict[str, pd.Index]
    tasks: list[str]

    @classmethod
    def of(cls, outcomes: Outcomes, tasks: list[str]) -> "_Key":
        return cls({column: _order(outcomes, column) for column in ("block", "draw", "sample")}, tasks)

    def prompts(self, part: pd.DataFrame) -> np.ndarray:
        """Code of the prompt of each response."""
        block, draw, sample = (order.get_indexer(_codes(part[column])) for column, order in self.orders.items())
        code: np.ndarray = block * len(self.tasks) + _places(part["task"], self.tasks)
        code = (code * len(self.orders["draw"]) + draw) * len(self.orders["sample"]) + sample
        return code

    def block(self, code: np.ndarray) -> np.ndarray:
        """Block (and task) of each prompt."""
        block: np.ndarray = code // (len(self.orders["draw"]) * len(self.orders["sample"]))
        return block

    def task(self, code: np.ndarray) -> np.ndarray:
        """Task of each prompt."""
        task: np.ndarray = self.block(code) % len(self.tasks)
        return task


def _permutation(prompts: _Prompts, group: np.ndarray, seed: list[int]) -> tuple[Permute, bool]:
    """A function that draws new levels of all prompts, and whether it leaves the counts of responses as they are."""
    kinds, slot, slots, texts = _texts_of_a_kind(prompts, group, np.random.default_rng(seed))
    if sum(len(kind) for kind in kinds if len(kind) >= PARTNERS) >= HAVE_PARTNERS * texts:

        def exchange(rng: np.random.Generator) -> np.ndarray:
            new = slots.copy()
            for kind in kinds:
                new[kind] = slots[kind[rng.permutation(len(kind))]]
            levels: np.ndarray = new[slot]
            return levels

        return exchange, True
    used = np.zeros((prompts.task.max() + 1, len(group)), bool)
    used[prompts.task, prompts.level] = True
    sizes = [np.bincount(group[own]) for own in used]
    if all(len(set(size[size > 0])) <= 1 for size in sizes):
        return _renaming(prompts, group[prompts.level]), False
    rename = _renaming(prompts, prompts.level)
    return lambda rng: group[rename(rng)], False


def _renaming(prompts: _Prompts, level: np.ndarray) -> Permute:
    """A function that renames the levels of each text at random, among those that its task has."""
    parts = []
    for task in np.unique(prompts.task):
        members = np.flatnonzero(prompts.task == task)
        names, place = np.unique(level[members], return_inverse=True)
        texts, text = np.unique(prompts.text[members], return_inverse=True)
        parts.append((members, names, texts, text * len(names) + place))
    size = prompts.text.max() + 1, level.max() + 1

    def rename(rng: np.random.Generator) -> np.ndarray:
        keys = rng.random(size, dtype=np.float32)  # one order for all tasks of a text
        new = np.empty_like(level)
        for members, names, texts, place in parts:
            new[members] = names[np.argsort(keys[np.ix_(texts, names)], axis=1)].ravel()[place]
        return new

    return rename


def _texts_of_a_kind(
    prompts: _Prompts, group: np.ndarray, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, int]:
    """Find the texts that may exchange levels (see `levels`).

    A slot is a text with one of its levels; those of a text are ordered by the models that responded, then by
    occurrence. Models with prompts of their own have texts of their own.

    Returns
    -------
    Arrays (texts, levels per text) of slots, one for each kind; the slot of each prompt; the level of each slot; the
    number of texts.
    """
    size = group.max() + 1
    _, text = np.unique(np.stack([prompts.text, prompts.task, prompts.owner]), axis=1, return_inverse=True)
    code, first, slot = np.unique(text.ravel() * size + group[prompts.level], return_index=True, return_inverse=True)
    by_slot = np.argsort(slot, kind="stable")
    starts = np.flatnonzero(np.diff(slot[by_slot], prepend=-1))
    responded = np.add.reduceat(prompts.responded[by_slot], starts)
    text, level = np.divmod(code, size)
    order = np.lexsort((first, responded, text))
    starts = np.flatnonzero(np.diff(text[order], prepend=-1))
    count = np.diff(np.r_[starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, count)
    weights = rng.integers(0, 2**63, size, dtype=np.uint64)
    signature = np.add.reduceat(responded[order] * weights[place], starts)
    task = prompts.task[first[order[starts]]]
    kinds = pd.DataFrame({"task": task, "count": count, "signature": signature})
    found = kinds.groupby(["task", "count", "signature"], sort=True).indices.values()
    members = [order[starts[kind][:, None] + np.arange(count[kind[0]])] for kind in found]
    return members, slot, level, len(starts)


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
