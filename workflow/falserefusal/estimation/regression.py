"""The paper's main-effects logit, and what it takes to trust one: separation, Firth's penalty, clustered errors.

Counts (n, refusals) by cell carry all that a logit on the single answers uses, so models are fitted to aggregated
counts; only errors clustered by text need the answers themselves. Levels without any refusal (or with nothing else)
have no finite maximum-likelihood coefficient: they are reported as -inf (inf), the limit of the fit, as "separated",
and the rest of the fit is the exact maximum given that limit. Beside it stands Firth's estimate, which is always finite
(Firth 1993, Biometrika 80:27; Heinze and Schemper 2002, Statistics in Medicine 21:2409).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit, xlogy

from falserefusal.errors import InputError
from falserefusal.schemas import ALL, PERSONA_FREE

REFERENCES = {"model": "Llama2-13B", "task": "nli", "persona": "atheist", "template": "p1"}  # the paper's
PRINTED_R2 = 0.5733  # the paper, appendix E.2
SEPARATED = "separated: no refusals (or nothing else) at this level, so no finite coefficient"
Z95 = float(stats.norm.ppf(0.975))
COLUMNS = ["term", "level", "coef", "se", "lo", "hi", "p", "printed", "printed_term_note", "method"]


@dataclass(frozen=True)
class Design:
    """A main-effects design over cells: `x` (cells, parameters), and the (term, level) of each parameter."""

    x: np.ndarray
    names: list[tuple[str, str]]


@dataclass(frozen=True)
class Fit:
    """A fitted logit; coefficients of separated levels are -inf or inf, with infinite errors."""

    names: list[tuple[str, str]]
    coef: np.ndarray
    cov: np.ndarray  # of the finite coefficients, zero elsewhere
    loglik: float  # of the single answers
    null_loglik: float
    mean: np.ndarray  # fitted rate of each cell
    finite: np.ndarray = field(repr=False)

    @property
    def se(self) -> np.ndarray:
        return np.where(self.finite, np.sqrt(np.maximum(np.diag(self.cov), 0)), np.nan)

    @property
    def mcfadden(self) -> float:
        """1 - log-likelihood / log-likelihood of the mean alone, over single answers."""
        return 1 - self.loglik / self.null_loglik


def collapse(frame: pd.DataFrame, factors: list[str]) -> pd.DataFrame:
    """Counts n and refusals over the observed combinations of `factors`, persona-free prompts left out.

    `frame` holds cells (n, refusals) or outcomes (refusal). Raises InputError on a factor that was summed over, on more
    than one labeller, or if nothing is left.
    """
    frame = frame[frame["persona"] != PERSONA_FREE]
    if "labeller" in frame and frame["labeller"].nunique() > 1:
        raise InputError(f"one labeller at a time, not {', '.join(sorted(frame['labeller'].unique()))}")
    for factor in factors:
        frame = frame[frame[factor] != ALL]
    if frame.empty:
        raise InputError(f"no answer is known by {', '.join(factors)}: there is nothing to fit")
    groups = frame.groupby(factors, observed=True, sort=False)
    one_row_an_answer = "refusal" in frame
    counts = groups["refusal"].agg(n="size", refusals="sum") if one_row_an_answer else groups[["n", "refusals"]].sum()
    return counts.astype(np.int64).reset_index()


def dummies(counts: pd.DataFrame, references: Mapping[str, str]) -> Design:
    """Treatment coding: an intercept, then each factor's levels but its reference; factors as the keys of `references`.

    Raises InputError if a reference is not among the levels.
    """
    columns, names = [np.ones(len(counts))], [("intercept", "")]
    for factor, reference in references.items():
        levels = list(dict.fromkeys(counts[factor]))
        if reference not in levels:
            raise InputError(f"regression: the reference {factor} {reference!r} is not among {', '.join(levels)}")
        for level in levels:
            if level != reference:
                columns.append((counts[factor] == level).to_numpy(float))
                names.append((factor, level))
    return Design(np.column_stack(columns), names)


def choose_references(counts: pd.DataFrame, factors: list[str]) -> dict[str, str]:
    """The paper's reference of each factor where it can serve, else the level with most refusals that can.

    A reference must be refused sometimes and answered sometimes, or nothing can be compared with it. Raises InputError
    where a factor has no such level.
    """
    references = {}
    for factor in factors:
        sums = counts.groupby(factor, observed=True, sort=False)[["n", "refusals"]].sum()
        able = sums[(sums["refusals"] > 0) & (sums["refusals"] < sums["n"])]["refusals"]
        if able.empty:
            raise InputError(f"regression: every {factor} was refused always or never, so none can be the reference")
        papers = REFERENCES.get(factor)
        references[factor] = papers if papers in able.index else able.idxmax()
    return references


def loglik(y: np.ndarray, n: np.ndarray, mean: np.ndarray) -> float:
    """Log-likelihood of single answers given cell counts: no binomial coefficients."""
    return float((xlogy(y, mean) + xlogy(n - y, 1 - mean)).sum())


def fit_logit(design: Design, n: np.ndarray, y: np.ndarray) -> Fit:
    """Maximum likelihood with the limit taken for separated levels.

    A dummy whose cells hold no refusal (only refusals) goes to -inf (inf): its cells are then fitted perfectly and drop
    out, which may separate another level, and so on. Raises InputError where the outcome is constant, the factors are
    confounded, or a coefficient still diverges (separation by a combination of levels).
    """
    n, y = np.asarray(n, float), np.asarray(y, float)
    x = design.x
    rows = n > 0
    coef = np.zeros(x.shape[1])
    finite = np.ones(x.shape[1], dtype=bool)
    changed = True
    while changed:
        changed = False
        for j in np.flatnonzero(finite)[1:]:
            of_level = rows & (x[:, j] != 0)
            refusals, answers = y[of_level].sum(), n[of_level].sum()
            if refusals in (0, answers):
                coef[j] = -np.inf if refusals == 0 else np.inf
                finite[j], changed = False, True
                rows &= ~of_level
    null = loglik(y.sum(), n.sum(), y.sum() / n.sum())
    if not 0 < y[rows].sum() < n[rows].sum():
        raise InputError("regression: without its separated levels the outcome is constant; no logit can be fitted")
    kept = x[np.ix_(rows, finite)]
    if np.linalg.matrix_rank(kept) < kept.shape[1]:
        raise InputError("regression: the factors are confounded, their coefficients have no unique solution")
    result = sm.GLM(np.column_stack([y, n - y])[rows], kept, family=sm.families.Binomial()).fit(maxiter=200, tol=1e-10)
    if np.abs(result.params).max() > 15 or not result.converged:
        worst = design.names[np.flatnonzero(finite)[np.abs(result.params).argmax()]]
        raise InputError(
            f"regression: the coefficient of {' '.join(worst).strip()} diverges: its reference or a combination of "
            "levels has no refusals (or nothing else); choose other references (see choose_references)"
        )
    coef[finite] = result.params
    cov = np.zeros((x.shape[1],) * 2)
    cov[np.ix_(finite, finite)] = result.cov_params()
    mean = np.zeros(len(n))
    mean[rows] = result.mu
    with np.errstate(invalid="ignore"):
        mean[~rows] = np.where(n > 0, y / np.maximum(n, 1), 0)[~rows]
    return Fit(design.names, coef, cov, loglik(y, n, mean), null, mean, finite)


def fit_firth(design: Design, n: np.ndarray, y: np.ndarray, fixed: Mapping[int, float] | None = None) -> Fit:
    """Logit with Jeffreys' prior (Firth's penalty) on aggregated counts: finite under any separation.

    Newton steps on the modified score x'(y - n mu + h (1/2 - mu)), h the hat values; steps are capped at 3 and halved
    until the penalised likelihood rises. `fixed` pins parameters to values, for profiles; `loglik` is penalised.
    """
    n, y, x = np.asarray(n, float), np.asarray(y, float), design.x
    fixed = dict(fixed or {})
    coef = np.zeros(x.shape[1])
    for j, value in fixed.items():
        coef[j] = value
    free = [j for j in range(x.shape[1]) if j not in fixed]

    def state(coef):
        mean = expit(x @ coef)
        weighted = x * (n * mean * (1 - mean))[:, None]
        information = x.T @ weighted
        sign, logdet = np.linalg.slogdet(information)
        return mean, weighted, information, (loglik(y, n, mean) + logdet / 2 if sign > 0 else -np.inf)

    mean, weighted, information, value = state(coef)
    if value == -np.inf:
        raise InputError("regression: the factors are confounded, their coefficients have no unique solution")
    for _ in range(200):
        hat = np.einsum("ij,ij->i", weighted, np.linalg.solve(information, x.T).T)
        score = x.T @ (y - n * mean + hat * (0.5 - mean))
        if not free:
            break
        step = np.zeros_like(coef)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        step *= min(1, 3 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-9:
            break
        for _ in range(30):
            new = state(coef + step)
            if new[3] >= value - 1e-9:
                break
            step /= 2
        coef = coef + step
        mean, weighted, information, value = new
    else:
        raise InputError("regression: Firth's estimate did not converge in 200 steps")
    cov = np.linalg.inv(information)
    null = loglik(y.sum(), n.sum(), y.sum() / n.sum())
    return Fit(design.names, coef, cov, value, null, mean, np.ones(len(coef), dtype=bool))


def firth_profile(design: Design, n: np.ndarray, y: np.ndarray, fit: Fit, j: int, level: float = 0.95):
    """Profile penalised-likelihood limits of parameter `j`: where twice the drop reaches the chi-squared quantile."""
    target = fit.loglik - stats.chi2.ppf(level, 1) / 2
    limits = []
    for side in (-1, 1):
        inner, outer = fit.coef[j], fit.coef[j] + side * 2 * fit.se[j]
        while fit_firth(design, n, y, {j: outer}).loglik > target:
            inner, outer = outer, outer + side * 2 * fit.se[j]
        for _ in range(25):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if fit_firth(design, n, y, {j: middle}).loglik > target else (inner, middle)
        limits.append((inner + outer) / 2)
    return tuple(limits)


# --- tables


def regression_table(
    counts: pd.DataFrame,
    references: Mapping[str, str],
    printed: pd.DataFrame | None = None,
    cov: np.ndarray | None = None,
    method: str = "ML logit, binomial errors, texts unknown",
) -> pd.DataFrame:
    """The regression.csv of main effects: columns term, level, coef, se, lo, hi, p, printed, printed_term_note, method.

    `counts` from `collapse`; `references` maps each factor to its reference level and orders the factors; `printed` is
    Table 7 (type, variable, coef); `cov` replaces the model-based covariance (see `cluster_covariance`). Each
    coefficient comes twice, by maximum likelihood and by Firth; the last rows give McFadden's pseudo R squared.
    """
    design = dummies(counts, references)
    n, y = counts["n"].to_numpy(), counts["refusals"].to_numpy()
    ml, firth = fit_logit(design, n, y), fit_firth(design, n, y)
    if cov is not None:
        ml = Fit(ml.names, ml.coef, cov, ml.loglik, ml.null_loglik, ml.mean, ml.finite)
    rows = _coefficient_rows(ml, method)
    for j in np.flatnonzero(~ml.finite):
        rows[j]["method"] = f"{method}; {SEPARATED}"
    firth_rows = _coefficient_rows(firth, "Firth logit, binomial errors")
    for j in np.flatnonzero(~ml.finite):  # Wald limits are poor exactly there
        firth_rows[j]["lo"], firth_rows[j]["hi"] = firth_profile(design, n, y, firth, j)
        firth_rows[j]["method"] = "Firth logit, profile limits"
    r2 = {"term": "fit", "level": "McFadden R2", "coef": ml.mcfadden, "method": method}
    table = pd.DataFrame([*rows, *firth_rows, r2])
    table = table.reindex(columns=COLUMNS)
    table["printed_term_note"] = ""
    if printed is not None:
        table = _beside_printed(table, printed, method, set(references))
    return table


def _coefficient_rows(fit: Fit, method: str) -> list[dict]:
    rows = []
    for (term, level), coef, se, finite in zip(fit.names, fit.coef, fit.se, fit.finite, strict=True):
        row = {"term": term, "level": level, "coef": coef, "se": se, "method": method}
        if finite:
            row |= {"lo": coef - Z95 * se, "hi": coef + Z95 * se, "p": 2 * stats.norm.sf(abs(coef / se))}
        rows.append(row)
    return rows


def _beside_printed(table: pd.DataFrame, printed: pd.DataFrame, method: str, factors: set[str]) -> pd.DataFrame:
    """Put Table 7 beside the maximum-likelihood rows, with notes; append printed terms that the data can't give."""
    terms = printed.assign(
        term=printed["type"].replace("prompt", "template"),
        level=printed["variable"].where(printed["type"] == "model", printed["variable"].str.lower()),
    ).rename(columns={"coef": "printed"})[["term", "level", "printed"]]
    terms = pd.concat([terms, pd.DataFrame([{"term": "fit", "level": "McFadden R2", "printed": PRINTED_R2}])])
    values = terms.set_index(["term", "level"])["printed"]
    own = table["method"].str.startswith(method)
    keys = pd.MultiIndex.from_frame(table[["term", "level"]])
    table["printed"] = np.where(own, values.reindex(keys).to_numpy(), np.nan)
    table.loc[own, "printed_term_note"] = _notes(table[own], "template" in factors)
    unmatched = terms[~pd.MultiIndex.from_frame(terms[["term", "level"]]).isin(keys)]
    extra = unmatched.assign(method="not fitted").reindex(columns=table.columns)
    extra["printed_term_note"] = [
        "the cells carry no template, so this term can't be recomputed" if term == "template" else "no such level here"
        for term in extra["term"]
    ]
    return pd.concat([table, extra], ignore_index=True) if len(extra) else table


