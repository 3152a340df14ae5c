"""How far a study's results move under the sensitivity and specificity that its labeller had elsewhere.

Without annotations, nothing is known about the labeller's errors in a study. But they were measured on other responses
(config/labelling/accuracy.csv, made by benchmarks/labeller_accuracy.py). Here each model's sensitivity and specificity
vary over the range of those sets, each model on its own. Rates and effects have exact limits, because each falls or
rises with each accuracy. The importance of factors and the claims are computed for many combinations of accuracies:
the ends of the range, the same for all models and different for two halves of them, and random ones.

Estimates are those of `corrected`. As there, a labeller is taken to err alike with any persona and without one.
"""

from itertools import product

import numpy as np
import pandas as pd

from falserefusal.annotation.accuracy import Accuracy
from falserefusal.annotation.corrected import corrected_evidence, corrected_importance
from falserefusal.common.schemas import ANY_PERSONA
from falserefusal.estimation import claims
from falserefusal.estimation.claims import Evidence, NotTestable

ENDS, INSIDE = 10, 20  # random combinations: of the ends of the range, and within it
COLUMNS = ["quantity", "level", "estimate", "lowest", "highest", "unit", "conclusion", "other", "share", "overturned"]
COLUMNS += ["sets", "note"]
SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"
MEAN_RATE, RATE, EFFECT = "mean refusal rate", "refusal rate", "mean persona effect"
IMPORTANCE, ORDER, CLAIM = "importance", "order of factors", "claim"
PROPORTION = "proportion"
SEPARATOR = " | "  # of the names of sets


def labeller_range(evidence: Evidence, measured: pd.DataFrame, labeller: str, seed: int = 0) -> pd.DataFrame:
    """How far each headline, and the conclusion of each claim, moves under the measured range of accuracies.

    Parameters
    ----------
    evidence : as `claims.gather` returns it, from the labeller's verdicts.
    measured : frame of LABELLER_ACCURACY: the accuracy of labellers in sets of other responses.
    labeller : the study's first labeller.
    seed : seed of the random combinations.

    Returns
    -------
    Columns quantity, level, estimate, lowest, highest (of the estimate, sampling errors left out), unit, conclusion,
    other (conclusions or orders that occur in the range), share (of the random combinations with another one),
    overturned (whether any combination has another one), sets (number of sets behind the range), note (their names).
    The rows sensitivity and specificity give the range itself; without a measured accuracy of `labeller` they are the
    only rows, and empty.
    """
    known = measured[measured["labeller"] == labeller]
    rows = [_known(known, labeller, measure) for measure in (SENSITIVITY, SPECIFICITY)]
    if known.empty:
        return pd.DataFrame(rows).reindex(columns=COLUMNS)
    bounds = Bounds.of(evidence, known)
    drawn = combinations(bounds, evidence.models, seed)
    rows += [*_rates(evidence, bounds), *_effects(evidence, bounds), *_importance(evidence, drawn)]
    rows += _claims(evidence, drawn)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _known(known: pd.DataFrame, labeller: str, measure: str) -> dict:
    """The row of the range of one measure."""
    sets = known.dropna(subset=measure)
    named = [
        f"{row.set}, {row.model}: {row.responses} responses, {row.refusals} of them refusals; used to develop the "
        f"labeller: {row.developed}"
        for row in sets.itertuples()
    ]
    row = {"quantity": measure, "level": labeller, "unit": PROPORTION, "sets": len(sets), "note": SEPARATOR.join(named)}
    return row | {"lowest": sets[measure].min(), "highest": sets[measure].max()}


