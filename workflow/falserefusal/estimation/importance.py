"""Importance table: sensitivity indices of every factor, over the whole study, within each task and within each model.

A row of the long table is one index of one factor in one scope, with what its interpretation needs: the plug-in value,
a corrected value and an interval that account for the noise floor (see `sensitivity.interval`), and the floor itself,
from permuting the factor as the design could have assigned it.

All is computed from counts by task, model and level of a factor, arrays (..., T, M, L); leading axes are bootstrap
replicates or permutations. Printed cells and outcomes differ only in the origin of those replicates.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import Outcomes, outcomes_of_frame, union_of_sorted
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.statistics import permutation, sensitivity
from falserefusal.statistics.clusters import (
    ClusterTable,
    as_outcomes,
    bootstrap_counts,
    cluster_table,
    degrees_of_freedom,
    joint_code,
    level_codes,
)

WITHIN = ("persona", "template", "phrasing", "format")  # factors drawn at random within task and model
FEWEST_UNITS = 40  # refused texts (responses if texts are unknown) of some model; with fewer, intervals are unreliable
TOO_FEW = f"no interval: too few refusals, below {FEWEST_UNITS} refused texts in every model"
CELLS_METHOD = "binomial, texts unknown"
TOTAL_LEVEL = 0.97  # nominal level of `total_order`, so that it covers 95% on average, 93% if few texts contribute most
RUN_METHOD = "bootstrap by text"
TOTAL_METHOD = "jackknife by text"
IMPORTANCE_COLUMNS = ["factor", "scope", "levels", "index", "lo", "hi", "sobol", "mutual_information"]
IMPORTANCE_COLUMNS += ["floor_mean", "floor_q95", "corrected", "n", "method", "printed"]
COARSE_NOTE = "printed for nine prompts, which the format coarsens"


@dataclass(frozen=True)
class Counts:
    """Responses `n` and refusals `y` (T, M, L), and their bootstrap replicates (R, T, M, L).

    units (T, M): number of independent units (texts; responses if texts are unknown) refused at least once.
    """

    n: np.ndarray
    y: np.ndarray
    boot_n: np.ndarray
    boot_y: np.ndarray
    units: np.ndarray


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
    """Compute the long table from counts alone.

    Replicates are binomial, and floors permute the factor within cells of the other factors, both as if responses were
    independent: cells have no text identifiers. Intervals and floors are therefore too small by an unknown factor, and
    `method` says so.

    Parameters
    ----------
    cells : columns model, task, persona, template, format, labeller, n, refusals.
    replicates : bootstrap replicates.
    permutations : permutations for the floor.
    seed : seed of both.

    Returns
    -------
    Columns factor, scope, levels, n, index, estimate, corrected, lo, hi, floor_mean, floor_q95, method.

    Raises
    ------
    InputError if cells count a response twice, have several labellers, or name no factor.
    """
    margins = {name: margin for name in WITHIN if (margin := _margin(cells, name)) is not None}
    if not margins:
        raise InputError("cells: no cell names a persona, template or format, so there is nothing to compare")
    tasks, models = _levels(cells, "task"), _levels(cells, "model")
    factors: list[Factor] = []
    for number, (name, (levels, sums)) in enumerate(margins.items()):
        n, y = (_cube(sums[column], tasks, models, levels) for column in ("n", "refusals"))
        rng = np.random.default_rng([seed, number])
        with np.errstate(invalid="ignore"):
            chance = np.where(n > 0, y / np.maximum(n, 1), 0)
        boot_y = rng.binomial(n, chance, size=(replicates, *n.shape))
        counts = Counts(n, y, np.broadcast_to(n, boot_y.shape), boot_y, y.sum(-1))
        axes = [(name, 2)] if factors else [("model", 1), ("task", 0), (name, 2)]  # model, task: from the first margin
        for factor, axis in axes:
            null_y = _shuffle_counts(n, y, axis, permutations, rng)
            factors.append(Factor(factor, axis, counts, np.broadcast_to(n, null_y.shape), null_y))
    return _table(factors, tasks, models, CELLS_METHOD)


def sensitivity_from_outcomes(
    outcomes: pd.DataFrame | Outcomes,
    phrasings: Mapping[str, int] | None = None,
    *,
    replicates: int = 1000,
    permutations: int = 500,
    seed: int = 0,
    whole_study_only: bool = False,
) -> pd.DataFrame:
    """Compute the long table from outcomes, with the clustering of responses by text.

    Replicates draw texts. Floors permute levels as the design could have assigned them (see `permutation`). Further
    rows have a normal interval: sobol_interaction of model and task with each other and with every factor (the share of
    variance that two factors explain together beyond their own), and sobol_total (see `total_order`).

    Parameters
    ----------
    outcomes : outcomes of one labeller; baseline prompts are left out.
    phrasings : phrasing (1 to 3) of each template.
    whole_study_only : skip the scopes within tasks and models.
    replicates, permutations, seed : as for `sensitivity_from_cells`, whose columns are returned.

    Raises
    ------
    InputError for invalid outcomes or fewer than two texts.
    """
    if not isinstance(outcomes, Outcomes):
        outcomes = outcomes[outcomes["persona"] != BASELINE]
    outcomes = as_outcomes(outcomes, ["model", "task", "persona", "template", "format", "block", "draw"])
    outcomes = outcomes.without_baseline()
    tasks, models = outcomes.present("task"), outcomes.present("model")
    factors = []
    for number, name in enumerate(("persona", "template")):
        names = tasks, models, outcomes.present(name)
        table = cluster_table(outcomes, ["task", "model", name])
        shape = len(tasks), len(models), len(names[2])
        spread = partial(_spread, _places(table.cells, *names), shape)
        boot = [(spread(n), spread(y)) for n, y in bootstrap_counts(table, replicates, [seed, 0])]
        n, y = (spread(counts.sum(0, dtype=float)[None])[0] for counts in (table.n, table.refusals))
        if len(table.texts) < 2:
            raise InputError("outcomes: sensitivity needs at least two texts")
        if number == 0:
            per_text = table.merge(["task", "model"])
            units = _cube_of(per_text.cells, (per_text.refusals > 0).sum(0), tasks, models)
        boot_n, boot_y = (np.concatenate(parts) for parts in zip(*boot, strict=True))
        counts = Counts(n, y, boot_n, boot_y, units)
        if number == 0:
            factors += _crossed(per_text, counts, tasks, models, permutations, seed)
        del table, boot
        coarser = {} if name == "persona" else {"phrasing": phrasings, "format": _formats(outcomes)}
        factors += _permuted(outcomes, name, counts, names, coarser, permutations, [seed, 3, number])
    more = [*_interactions(factors), *_totals(outcomes, int(factors[0].counts.n.sum()))]
    return _table(factors, tasks, models, RUN_METHOD, more, whole_study_only)


def _crossed(
    per_text: ClusterTable, counts: Counts, tasks: list[str], models: list[str], permutations: int, seed: int
) -> list[Factor]:
    """The factors model and task, which are crossed with all texts and prompts."""
    factors = []
    for name, axis, permute in (("model", 1, permutation.models), ("task", 0, permutation.tasks)):
        null = permute(per_text, tasks, models, permutations, [seed, 2])
        factors.append(Factor(name, axis, counts, *(part[..., None] for part in null)))
    return factors


def _permuted(
    outcomes: Outcomes,
    name: str,
    counts: Counts,
    names: permutation.Names,
    coarser: Mapping[str, Mapping | None],
    permutations: int,
    seed: list[int],
) -> list[Factor]:
    """Factor `name` and the coarser ones that are known, each with its permuted copy."""
    groups = {part: _groups(name, part, names[2], of) for part, of in coarser.items() if of is not None}
    null, *nulls = permutation.levels(outcomes, name, names, permutations, seed, list(groups.values()))
    parts = [Factor(part, 2, _coarser(counts, groups[part]), *of) for part, of in zip(groups, nulls, strict=True)]
    return [Factor(name, 2, counts, *null), *parts]


def importance_table(table: pd.DataFrame, printed: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Wide table (importance.csv) of a long one: Wasserstein index with its noise, Sobol' index, mutual information.

    If the table has no template, the printed value of the prompt is shown for the format, which coarsens it, and
    `method` says so.

    Parameters
    ----------
    table : long table.
    printed : the paper's bar heights by factor (its factor "prompt" is our template), shown in the scope "all". None:
        the study is not compared with them, and there is no column printed.
    """
    key = ["factor", "scope"]
    wide = table[table["index"] == "wasserstein"].rename(columns={"estimate": "index_"}).drop(columns="index")
    wide = wide.rename(columns={"index_": "index"})
    for index in ("sobol", "mutual_information"):
        other = table[table["index"] == index].set_index(key)["estimate"].rename(index)
        wide = wide.join(other, on=key)
    if printed is None:
        return wide[[column for column in IMPORTANCE_COLUMNS if column != "printed"]].reset_index(drop=True)
    printed = dict(printed)
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
    """Levels in the order of the categories, or of occurrence, without "*" and baseline."""
    values = frame[column]
    found = values.drop_duplicates()
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = found.sort_values()
    return [level for level in dict.fromkeys(found) if level not in (ALL, BASELINE)]


