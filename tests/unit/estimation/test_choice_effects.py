"""Changes of the headline results between a study and one of its choices."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.choices import COLUMNS, RATE, changes, choices_table, own_results, results
from falserefusal.estimation.effects import mean_effects
from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes
from falserefusal.estimation.rates import rates_model_task
from falserefusal.statistics.gls import fit_personas
from synthetic import blocked, frame, judge, nested

MODELS, PERSONAS = ["a", "b"], ["p", "q", "r", "s"]


@pytest.fixture(scope="module")
def outcomes():
    return judge(blocked(60, PERSONAS, 1, tasks=("nli", "politeness")), MODELS, PERSONAS, [0.3, 0.5], 2)[0]


def flipped(outcomes, share, seed=3, towards=None):
    """Outcomes with a share of verdicts changed at random, to `towards` if it is given."""
    hit = np.random.default_rng(seed).random(len(outcomes)) < share
    other = ~outcomes["refusal"] if towards is None else towards
    return outcomes.assign(refusal=np.where(hit, other, outcomes["refusal"]))


def own(outcomes):
    importance = importance_table(sensitivity_from_outcomes(outcomes, replicates=100, permutations=99))
    return own_results(rates_model_task(None, outcomes), importance, mean_effects(fit_personas(outcomes)))


@pytest.mark.parametrize("kind", ["blocked", "nested"])
def test_results_are_those_of_the_tables(outcomes, kind):
    if kind == "nested":
        outcomes = judge(nested(30, 25, PERSONAS, 1, draws=4), MODELS, PERSONAS, [0.3, 0.5], 2)[0]
    found = results(outcomes)
    table = found.rows.assign(estimate=found.estimate).merge(own(outcomes), how="left")
    assert table["default"].notna().all()
    np.testing.assert_allclose(table["estimate"], table["default"], atol=1e-6)


def test_a_choice_that_changes_nothing_has_a_difference_of_exactly_0(outcomes):
    table = changes(outcomes, outcomes.sample(frac=1, random_state=1))
    assert (table["difference"] == 0).all() and (table["verdicts_changed"] == 0).all()
    assert table[["d_lo", "d_hi", "p"]].isna().all().all()  # no interval [0, 0]: the texts are a sample
    assert table["note"].str.contains("no verdict changed in 120 texts; up to 2% of texts could change").any()
    assert (table["rank"].dropna() == table["rank_default"].dropna()).all()


def test_a_rate_changes_by_the_flips_with_the_paired_interval_of_a_textbook(outcomes):
    """One response a text: the interval is Student's of the paired differences."""
    kept = outcomes[(outcomes["draw"] == 0) & (outcomes["model"] == "a") & (outcomes["task"] == "nli")]
    table = changes(kept, flipped(kept, 0.3)).set_index("quantity").loc[RATE].iloc[0]
    step = flipped(kept, 0.3)["refusal"].astype(int) - kept["refusal"].astype(int)
    assert table["difference"] == pytest.approx(step.mean())
    sd = step.std(ddof=1) / np.sqrt(len(step))
    assert table["d_hi"] - table["difference"] == pytest.approx(stats.t.ppf(0.975, len(step) - 1) * sd, rel=0.05)


def test_the_interval_of_a_change_is_narrower_than_that_of_two_samples(outcomes):
    one, two = results(outcomes), results(flipped(outcomes, 0.05))
    apart = np.sqrt((one.moves**2).sum(0) + (two.moves**2).sum(0))
    paired = np.sqrt(((two.moves - one.moves) ** 2).sum(0))
    rate = (one.rows["quantity"] == RATE).to_numpy()
    assert (paired[rate] < 0.5 * apart[rate]).all()


