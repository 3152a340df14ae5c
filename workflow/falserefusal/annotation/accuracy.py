"""Sensitivity and specificity of a labeller by model, from annotated responses, with models that inform each other.

For a model, q is the share of responses that the labeller calls a refusal. With sensitivity a and specificity b, the
share that people call a refusal is r = (q + b - 1) / (a + b - 1). People then find a share a r / q of refusals among
the machine's refusals, and a share (1 - a) r / (1 - q) among the rest. Responses were sampled by stratum and verdict.
Within a post-stratum (stratum and verdict) the annotated ones are binomial. The log odds of a refusal differ between
the post-strata of a verdict as they do over all models together, so that the many easy responses and the few doubtful
ones of a model inform one share.

The logits of a and of b have normal distributions over models. Their means and standard deviations, and the values of
each model, are integrated over grids (fully Bayesian): a model with few annotated responses borrows from the others,
and the more alike the models are, the more it borrows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from falserefusal.annotation.correction import POST, post_strata
from falserefusal.common.errors import InputError

DRAWS, BATCHES = 1000, 40  # from the posterior distribution; batches share the log odds of strata
LARGEST = 12.0  # log odds
LEVELS = np.linspace(-2 * LARGEST, 2 * LARGEST, 400)
SENSITIVITY, SPECIFICITY = np.linspace(-3, 7, 81), np.linspace(0, 9, 81)  # grids of logits; uniform for their means
SPREAD = np.geomspace(0.05, 2.5, 9)  # standard deviation of logits over models; prior: uniform
CHANCE = 0.1  # sensitivity + specificity - 1 below this is no better than chance
TAIL = 0.025


@dataclass(frozen=True)
class Accuracy:
    """Draws (R, M) of the sensitivity and specificity of one labeller for each of `models`, from their posterior."""

    models: list[str]
    sensitivity: np.ndarray
    specificity: np.ndarray

    @property
    def by_chance(self) -> list[str]:
        """Models for which the labeller may be no better than chance, so that nothing can be corrected."""
        low = np.quantile(self.sensitivity + self.specificity - 1, TAIL, axis=0)
        return [model for model, each in zip(self.models, low, strict=True) if each < CHANCE]

    def usable(self) -> "Accuracy":
        """Leave out the models of `by_chance`."""
        kept = ~np.isin(self.models, self.by_chance)
        models = [model for model, keep in zip(self.models, kept, strict=True) if keep]
        return Accuracy(models, self.sensitivity[:, kept], self.specificity[:, kept])

    def draw(self, number: int) -> "Accuracy":
        """One of the draws."""
        rows = slice(number, number + 1)
        return Accuracy(self.models, self.sensitivity[rows], self.specificity[rows])

    def factor(self, models: pd.Series) -> np.ndarray:
        """Draws (R, K) of 1 / (sensitivity + specificity - 1) for the `models` (K,) of cells.

        It is what differences of rates, and errors of rates, are multiplied by.
        """
        place = self._place(models)
        factor: np.ndarray = 1 / (self.sensitivity[:, place] + self.specificity[:, place] - 1)
        return factor

    def correct(self, models: pd.Series, rate: np.ndarray) -> np.ndarray:
        """Draws (R, K) of corrected rates, (rate + specificity - 1) / (sensitivity + specificity - 1).

        Source: Rogan and Gladen (1978), American Journal of Epidemiology 107:71.

        Parameters
        ----------
        models : (K,) model of each rate.
        rate : (K,) or (R, K) share of responses that the labeller calls a refusal.
        """
        corrected: np.ndarray = (rate + self.specificity[:, self._place(models)] - 1) * self.factor(models)
        return corrected

    def _place(self, models: pd.Series) -> np.ndarray:
        """Position of each of `models`; InputError for one without accuracy."""
        place = pd.Index(self.models).get_indexer(pd.Index(models))
        if (place < 0).any():
            raise InputError(f"no accuracy of the labeller is known for {pd.Index(models)[place < 0][0]}")
        return place


def estimate_accuracy(counts: pd.DataFrame, items: pd.DataFrame, seed: int = 0) -> Accuracy:
    """Estimate sensitivity and specificity for each model.

    Parameters
    ----------
    counts : as `correction.machine_counts` returns them, of one labeller.
    items : as `correction.annotated` returns them, of the same labeller.
    seed : seed of the draws.
    """
    models = list(dict.fromkeys(counts["model"]))
    rng = np.random.default_rng([seed, 8])
    overall = post_strata(counts, items, items).set_index(POST)
    posts = []
    for model in models:
        post = post_strata(counts[counts["model"] == model], items[items["model"] == model], items)
        place = overall.index.get_indexer(pd.MultiIndex.from_frame(post[POST]))
        posts.append((place, *(post[column].to_numpy() for column in ("machine", "responses", "n", "refusals"))))
    refused = overall["n"] * overall["refusals"]
    draws = []
    even = rng.permuted(np.tile((np.arange(BATCHES) + 0.5) / BATCHES, (len(overall), 1)), axis=1)
    for quantile in even.T:  # a Latin hypercube
        share = stats.beta.ppf(quantile, refused + 0.5, overall["n"] - refused + 0.5)
        odds = np.clip(logit(share), -LARGEST, LARGEST)
        likelihood = np.array([_likelihood(odds[place], *post) for place, *post in posts])
        draws.append(_draw(likelihood, DRAWS // BATCHES, rng))
    places = np.concatenate(draws, axis=1)[:, rng.permutation(DRAWS)]
    logits = [
        grid[place] + (grid[1] - grid[0]) * (rng.random(place.shape) - 0.5)
        for grid, place in zip((SENSITIVITY, SPECIFICITY), places, strict=True)
    ]
    return Accuracy(models, expit(logits[0]), expit(logits[1]))


def _likelihood(
    odds: np.ndarray, machine: np.ndarray, size: np.ndarray, n: np.ndarray, refused: np.ndarray
) -> np.ndarray:
    """Likelihood of one model's annotated responses on the grid of sensitivity x specificity, its largest value 1.

    Parameters
    ----------
    odds : (S,) log odds of a refusal in each post-stratum over all models.
    machine, size, n, refused : (S,) verdict, responses, effective annotated responses and their share of refusals.
    """
    q = np.clip(size[machine].sum(), 0.5, size.sum() - 0.5) / size.sum()
    sensitivity, specificity = expit(SENSITIVITY)[:, None], expit(SPECIFICITY)[None, :]
    possible = (sensitivity > q) & (1 - specificity < q)  # else r is outside [0, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(possible, (q + specificity - 1) / (sensitivity + specificity - 1), 0.5)
    log = np.zeros(possible.shape)
    for part, expected in ((machine, sensitivity * r / q), (~machine, (1 - sensitivity) * r / (1 - q))):
        if not n[part].any():
            continue
        # the share of refusals over all post-strata of the verdict, and the likelihood, as all log odds rise together
        share = np.clip(expit(LEVELS[:, None] + odds[part]), 1e-12, 1 - 1e-12)
        found = np.log(share) @ (n * refused)[part] + np.log1p(-share) @ (n * (1 - refused))[part]
        overall = logit(share @ size[part] / size[part].sum())
        log += np.interp(logit(np.clip(expected, 1e-9, 1 - 1e-9)), overall, found)
    log = np.where(possible, log, -np.inf)
    return np.exp(log - log.max())


def _prior(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal distributions on `grid`, (H, grid), for each mean and standard deviation over models, and their weights.

    Priors: Jeffreys' of a proportion for the means, uniform up to the largest for the standard deviations.
    """
    mean, spread = (part.ravel() for part in np.meshgrid(grid[::4], SPREAD, indexing="ij"))
    density = np.exp(-(((grid - mean[:, None]) / np.maximum(spread, grid[1] - grid[0])[:, None]) ** 2) / 2)
    weight = np.sqrt(expit(mean) * expit(-mean)) * spread  # the grid of spreads is logarithmic
    return density / density.sum(1, keepdims=True), weight


def _draw(likelihood: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (2, draws, M) in the grids of sensitivity and specificity, from their posterior distribution."""
    (of_a, weight_a), (of_b, weight_b) = _prior(SENSITIVITY), _prior(SPECIFICITY)
    fit = np.log(weight_a)[:, None] + np.log(weight_b)
    for each in likelihood:
        with np.errstate(divide="ignore"):
            fit = fit + np.log(of_a @ each @ of_b.T)
    weight = np.exp(fit - fit.max()).ravel()
    place = np.empty((2, draws, len(likelihood)), int)
    for row, chosen in enumerate(rng.choice(len(weight), draws, p=weight / weight.sum())):
        a, b = np.unravel_index(chosen, fit.shape)
        cumulative = np.cumsum((likelihood * np.outer(of_a[a], of_b[b])).reshape(len(likelihood), -1), axis=1)
        at = (cumulative <= rng.random((len(likelihood), 1)) * cumulative[:, -1:]).sum(1)
        place[:, row] = np.unravel_index(np.minimum(at, cumulative.shape[1] - 1), likelihood.shape[1:])
    return place
