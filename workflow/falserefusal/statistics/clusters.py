"""Inference for responses that share texts: outcomes are reduced once to counts per text and cell.

The texts of a study are its sampling units. One text is used with several personas and templates, is put to every
model, and may be in more than one sampled row, so responses to it are correlated within and between cells. Every rate
is a ratio of sums over texts. Therefore

- the sampling variance of a rate, and the covariance of any two, follow from one *influence* per text and cell, and
- a bootstrap replicate of all cells is one row of weights times the tables of counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes, outcomes_of_frame
from falserefusal.statistics.intervals import effective_n

NO_SPREAD = 1e-12  # a standard deviation below this is a rounding error of 0


@dataclass(frozen=True)
class ClusterTable:
    """Counts per text and cell.

    texts: (C,) the text_id of each row of the count tables, sorted within stratum.
    strata: (C,) the task of each text; texts are sampled within tasks. For a text of several tasks, joined by "+".
    cells: K rows, the levels of each column of the count tables; only combinations that occur, in level order.
    n, refusals: (C, K) float32, whole numbers: responses and refusals of each text in each cell.
    """

    texts: np.ndarray
    strata: np.ndarray
    cells: pd.DataFrame
    n: np.ndarray
    refusals: np.ndarray

    def merge(self, levels: list[str]) -> "ClusterTable":
        """Sum over every factor except `levels`."""
        cells, code = combinations(self.cells, levels)
        sums = np.zeros((len(self.cells), len(cells)), np.float32)
        sums[np.arange(len(code)), code] = 1
        return ClusterTable(self.texts, self.strata, cells, self.n @ sums, self.refusals @ sums)

    def keep(self, mask: np.ndarray) -> "ClusterTable":
        """Keep only the cells where `mask` (K,) is true."""
        mask = np.asarray(mask, bool)
        cells = self.cells[mask].reset_index(drop=True)
        return ClusterTable(self.texts, self.strata, cells, self.n[:, mask], self.refusals[:, mask])

    def totals(self) -> pd.DataFrame:
        """The cells with n, refusals (ints), rate, and texts (number of texts with a response in the cell)."""
        n, refusals = self.n.sum(0, dtype=float), self.refusals.sum(0, dtype=float)
        columns = {"n": n.astype(int), "refusals": refusals.astype(int), "rate": refusals / n}
        return self.cells.assign(**columns, texts=(self.n > 0).sum(0))


def cluster_table(outcomes: pd.DataFrame | Outcomes, levels: list[str]) -> ClusterTable:
    """Count responses and refusals per text (rows) and per occurring combination of `levels` (columns).

    Two million outcomes take about a second; memory is 8 bytes x texts x cells.

    Parameters
    ----------
    outcomes : outcomes of one labeller.
    levels : factors that define the cells. Categorical factors keep the order of their categories, others the order of
        occurrence.

    Raises
    ------
    InputError for missing values, several labellers, or a missing column.
    """
    outcomes = as_outcomes(outcomes, levels)
    layout = layout_of(outcomes, levels)
    shape = (len(layout.texts), len(layout.cells))
    n, refusals = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for part in outcomes.parts([*levels, "text_id"]):
        text, cell = layout.row[level_codes(part["text_id"])[0]], layout.column[joint_code(part, levels)[0]]
        own = np.flatnonzero(np.bincount(cell, minlength=shape[1]))  # a model has few of the cells
        local = np.zeros(shape[1], np.int64)
        local[own] = np.arange(len(own))
        flat, refusal = text * len(own) + local[cell], part["refusal"].to_numpy(bool)
        for target, responses in ((n, flat), (refusals, flat[refusal])):
            target[:, own] += np.bincount(responses, minlength=shape[0] * len(own)).reshape(shape[0], len(own))
    return ClusterTable(layout.texts, layout.strata, layout.cells, n, refusals)


@dataclass(frozen=True)
class Layout:
    """Rows and columns of tables by text and cell.

    texts, strata: (C,) as in ClusterTable. cells: K rows, as in ClusterTable.
    row: the row of each code of text_id. column: the column of each joint code of the levels. -1 for what is absent.
    """

    texts: np.ndarray
    strata: np.ndarray
    cells: pd.DataFrame
    row: np.ndarray
    column: np.ndarray


def layout_of(outcomes: Outcomes, levels: list[str]) -> Layout:
    """Find the texts and the combinations of `levels` that occur.

    Raises
    ------
    InputError if there are no outcomes, or too many combinations for a table.
    """
    seen_cell = seen_text = None
    for part in outcomes.parts([*levels, "text_id", "task"]):
        code, names = joint_code(part, levels)
        text, texts = level_codes(part["text_id"])
        task, tasks = level_codes(part["task"])
        size = _table_size(levels, names)
        cells = np.bincount(code, minlength=size) > 0
        pairs = np.bincount(text * len(tasks) + task, minlength=len(texts) * len(tasks)) > 0
        seen_cell = cells if seen_cell is None else seen_cell | cells
        seen_text = pairs if seen_text is None else seen_text | pairs
    if seen_cell is None or seen_text is None:
        raise InputError("outcomes: there are no outcomes")
    by_task = seen_text.reshape(len(texts), len(tasks))
    present = np.flatnonzero(by_task.any(axis=1))
    strata = _strata(by_task[present], tasks)
    order = np.lexsort((texts[present], strata))
    row, column = np.full(len(texts), -1), np.full(len(seen_cell), -1)
    row[present[order]] = np.arange(len(present))
    seen = np.flatnonzero(seen_cell)
    column[seen] = np.arange(len(seen))
    return Layout(texts[present[order]], strata[order], _cells_of(seen, levels, names), row, column)


def bootstrap_weights(
    n_texts: int, replicates: int, seed: int | list[int], strata: np.ndarray | None = None
) -> np.ndarray:
    """Weights of the cluster bootstrap: how often each text is drawn.

    Texts are drawn with replacement within strata, as many as there are, so a task keeps its number of texts. The
    weights of a stratum depend only on `seed` and on the position of the stratum in sorted order. Replicates of all
    cells are `weights @ table.n` and `weights @ table.refusals`.

    Parameters
    ----------
    n_texts : number of texts C.
    replicates : number of replicates R.
    seed : seed of the draws.
    strata : (C,) stratum of each text, as in ClusterTable.strata; None for a single stratum.

    Returns
    -------
    (R, C) float32.
    """
    if n_texts < 1 or replicates < 1:
        raise InputError("a bootstrap needs at least one text and one replicate")
    strata = np.zeros(n_texts, int) if strata is None else np.asarray(strata)
    weights = np.empty((replicates, n_texts), np.float32)
    for k, stratum in enumerate(np.unique(strata)):
        members = np.flatnonzero(strata == stratum)
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), k])
        draws = rng.integers(0, len(members), (replicates, len(members)))
        draws += np.arange(replicates)[:, None] * len(members)
        counts = np.bincount(draws.ravel(), minlength=replicates * len(members))
        weights[:, members] = counts.reshape(replicates, len(members))
    return weights


def bootstrap_counts(
    table: ClusterTable, replicates: int, seed: int | list[int], chunk: int = 250
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (n, refusals) of bootstrap replicates, each (<= chunk, K) float64, `replicates` rows in total.

    Counts stay below 2^24, so products in single precision are exact and the same on every machine.
    """
    weights = bootstrap_weights(len(table.texts), replicates, seed, table.strata)
    for start in range(0, replicates, chunk):
        part = weights[start : start + chunk]
        yield (part @ table.n).astype(float), (part @ table.refusals).astype(float)


