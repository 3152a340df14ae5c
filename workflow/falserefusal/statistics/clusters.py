"""Inference that knows which answers share a text: outcomes are reduced once to counts per text and cell.

The texts of a study are the units that were sampled. One text is asked with several personas and templates, put to
every model, and may stand in more than one sampled row, so answers about it hang together within and between cells.
Every rate here is a ratio of sums over texts; hence

- its sampling variance, and the covariance of any two, come from one *influence* number per text and cell, and
- a bootstrap replicate of all cells at once is one row of weights times the tables of counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.statistics.intervals import effective_n

NO_SPREAD = 1e-12  # a standard deviation below is rounding: the estimate does not vary between texts


@dataclass(frozen=True)
class ClusterTable:
    """Counts per text and cell.

    texts: (C,) the text_id of each row of the count tables, sorted within stratum.
    strata: (C,) the task of each text; texts are sampled within tasks. A text of several tasks has them joined by "+".
    cells: K rows, the levels of each column of the count tables, only combinations that occur, in level order.
    n, refusals: (C, K) float32, whole numbers: answers and refusals of each text in each cell.
    """

    texts: np.ndarray
    strata: np.ndarray
    cells: pd.DataFrame
    n: np.ndarray
    refusals: np.ndarray

    def merge(self, levels: list[str]) -> "ClusterTable":
        """The same counts with every factor but `levels` summed over."""
        cells, code = combinations(self.cells, levels)
        sums = np.zeros((len(self.cells), len(cells)), np.float32)
        sums[np.arange(len(code)), code] = 1
        return ClusterTable(self.texts, self.strata, cells, self.n @ sums, self.refusals @ sums)

    def keep(self, mask: np.ndarray) -> "ClusterTable":
        """Only the cells where `mask` (K,) is true."""
        mask = np.asarray(mask, bool)
        cells = self.cells[mask].reset_index(drop=True)
        return ClusterTable(self.texts, self.strata, cells, self.n[:, mask], self.refusals[:, mask])

    def totals(self) -> pd.DataFrame:
        """The cells with n, refusals (ints), rate, and texts: how many texts have an answer in the cell."""
        n, refusals = self.n.sum(0, dtype=float), self.refusals.sum(0, dtype=float)
        columns = {"n": n.astype(int), "refusals": refusals.astype(int), "rate": refusals / n}
        return self.cells.assign(**columns, texts=(self.n > 0).sum(0))


def cluster_table(outcomes: pd.DataFrame, levels: list[str]) -> ClusterTable:
    """Count answers and refusals per text (rows) and per occurring combination of `levels` (columns).

    `outcomes` are judged draws of one labeller. Categorical levels keep the order of their categories, others the order
    in which they occur. Two million draws take about a second; memory is 8 bytes x texts x cells.
    Raises InputError on missing values, several labellers, or a column that is not there.
    """
    check_outcomes(outcomes, levels)
    cells, cell = combinations(outcomes, levels)
    text, texts = level_codes(outcomes["text_id"])
    present = np.flatnonzero(np.bincount(text, minlength=len(texts)))
    strata = _strata(outcomes["task"], text, len(texts))[present]
    order = np.lexsort((texts[present], strata))
    place = np.full(len(texts), -1)
    place[present[order]] = np.arange(len(present))
    flat = place[text] * len(cells) + cell
    shape = (len(present), len(cells))
    refusal = outcomes["refusal"].to_numpy(bool)
    n, refusals = (np.bincount(part, minlength=shape[0] * shape[1]) for part in (flat, flat[refusal]))
    n, refusals = (counts.astype(np.float32).reshape(shape) for counts in (n, refusals))
    return ClusterTable(texts[present[order]], strata[order], cells, n, refusals)


def bootstrap_weights(
    n_texts: int, replicates: int, seed: int | list[int], strata: np.ndarray | None = None
) -> np.ndarray:
    """Weights of the cluster bootstrap: (replicates, n_texts) float32, how often each text was drawn.

    Texts are drawn with replacement within `strata` ((n_texts,), one label per text, as in ClusterTable.strata; None:
    all alike), as many as there are, so a task keeps its number of texts. A stratum's weights depend on `seed` and the
    stratum's place in sorted order alone. Replicates of all cells are `weights @ table.n`, `weights @ table.refusals`.
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
    """Yield (n, refusals) of bootstrap replicates, each (<= chunk, K) float64, `replicates` rows in all.

    Counts stay below 2^24, so single precision products are exact and the same on every machine.
    """
    weights = bootstrap_weights(len(table.texts), replicates, seed, table.strata)
    for start in range(0, replicates, chunk):
        part = weights[start : start + chunk]
        yield (part @ table.n).astype(float), (part @ table.refusals).astype(float)


def influence(table: ClusterTable) -> np.ndarray:
    """(C, K): how much each text moves each cell's rate, scaled so that `x.T @ x` is the cluster-robust covariance.

    Linearised ratio estimator, (refusals - rate * n) / N per text, times sqrt(c / (c - 1)) for the c texts of the cell
    (one text: 0, as nothing is known about the spread).
    """
    total, refusals = table.n.sum(0, dtype=float), table.refusals.sum(0, dtype=float)
    texts = (table.n > 0).sum(0)
    scale = np.where(texts > 1, np.sqrt(texts / np.maximum(texts - 1, 1)), 0) / total
    return (table.refusals - (refusals / total) * table.n) * scale