def test_influence_of_the_index_is_that_of_the_bootstrap(outcomes):
    """The jackknife's standard error of a clear index agrees with that from drawing texts anew."""
    found = results(outcomes)
    at = found.rows.index[found.rows["factor"] == "task"][0]
    texts = outcomes["text_id"].astype(str)
    rows = {name: np.flatnonzero(texts == name) for name in texts.unique()}
    by_task = outcomes.groupby(outcomes["task"].astype(str))["text_id"].unique()
    rng, drawn = np.random.default_rng(4), []
    for _ in range(150):
        again = np.concatenate([rows[t] for names in by_task for t in rng.choice(list(names), len(names))])
        part = outcomes.iloc[again]
        part = part[part["persona"] != BASELINE]
        p, mean = part.groupby(part["task"].astype(str))["refusal"].mean(), part["refusal"].mean()
        drawn.append(float((p - mean).abs().mean() / (2 * mean * (1 - mean))))
    assert np.sqrt((found.moves[:, at] ** 2).sum()) == pytest.approx(np.std(drawn), rel=0.25)


def test_intervals_cover_the_change():
    """Of a rate, over samples of texts on which a choice changes one verdict in five, more often to a refusal."""
    design = blocked(30, PERSONAS, 1, tasks=("nli",))
    covered, true = 0, 0.2 * (0.7 - 0.5)  # rate 0.5, changed verdicts become refusals with probability 0.7
    for seed in range(60):
        rng = np.random.default_rng(seed)
        text = rng.random(30) < 0.5  # each text is refused always or never
        one = text[design["block"].to_numpy()]
        hit = (rng.random(30) < 0.2)[design["block"].to_numpy()]  # and changes as a whole
        two = np.where(hit, (rng.random(30) < 0.7)[design["block"].to_numpy()], one)
        sides = [frame(design, ["a"], PERSONAS, side[None]) for side in (one, two)]
        row = changes(*sides).iloc[0]
        covered += (row["d_lo"] <= true <= row["d_hi"]) if np.isfinite(row["d_lo"]) else 1
    assert covered >= 53


def test_an_index_with_few_refusals_has_no_interval(outcomes):
    kept = outcomes[outcomes["block"].isin(outcomes["block"].cat.categories[::6])]
    table = changes(kept, flipped(kept, 0.2))
    importance = table[table["quantity"] == "importance"]
    assert importance["p"].isna().all() and importance["note"].str.contains("too few refusals").all()
    assert importance["difference"].notna().all() and table.loc[table["quantity"] == RATE, "p"].notna().all()


def test_prompts_without_a_verdict_on_one_side_are_left_out(outcomes):
    table = changes(outcomes, outcomes.drop(index=outcomes.index[:3]))
    assert (table["difference"] == 0).all()
    assert table["n"].max() == len(outcomes) - 3
    only_b = changes(outcomes, outcomes[outcomes["model"] == "b"])
    assert set(only_b["model"]) == {"b", "mean", ""}
    other = outcomes.assign(row_id=outcomes["row_id"].astype(str) + "x")
    with pytest.raises(InputError, match="no prompt has a verdict both"):
        changes(outcomes, other)


def test_the_table_corrects_over_all_choices_and_results(outcomes):
    sides = {"": outcomes, "same": outcomes, "noise": flipped(outcomes, 0.1), "more": flipped(outcomes, 0.4, 5, True)}
    table = choices_table(sides, own(outcomes), {"same": 0.0, "noise": 0.1, "more": 0.4})
    assert list(table) == COLUMNS and set(table["choice"]) == {"same", "noise", "more"}
    tested = table["p"].notna()
    assert (table.loc[tested, "p_holm"] >= table.loc[tested, "p"]).all() and table.loc[~tested, "p_holm"].isna().all()
    first = table.loc[table["p"].idxmin()]
    assert first["p_holm"] == pytest.approx(min(1, first["p"] * tested.sum()))
    rates = table[(table["choice"] == "more") & (table["quantity"] == RATE)]
    assert (rates["p_holm"] < 0.05).all() and (rates["d_lo"] > 0).all()
    assert isinstance(table, pd.DataFrame) and table["default"].notna().all()