def influence(table: ClusterTable) -> np.ndarray:
    """Influence (C, K) of each text on each cell's rate, scaled so that `x.T @ x` is the cluster-robust covariance.

    It is the linearised ratio estimator, (refusals - rate * n) / N per text, times sqrt(c / (c - 1)) for the c texts of
    the cell. With one text it is 0, because the variance is unknown.
    """
    total, refusals = table.n.sum(0, dtype=float), table.refusals.sum(0, dtype=float)
    texts = (table.n > 0).sum(0)
    scale = np.where(texts > 1, np.sqrt(texts / np.maximum(texts - 1, 1)), 0) / total
    moves: np.ndarray = (table.refusals - (refusals / total) * table.n) * scale
    return moves


def cluster_sizes(table: ClusterTable) -> np.ndarray:
    """(K,) sum of squared responses per text over responses: the design effect if each text refused always or never."""
    sizes: np.ndarray = (table.n.astype(float) ** 2).sum(0) / table.n.sum(0, dtype=float)
    return sizes


def effective_responses(table: ClusterTable, moves: np.ndarray, level: float = 0.95) -> np.ndarray:
    """(K,) effective number of responses in each cell; `moves` is influence(table)."""
    totals = table.totals()
    variance = (moves**2).sum(0)
    return effective_n(totals["rate"], variance, totals["n"], cluster_sizes(table), totals["texts"], level=level)


def degrees_of_freedom(moves: np.ndarray) -> np.ndarray:
    """Degrees of freedom (K,) of the variances sum(moves^2), from how unequally texts contribute to them.

    2 (sum v)^2 / (sum v^2 - (sum v)^2 / c), with v the squared influence of each of the c texts that have any: those of
    the chi-squared distribution with the first two moments of the variance estimate (Pan and Wall 2002, Statistics in
    Medicine 21:1429). About c for c similar texts, far fewer if a few texts contribute most. At least 1.
    """
    squares = np.asarray(moves) ** 2
    total, texts = squares.sum(0), (squares > 0).sum(0)
    spread = (squares**2).sum(0) - total**2 / np.maximum(texts, 1)
    df = np.divide(2 * total**2, spread, out=texts - 1.0, where=spread > 1e-9 * total**2 / np.maximum(texts, 1))
    at_least_1: np.ndarray = np.maximum(df, 1)
    return at_least_1


