"""The stopping rule: exact characteristics against enumeration and simulation, and decisions from interim looks."""

from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation import sequential as sq
from falserefusal.statistics.intervals import clopper_pearson
from synthetic import blocked, judge, nested

MODELS, PERSONAS = ["loud", "quiet"], ["atheist", "man", "woman"]
SLOW = pytest.mark.slow
TARGETS = {"model rate": 0.06, "persona effects": 0.08}
NESTED, _ = judge(nested(300, 200, PERSONAS, 1), MODELS, PERSONAS, [0.45, 0.004], 2)


def up_to(outcomes, rows):
    return outcomes[outcomes["row_id"].astype(str).str.split("-").str[1].astype(int) < rows]


# The rule for one rate, exactly: every outcome of it is enumerated. ALPHA_RATE rests on this.


def operating_characteristics(rate, looks, half_width, alpha=sq.ALPHA_RATE):
    """What the rule does at a true `rate`, by enumeration: coverage, expected n, chance of reaching the last look.

    The rule looks after looks[0] < looks[1] < ... independent responses and stops once the Clopper-Pearson interval of
    level 1 - alpha is no wider than 2 half_width, at the latest at the last look.
    """
    return _characteristics(rate, _stopping_table(looks, half_width, alpha))


def least_coverage(looks, half_width, alpha=sq.ALPHA_RATE, points=None):
    """Smallest coverage of the rule over all rates, and the rate where it happens.

    Coverage as a function of the rate jumps at the end points of the intervals that stopping can report and is smooth
    between; it is evaluated on both sides of each of them and on a grid. By symmetry rates up to 1/2 are enough.
    `points`: only so many end points, for a quick look that may miss the minimum by a few thousandths.
    """
    table = _stopping_table(looks, half_width, alpha)
    ends = []
    reachable = np.ones(1, bool)
    for _, lo, hi, stop, new in table:
        reachable = np.convolve(reachable, np.ones(new + 1)) > 0.5
        ends += [lo[reachable & stop], hi[reachable & stop]]
        reachable &= ~stop
        if not reachable.any():
            break
    ends = np.unique(np.round(np.concatenate(ends), 9))
    ends = ends[(ends > 1e-4) & (ends < 0.5)]
    if points is not None and len(ends) > points:
        ends = ends[np.linspace(0, len(ends) - 1, points).astype(int)]
    rates = np.concatenate([ends - 1e-9, ends + 1e-9, np.geomspace(1e-4, 0.5, 80)])
    coverage = [_characteristics(rate, table)["coverage"] for rate in rates]
    worst = int(np.argmin(coverage))
    return coverage[worst], float(rates[worst])


def _stopping_table(looks, half_width, alpha):
    """(n, lo, hi, stop, new responses) of each look; lo, hi and stop by number of refusals."""
    looks = list(looks)
    table = []
    for n, before in zip(looks, [0, *looks[:-1]], strict=True):
        lo, hi = clopper_pearson(np.arange(n + 1), n, 1 - alpha)
        stop = (hi - lo) / 2 <= half_width + 1e-12
        table.append((n, lo, hi, stop if n < looks[-1] else np.ones(n + 1, bool), n - before))
    return table


def _characteristics(rate, table):
    going, first = np.ones(1), 0  # probabilities of first, first + 1, ... refusals, of paths not stopped yet
    coverage = expected = last = 0.0
    steps = {new: stats.binom.pmf(np.arange(new + 1), new, rate) for new in {new for *_, new in table}}
    for n, lo, hi, stop, new in table:
        going = np.convolve(going, steps[new])
        matter = np.flatnonzero(going > 1e-18)  # the rest is too little to show, and most of the work
        going = going[matter[0] : matter[-1] + 1]
        first += matter[0]
        here = slice(first, first + len(going))
        ended = going * stop[here]
        coverage += ended[(lo[here] <= rate) & (rate <= hi[here])].sum()
        expected += n * ended.sum()
        last = ended.sum() if n == table[-1][0] else 0.0
        going = going - ended
        if going.sum() < 1e-13:
            break
    return {"coverage": coverage, "expected_n": expected, "reaches_last": last}


def test_characteristics_equal_enumeration_of_all_paths():
    looks, half, alpha, p = [3, 5, 7], 0.36, 0.1, 0.15
    coverage = expected = last = 0.0
    for path in range(2**7):
        responses = [(path >> k) & 1 for k in range(7)]
        chance = np.prod([p if a else 1 - p for a in responses])
        for n in looks:
            lo, hi = clopper_pearson(sum(responses[:n]), n, 1 - alpha)
            if (hi - lo) / 2 <= half or n == 7:
                coverage += chance * (lo <= p <= hi)
                expected += chance * n
                last += chance * (n == 7)
                break
    result = operating_characteristics(p, looks, half, alpha)
    assert 0 < last < 1
    assert result == pytest.approx({"coverage": coverage, "expected_n": expected, "reaches_last": last})


