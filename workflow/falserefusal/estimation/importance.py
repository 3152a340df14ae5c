"""The importance table: sensitivity indices of every factor, over everything, within each task and within each model.

One row of the long table is one index of one factor in one scope, with what is needed to read it: the plug-in value,
a corrected value and an interval that know the noise floor (see `sensitivity.shrinkage`), and the floor itself, from
permuting the factor's labels as the design could have assigned them.

Everything is computed from counts by task, model and level of a factor, arrays (..., T, M, L); leading axes are
bootstrap replicates or permutations. Printed cells and run outcomes differ only in where those replicates come from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from falserefusal.errors import InputError
from falserefusal.estimation import sensitivity
from falserefusal.schemas import ALL, PERSONA_FREE

WITHIN = ("persona", "template", "phrasing", "format")  # factors drawn at random within task and model
CELLS_METHOD = "binomial, texts unknown"
RUN_METHOD = "text-cluster bootstrap"
IMPORTANCE_COLUMNS = ["factor", "scope", "levels", "index", "lo", "hi", "sobol", "mutual_information"]
IMPORTANCE_COLUMNS += ["floor_mean", "floor_q95", "corrected", "n", "method", "printed"]
COARSE_NOTE = "printed for nine prompts, which the format coarsens"


@dataclass(frozen=True)
class Counts:
    """Answers `n` and refusals `y` (T, M, L), and their bootstrap replicates (R, T, M, L)."""

    n: np.ndarray
    y: np.ndarray
    boot_n: np.ndarray
    boot_y: np.ndarray


@dataclass(frozen=True)
class Factor:
    """A factor's counts, and the counts of its permuted copy: `null_n`, `null_y` (K, T, M, L), the floor."""

    name: str
    axis: int  # of the arrays' last three: 0 task, 1 model, 2 the levels of `counts`
    counts: Counts
    null_n: np.ndarray
    null_y: np.ndarray


def sensitivity_from_cells(
    cells: pd.DataFrame, *, replicates: int = 1000, permutations: int = 500, seed: int = 0
) -> pd.DataFrame:
    """The long table from counts alone: columns factor, scope, index, estimate, corrected, lo, hi, floor_mean, ....

    `cells` has model, task, persona, template, format, labeller, n, refusals. Replicates are binomial and floors
    permute the factor within cells of the other factors, both as if answers were independent: cells carry no text
    identifiers, so intervals and floors are too small by an unknown factor, and `method` says so. Raises InputError on
    doubly counted cells, on more than one labeller, and where no cell is left.
    """
    margins = {name: margin for name in WITHIN if (margin := _margin(cells, name)) is not None}
    if not margins:
        raise InputError("cells: no cell names a persona, template or format, so there is nothing to compare")
    tasks, models = _levels(cells, "task"), _levels(cells, "model")
    factors = []
    for number, (name, (levels, sums)) in enumerate(margins.items()):
        n, y = (_cube(sums[column], tasks, models, levels) for column in ("n", "refusals"))
        rng = np.random.default_rng([seed, number])
        with np.errstate(invalid="ignore"):
            chance = np.where(n > 0, y / np.maximum(n, 1), 0)
        boot_y = rng.binomial(n, chance, size=(replicates, *n.shape))
        counts = Counts(n, y, np.broadcast_to(n, boot_y.shape), boot_y)
        axes = [(name, 2)] if factors else [("model", 1), ("task", 0), (name, 2)]  # model, task: from the first margin
        for factor, axis in axes:
            null_y = _shuffle_counts(n, y, axis, permutations, rng)
            factors.append(Factor(factor, axis, counts, np.broadcast_to(n, null_y.shape), null_y))
    return _table(factors, tasks, models, CELLS_METHOD)


def importance_table(table: pd.DataFrame, printed: Mapping[str, float] | None = None) -> pd.DataFrame:
    """The wide importance.csv of a long table: the Wasserstein index with its noise, Sobol' and information beside it.

    `printed` maps factors to the paper's bar heights (its factor "prompt" is our template); they stand beside the scope
    "all". Where a table has no template, the printed prompt stands beside the format, which coarsens it, and `method`
    says so.
    """
    key = ["factor", "scope"]
    wide = table[table["index"] == "wasserstein"].rename(columns={"estimate": "index_"}).drop(columns="index")
    wide = wide.rename(columns={"index_": "index"})
    for index in ("sobol", "mutual_information"):
        other = table[table["index"] == index].set_index(key)["estimate"].rename(index)
        wide = wide.join(other, on=key)
    printed = dict(printed or {})
    has_template = "template" in set(wide["factor"])
    if "prompt" in printed:
        printed["template" if has_template else "format"] = printed.pop("prompt")
    wide["printed"] = [printed.get(f, np.nan) if s == "all" else np.nan for f, s in wide[key].itertuples(index=False)]
    if not has_template:
        noted = (wide["factor"] == "format") & wide["printed"].notna()
        wide.loc[noted, "method"] += "; " + COARSE_NOTE
    return wide[IMPORTANCE_COLUMNS].reset_index(drop=True)


# --- from frames to counts


def _levels(frame: pd.DataFrame, column: str) -> list[str]:
    """Levels in the order of the categories, or of their appearance; neither "*" nor persona-free."""
    values = frame[column]
    found = values.drop_duplicates()
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = found.sort_values()
    return [level for level in dict.fromkeys(found) if level not in (ALL, PERSONA_FREE)]