def _notes(rows: pd.DataFrame, has_template: bool) -> list[str]:
    """What stands between a printed coefficient and ours.

    Leaving the template out shrinks all coefficients by about the same factor, estimated as the median ratio. A printed
    value whose ratio is more than five (scaled) median absolute deviations from that is out of line; if it is in line
    with another level's coefficient, that level is named, because a slip of rows is the likely reason.
    """
    comparable = rows["printed"].notna() & (rows["term"] != "fit")
    comparable &= np.isfinite(rows["coef"]) & (rows["coef"].abs() > 0.5)  # ratios of small coefficients mean little
    ratio = (rows["printed"] / rows["coef"])[comparable]
    scale = ratio.median()
    tolerance = 5 * 1.4826 * (ratio - scale).abs().median()
    expected = rows["coef"] * scale
    notes = []
    for index, row in rows.iterrows():
        if pd.isna(row["printed"]):
            notes.append("")
        elif row["term"] == "fit":
            notes.append("" if has_template else "printed with the template as a further factor")
        elif not np.isfinite(row["coef"]):
            notes.append("separated: the printed value is where the paper's fit stopped, not an estimate")
        elif index in ratio.index and abs(ratio[index] - scale) > tolerance:
            same = rows[comparable & (rows["term"] == row["term"]) & (rows.index != index)]
            near = same[(row["printed"] / same["coef"] - scale).abs() <= tolerance]
            fits = f"; it would fit {' or '.join(near['level'])}" if len(near) else ""
            notes.append(f"out of line: our coefficient times {scale:.2f} is {expected[index]:.2f}{fits}")
        else:
            plain = f"ours has no template term: times {scale:.2f} it is {expected[index]:.2f}"
            notes.append("" if has_template else plain)
    return notes
