"""The importance table: the paper's cells, run outcomes, degenerate inputs."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.estimation.importance import (
    importance_table,
    sensitivity_from_cells,
    sensitivity_from_outcomes,
    total_order,
)
from simulation.worlds import make_world, respond

PRINTED = {"model": 0.642, "task": 0.378, "persona": 0.168, "prompt": 0.109}


def cells_of(frame):
    """Fill a frame of counts up to the columns of cells."""
    return frame.assign(**{c: "*" for c in ("persona", "template", "format") if c not in frame}, labeller="phrase_list")


@pytest.fixture(scope="module")
def published(root):
    """The paper's cells: 720 by persona, 144 by response format."""
    folder = root / "config" / "published"
    persona = read_csv(folder / "counts_task_model_persona.csv")
    form = read_csv(folder / "format_heatmaps.csv")
    form["refusals"] = (form["n"] * form["refusal_pct"] / 100).round().astype(int)
    columns = ["model", "task", "persona", "template", "format", "labeller", "n", "refusals"]
    return pd.concat([cells_of(persona)[columns], cells_of(form)[columns]], ignore_index=True)


@pytest.fixture(scope="module")
def long(published):
    return sensitivity_from_cells(published, replicates=200, permutations=50)


@pytest.fixture(scope="module")
def wide(long):
    return importance_table(long, PRINTED).set_index(["factor", "scope"])


def test_the_papers_cells(wide):
    known = {("model", "all"): 0.683, ("task", "all"): 0.338, ("persona", "all"): 0.158, ("format", "all"): 0.129}
    known |= {("persona", "offensiveness"): 0.078, ("persona", "nli"): 0.555, ("persona", "politeness"): 0.332}
    known |= {("model", "nli"): 0.865, ("model", "politeness"): 0.738, ("model", "offensiveness"): 0.729}
    for key, value in known.items():
        assert wide.loc[key, "index"] == pytest.approx(value, abs=0.0006), key


def test_printed_values_stand_beside_the_scope_all_only(wide):
    printed = wide["printed"].dropna()
    assert dict(printed) == {
        ("model", "all"): 0.642,
        ("task", "all"): 0.378,
        ("persona", "all"): 0.168,
        ("format", "all"): 0.109,
    }
    assert "nine prompts" in wide.loc[("format", "all"), "method"]


def test_every_factor_has_every_scope(wide):
    assert len(wide) == (1 + 3) + (1 + 16) + 2 * (1 + 3 + 16)
    assert set(wide.xs("model", level="factor").index) == {"all", "nli", "politeness", "offensiveness"}


def test_intervals_hold_the_corrected_value_and_floors_are_small(long):
    some = long.dropna(subset=["estimate"])
    assert (some["lo"] <= some["corrected"] + 1e-12).all() and (some["corrected"] <= some["hi"] + 1e-12).all()
    assert (some["floor_mean"] <= some["floor_q95"]).all()
    everything = some[(some["scope"] == "all") & (some["index"] == "wasserstein")]
    assert (everything["floor_q95"] < 0.01).all()


def test_models_that_never_refuse_are_undefined_not_zero(wide):
    for factor in ("task", "persona", "format"):
        row = wide.loc[(factor, "Qwen2.5-32B")]
        assert np.isnan(row[["index", "lo", "hi", "corrected", "floor_mean"]].astype(float)).all()
        assert row["method"] == "undefined: no refusals"


def test_results_do_not_depend_on_row_order_but_for_the_seed(published, long):
    again = sensitivity_from_cells(published, replicates=200, permutations=50)
    pd.testing.assert_frame_equal(again, long)


def tiny(**changes):
    frame = pd.DataFrame(
        [(m, t, p, 50, k) for m in "AB" for t in ("nli", "offensiveness") for k, p in enumerate(("man", "woman"))],
        columns=["model", "task", "persona", "n", "refusals"],
    )
    return cells_of(frame.assign(**changes))


def test_no_refusals_at_all_is_undefined_everywhere():
    table = sensitivity_from_cells(tiny(refusals=0), replicates=20, permutations=10)
    assert table["estimate"].isna().all()
    assert (table["method"] == "undefined: no refusals").all()


def test_all_refusals_is_undefined_everywhere():
    table = sensitivity_from_cells(tiny(refusals=50), replicates=20, permutations=10)
    assert (table["method"] == "undefined: every response is a refusal").all()


