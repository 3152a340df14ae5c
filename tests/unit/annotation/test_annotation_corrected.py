"""Accuracy of a labeller by model, and effects, importance and claims that are corrected by it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falserefusal.annotation import corrected
from falserefusal.annotation.accuracy import Accuracy, estimate_accuracy
from falserefusal.annotation.corrected import (
    corrected_claims,
    corrected_effects,
    corrected_evidence,
    corrected_importance,
    corrected_tables,
)
from falserefusal.annotation.correction import machine_counts
from falserefusal.annotation.sample import CHOICE, REFUSAL
from falserefusal.common.errors import InputError
from falserefusal.estimation import claims
from falserefusal.estimation.effects import mean_effects, persona_effects
from falserefusal.statistics.gls import fit_personas
from simulation.experiments import Setting, panel
from simulation.label_error import LABELLERS, audited, label_error, mislabel


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Decide claims for a few draws of the accuracy only."""
    monkeypatch.setattr(corrected, "CONCLUSIONS", 4)


WORSE = LABELLERS["four models labelled worse"]


def draw(name, world, calls, seed):
    """Every text with every persona, in one template."""
    rows = range(calls // (len(world.personas) + 1))
    personas = ["baseline", *world.personas]
    frame = pd.DataFrame([(f"r{row}", persona) for row in rows for persona in personas], columns=["row_id", "persona"])
    frame["task"] = [world.tasks[int(row[1:]) % len(world.tasks)] for row in frame["row_id"]]
    frame = frame.assign(text_id=frame["row_id"], block=frame["row_id"], template="p1", format="unforced", model="*")
    return frame.assign(draw=0, interim_look=0)


def setting(world, calls=660, count=1):
    return Setting(draw, world, "crossed", calls, count, 1, 5)


@pytest.fixture(scope="module")
def world():
    return WORSE.world(1)


@pytest.fixture(scope="module")
def true(world):
    return setting("").study(world, 0)


@pytest.fixture(scope="module")
def labelled(true):
    return mislabel(true, WORSE.sensitivity, WORSE.specificity, 3)


def cells(model, positive, negative):
    """Counts and items of a model; positive, negative: responses, annotated, refusals by machine verdict."""
    counts, items = [], []
    for (n, annotated, refused), machine in ((positive, True), (negative, False)):
        post = {"model": model, "stratum": REFUSAL if machine else CHOICE, "machine": machine}
        counts.append(post | {"responses": n})
        items += [post | {"weight": n / annotated, "human": k < refused} for k in range(annotated)]
    return pd.DataFrame(counts), pd.DataFrame(items, columns=["model", "stratum", "machine", "weight", "human"])


def study(*models):
    return tuple(pd.concat(frames, ignore_index=True) for frames in zip(*models, strict=True))


def known(models, sensitivity, specificity):
    shape = (1000, len(models))
    return Accuracy(list(models), np.broadcast_to(sensitivity, shape), np.broadcast_to(specificity, shape))


def test_accuracy_is_weighted_by_the_design():
    # 10% of 9,000 non-refusals are missed refusals, of which only 300 were annotated: sensitivity 0.5
    counts, items = cells("A", (1000, 1000, 900), (9000, 300, 30))
    found = estimate_accuracy(counts, items)
    assert np.median(found.sensitivity) == pytest.approx(0.5, abs=0.03)
    assert np.median(found.specificity) == pytest.approx(8100 / 8200, abs=0.003)
    lo, hi = np.quantile(found.sensitivity, [0.025, 0.975])
    missed = np.array(stats.beta.ppf([0.975, 0.025], 30.5, 270.5)) * 9000
    np.testing.assert_allclose([lo, hi], 900 / (900 + missed), atol=0.03)
    again = estimate_accuracy(counts, items)
    assert (found.sensitivity == again.sensitivity).all()


def test_a_model_without_annotations_takes_its_accuracy_from_the_others():
    others = [cells(name, (400, 100, 95), (600, 100, 10)) for name in "ABCD"]
    counts, items = study(*others, _unannotated("E"))
    found = estimate_accuracy(counts, items)
    middle, width = np.median(found.sensitivity, axis=0), np.ptp(np.quantile(found.sensitivity, [0.1, 0.9], axis=0), 0)
    assert middle[4] == pytest.approx(middle[:4].mean(), abs=0.05)
    assert width[4] > width[:4].max()
    assert found.by_chance == []


def _unannotated(model):
    counts, items = cells(model, (400, 1, 0), (600, 1, 0))
    return counts, items.head(0)


def test_a_model_that_differs_keeps_its_accuracy():
    same = [cells(name, (400, 100, 98), (600, 100, 2)) for name in "ABC"]
    counts, items = study(*same, cells("D", (250, 100, 98), (750, 300, 75)))
    sensitivity = np.median(estimate_accuracy(counts, items).sensitivity, axis=0)
    assert sensitivity[:3] == pytest.approx([0.97] * 3, abs=0.02)
    assert sensitivity[3] == pytest.approx(245 / (245 + 187.5), abs=0.06)


def test_a_perfect_labeller_changes_nothing(world, true):
    fit = fit_personas(true)
    effects = pd.concat([mean_effects(fit), persona_effects(true, fit)], ignore_index=True)
    perfect = known(world.models, 1.0, 1.0)
    found = corrected_effects(fit, effects, perfect)
    np.testing.assert_allclose(found["corrected"], effects["difference"], atol=0.02)
    assert np.median((found["hi"] - found["lo"]) / (effects["hi"] - effects["lo"])) == pytest.approx(1, abs=0.1)
    evidence = claims.gather(panel(world.models), outcomes=true)
    same = corrected_evidence(evidence, perfect)
    np.testing.assert_allclose(same.personas.rate, evidence.personas.rate)
    np.testing.assert_allclose(
        same.personas.moves.T @ same.personas.moves, evidence.personas.moves.T @ evidence.personas.moves, atol=1e-12
    )
    decided = corrected_claims(evidence, perfect)
    assert (decided["uncorrected"] == decided["conclusion"]).all()
    assert not decided["sensitive"].any() and (decided["other"] == 0).all()
    importance = corrected_importance(evidence, perfect)
    np.testing.assert_allclose(importance["estimate"], importance["uncorrected"])


def test_known_accuracy_divides_effects(labelled, world):
    fit = fit_personas(labelled)
    effects = pd.concat([mean_effects(fit), persona_effects(labelled, fit)], ignore_index=True)
    found = corrected_effects(fit, effects, known(world.models, 0.9, 0.6))
    np.testing.assert_allclose(found["corrected"], effects["difference"] / 0.5, atol=0.04)
    rates = claims.gather(panel(world.models), outcomes=labelled).personas
    halved = known(world.models, 0.9, 0.6).correct(rates.cells["model"], rates.rate)[0]
    np.testing.assert_allclose(halved, (rates.rate - 0.4) / 0.5, atol=1e-12)
    with pytest.raises(InputError, match="model-00"):
        known(["other"], 0.9, 0.6).correct(rates.cells["model"], rates.rate)


def test_a_labeller_no_better_than_chance_corrects_nothing(labelled, world):
    fit = fit_personas(labelled)
    effects = pd.concat([mean_effects(fit), persona_effects(labelled, fit)], ignore_index=True)
    sensitivity = np.r_[0.5, np.full(7, 0.9)]
    found = corrected_effects(fit, effects, known(world.models, sensitivity, 0.5))
    bad = found["model"] == "model-00"
    assert found.loc[bad, ["corrected", "lo", "hi"]].isna().all(axis=None)
    assert found.loc[bad, "method"].str.contains("no better than chance").all()
    assert found.loc[~bad, "corrected"].notna().all()
    evidence = claims.gather(panel(world.models), outcomes=labelled)
    tables = corrected_tables(labelled, panel(world.models), known(world.models, 0.5, 0.5), 0)
    assert tables["effects"]["corrected"].isna().all() and tables["importance"].empty
    assert (tables["claims"]["conclusion"] == claims.NOT_TESTABLE).all()
    assert len(corrected_claims(evidence, known(world.models, sensitivity, 0.5))) == len(claims.CLAIMS)


def test_errors_that_differ_between_models_no_longer_look_like_models(true, labelled, world):
    verdicts, items = audited(true, labelled, 600, 1)
    accuracy = estimate_accuracy(machine_counts(verdicts), items)
    evidence = claims.gather(panel(world.models), outcomes=labelled)
    found = corrected_importance(evidence, accuracy).set_index(["factor", "index"])
    model = found.loc[("model", "wasserstein")]
    assert model["uncorrected"] > 0.06 and model["corrected"] < model["uncorrected"] / 2 and model["lo"] < 0.02


def test_a_claim_is_sensitive_if_draws_of_the_accuracy_change_its_conclusion(labelled, world, monkeypatch):
    def rule(evidence):
        high = evidence.personas.rate.mean() > 0.4
        return claims.Finding(claims.SUPPORTED if high else claims.INCONCLUSIVE)

    monkeypatch.setattr(claims, "CLAIMS", (claims.Claim("high", "", "", rule),))
    evidence = claims.gather(panel(world.models), outcomes=labelled)
    every_fourth = np.where(np.arange(1000) % 4 == 0, 0.6, 0.99)[:, None]  # corrected rates of 0.55 and 0.28
    vague = Accuracy(world.models, np.tile(every_fourth, 8), np.full((1000, 8), 0.8))
    (decided,) = corrected_claims(evidence, vague).itertuples()
    assert (decided.conclusion, decided.other, decided.sensitive) == (claims.INCONCLUSIVE, 0.25, True)
    (decided,) = corrected_claims(evidence, known(world.models, 0.99, 0.8)).itertuples()
    assert (decided.other, decided.sensitive) == (0, False)


@pytest.mark.slow
def test_corrected_effects_cover_the_true_ones():
    table = label_error(setting("four models labelled worse", 1320, 16))
    effects = table[(table["kind"] == "effect") & table["quantity"].str.contains("mean over models")]
    covered, n = effects["coverage"].mean(), 16
    assert covered * n >= stats.binom.ppf(0.002, n, 0.95), effects
    assert effects["half_width"].max() < 0.1