def cluster_sizes(table: ClusterTable) -> np.ndarray:
    """(K,): sum of squared answers per text over answers, the design effect if each text refused always or never."""
    return (table.n.astype(float) ** 2).sum(0) / table.n.sum(0, dtype=float)


def effective_answers(table: ClusterTable, moves: np.ndarray, level: float = 0.95) -> np.ndarray:
    """(K,): the number of independent answers each cell's clustered ones are worth; `moves` is influence(table)."""
    totals = table.totals()
    variance = (moves**2).sum(0)
    return effective_n(totals["rate"], variance, totals["n"], cluster_sizes(table), totals["texts"], level=level)


def degrees_of_freedom(moves: np.ndarray) -> np.ndarray:
    """(K,): degrees of freedom of the variances sum(moves^2), from how much texts differ in what they add to them.

    2 (sum v)^2 / (sum v^2 - (sum v)^2 / c) with v the squared move of each of the c texts that move the estimate: the
    chi-squared distribution with the first two moments of the variance estimate (Pan and Wall 2002, Statistics in
    Medicine 21:1429). About c for c alike texts, far fewer where a few texts carry most of it. At least 1.
    """
    squares = np.asarray(moves) ** 2
    total, texts = squares.sum(0), (squares > 0).sum(0)
    spread = (squares**2).sum(0) - total**2 / np.maximum(texts, 1)
    df = np.divide(2 * total**2, spread, out=texts - 1.0, where=spread > 1e-9 * total**2 / np.maximum(texts, 1))
    return np.maximum(df, 1)


def correlation(moves: np.ndarray) -> np.ndarray:
    """(K, K) correlation of estimates from their influence (C, K); 0 where an estimate has no spread."""
    covariance = moves.T @ moves
    sd = np.sqrt(np.diag(covariance))
    some = sd > NO_SPREAD
    scale = np.where(some, 1 / np.where(some, sd, 1), 0)
    result = covariance * scale[:, None] * scale[None, :]
    np.fill_diagonal(result, 1)
    return result


def check_outcomes(outcomes: pd.DataFrame, levels: list[str]) -> None:
    """Raise InputError unless `outcomes` is one labeller's complete set of judged draws with `levels` as columns."""
    needed = list(dict.fromkeys([*levels, "task", "text_id", "refusal"]))
    missing = [column for column in needed if column not in outcomes]
    if missing:
        raise InputError(f"outcomes: no column {', '.join(map(repr, missing))}")
    if outcomes.empty:
        raise InputError("outcomes: there is not one judged draw")
    for column in needed:
        empty = outcomes[column].isna()
        if empty.any():
            row = int(np.flatnonzero(empty)[0])
            raise InputError(f"outcomes: row {row}, column '{column}' is missing ({int(empty.sum())} such rows)")
    if "labeller" in outcomes and outcomes["labeller"].nunique() > 1:
        names = ", ".join(map(str, outcomes["labeller"].unique()))
        raise InputError(f"outcomes: judged by several labellers ({names}); choose one")
    key = [c for c in ("model", "task", "row_id", "block", "persona", "template", "draw") if c in outcomes]
    if "draw" in key and "row_id" in key:
        code = np.zeros(len(outcomes), np.int64)
        for column in key:
            part, names = level_codes(outcomes[column])
            code = code * (len(names) + 1) + part
        ordered = np.sort(code)
        if (ordered[1:] == ordered[:-1]).any():
            row = int(np.flatnonzero(pd.Series(code).duplicated())[0])
            where = ", ".join(f"{column} {outcomes[column].iloc[row]}" for column in key)
            raise InputError(f"outcomes: row {row} repeats a draw ({where}): a prompt was judged twice")


def combinations(frame: pd.DataFrame, levels: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Occurring combinations of `levels`, one row each in level order, and for each row of `frame` which it is."""
    if not levels:
        return pd.DataFrame(index=range(1)), np.zeros(len(frame), int)
    code, names = np.zeros(len(frame), np.int64), []
    for level in levels:
        part, values = level_codes(frame[level])
        code = code * len(values) + part
        names.append(values)
    size = int(np.prod([len(values) for values in names], dtype=float))
    if size > 50_000_000:
        raise InputError(f"{' x '.join(levels)} has {size} combinations: too many to hold a table for each")
    seen = np.flatnonzero(np.bincount(code, minlength=size))
    index = np.full(size, -1)
    index[seen] = np.arange(len(seen))
    parts = np.unravel_index(seen, [len(values) for values in names])
    cells = {level: values[part] for level, values, part in zip(levels, names, parts, strict=True)}
    return pd.DataFrame(cells), index[code]


def level_codes(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Integer codes of a column and what they mean; category order for categoricals, else order of occurrence."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(np.int64), np.asarray(column.cat.categories, object)
    codes, values = pd.factorize(column)
    return codes.astype(np.int64), np.asarray(values, object)


def _strata(task: pd.Series, text: np.ndarray, n_texts: int) -> np.ndarray:
    """(n_texts,) the task of each text, several joined by "+"."""
    codes, names = level_codes(task)
    seen = np.bincount(text * len(names) + codes, minlength=n_texts * len(names)).reshape(n_texts, len(names)) > 0
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    labels = np.array(["+".join(str(names[k]) for k in np.flatnonzero(pattern)) for pattern in patterns], object)
    return labels[which.ravel()]