def test_one_look_is_the_fixed_sample():
    n, p = 40, 0.11
    lo, hi = clopper_pearson(np.arange(n + 1), n, 1 - sq.ALPHA_RATE)
    mass = [comb(n, s) * p**s * (1 - p) ** (n - s) for s in range(n + 1)]
    result = operating_characteristics(p, [n], 0.5)
    assert result["coverage"] == pytest.approx(sum(m for s, m in enumerate(mass) if lo[s] <= p <= hi[s]))
    assert result["expected_n"] == pytest.approx(n)


def test_expected_sizes_are_those_reported_for_the_rule():
    looks = range(30, 2431, 30)
    sizes = [operating_characteristics(p, looks, 0.02)["expected_n"] for p in (0.001, 0.01, 0.05, 0.1, 0.3)]
    assert [round(size) for size in sizes[:4]] == [124, 184, 575, 1049]
    assert round(sizes[4]) in (2369, 2370)


@pytest.mark.parametrize(
    "step, minimum", [pytest.param(30, 0.9525, marks=SLOW), pytest.param(60, 0.9515, marks=SLOW), (90, 0.9555)]
)
def test_the_shipped_level_covers_after_stopping(step, minimum):
    looks = range(step, 2520 if step > 30 else 2490, step)
    coverage, rate = least_coverage([*looks, 2520], 0.02)
    assert coverage >= 0.95
    assert coverage == pytest.approx(minimum, abs=0.0012)
    assert 0 < rate <= 0.5


def test_uncalibrated_limits_do_not_cover_after_stopping():
    assert least_coverage(range(30, 2431, 30), 0.02, alpha=0.05, points=300)[0] < 0.945


@pytest.mark.slow
@pytest.mark.parametrize("step", [90, 180])
def test_the_shipped_level_covers_for_narrow_targets(step):
    assert least_coverage(range(step, 9721, step), 0.01, points=1500)[0] >= 0.95


def test_interim_table_has_every_quantity_of_every_model():
    targets = {quantity: 0.05 for quantity in sq.LEVELS}
    table = sq.interim_table(NESTED, targets, 3)
    sizes = table.groupby(["model", "quantity"], observed=True).size().unstack()
    assert sizes.loc["loud"].to_dict() == {
        "model rate": 1,
        "task rates": 3,
        "persona rates": 3,
        "any-persona effect": 1,
        "persona effects": 3,
    }
    assert (table["interim_look"] == 3).all()
    assert table["responses"].iloc[0] == (NESTED["model"] == "loud").sum()
    part = NESTED[(NESTED["model"] == "loud") & (NESTED["persona"] != BASELINE) & (NESTED["task"] == "nli")]
    row = table.query("model == 'loud' and quantity == 'task rates' and level == 'nli'").iloc[0]
    assert row["estimate"] == pytest.approx(part["refusal"].mean(), abs=0.02)
    assert row["n"] == len(part)
    assert (table["always_hi"] - table["always_lo"] > table["hi"] - table["lo"]).all()
    assert ((table["lo"] <= table["estimate"] + 1e-9) & (table["estimate"] <= table["hi"] + 1e-9)).all()
    np.testing.assert_allclose(table["half_width"], (table["hi"] - table["lo"]) / 2)


def test_limits_are_wider_than_those_of_a_single_look():
    from falserefusal.estimation.effects import persona_effects

    table = sq.interim_table(NESTED, {"persona effects": 0.05}, 0)
    single = persona_effects(NESTED)
    assert (table["half_width"] > (single["hi"] - single["lo"]) / 2).all()


def test_quiet_models_stop_early_and_stay_frozen():
    tables = [sq.interim_table(up_to(NESTED, rows), TARGETS, k) for k, rows in enumerate([35, 80, 300])]
    decision = sq.decide(tables).set_index("model")
    assert decision.loc["quiet", "met"] and decision.loc["quiet", "interim_look"] < decision.loc["loud", "interim_look"]
    assert decision.loc["quiet", "responses"] < decision.loc["loud", "responses"]
    at = int(decision.loc["quiet", "interim_look"])
    relapse = tables[2].copy()
    relapse.loc[relapse["model"] == "quiet", "met"] = False
    again = sq.decide([*tables[:2], relapse]).set_index("model")
    assert again.loc["quiet", "met"] and again.loc["quiet", "interim_look"] == at
    pd.testing.assert_frame_equal(sq.decide(pd.concat(tables)), sq.decide(tables))