def _margin(cells: pd.DataFrame, factor: str) -> tuple[list[str], pd.DataFrame] | None:
    """Levels of `factor` and counts summed to task x model x factor, or None where the cells don't name it."""
    if factor not in cells:
        return None
    rows = cells[(cells[factor] != ALL) & (cells["persona"] != PERSONA_FREE)]
    levels = _levels(rows, factor)
    if not levels:
        return None
    if rows["labeller"].nunique() > 1:
        raise InputError(f"cells: one labeller at a time, not {', '.join(sorted(rows['labeller'].unique()))}")
    for other in {"persona", "template", "format"} - {factor}:
        summed = rows[other] == ALL
        if summed.any() and not summed.all():
            raise InputError(
                f"cells: the cells of {factor} mix rows summed over {other} with rows that are not; each answer would "
                "be counted twice"
            )
    return levels, rows.groupby(["task", "model", factor], observed=True)[["n", "refusals"]].sum()


def _cube(sums: pd.Series, tasks: list[str], models: list[str], levels: list[str]) -> np.ndarray:
    index = pd.MultiIndex.from_product([tasks, models, levels])
    return sums.reindex(index, fill_value=0).to_numpy(dtype=np.int64).reshape(len(tasks), len(models), len(levels))


def _shuffle_counts(n: np.ndarray, y: np.ndarray, axis: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Refusals after permuting the labels along `axis` within each cell of the other two axes: hypergeometric draws."""
    n, y = np.moveaxis(n, axis, -1), np.moveaxis(y, axis, -1)
    out = np.zeros((permutations, *n.shape), dtype=np.int64)
    for cell in np.ndindex(n.shape[:-1]):
        if y[cell].sum():
            out[(slice(None), *cell)] = rng.multivariate_hypergeometric(n[cell], y[cell].sum(), size=permutations)
    return np.moveaxis(out, -1, axis + 1)


# --- from counts to rows


def _scopes(factor: Factor, tasks: list[str], models: list[str]) -> Iterator[tuple[str, tuple[slice, slice]]]:
    """Names of scopes in which the factor can vary, and the task and model slices that select them."""
    everything = slice(None)
    yield "all", (everything, everything)
    if factor.axis != 0:
        for i, task in enumerate(tasks):
            yield task, (slice(i, i + 1), everything)
    if factor.axis != 1:
        for i, model in enumerate(models):
            yield model, (everything, slice(i, i + 1))


def _project(counts: np.ndarray, axis: int, scope: tuple[slice, slice]) -> np.ndarray:
    """Counts (..., T, M, L) of a scope summed to the levels on `axis`."""
    part = counts[(..., *scope, slice(None))]
    return part.sum(axis=tuple(a - 3 for a in range(3) if a != axis))


def _table(factors: list[Factor], tasks: list[str], models: list[str], method: str) -> pd.DataFrame:
    rows = []
    for factor in factors:
        for scope, where in _scopes(factor, tasks, models):
            rows += _rows(factor, scope, where, method)
    order = {name: i for i, name in enumerate(["model", "task", *WITHIN])}
    table = pd.DataFrame(rows)
    return table.sort_values("factor", key=lambda column: column.map(order), kind="stable").reset_index(drop=True)


def _rows(factor: Factor, scope: str, where: tuple[slice, slice], method: str) -> list[dict]:
    """The rows of one factor in one scope, one for each index."""
    counts = factor.counts
    n, y = _project(counts.n, factor.axis, where), _project(counts.y, factor.axis, where)
    seen = n > 0
    n, y = n[seen], y[seen]
    common = {"factor": factor.name, "scope": scope, "levels": int(seen.sum()), "n": int(n.sum())}
    reason = undefined(n, y)
    if reason:
        blank = dict.fromkeys(("estimate", "corrected", "lo", "hi", "floor_mean", "floor_q95"), np.nan)
        return [common | blank | {"index": index, "method": f"undefined: {reason}"} for index in sensitivity.INDICES]
    p, w = sensitivity.rates(n, y)
    replicates, _ = sensitivity.rates(
        _project(counts.boot_n, factor.axis, where)[..., seen], _project(counts.boot_y, factor.axis, where)[..., seen]
    )
    null = sensitivity.rates(
        _project(factor.null_n, factor.axis, where)[..., seen], _project(factor.null_y, factor.axis, where)[..., seen]
    )
    errors = replicates - p
    low, middle, high = sensitivity.shrinkage(p, w, errors[~np.isnan(errors).any(-1)])
    rows = []
    for name, index in sensitivity.INDICES.items():
        floor = index(*null)
        lo, corrected, hi = (float(index(sensitivity.scaled(p, w, c), w)) for c in (low, middle, high))
        values = {
            "index": name,
            "estimate": float(index(p, w)),
            "corrected": corrected,
            "lo": lo,
            "hi": hi,
            "floor_mean": float(np.nanmean(floor)),
            "floor_q95": float(np.nanquantile(floor, 0.95)),
            "method": method,
        }
        rows.append(common | values)
    return rows


def undefined(n: np.ndarray, y: np.ndarray) -> str:
    """Why a factor with these counts has no index; empty where it has one."""
    if len(n) == 0:
        return "no answers"
    if len(n) == 1:
        return "one level only"
    if y.sum() == 0:
        return "no refusals"
    if y.sum() == n.sum():
        return "every answer is a refusal"
    return ""
