"""Which personas, tasks, models and formats differ clearly: one row per factor and scope, read by every sentence.

Differences are those of the unweighted means that the tables of rates show. Their intervals hold for all pairs of a
family of scopes together in 95% of studies, for personas in 97.5% (Bonferroni). A family of scopes is what one sentence
counts, for example all models. Where both levels have many refusals the intervals are Student's with text-robust
errors. Otherwise they are MOVER's on the limits of the cells, which are wider but keep their level.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from falserefusal.common.schemas import BASELINE
from falserefusal.common.separation import Separation
from falserefusal.estimation.attributes import tables_by_level
from falserefusal.estimation.rates import Outcomes, cell_rates
from falserefusal.statistics.clusters import correlation, degrees_of_freedom
from falserefusal.statistics.intervals import mover, wilson_rare
from falserefusal.statistics.separation import separate

WHOLE = "all models"
ALPHA = 0.05
ALPHA_OF_PERSONAS = 0.025  # as in the note of a claim: all sentences together name a persona by chance in 5% of studies
STUDENT_FROM = 30  # refusals of both levels
METHOD = f"simultaneous {{}}% limits over {{}} pairs (Bonferroni): Student's, MOVER below {STUDENT_FROM} refusals"
# factor, levels of its cells besides model and task, levels that a scope fixes
COMPARED = (
    ("persona", (), "all"),
    ("persona", ("model",), "each model"),
    ("persona", ("task", "model"), "each task and model"),
    ("task", (), "all"),
    ("task", ("model",), "each model"),
    ("model", (), "all"),
    ("format", ("task", "model"), "each task and model"),
)


def separations(
    cells: pd.DataFrame,
    outcomes: Outcomes | None = None,
    scopes: Mapping[str, Sequence[str]] | None = None,
    attributes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compare all pairs of levels of persona, task, model and format, each in the scopes of COMPARED.

    Parameters
    ----------
    cells, outcomes : as for `estimation.rates`.
    scopes : models of further scopes for personas, as `model_scopes` returns them.
    attributes : column persona, and a column with the levels of each attribute that personas cross. The levels of each
        are compared in the whole study; their limits hold for all attributes together.

    Returns
    -------
    Columns factor, model, task (of the scope; "" for all of them, and for a group of models its name), the fields of
    Separation, method.
    """
    rows: list[dict] = []
    rates = {factor: _cells(cells, factor, outcomes) for factor in dict.fromkeys(factor for factor, *_ in COMPARED)}
    for factor, fixed, _ in COMPARED:
        frame, moves = rates[factor]
        parts = [((), frame)] if not fixed else list(frame.groupby(list(fixed), sort=False, observed=True))
        rows += _family(factor, [(dict(zip(fixed, key, strict=True)), part) for key, part in parts], moves)
    groups = {name: models for name, models in (scopes or {}).items() if name != WHOLE}
    frame, moves = rates["persona"]
    named = [({"model": name}, frame[frame["model"].isin(list(models))]) for name, models in groups.items()]
    rows += _family("persona", named, moves)
    if attributes is not None and outcomes is not None:
        rows += _attributes(outcomes, attributes)
    return pd.DataFrame(rows)


def _attributes(outcomes: Outcomes, attributes: pd.DataFrame) -> list[dict]:
    """One row for each attribute, with limits that hold for the pairs of levels of all attributes together."""
    sizes = attributes.drop(columns="persona").nunique()
    pairs = int((sizes * (sizes - 1) // 2).sum())
    rows = []
    for name, table in tables_by_level(outcomes, attributes):
        frame, moves = cell_rates(table.cells, ["model", "task", "level"], table)
        found = _separated("level", frame, moves, 1 - ALPHA_OF_PERSONAS / pairs)
        method = METHOD.format(f"{100 * (1 - ALPHA_OF_PERSONAS):g}", pairs)
        rows.append({"factor": name, "model": "", "task": ""} | found._asdict() | {"method": method})
    return rows


def _cells(cells: pd.DataFrame, factor: str, outcomes: Outcomes | None) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Rates by model, task and `factor`, without the baseline."""
    by = list(dict.fromkeys(["model", "task", factor]))
    frame, moves = cell_rates(cells, by, outcomes)
    return (frame[frame["persona"] != BASELINE] if factor == "persona" else frame), moves


def _family(factor: str, parts: Iterable[tuple[dict, pd.DataFrame]], moves: np.ndarray | None) -> list[dict]:
    """One row for each scope, with limits that hold for the pairs of all scopes together."""
    parts = list(parts)
    sizes = [part[factor].nunique() for _, part in parts]
    pairs = sum(size * (size - 1) // 2 for size in sizes)
    alpha = ALPHA_OF_PERSONAS if factor == "persona" else ALPHA
    rows = []
    for fixed, part in parts:
        found = _separated(factor, part, moves, 1 - alpha / max(pairs, 1))
        row = {"factor": factor, "model": "", "task": ""} | fixed
        rows.append(row | found._asdict() | {"method": METHOD.format(f"{100 * (1 - alpha):g}", pairs)})
    return rows


def _separated(factor: str, part: pd.DataFrame, moves: np.ndarray | None, level: float) -> Separation:
    """Compare the means of the cells of each level."""
    code, names = pd.factorize(part[factor])
    member = code[None, :] == np.arange(len(names))[:, None]
    weights = member / member.sum(1, keepdims=True)
    rate, effective = part["rate"].to_numpy(float), part["effective"].to_numpy(float)
    limits = wilson_rare(rate * effective, effective, level)
    own = _own_moves(rate, part["n"].to_numpy(float)) if moves is None else moves[:, part["column"]]
    shared = correlation(own)
    many = np.bincount(code, part["refusals"], len(names)) >= STUDENT_FROM
    first, second = np.triu_indices(len(names), 1)
    lower, upper = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for start in range(0, len(first), 200):  # pairs times cells: 46 personas have 1,035 pairs
        i, j = first[start : start + 200], second[start : start + 200]
        contrast = weights[i] - weights[j]
        lo, hi = mover(contrast, rate, *limits, shared)
        sd, t = _student(own @ contrast.T, moves is not None, level)
        normal = many[i] & many[j] & (sd > 0)
        lower[i, j] = np.where(normal, contrast @ rate - t * sd, lo)
        upper[i, j] = np.where(normal, contrast @ rate + t * sd, hi)
    lower[second, first], upper[second, first] = -upper[first, second], -lower[first, second]
    return separate([str(name) for name in names], weights @ rate, lower, upper, int(part["refusals"].sum()))


def _own_moves(rate: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Moves of independent cells with binomial variance."""
    return np.diag(np.sqrt(rate * (1 - rate) / n))


def _student(moves: np.ndarray, clustered: bool, level: float) -> tuple[np.ndarray, np.ndarray | float]:
    """Standard errors of contrasts with `moves` (C, P), and Student's quantile (normal for independent responses)."""
    sd = np.sqrt((moves**2).sum(0))
    if not clustered:
        return sd, float(stats.norm.isf((1 - level) / 2))
    return sd, stats.t.isf((1 - level) / 2, degrees_of_freedom(moves))