def test_one_level_only():
    cells = tiny()
    table = sensitivity_from_cells(cells[cells["model"] == "A"], replicates=20, permutations=10)
    assert set(table.loc[table["factor"] == "model", "method"]) == {"undefined: one level only"}
    assert table.loc[(table["factor"] == "persona") & (table["scope"] == "all"), "estimate"].notna().all()


def test_a_model_missing_from_a_task_is_no_level_there():
    cells = tiny()
    table = sensitivity_from_cells(
        cells[(cells["model"] != "A") | (cells["task"] != "nli")], replicates=20, permutations=10
    )
    levels = table[(table["index"] == "wasserstein") & (table["factor"] == "model")].set_index("scope")["levels"]
    assert dict(levels) == {"all": 2, "nli": 1, "offensiveness": 2}


def test_baseline_responses_are_not_a_level():
    baseline = tiny().assign(persona="baseline", refusals=0).drop_duplicates(["model", "task"])
    with_baseline = pd.concat([tiny(), baseline], ignore_index=True)
    options = {"replicates": 20, "permutations": 10}
    pd.testing.assert_frame_equal(
        sensitivity_from_cells(with_baseline, **options), sensitivity_from_cells(tiny(), **options)
    )


def test_doubly_counted_cells_are_an_error():
    both = pd.concat([tiny(), tiny().assign(format="forced")], ignore_index=True)
    with pytest.raises(InputError, match="count each response twice"):
        sensitivity_from_cells(both)


def test_two_labellers_are_an_error():
    both = pd.concat([tiny(), tiny().assign(labeller="structured")], ignore_index=True)
    with pytest.raises(InputError, match="one labeller"):
        sensitivity_from_cells(both)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(InputError, match="nothing to compare"):
        sensitivity_from_cells(tiny().assign(persona="*"))


# --- runs