def test_a_target_is_met_by_all_levels_or_not_at_all():
    table = sq.interim_table(NESTED, {"persona effects": 0.5}, 0)
    assert sq.decide(table)["met"].all()
    table.loc[1, "met"] = False
    decision = sq.decide(table).set_index("model")
    assert not decision.loc["loud", "met"] and decision.loc["quiet", "met"]


def test_the_quantity_furthest_from_its_target_is_named():
    table = sq.interim_table(up_to(NESTED, 40), {"model rate": 0.5, "persona effects": 0.01}, 0)
    decision = sq.decide(table).set_index("model").loc["loud"]
    assert decision["quantity"] == "persona effects" and decision["level"] in PERSONAS
    rows = table[(table["model"] == "loud") & (table["quantity"] == "persona effects")]
    assert decision["half_width"] == rows["half_width"].max()


def test_few_texts_meet_nothing():
    few, _ = judge(blocked(20, PERSONAS, 1), ["quiet"], PERSONAS, [0.001], 2)
    assert not sq.interim_table(few, {"model rate": 0.9}, 0)["met"].any()


def test_final_limits_are_calibrated_only_if_the_rule_stopped():
    targets = {"model rate": 0.06, "persona effects": 0.025}
    tables = [sq.interim_table(up_to(NESTED, rows), targets, k) for k, rows in enumerate([35, 80])]
    final = sq.final_limits(tables, last_look=5)
    raw = pd.concat(tables)
    decision = sq.decide(tables).set_index("model")
    assert decision.loc["quiet", "met"] and not decision.loc["loud", "met"]
    for model in MODELS:
        own = final[final["model"] == model].reset_index(drop=True)
        source = raw[
            (raw["model"] == model) & (raw["interim_look"] == decision.loc[model, "interim_look"])
        ].reset_index(drop=True)
        column = "lo" if model == "quiet" else "always_lo"
        np.testing.assert_array_equal(own["lo"], source[column])
    assert final.loc[final["model"] == "quiet", "method"].str.contains("stopped by the rule").all()
    assert final.loc[final["model"] == "loud", "method"].str.contains("not by the rule").all()
    planned = sq.final_limits(tables, last_look=1)
    assert planned.loc[planned["model"] == "loud", "method"].str.contains("all prompts asked").all()


def test_coverage_when_stopping_by_the_rule():
    # nested design, four looks: stop each model once its persona effects are known to 8 points, or at the end
    hit = []
    for seed in range(12):
        effect = np.c_[np.zeros(2), np.random.default_rng([7, seed]).normal(0, 0.3, (2, 3))]
        design = nested(160, 110, PERSONAS, [1, seed])
        outcomes, true_rates = judge(design, MODELS, PERSONAS, [0.45, 0.05], [2, seed], effect)
        looks = [(40, 0), (80, 1), (120, 2), (160, 3)]
        tables = [sq.interim_table(up_to(outcomes, rows), {"persona effects": 0.08}, k) for rows, k in looks]
        final = sq.final_limits(tables, 3)
        mean = true_rates.mean(1)
        target = pd.Series((mean[:, 1:] - mean[:, :1]).ravel(), index=pd.MultiIndex.from_product([MODELS, PERSONAS]))
        true = target.loc[list(zip(final["model"], final["level"], strict=True))].to_numpy()
        hit.append((final["lo"] <= true) & (true <= final["hi"]))
    assert np.mean(hit) >= 0.9


@pytest.mark.parametrize("value", [False, True])
def test_models_that_never_or_always_refuse_are_decided(value):
    table = sq.interim_table(NESTED.assign(refusal=value), TARGETS, 0)
    assert not table[["estimate", "lo", "hi", "always_lo", "always_hi"]].isna().any(axis=None)
    assert (table["half_width"] > 0).all() and sq.decide(table)["met"].all()


def test_bad_targets_and_missing_looks_are_errors():
    for targets in ({}, {"nonsense": 0.1}, {"model rate": 2}, {"model rate": "wide"}, {"model rate": 0}):
        with pytest.raises(InputError):
            sq.interim_table(NESTED, targets, 0)
    with pytest.raises(InputError, match="no interim look"):
        sq.decide(pd.DataFrame())
    broken = sq.interim_table(NESTED, TARGETS, 0)
    broken.loc[0, "half_width"] = np.nan
    with pytest.raises(InputError, match="half-width"):
        sq.decide(broken)
    with pytest.raises(InputError, match="baseline"):
        sq.interim_table(NESTED[NESTED["persona"] != BASELINE], TARGETS, 0)