def _formats(outcomes: Outcomes) -> dict[str, str]:
    """The format of each template."""
    formats: dict[str, str] = {}
    for part in outcomes.parts(["template", "format"]):
        own = part[["template", "format"]].drop_duplicates().astype(object)
        formats |= dict(own.itertuples(index=False, name=None))
    return formats


def _margin(cells: pd.DataFrame, factor: str) -> tuple[list[str], pd.DataFrame] | None:
    """Levels of `factor` and counts summed to task x model x factor; None if the cells do not name it."""
    if factor not in cells:
        return None
    rows = cells[(cells[factor] != ALL) & (cells["persona"] != BASELINE)]
    levels = _levels(rows, factor)
    if not levels:
        return None
    if rows["labeller"].nunique() > 1:
        raise InputError(f"cells: one labeller at a time, not {', '.join(sorted(rows['labeller'].unique()))}")
    for other in {"persona", "template", "format"} - {factor}:
        summed = rows[other] == ALL
        if summed.any() and not summed.all():
            raise InputError(
                f"cells: the cells of {factor} mix rows summed over {other} with rows that are not, which would count "
                "each response twice"
            )
    return levels, rows.groupby(["task", "model", factor], observed=True)[["n", "refusals"]].sum()


def _cube(sums: pd.Series, tasks: list[str], models: list[str], levels: list[str]) -> np.ndarray:
    """Counts by task, model and level as an array (T, M, L), 0 where there are none."""
    index = pd.MultiIndex.from_product([tasks, models, levels])
    return sums.reindex(index, fill_value=0).to_numpy(dtype=np.int64).reshape(len(tasks), len(models), len(levels))