FORMS = {f"p{k + 1}": ("unforced", "semi-forced", "forced")[k // 3] for k in range(9)}
PHRASINGS = {f"p{k + 1}": k % 3 + 1 for k in range(9)}
OPTIONS = {"replicates": 200, "permutations": 60}


def nested(world, rows_per_task=60, draws=10, seed=0, baseline_prompts=True, texts_per_row=1.0):
    """A nested design: each row with random personas and templates, shared by all models, and baseline prompts."""
    rng = np.random.default_rng(seed)
    parts = []
    for task in world.tasks:
        pairs = np.array([rng.choice(15 * 9, draws, replace=False) for _ in range(rows_per_task)])
        row = np.repeat(np.arange(rows_per_task), draws)
        frame = pd.DataFrame({"row_id": [f"{task}r{i}" for i in row]})
        frame["text_id"] = [f"{task}x{int(i * texts_per_row)}" for i in row]
        frame["persona"] = np.array(world.personas)[pairs.ravel() % 15]
        frame["template"] = np.array(world.templates)[pairs.ravel() // 15]
        frame["draw"] = np.tile(np.arange(draws), rows_per_task)
        if baseline_prompts:
            baseline = frame.drop_duplicates(["row_id", "template"]).assign(persona="baseline", draw=-1)
            frame = pd.concat([frame, baseline], ignore_index=True)
        parts.append(frame.assign(task=task))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(format=frame["template"].map(FORMS), block=frame["row_id"], interim_look=0, model="*")


@pytest.fixture(scope="module")
def world():
    return make_world(1, rates=[0.3, 0.15, 0.05, 0.01], persona_sd=0.3, personas=15)


@pytest.fixture(scope="module")
def outcomes(world):
    return respond(nested(world), world, 2)


@pytest.fixture(scope="module")
def run(outcomes):
    return sensitivity_from_outcomes(outcomes, PHRASINGS, **OPTIONS)


def test_a_run_has_the_plug_in_values_of_its_cells(outcomes, run):
    with_persona = outcomes[outcomes["persona"] != "baseline"]
    cells = with_persona.groupby(["model", "task", "persona", "template", "format"], observed=True)["refusal"]
    cells = cells.agg(n="size", refusals="sum").reset_index().assign(labeller="x")
    from_cells = sensitivity_from_cells(cells, **OPTIONS).set_index(["factor", "scope", "index"])["estimate"]
    from_run = run.set_index(["factor", "scope", "index"])["estimate"]
    common = from_cells.index
    assert {"model", "task", "persona", "template", "format"} == set(common.get_level_values(0))
    pd.testing.assert_series_equal(from_cells, from_run[common])


def test_a_run_has_phrasings_interactions_and_totals(run):
    assert (run["factor"] == "phrasing").sum() == 3 * (1 + 3 + 4)
    kinds = set(run.loc[run["index"] == "sobol_interaction", "factor"])
    assert {"model:task", "model:persona", "task:persona", "model:template", "task:format"} <= kinds
    totals = run[run["index"] == "sobol_total"].set_index("factor")["estimate"]
    firsts = run[(run["index"] == "sobol") & (run["scope"] == "all")].set_index("factor")["estimate"]
    assert set(totals.index) == {"model", "persona", "template"}
    assert (totals > firsts[totals.index]).all()
    wide = importance_table(run, PRINTED).set_index(["factor", "scope"])
    assert wide.loc[("template", "all"), "printed"] == 0.109
    assert wide["printed"].notna().sum() == 4


def test_floors_of_a_run_are_higher_than_independent_responses_would_have(outcomes, run):
    """Responses to one text are correlated, so a task or a model without effect looks as if it had one."""
    with_persona = outcomes[outcomes["persona"] != "baseline"]
    cells = with_persona.groupby(["model", "task", "persona"], observed=True)["refusal"].agg(n="size", refusals="sum")
    cells = cells.reset_index().assign(template="*", format="*", labeller="x")
    key = ["factor", "scope", "index"]
    independent, clustered = sensitivity_from_cells(cells, **OPTIONS).set_index(key), run.set_index(key)
    for factor in ("task", "model"):
        row = (factor, "all", "wasserstein")
        assert clustered.loc[row, "floor_mean"] > 1.5 * independent.loc[row, "floor_mean"]
        assert (
            clustered.loc[row, "hi"] - clustered.loc[row, "lo"]
            > independent.loc[row, "hi"] - independent.loc[row, "lo"]
        )


def test_the_floor_is_what_a_factor_without_effect_reaches(world):
    null = make_world(1, rates=[0.3, 0.15, 0.05, 0.01], persona_sd=0.0)
    reached, floors = [], []
    for seed in range(12):
        table = sensitivity_from_outcomes(
            respond(nested(null, seed=seed), null, [5, seed]), replicates=20, permutations=30
        )
        row = table[(table["factor"] == "persona") & (table["scope"] == "all") & (table["index"] == "wasserstein")]
        reached.append(row["estimate"].iloc[0])
        floors.append(row["floor_mean"].iloc[0])
    spread = np.std(reached, ddof=1) / np.sqrt(len(reached))
    assert np.mean(reached) == pytest.approx(np.mean(floors), abs=4 * spread)


def test_same_seed_same_table(outcomes, run):
    pd.testing.assert_frame_equal(sensitivity_from_outcomes(outcomes, PHRASINGS, **OPTIONS), run)


def test_relabelling_a_run_changes_no_estimate(outcomes, run):
    renamed = outcomes.assign(persona=outcomes["persona"].cat.rename_categories(lambda p: p.replace("persona-0", "q")))
    table = sensitivity_from_outcomes(renamed, PHRASINGS, **OPTIONS)
    pd.testing.assert_series_equal(table["estimate"], run["estimate"])


def test_prompts_of_their_own_for_each_model(world):
    """Models that don't share prompts, and one model that stopped early."""
    designs = [nested(world, rows_per_task=20 + 5 * k, seed=k).assign(model=m) for k, m in enumerate(world.models)]
    for k, design in enumerate(designs):
        design["block"] = f"m{k}:" + design["block"]
    table = sensitivity_from_outcomes(respond(pd.concat(designs), world, 3), **OPTIONS)
    some = table[table["index"] == "wasserstein"].dropna(subset=["estimate"])
    assert (some["floor_mean"] > 0).all()
    few = some["method"].str.contains("no interval")
    assert few.any() and some.loc[few, ["lo", "hi", "corrected"]].isna().all(axis=None)
    assert (some.loc[~few, "lo"] <= some.loc[~few, "hi"]).all()


def test_total_order_of_a_small_population_by_hand():
    """Two texts, three personas: text 1 is refused under one persona, text 2 never."""
    frame = pd.DataFrame(
        [("A", "nli", f"x{i}", p, "p1", i == 0 and p == "b") for i in range(2) for p in "abc"],
        columns=["model", "task", "text_id", "persona", "template", "refusal"],
    )
    total = total_order(frame, "persona")
    expected = np.mean([np.var([0, 1, 0]), np.var([0, 0, 0])]) / (1 / 6 * 5 / 6)
    assert total["estimate"] == pytest.approx(expected)
    assert np.isnan(total["lo"]) and "too few refusals, below 40 refused texts" in total["method"]
    again = total_order(pd.concat([frame, frame]), "persona")  # repeats of a prompt count once
    assert again["estimate"] == pytest.approx(expected)
    assert np.isnan(total_order(frame, "template")["estimate"])


def test_limits_of_total_order_are_a_jackknife_over_texts(outcomes):
    frame = outcomes[outcomes["persona"] != "baseline"]
    texts = frame["text_id"].astype(str)
    total = total_order(frame, "persona")
    left_out = np.array([total_order(frame[texts != text], "persona")["estimate"] for text in texts.unique()])
    c = len(left_out)
    corrected = c * total["estimate"] - (c - 1) * left_out.mean()
    assert total["corrected"] == pytest.approx(corrected)
    se = np.sqrt(((left_out - left_out.mean()) ** 2).sum() * (c - 1) / c) / (corrected * (1 - corrected))
    span = np.log(total["hi"] / (1 - total["hi"])) - np.log(total["lo"] / (1 - total["lo"]))
    assert 1.96 <= span / se / 2 < 3
    assert 0 < total["lo"] < total["corrected"] < total["hi"] < 1


def test_one_text_is_not_enough(outcomes):
    with pytest.raises(InputError, match="two texts"):
        sensitivity_from_outcomes(outcomes[outcomes["text_id"] == outcomes["text_id"].iloc[0]])


def test_a_template_without_a_phrasing_is_an_error(outcomes):
    with pytest.raises(InputError, match="template p9: no phrasing"):
        sensitivity_from_outcomes(outcomes, {k: v for k, v in PHRASINGS.items() if k != "p9"}, **OPTIONS)


def test_interactions_and_totals_need_as_many_refused_texts_as_other_indices(outcomes):
    few = outcomes["text_id"].isin(outcomes["text_id"].unique()[:12])
    table = sensitivity_from_outcomes(outcomes.assign(refusal=outcomes["refusal"] & few), PHRASINGS, **OPTIONS)
    some = table.dropna(subset=["estimate"])
    assert {"sobol_interaction", "sobol_total"} <= set(some["index"])
    assert some[["corrected", "lo", "hi"]].isna().all(axis=None)
    assert some["method"].str.contains("too few refusals, below 40 refused texts").all()


@pytest.mark.parametrize("texts", [0, 1, 2, 39, 40])
def test_total_order_alone_needs_40_refused_texts_of_one_model(outcomes, texts):
    frame = outcomes[outcomes["persona"] != "baseline"]
    own = frame["model"] == frame["model"].cat.categories[0]
    names = frame["text_id"].unique()[: 2 * texts]
    chosen = (own & frame["text_id"].isin(names[:texts])) | (~own & frame["text_id"].isin(names[texts:]))
    refused = frame.assign(refusal=chosen & (np.arange(len(frame)) % 3 > 0))
    for factor in ("model", "persona", "template"):
        total = total_order(refused, factor)
        if texts < 40:
            assert np.isnan([total[column] for column in ("corrected", "lo", "hi")]).all()
            assert "too few refusals, below 40 refused texts in every model" in total["method"]
        else:
            assert total["lo"] <= total["corrected"] <= total["hi"] and total["method"] == "jackknife by text"


def test_within_one_model_the_refused_texts_of_that_model_count(outcomes):
    """One model has 12 refused texts, the others many: no interval within it, in words, but over the whole study."""
    own = outcomes["model"] == outcomes["model"].cat.categories[0]
    few = outcomes["text_id"].isin(outcomes["text_id"].unique()[:12])
    table = sensitivity_from_outcomes(outcomes.assign(refusal=outcomes["refusal"] & (few | ~own)), PHRASINGS, **OPTIONS)
    within = table[table["scope"] == outcomes["model"].cat.categories[0]].dropna(subset=["estimate"])
    assert len(within) and within[["corrected", "lo", "hi"]].isna().all(axis=None)
    assert within["method"].str.contains("too few refusals").all()
    whole = table[(table["scope"] == "all") & (table["index"] == "wasserstein")]
    assert whole["lo"].notna().all()


def test_a_run_without_refusals_is_undefined_everywhere(outcomes):
    table = sensitivity_from_outcomes(outcomes.assign(refusal=False), PHRASINGS, **OPTIONS)
    assert table["estimate"].isna().all()
