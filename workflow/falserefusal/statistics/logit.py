"""Logistic regression on aggregated counts: maximum likelihood with separation, and Firth's penalty.

Counts (n, refusals) by cell carry all that a logit on single responses uses. Levels without any refusal (or with
nothing else) have no finite maximum-likelihood coefficient: the coefficient is -inf (inf), the limit of the fit, and
the rest of the fit is the exact maximum in that limit. Firth's estimate is always finite (Firth 1993, Biometrika 80:27;
Heinze and Schemper 2002, Statistics in Medicine 21:2409).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy.special import expit, xlogy

from falserefusal.common.errors import InputError


class NotFitted(InputError):
    """The input is valid but allows no such fit: too few levels, no refusals, separation, confounded factors."""


@dataclass(frozen=True)
class Design:
    """Main-effects design over cells: `x` (cells, parameters), and the (term, level) of each parameter."""

    x: np.ndarray
    names: list[tuple[str, str]]


@dataclass(frozen=True)
class Fit:
    """Fitted logit; coefficients of separated levels are -inf or inf, without standard errors."""

    names: list[tuple[str, str]]
    coef: np.ndarray
    cov: np.ndarray  # of the finite coefficients, zero elsewhere
    loglik: float  # of the single responses
    null_loglik: float
    mean: np.ndarray  # fitted rate of each cell
    finite: np.ndarray = field(repr=False)
    expected: np.ndarray  # rate of each cell around which the scores of its responses add up to 0 over the study
    df: np.ndarray | float = np.inf  # degrees of freedom of the errors, for each coefficient

    @property
    def se(self) -> np.ndarray:
        """Standard errors; NaN for separated levels."""
        return np.where(self.finite, np.sqrt(np.maximum(np.diag(self.cov), 0)), np.nan)

    @property
    def mcfadden(self) -> float:
        """McFadden's pseudo R squared over single responses: 1 - log-likelihood / log-likelihood of the mean alone."""
        return 1 - self.loglik / self.null_loglik


def dummies(counts: pd.DataFrame, references: Mapping[str, str]) -> Design:
    """Treatment coding: an intercept, then the levels of each factor except its reference.

    Parameters
    ----------
    counts : one row per cell, with the factors as columns.
    references : reference level of each factor, in the order of the factors.

    Raises
    ------
    InputError if a reference is not among the levels.
    """
    columns, names = [np.ones(len(counts))], [("intercept", "")]
    for factor, reference in references.items():
        levels = levels_of(counts[factor])
        if reference not in levels:
            raise InputError(f"regression: the reference {factor} {reference!r} is not among {', '.join(levels)}")
        for level in levels:
            if level != reference:
                columns.append((counts[factor] == level).to_numpy(float))
                names.append((factor, level))
    return Design(np.column_stack(columns), names)


def levels_of(column: pd.Series) -> list[str]:
    """Levels in the order of the categories, or of occurrence."""
    return list((column.sort_values() if isinstance(column.dtype, pd.CategoricalDtype) else column).unique())


def loglik(y: np.ndarray, n: np.ndarray, mean: np.ndarray) -> float:
    """Log-likelihood of single responses from cell counts, without binomial coefficients."""
    return float((xlogy(y, mean) + xlogy(n - y, 1 - mean)).sum())