def correlation(moves: np.ndarray) -> np.ndarray:
    """Correlation (K, K) of estimates from their influence (C, K); 0 for an estimate without variance."""
    covariance = moves.T @ moves
    sd = np.sqrt(np.diag(covariance))
    some = sd > NO_SPREAD
    scale = np.where(some, 1 / np.where(some, sd, 1), 0)
    result: np.ndarray = covariance * scale[:, None] * scale[None, :]
    np.fill_diagonal(result, 1)
    return result


def check_outcomes(outcomes: pd.DataFrame, levels: list[str]) -> None:
    """Raise InputError unless `outcomes` are complete, of one labeller, and have `levels` as columns.

    Missing columns and values, several labellers, and draws that occur twice are errors.
    """
    needed = list(dict.fromkeys([*levels, "task", "text_id", "refusal"]))
    missing = [column for column in needed if column not in outcomes]
    if missing:
        raise InputError(f"outcomes: no column {', '.join(map(repr, missing))}")
    if outcomes.empty:
        raise InputError("outcomes: there are no outcomes")
    for column in needed:
        empty = outcomes[column].isna()
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            raise InputError(f"outcomes: row {row}, column '{column}' is missing ({int(empty.sum())} such rows)")
    if "labeller" in outcomes and outcomes["labeller"].nunique() > 1:
        labellers = ", ".join(map(str, outcomes["labeller"].unique()))
        raise InputError(f"outcomes: they have verdicts of several labellers ({labellers}); choose one")
    identity = ("model", "task", "row_id", "block", "persona", "template", "draw", "sample")
    key = [c for c in identity if c in outcomes]
    if "draw" in key and "row_id" in key:
        code = np.zeros(len(outcomes), np.int64)
        for column in key:
            part, names = level_codes(outcomes[column])
            code = code * (len(names) + 1) + part
        ordered = np.sort(code)
        if (ordered[1:] == ordered[:-1]).any():
            row = int(np.flatnonzero(pd.Series(code).duplicated())[0])
            where = ", ".join(f"{column} {outcomes[column].iloc[row]}" for column in key)
            raise InputError(f"outcomes: row {row} repeats a draw ({where}): a prompt has two verdicts")


def as_outcomes(outcomes: pd.DataFrame | Outcomes, levels: list[str]) -> Outcomes:
    """Outcomes to be read by model; a frame is checked first (see `check_outcomes`), a file was when it was opened."""
    if isinstance(outcomes, Outcomes):
        return outcomes
    check_outcomes(outcomes, levels)
    return outcomes_of_frame(outcomes)


def combinations(frame: pd.DataFrame, levels: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Occurring combinations of `levels`, one row each in level order, and the one that each row of `frame` has."""
    code, names = joint_code(frame, levels)
    size = _table_size(levels, names)
    seen = np.flatnonzero(np.bincount(code, minlength=size))
    index = np.full(size, -1)
    index[seen] = np.arange(len(seen))
    return _cells_of(seen, levels, names), index[code]


def joint_code(frame: pd.DataFrame, levels: list[str]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One integer per row for its combination of `levels`, and the names of the levels."""
    code, names = np.zeros(len(frame), np.int64), []
    for level in levels:
        part, values = level_codes(frame[level])
        code = code * len(values) + part
        names.append(values)
    return code, names


def _table_size(levels: list[str], names: list[np.ndarray]) -> int:
    size = int(np.prod([len(values) for values in names], dtype=float))
    if size > 50_000_000:
        raise InputError(f"{' x '.join(levels)} has {size} combinations, too many for a table; use fewer factors")
    return size


def _cells_of(seen: np.ndarray, levels: list[str], names: list[np.ndarray]) -> pd.DataFrame:
    """The levels of the joint codes `seen`."""
    if not levels:
        return pd.DataFrame(index=range(1))
    parts = np.unravel_index(seen, [len(values) for values in names])
    return pd.DataFrame({level: values[part] for level, values, part in zip(levels, names, parts, strict=True)})


def level_codes(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Integer codes of a column and their values: in category order for categoricals, else in order of occurrence."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(np.int64), np.asarray(column.cat.categories, object)
    codes, values = pd.factorize(column)
    return codes.astype(np.int64), np.asarray(values, object)


def _strata(by_task: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """(C,) tasks of each text, several joined by "+"; by_task (C, T) is true for the tasks that a text occurs in."""
    patterns, which = np.unique(by_task, axis=0, return_inverse=True)
    joined = np.array(["+".join(str(tasks[k]) for k in np.flatnonzero(pattern)) for pattern in patterns], object)
    return joined[which.ravel()]