class Bounds:
    """Lowest and highest (2, M) sensitivity and specificity of each of `models`, and their rates by task.

    Attributes
    ----------
    models : names of the models.
    rates : (M, T) share of a task's responses that the labeller calls a refusal; NaN without responses.
    sensitivity, specificity : (2, M) lowest and highest value.
    """

    def __init__(self, models: list[str], rates: pd.DataFrame, sensitivity: np.ndarray, specificity: np.ndarray):
        self.models, self.rates = models, rates
        self.sensitivity, self.specificity = sensitivity, specificity

    @classmethod
    def of(cls, evidence: Evidence, known: pd.DataFrame) -> "Bounds":
        """Bounds of a study's models: the range in the sets of `known`, as far as the model's rates allow it.

        The false refusals of a model are at most its refusals, so 1 - specificity is at most its lowest rate of a
        task, and its sensitivity at least the highest one. No rate of a task is corrected beyond 0 or 1.
        """
        sums = evidence.personas.cells.groupby(["model", "task"], sort=False, observed=True)[["n", "refusals"]].sum()
        rates = (sums["refusals"] / sums["n"]).unstack("task", sort=False)
        models = list(rates.index)
        highest, lowest = rates.max(axis=1).to_numpy(float), rates.min(axis=1).to_numpy(float)
        sensitivity = [np.maximum(end, highest) for end in (known[SENSITIVITY].min(), known[SENSITIVITY].max())]
        specificity = [np.maximum(end, 1 - lowest) for end in (known[SPECIFICITY].min(), known[SPECIFICITY].max())]
        return cls(models, rates, np.array(sensitivity), np.array(specificity))

    def corners(self) -> np.ndarray:
        """Positions (4, 2) of the ends: first of sensitivity, second of specificity."""
        return np.array(list(product((0, 1), repeat=2)))

    def at(self, places: np.ndarray) -> Accuracy:
        """Accuracy at `places` (R, M, 2) between the lowest (0) and the highest (1) sensitivity and specificity."""
        a, b = ((1 - places[..., k]) * ends[0] + places[..., k] * ends[1] for k, ends in enumerate(self._ends))
        return Accuracy(self.models, a, b)

    @property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        return self.sensitivity, self.specificity


def combinations(bounds: Bounds, models: pd.DataFrame, seed: int) -> Accuracy:
    """Accuracies (R, M) to try: the last INSIDE rows are uniform in the range, the others are at its ends.

    Ends are the same for all models, or one for the half of the models with the lower rates (or capabilities) and one
    for the other half, which makes differences between models as large, or as small, as they can become; and random.
    """
    count, corners = len(bounds.models), bounds.corners()
    rates = bounds.rates.mean(axis=1)
    orders = [rates] + ([models.set_index("model")["capability"]] if "capability" in models else [])
    places = [np.broadcast_to(corner, (count, 2)) for corner in corners]
    for order in orders:
        upper = order.reindex(bounds.models).rank(method="first").to_numpy() > count / 2
        for low, high in product(corners, repeat=2):
            if (low != high).any():
                places.append(np.where(upper[:, None], high, low))
    rng = np.random.default_rng([seed, 11])
    ends, inside = rng.integers(0, 2, (ENDS, count, 2)), rng.random((INSIDE, count, 2))
    return bounds.at(np.concatenate([np.unique(np.array(places), axis=0), ends, inside]).astype(float))


def _limits(bounds: Bounds, rates: np.ndarray) -> np.ndarray:
    """Lowest and highest corrected rate (2, M, T) of `rates` (M, T): it rises with specificity, falls with sensitivity.

    It rises with specificity as long as the rate is below the sensitivity (Rogan and Gladen 1978).
    """
    found = []
    for a, b in ((bounds.sensitivity[1], bounds.specificity[0]), (bounds.sensitivity[0], bounds.specificity[1])):
        found.append((rates + b[:, None] - 1) / (a + b - 1)[:, None])
    return np.clip(found, 0, 1)


def _rates(evidence: Evidence, bounds: Bounds) -> list[dict]:
    """Rows of the mean rate over models in each task, and of each model's rate in each task."""
    rates = bounds.rates.to_numpy(float)
    lowest, highest = _limits(bounds, rates)
    rows = []
    for k, task in enumerate(bounds.rates.columns):
        row = {"quantity": MEAN_RATE, "level": task, "unit": PROPORTION, "estimate": np.nanmean(rates[:, k])}
        rows.append(row | {"lowest": np.nanmean(lowest[:, k]), "highest": np.nanmean(highest[:, k])})
    for j, model in enumerate(bounds.models):
        for k, task in enumerate(bounds.rates.columns):
            row = {"quantity": RATE, "level": f"{model}, {task}", "unit": PROPORTION, "estimate": rates[j, k]}
            rows.append(row | {"lowest": lowest[j, k], "highest": highest[j, k]})
    return [row for row in rows if np.isfinite(row["estimate"])]