def _shuffle_counts(n: np.ndarray, y: np.ndarray, axis: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Refusals after permuting levels along `axis` within each cell of the other two axes: hypergeometric draws."""
    n, y = np.moveaxis(n, axis, -1), np.moveaxis(y, axis, -1)
    out = np.zeros((permutations, *n.shape), dtype=np.int64)
    for cell in np.ndindex(n.shape[:-1]):
        if y[cell].sum():
            out[(slice(None), *cell)] = rng.multivariate_hypergeometric(n[cell], y[cell].sum(), size=permutations)
    return np.moveaxis(out, -1, axis + 1)


def _places(cells: pd.DataFrame, tasks: list[str], models: list[str], levels: list[str]) -> np.ndarray:
    """Position of each cell in a flattened (T, M, L) array."""
    codes = [pd.Index(names).get_indexer(cells.iloc[:, k]) for k, names in enumerate((tasks, models, levels))]
    return np.ravel_multi_index(codes, (len(tasks), len(models), len(levels)))


def _spread(places: np.ndarray, shape: tuple[int, int, int], counts: np.ndarray) -> np.ndarray:
    """Counts (R, K) of cells as arrays (R, T, M, L), 0 where there is no cell."""
    out = np.zeros((len(counts), np.prod(shape)))
    out[:, places] = counts
    return out.reshape(len(counts), *shape)


def _cube_of(cells: pd.DataFrame, values: np.ndarray, tasks: list[str], models: list[str]) -> np.ndarray:
    """Values of (task, model) cells as an array (T, M), 0 where there is none."""
    out = np.zeros((len(tasks), len(models)))
    out[pd.Index(tasks).get_indexer(cells["task"]), pd.Index(models).get_indexer(cells["model"])] = values
    return out


def _groups(factor: str, name: str, levels: list[str], groups: Mapping) -> np.ndarray:
    """Position of the group of each level of `factor`; InputError if a level has no group."""
    missing = [level for level in levels if level not in groups]
    if missing:
        raise InputError(f"{factor} {', '.join(missing)}: no {name} is known")
    code: np.ndarray = pd.factorize(np.array([groups[level] for level in levels], dtype=object))[0]
    return code


def _coarser(counts: Counts, group: np.ndarray) -> Counts:
    """The counts by group of levels."""
    sums = np.zeros((len(group), group.max() + 1))
    sums[np.arange(len(group)), group] = 1
    return Counts(counts.n @ sums, counts.y @ sums, counts.boot_n @ sums, counts.boot_y @ sums, counts.units)


# --- from counts to rows


def _scopes(factor: Factor, tasks: list[str], models: list[str]) -> Iterator[tuple[str, tuple[slice, slice]]]:
    """Names of the scopes in which the factor can vary, and the task and model slices that select them."""
    everything = slice(None)
    yield "all", (everything, everything)
    if factor.axis != 0:
        for i, task in enumerate(tasks):
            yield task, (slice(i, i + 1), everything)
    if factor.axis != 1:
        for i, model in enumerate(models):
            yield model, (everything, slice(i, i + 1))


def _project(counts: np.ndarray, axis: int, scope: tuple[slice, slice]) -> np.ndarray:
    """Counts (..., T, M, L) of a scope, summed to the levels on `axis`."""
    part = counts[(..., *scope, slice(None))]
    return part.sum(axis=tuple(a - 3 for a in range(3) if a != axis))


def _table(
    factors: list[Factor],
    tasks: list[str],
    models: list[str],
    method: str,
    more: Iterable[dict] = (),
    whole_study_only: bool = False,
) -> pd.DataFrame:
    """Long table of all factors and scopes, with `more` rows, sorted by factor."""
    rows = []
    for factor in factors:
        for scope, where in islice(_scopes(factor, tasks, models), 1 if whole_study_only else None):
            rows += _rows(factor, scope, where, method)
    order = {name: i for i, name in enumerate(["model", "task", *WITHIN])}
    table = pd.DataFrame([*rows, *more])
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
    permuted = sensitivity.rates(
        _project(factor.null_n, factor.axis, where)[..., seen], _project(factor.null_y, factor.axis, where)[..., seen]
    )
    errors = replicates - p
    errors = errors[~np.isnan(errors).any(-1)]
    units = _refused(counts, where)
    enough = units >= FEWEST_UNITS
    rows = []
    for name, index in sensitivity.INDICES.items():
        null, lo, corrected, hi = permuted, np.nan, np.nan, np.nan
        if enough:
            null = sensitivity.larger_noise(index, permuted, p, w, errors)
            lo, corrected, hi = sensitivity.interval(index, p, w, errors, null[0], units)
        floor = index(*null)
        values = {
            "index": name,
            "estimate": float(index(p, w)),
            "corrected": corrected,
            "lo": lo,
            "hi": hi,
            "floor_mean": float(np.nanmean(floor)),
            "floor_q95": sensitivity.floor_limit(floor),
            "method": method if enough else f"{method}; {TOO_FEW}",
        }
        rows.append(common | values)
    return rows


def _refused(counts: Counts, where: tuple[slice, slice] = (slice(None), slice(None))) -> int:
    """Number of refused units of the model that has most, which decides whether an index gets an interval."""
    return int(counts.units[where].sum(0).max())


def _interactions(factors: list[Factor]) -> Iterator[dict]:
    """Rows of sobol_interaction: what two factors explain together beyond their own first-order indices."""
    within = [factor for factor in factors if factor.axis == 2]
    pairs = [(within[0], "model:task", (0, 1))]
    pairs += [(f, f"{other}:{f.name}", (axis, 2)) for f in within for axis, other in ((1, "model"), (0, "task"))]
    for factor, name, axes in pairs:
        counts = factor.counts
        if min(counts.n.shape[axis] for axis in axes) > 1:
            estimate = _interaction(counts.n, counts.y, axes)
            replicates = _interaction(counts.boot_n, counts.boot_y, axes)
            levels = int((counts.n.sum(axis=3 - sum(axes)) > 0).sum())
            row = _normal_row(name, "sobol_interaction", estimate, replicates, levels, counts.n.sum())
            yield row if _refused(counts) >= FEWEST_UNITS else _without_interval(row)


def _interaction(n: np.ndarray, y: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    """First-order index of the pair of `axes` minus those of each, for counts (..., T, M, L)."""
    rest = (3 - sum(axes)) - 3
    joint = [part.sum(axis=rest) for part in (n, y)]
    pair = sensitivity.sobol(*sensitivity.rates(*(part.reshape(*part.shape[:-2], -1) for part in joint)))
    single = [sensitivity.sobol(*sensitivity.rates(*(part.sum(axis=axis) for part in joint))) for axis in (-1, -2)]
    return pair - sum(single)


def _totals(outcomes: Outcomes, n: int) -> Iterator[dict]:
    """Rows of sobol_total for the factors of which a text was asked at several levels; n responses."""
    for factor in ("model", "persona", "template"):
        values = total_order(outcomes, factor)
        if np.isfinite(values["estimate"]):
            sizes = {"levels": len(outcomes.present(factor)), "n": n}
            yield {"factor": factor, "scope": "all", "index": "sobol_total"} | sizes | values


def _without_interval(row: dict) -> dict:
    """The row of an index without interval and corrected value, and the reason."""
    if np.isnan(row["estimate"]):
        return row
    return (
        row | dict.fromkeys(("corrected", "lo", "hi"), np.nan) | {"method": f"{row['method'].split(';')[0]}; {TOO_FEW}"}
    )


def _normal_row(factor: str, index: str, estimate, replicates: np.ndarray, levels: int, n: float) -> dict:
    """A row with a normal interval around the estimate, corrected for the bootstrap's bias."""
    replicates = replicates[~np.isnan(replicates)]
    if not np.isfinite(estimate) or len(replicates) < 2:
        values = dict.fromkeys(("estimate", "corrected", "lo", "hi"), np.nan) | {
            "method": "undefined: constant outcome"
        }
    else:
        corrected = 2 * estimate - replicates.mean()
        half = 1.959964 * replicates.std(ddof=1)
        values = {"estimate": estimate, "corrected": corrected, "lo": corrected - half, "hi": corrected + half}
        values["method"] = RUN_METHOD
    return {"factor": factor, "scope": "all", "index": index, "levels": levels, "n": int(n)} | values


def total_order(outcomes: pd.DataFrame | Outcomes, factor: str) -> dict[str, float | str]:
    """Total-order Sobol' index of `factor` given everything else, the text included.

    E[Var(y | all but the factor)] / V is the variance that remains if only this factor is redrawn. By Jansen's formula
    (1999, Comput. Phys. Commun. 117:35) it is half the mean squared difference between two levels of an otherwise equal
    prompt. It therefore needs prompts that were asked at several levels; repeats of one prompt count once. Random
    outcomes (sampled decoding) count as an effect of every factor.

    Bias and variance come from leaving out each text in turn (jackknife). A few texts contribute most of the index, so
    the interval is Student's with the jackknife's own degrees of freedom and a nominal level of TOTAL_LEVEL. Errors of
    1 - index, the share of the variance that everything else explains, are relative: the interval is symmetric in its
    logarithm if the index is below 1.

    Returns
    -------
    estimate, corrected, lo, hi; NaN if no prompt was asked at two levels or the outcome is constant. method: gives the
    reason if there is no interval, as with fewer than FEWEST_UNITS refused texts in every model.
    """
    if not isinstance(outcomes, Outcomes):
        outcomes = outcomes_of_frame(outcomes)
    levels, (sums, units) = len(outcomes.present(factor)), _sums_of_texts(outcomes, factor)

    def index(n, y, pairs, differing):
        with np.errstate(invalid="ignore", divide="ignore"):
            p = y / n
            return differing / pairs / 2 * (1 - 1 / levels) / (p * (1 - p))

    everything, c = sums.sum(0), len(sums)
    estimate, without = float(index(*everything)), index(*(everything - sums).T)
    nothing = {"estimate": estimate} | dict.fromkeys(("corrected", "lo", "hi"), np.nan)
    if units < FEWEST_UNITS:
        return nothing | {"method": f"{TOTAL_METHOD}; {TOO_FEW}"}
    if not np.isfinite(without).all():  # one of the texts is indispensable for the comparison
        return nothing | {"method": f"{TOTAL_METHOD}; no interval, one text carries it"}
    corrected = estimate - (c - 1) * (without.mean() - estimate)
    moves = (without - without.mean())[:, None] * np.sqrt((c - 1) / c)
    half = stats.t.ppf((1 + TOTAL_LEVEL) / 2, degrees_of_freedom(moves)[0]) * np.sqrt((moves**2).sum())
    lo, hi = corrected - half, corrected + half
    if corrected < 1:
        lo, hi = 1 - (1 - corrected) * np.exp(np.array([1, -1]) * half / (1 - corrected))
    limits = {"corrected": float(corrected), "lo": float(max(lo, 0)), "hi": float(hi)}
    return {"estimate": estimate} | limits | {"method": TOTAL_METHOD}


def _sums_of_texts(outcomes: Outcomes, factor: str) -> tuple[np.ndarray, int]:
    """(C, 4) of each text: responses, refusals, pairs of levels of an otherwise equal prompt, and differing pairs.

    The second value is the number of refused texts of the model that has most.
    Pairs of models are counted at the end, from how many models responded to (and refused) each prompt.
    """
    rest = [name for name in ("text_id", "persona", "template", "task") if name != factor]
    groups, asked, refused = np.empty(0, np.int64), np.empty(0), np.empty(0)
    sums: np.ndarray | None = None
    units = 0
    for part in outcomes.parts(rest if factor == "model" else [*rest, factor]):
        text, texts = level_codes(part["text_id"])
        y = part["refusal"].to_numpy(bool)
        sums = np.zeros((len(texts), 4)) if sums is None else sums
        group, names = joint_code(part, rest)
        per_text = int(np.prod([len(values) for values in names[1:]]))
        level, of_factor = (np.zeros(len(part), np.int64), [""]) if factor == "model" else level_codes(part[factor])
        _, first = np.unique(group * len(of_factor) + level, return_index=True)
        own, place = np.unique(group[first], return_inverse=True)
        counts = np.bincount(place).astype(float), np.bincount(place, y[first], len(own))
        sums[:, 0] += np.bincount(text, minlength=len(texts))
        of_model = np.bincount(text, y, len(texts))
        sums[:, 1] += of_model
        units = max(units, int((of_model > 0).sum()))
        if factor == "model":
            groups, asked, refused = _added((groups, asked, refused), (own, *counts))
        else:
            _add_pairs(sums, own // per_text, *counts)
    if sums is None:
        raise InputError("outcomes: there are no outcomes")
    if factor == "model":
        _add_pairs(sums, groups // per_text, asked, refused)
    return sums[sums[:, 0] > 0], units


def _add_pairs(sums: np.ndarray, text: np.ndarray, asked: np.ndarray, refused: np.ndarray) -> None:
    """Add the ordered pairs of levels of each prompt, and those that differ, to the sums of its text."""
    sums[:, 2] += np.bincount(text, asked * (asked - 1), len(sums))
    sums[:, 3] += np.bincount(text, 2 * refused * (asked - refused), len(sums))


def _added(total: tuple[np.ndarray, ...], more: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Add values by key; `total` and `more` are sorted unique keys and arrays of values."""
    keys = union_of_sorted(total[0], more[0])
    values = [np.zeros(len(keys)) for _ in total[1:]]
    for part in (total, more):
        place = np.searchsorted(keys, part[0])
        for target, value in zip(values, part[1:], strict=True):
            target[place] += value
    return keys, *values


def undefined(n: np.ndarray, y: np.ndarray) -> str:
    """Why a factor with these counts has no index; empty if it has one."""
    if len(n) == 0:
        return "no responses"
    if len(n) == 1:
        return "one level only"
    if y.sum() == 0:
        return "no refusals"
    if y.sum() == n.sum():
        return "every response is a refusal"
    return ""