def fit_logit(design: Design, n: np.ndarray, y: np.ndarray) -> Fit:
    """Fit by maximum likelihood, with the limit of the fit for separated levels.

    A dummy whose cells hold no refusal (only refusals) goes to -inf (inf). Its cells are then fitted perfectly and drop
    out, which may separate another level, and so on.

    Parameters
    ----------
    design : as `dummies` returns it.
    n, y : (cells,) responses and refusals.

    Raises
    ------
    NotFitted if the outcome is constant, the factors are confounded, or a coefficient still diverges (separation by a
    combination of levels).
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
            refusals, responses = y[of_level].sum(), n[of_level].sum()
            if refusals in (0, responses):
                coef[j] = -np.inf if refusals == 0 else np.inf
                finite[j], changed = False, True
                rows &= ~of_level
    null = loglik(y.sum(), n.sum(), y.sum() / n.sum())
    if not 0 < y[rows].sum() < n[rows].sum():
        raise NotFitted("regression: the outcome is constant outside the separated levels; no logit can be fitted")
    kept = x[np.ix_(rows, finite)]
    if np.linalg.matrix_rank(kept) < kept.shape[1]:
        raise NotFitted("regression: the factors are confounded, their coefficients have no unique solution")
    result = sm.GLM(np.column_stack([y, n - y])[rows], kept, family=sm.families.Binomial()).fit(maxiter=200, tol=1e-10)
    if np.abs(result.params).max() > 15 or not result.converged:
        worst = design.names[np.flatnonzero(finite)[np.abs(result.params).argmax()]]
        raise NotFitted(
            f"regression: the coefficient of {' '.join(worst).strip()} diverges: its reference or a combination of "
            "levels has no refusals (or nothing else); choose other reference levels"
        )
    coef[finite] = result.params
    cov = np.zeros((x.shape[1],) * 2)
    cov[np.ix_(finite, finite)] = result.cov_params()
    mean = np.zeros(len(n))
    mean[rows] = result.mu
    with np.errstate(invalid="ignore"):
        mean[~rows] = np.where(n > 0, y / np.maximum(n, 1), 0)[~rows]
    return Fit(design.names, coef, cov, loglik(y, n, mean), null, mean, finite, mean)


def fit_firth(design: Design, n: np.ndarray, y: np.ndarray) -> Fit:
    """Fit with Jeffreys' prior (Firth's penalty), which is finite under any separation.

    Newton steps on the modified score x'(y - n mu + h (1/2 - mu)), with h the hat values and the information of n + h
    responses. The penalty also curves the likelihood: with the information of n alone, steps overshoot, for a cell of
    one response forever. Steps are capped at 3 and halved until the penalised likelihood rises.

    Parameters
    ----------
    design : as `dummies` returns it.
    n, y : (cells,) responses and refusals.

    Returns
    -------
    Fit whose `loglik` is penalised.

    Raises
    ------
    NotFitted if the factors are confounded or 200 steps do not suffice.
    """
    n, y, x = np.asarray(n, float), np.asarray(y, float), design.x
    coef = np.zeros(x.shape[1])
    now = _penalised(x, n, y, coef)
    if now.value == -np.inf:
        raise NotFitted("regression: the factors are confounded, their coefficients have no unique solution")
    for _ in range(200):
        step = _firth_step(x, n, y, now)
        if np.abs(step).max() < 1e-9:
            break
        for _ in range(30):
            new = _penalised(x, n, y, coef + step)
            if new.value >= now.value - 1e-9:
                break
            step /= 2
        coef, now = coef + step, new
    else:
        raise NotFitted("regression: Firth's estimate did not converge in 200 steps")
    cov = np.linalg.inv(now.information)
    null = loglik(y.sum(), n.sum(), y.sum() / n.sum())
    penalty = _hat(x, now) * (0.5 - now.mean)
    expected = now.mean - np.divide(penalty, n, out=np.zeros_like(n), where=n > 0)
    return Fit(design.names, coef, cov, now.value, null, now.mean, np.ones(len(coef), dtype=bool), expected)


class _Penalised(NamedTuple):
    """Firth's fit at some coefficients: mean, x times the weights, information, and the penalised log-likelihood."""

    mean: np.ndarray
    weighted: np.ndarray
    information: np.ndarray
    value: float


def _penalised(x: np.ndarray, n: np.ndarray, y: np.ndarray, coef: np.ndarray) -> _Penalised:
    mean = expit(x @ coef)
    weighted = x * (n * mean * (1 - mean))[:, None]
    information = x.T @ weighted
    sign, logdet = np.linalg.slogdet(information)
    return _Penalised(mean, weighted, information, loglik(y, n, mean) + logdet / 2 if sign > 0 else -np.inf)


def _hat(x: np.ndarray, now: _Penalised) -> np.ndarray:
    """Hat value of each cell."""
    hat: np.ndarray = np.einsum("ij,ij->i", now.weighted, np.linalg.solve(now.information, x.T).T)
    return hat


def _firth_step(x: np.ndarray, n: np.ndarray, y: np.ndarray, now: _Penalised) -> np.ndarray:
    """The Newton step, at most 3 long in each parameter."""
    mean, hat = now.mean, _hat(x, now)
    score = x.T @ (y - n * mean + hat * (0.5 - mean))
    curvature = now.information + x.T @ (x * (hat * mean * (1 - mean))[:, None])
    step: np.ndarray = np.linalg.solve(curvature, score)
    step *= min(1, 3 / max(np.abs(step).max(), 1e-300))
    return step