def _effects(evidence: Evidence, bounds: Bounds) -> list[dict]:
    """Rows of the persona effects averaged over models; none without a baseline.

    A difference of rates is divided by sensitivity + specificity - 1 of its model.
    """
    if evidence.baseline is None:
        return []
    by_model = evidence.personas.cells.assign(rate=evidence.personas.rate).groupby(["model", "persona"], sort=False)
    rates = by_model["rate"].mean().unstack("persona", sort=False).reindex(bounds.models)
    baseline = evidence.baseline.cells.assign(rate=evidence.baseline.rate).groupby("model")["rate"].mean()
    differences = rates.sub(baseline.reindex(bounds.models), axis=0)
    differences.insert(0, ANY_PERSONA, differences.mean(axis=1))
    least, most = (1 / (bounds.sensitivity[end] + bounds.specificity[end] - 1) for end in (1, 0))
    rows = []
    for persona, column in differences.items():
        ends = np.array([column * least, column * most])
        row = {"quantity": EFFECT, "level": persona, "unit": PROPORTION, "estimate": column.mean()}
        rows.append(row | {"lowest": np.nanmean(ends.min(0)), "highest": np.nanmean(ends.max(0))})
    return rows


def _importance(evidence: Evidence, drawn: Accuracy) -> list[dict]:
    """Rows of each factor's importance and of the order of the factors; none with gaps, or if nothing is refused."""
    try:
        estimate = _indices(evidence, Accuracy(drawn.models, *np.ones((2, 1, len(drawn.models)))))
    except NotTestable:
        return []
    if estimate.isna().any():
        return []
    found = [_indices(evidence, drawn.draw(number)) for number in range(len(drawn.sensitivity))]
    together = pd.DataFrame(found)
    rows = [
        {"quantity": IMPORTANCE, "level": factor, "unit": "Wasserstein index", "estimate": estimate[factor]}
        | {"lowest": together[factor].min(), "highest": together[factor].max()}
        for factor in estimate.index
    ]
    orders = [_order(each) for each in found]
    return [*rows, {"quantity": ORDER, "level": ""} | _compared(_order(estimate), orders)] if len(rows) > 1 else rows


def _indices(evidence: Evidence, accuracy: Accuracy) -> pd.Series:
    """Wasserstein index of each factor."""
    table = corrected_importance(evidence, accuracy)
    return table[table["index"] == "wasserstein"].set_index("factor")["estimate"]


def _order(index: pd.Series) -> str:
    """Factors from the most to the least important."""
    return " > ".join(index.sort_values(ascending=False, kind="stable").index)


def _claims(evidence: Evidence, drawn: Accuracy) -> list[dict]:
    """Rows of the claims: the effect's range and the conclusions that occur."""
    plain = [claims.decide(claim, evidence) for claim in claims.CLAIMS]
    open_claims = [k for k, each in enumerate(plain) if each.conclusion != claims.NOT_TESTABLE]
    found: dict[int, list[claims.Finding]] = {k: [] for k in open_claims}
    for number in range(len(drawn.sensitivity) if open_claims else 0):
        corrected = corrected_evidence(evidence, drawn.draw(number))
        for k in open_claims:
            found[k].append(claims.decide(claims.CLAIMS[k], corrected))
    rows = []
    for k, claim in enumerate(claims.CLAIMS):
        row = {"quantity": CLAIM, "level": claim.name, "unit": plain[k].unit, "estimate": plain[k].effect}
        row |= {"conclusion": plain[k].conclusion, "overturned": False}
        if k in found:
            effects = np.array([each.effect for each in found[k]])
            if np.isfinite(effects).any():
                row |= {"lowest": np.nanmin(effects), "highest": np.nanmax(effects)}
            row |= _compared(plain[k].conclusion, [each.conclusion for each in found[k]])
        rows.append(row)
    return rows


def _compared(plain: str, found: list[str]) -> dict:
    """What a conclusion or order becomes in the range: the others, how frequent they are, and whether there is one."""
    others = sorted(set(found) - {plain})
    share = float(np.mean([each != plain for each in found[-INSIDE:]]))
    return {"conclusion": plain, "other": ", ".join(others), "share": share, "overturned": bool(others)}
