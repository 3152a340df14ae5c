"""Claims: every conclusion reached in clear-cut worlds, the paper's own cells, and what is not testable."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binom

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.estimation.claims import (
    CLAIMS,
    COLUMNS,
    _screen_against_mean,
    claims_table,
    decide,
    gather,
)
from falserefusal.statistics.intervals import wilson_rare
from simulation.worlds import make_world, respond

TASKS = ("nli", "politeness", "offensiveness")
FORMATS = ("unforced", "semi-forced", "forced")
PERSONAS = [f"persona-{k:02d}" for k in range(15)]


def models_of(n, families=("Alpha", "Beta")):
    """Half of each family's models are of its older generation; capability rises with the index."""
    names = [f"model-{k:02d}" for k in range(n)]
    family = [families[k * len(families) // n] for k in range(n)]
    table = pd.DataFrame({"model": names, "family": family, "capability": np.linspace(10, 90, n)})
    place, size = table.groupby("family").cumcount(), table.groupby("family")["model"].transform("size")
    return table.assign(generation=table["family"] + np.where(place < size / 2, "1", "2"))


def cells_of(eta, n=20_000):
    """Cells by persona and by format with rates expit(eta), eta (models, tasks, personas, formats)."""
    rate = expit(eta)
    levels = [models_of(eta.shape[0])["model"], TASKS[: eta.shape[1]], PERSONAS[: eta.shape[2]]]
    index = pd.MultiIndex.from_product(levels, names=["model", "task", "persona"])
    by_persona = pd.DataFrame({"refusals": rate.mean(-1).ravel() * n}, index=index).reset_index().assign(format="*")
    index = pd.MultiIndex.from_product([*levels[:2], FORMATS], names=["model", "task", "format"])
    by_format = pd.DataFrame({"refusals": rate.mean(2).ravel() * n}, index=index).reset_index().assign(persona="*")
    cells = pd.concat([by_persona, by_format], ignore_index=True).assign(n=n, template="*", labeller="x")
    return cells.assign(refusals=cells["refusals"].round().astype(int))


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def conclusion(name, cells, models):
    claim = next(claim for claim in CLAIMS if claim.name == name)
    return vars(decide(claim, gather(models, cells)))


@pytest.fixture(scope="module")
def published(root):
    folder = root / "config" / "published"
    persona = read_csv(folder / "counts_task_model_persona.csv").assign(format="*")
    form = read_csv(folder / "format_heatmaps.csv").assign(persona="*")
    form["refusals"] = (form["n"] * form["refusal_pct"] / 100).round().astype(int)
    cells = pd.concat([persona, form], ignore_index=True).drop(columns="refusal_pct")
    return claims_table(
        read_csv(root / "config" / "models.csv"), cells=cells.assign(template="*", labeller="phrase_list")
    )


def test_the_papers_cells(published):
    assert list(published.columns) == COLUMNS
    assert list(published["claim"]) == [claim.name for claim in CLAIMS]
    table = published.set_index("claim")
    assert table.loc["model and task over persona", "conclusion"] == "supported"
    assert "model 27" in table.loc["model and task over persona", "note"]
    assert table.loc["personas raise refusal", "conclusion"] == "supported"
    assert "Llama2-7B, black" in table.loc["personas raise refusal", "note"]
    assert "no baseline responses" in table.loc["personas raise refusal", "note"]
    assert table.loc["sensitive tasks", "conclusion"] == "supported"
    assert table.loc["sensitive tasks", "effect"] == pytest.approx(14.68 - 1.37, abs=0.02)
    assert table.loc["newer generations", "conclusion"] == "inconclusive"  # Gemma's newer models refuse more
    assert "below 0 in Gemma" in table.loc["newer generations", "note"]
    assert "Llama2-13B" in table.loc["unforced formats", "note"]
    assert (table["n"] == 2_032_160).all()
    assert (table["lo"] <= table["effect"]).all() and (table["effect"] <= table["hi"]).all()


def spread_world(scale, rates=None):
    """16 models whose personas differ by `scale` (log-odds), around the same or the given log-odds."""
    base = np.full(16, -2.0) if rates is None else rates
    eta = base[:, None] + np.asarray(scale)[:, None] * noise(1, 16, 15)
    return cells_of(np.broadcast_to(eta[:, None, :, None], (16, 3, 15, 3)))


def test_capability_supported_contradicted_and_rate_driven():
    models, falling = models_of(16), np.linspace(1.0, 0.1, 16)
    assert conclusion("capability", spread_world(falling), models)["conclusion"] == "supported"
    assert conclusion("capability", spread_world(falling), models)["effect"] < -1
    assert conclusion("capability", spread_world(falling[::-1]), models)["conclusion"] == "contradicted"
    equal = conclusion("capability", spread_world(np.full(16, 0.4)), models)
    assert equal["conclusion"] == "inconclusive"
    none = conclusion("capability", spread_world(np.zeros(16), np.linspace(-1, -6, 16)), models)
    assert none["conclusion"] == "inconclusive" and "no detectable difference" in none["note"]


def test_capability_needs_scores_and_refusals():
    cells = spread_world(np.full(16, 0.4))
    models = models_of(16)
    some = models.assign(capability=models["capability"].where(models.index < 4))
    assert conclusion("capability", cells, some)["conclusion"] == "not testable"
    assert "4 models have a capability score" in conclusion("capability", cells, some)["note"]
    rare = cells.assign(refusals=cells["refusals"].where(cells["model"] < "model-03", 0))
    assert "3 models have 10 refusals" in conclusion("capability", rare, models)["note"]
    assert "same capability" in conclusion("capability", cells, models.assign(capability=50.0))["note"]


def test_capability_is_permuted_within_families():
    """A trend between families only is no evidence; families of one model each are the units."""
    scale = np.repeat([1.0, 0.3], 8)
    row = conclusion("capability", spread_world(scale), models_of(16))
    assert row["conclusion"] == "inconclusive" and row["lo"] < 0 < row["hi"] and "within families" in row["note"]
    alone = models_of(16).assign(family=[f"F{k}" for k in range(16)])
    row = conclusion("capability", spread_world(np.linspace(1.0, 0.1, 16)), alone)
    assert row["conclusion"] == "supported" and row["hi"] < 0 and row["p"] <= 0.05
    assert "over the 16 models without relatives" in row["note"]


def test_capability_needs_enough_ways_to_assign_it():
    pairs = models_of(16).assign(family=[f"F{k // 4}" for k in range(16)])
    twins = pairs.assign(capability=np.repeat([10.0, 30, 50, 70], 4))
    row = conclusion("capability", spread_world(np.linspace(1.0, 0.1, 16)), twins)
    assert row["conclusion"] == "not testable" and "only 1 ways; p <= .05 needs 40" in row["note"]
    assert conclusion("capability", spread_world(np.linspace(1.0, 0.1, 16)), pairs)["conclusion"] != "not testable"


@pytest.mark.parametrize("case", range(3))
def test_capability_keeps_its_level_where_effects_and_rates_cluster_by_family(root, case, monkeypatch):
    """40 studies of the paper's panel for each case: neither conclusion in more than chance at 2.5% allows."""
    monkeypatch.setattr("falserefusal.statistics.trend.PERMUTATIONS", 499)
    models = read_csv(root / "config" / "models.csv").assign(model=models_of(16)["model"])
    family = pd.factorize(models["family"])[0]
    found = []
    for study in range(40):
        rng = np.random.default_rng([case, study])
        own = [0.0, 0.1, 0.4][case]
        effect = own * rng.standard_normal((16, 15)) + (rng.standard_normal((3, 15)) * [[0.8], [0.2], [0.5]])[family]
        eta = np.array([-1.0, -3.0, -2.0])[family][:, None] + effect
        cells = cells_of(np.broadcast_to(eta[:, None, :, None], (16, 3, 15, 3)), 600)
        rate = (cells["refusals"] / cells["n"]).to_numpy()
        row = conclusion("capability", cells.assign(refusals=rng.binomial(600, rate)), models)
        assert (row["conclusion"] == "supported") <= (row["p"] <= 0.05) and (row["p"] <= 0.05) == (row["hi"] < 0)
        found.append(row["conclusion"])
    assert "not testable" not in found
    for wrong in ("supported", "contradicted"):
        assert binom.sf(found.count(wrong) - 1, 40, 0.025) > 0.001


def test_personas_raise_refusal():
    models = models_of(4)
    flat = np.full((4, 3, 15, 3), -2.0)
    none = conclusion("personas raise refusal", cells_of(flat, 200_000), models)
    assert none["conclusion"] == "contradicted" and none["effect"] < 1
    assert conclusion("personas raise refusal", cells_of(flat, 300), models)["conclusion"] == "inconclusive"
    one = flat.copy()
    one[2, :, 7] += 0.5
    found = conclusion("personas raise refusal", cells_of(one), models)
    assert found["conclusion"] == "supported" and "model-02, persona-07" in found["note"] and "1 of 60" in found["note"]


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_personas_against_their_mean_at_few_refusals(refusals):
    """A persona with 0 to 2 refusals in 3 x 300 responses: limits as wide as Wilson's, no normal p-value."""
    cells = cells_of(np.full((2, 3, 15, 3), -40.0), 300)
    one = (cells["model"] == "model-00") & (cells["persona"] == "persona-07") & (cells["task"] == "nli")
    other = (cells["model"] == "model-01") & (cells["persona"] == "persona-01") & (cells["task"] == "nli")
    cells.loc[one, "refusals"], cells.loc[other, "refusals"] = refusals, 1
    table = _screen_against_mean(gather(models_of(2), cells)).set_index(["model", "persona"])
    row, level = table.loc[("model-00", "persona-07")], 1 - 2 * 0.05 / 30
    _, high = wilson_rare([refusals, 0], 300, level)
    own, none = refusals / 300, high[1]
    # the own task's step, two tasks without refusals, and 14 other personas of three tasks
    above = np.sqrt(((high[0] - own) ** 2 + 2 * none**2) * (14 / 15) ** 2) / 3
    assert row["hi_family"] == pytest.approx(row["difference"] + above, rel=1e-6)
    assert row["lo_family"] < 0 and row["p_family"] > 0.05
    claim = conclusion("personas raise refusal", cells, models_of(2))
    assert claim["conclusion"] == "inconclusive" and claim["lo"] < 0 and claim["p"] > 0.05


def test_interval_and_p_of_the_persona_claim_agree():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cells = cells_of(np.broadcast_to((-4 + 0.25 * noise(seed, 3, 1, 15))[..., None], (3, 3, 15, 3)), 500)
        row = conclusion("personas raise refusal", cells.assign(refusals=rng.poisson(cells["refusals"])), models_of(3))
        assert (row["conclusion"] == "supported") == (row["p"] <= 0.05) == (row["lo"] > 0)


def test_model_and_task_over_persona():
    models = models_of(6)
    strong, weak = noise(2, 6), 0.1 * noise(3, 15)
    step = np.array([-1.0, 0.0, 1.0])
    eta = -2 + strong[:, None, None] + step[None, :, None] + weak
    shape = (6, 3, 15, 3)
    row = conclusion("model and task over persona", cells_of(np.broadcast_to(eta[..., None], shape)), models)
    assert row["conclusion"] == "supported" and row["lo"] > 0
    eta = -2 + 0.1 * strong[:, None, None] + step[None, :, None] + 10 * weak
    row = conclusion("model and task over persona", cells_of(np.broadcast_to(eta[..., None], shape)), models)
    assert row["conclusion"] == "contradicted" and row["hi"] < 0


def test_overestimation():
    models = models_of(6)
    shape = (6, 3, 15, 3)
    varied = -2 + 0.6 * noise(4, 6, 3, 15)  # another effect in every model and task: the average is small
    row = conclusion("overestimation", cells_of(np.broadcast_to(varied[..., None], shape)), models)
    assert row["conclusion"] == "supported"
    same = np.broadcast_to((-1 + 0.8 * noise(5, 15))[None, None, :, None], shape)
    row = conclusion("overestimation", cells_of(same), models)
    assert row["conclusion"] == "contradicted" and row["effect"] == pytest.approx(1, abs=0.05)


def test_interval_and_p_of_the_ratio_agree():
    for seed in range(20):
        effects = 0.3 * noise(seed, 6, 3, 15) + 0.25 * noise(100 + seed, 15)
        cells = cells_of(np.broadcast_to(-2 + effects[..., None], (6, 3, 15, 3)), 400)
        cells = cells.assign(refusals=np.random.default_rng(seed).binomial(400, cells["refusals"] / 400))
        row = conclusion("overestimation", cells, models_of(6))
        assert (row["conclusion"] == "supported") == (row["p"] <= 0.05) == (row["lo"] > 1.5)
        assert row["lo"] <= row["effect"] <= row["hi"]


def test_cells_with_baseline_responses_compare_with_those():
    models, cells = models_of(6), cells_of(np.full((6, 3, 15, 3), -1.0))
    baseline = cells[cells["persona"] == "persona-00"].assign(persona="baseline", refusals=2000)
    row = conclusion("overestimation", pd.concat([cells, baseline], ignore_index=True), models)
    assert "without a persona" in row["note"]
    assert row["conclusion"] == "contradicted"  # every persona raises refusal alike, in every model and task


def test_newer_generations_and_families_that_disagree():
    models = models_of(12, ("Alpha", "Beta", "Gamma"))
    older = models["generation"].str.endswith("1").to_numpy()
    shape = (12, 3, 15, 3)

    def world(older):
        return cells_of(np.broadcast_to(np.where(older, -1.0, -2.0)[:, None, None, None], shape))

    row = conclusion("newer generations", world(older), models)
    assert row["conclusion"] == "supported"
    assert row["effect"] == pytest.approx(100 * (expit(-1) - expit(-2)), abs=0.01)
    assert conclusion("newer generations", world(~older), models)["conclusion"] == "contradicted"
    mixed = np.where(models["family"] == "Alpha", older, ~older)
    assert conclusion("newer generations", world(mixed), models)["conclusion"] == "inconclusive"
    alone = models.assign(generation=models["family"])
    assert conclusion("newer generations", world(older), alone)["conclusion"] == "not testable"
    two = models.assign(family=models["family"].replace("Gamma", "Beta"))
    row = conclusion("newer generations", world(older), two)
    assert row["conclusion"] == "not testable" and "needs 3 families" in row["note"] and "has 2" in row["note"]


def test_unforced_formats():
    models = models_of(4)
    up = np.broadcast_to(np.array([-1.0, -2.0, -2.0]), (4, 3, 15, 3))
    assert conclusion("unforced formats", cells_of(up), models)["conclusion"] == "supported"
    assert conclusion("unforced formats", cells_of(up[..., ::-1]), models)["conclusion"] == "contradicted"
    down = np.broadcast_to(np.array([-2.0, -1.0, -1.0]), (4, 3, 15, 3))
    assert conclusion("unforced formats", cells_of(down), models)["conclusion"] == "contradicted"
    cells = cells_of(up)
    row = conclusion("unforced formats", cells[cells["model"] < "model-02"], models)
    assert row["conclusion"] == "not testable" and "needs 3 models that can be compared" in row["note"]
    assert conclusion("unforced formats", cells[cells["format"] == "*"], models)["conclusion"] == "not testable"
    assert "needs the formats" in conclusion("unforced formats", cells[cells["format"] != "forced"], models)["note"]


def test_sensitive_tasks():
    models = models_of(4)
    steps = np.array([-3.0, -2.0, -1.0])[None, :, None, None]
    assert (
        conclusion("sensitive tasks", cells_of(np.broadcast_to(steps, (4, 3, 15, 3))), models)["conclusion"]
        == "supported"
    )
    row = conclusion("sensitive tasks", cells_of(np.broadcast_to(steps[:, ::-1], (4, 3, 15, 3))), models)
    assert row["conclusion"] == "contradicted"
    two = cells_of(np.broadcast_to(steps[:, :2], (4, 2, 15, 3)))
    assert conclusion("sensitive tasks", two, models)["conclusion"] == "not testable"


def test_without_refusals_nothing_is_testable():
    table = claims_table(models_of(6), cells=cells_of(np.full((6, 3, 15, 3), -2.0)).assign(refusals=0))
    assert set(table["conclusion"]) == {"not testable"}
    assert table["effect"].isna().all() and (table["note"] == "there are no refusals").all()


def test_where_every_response_is_a_refusal_nothing_is_testable():
    cells = cells_of(np.full((6, 3, 15, 3), 2.0))
    table = claims_table(models_of(6), cells=cells.assign(refusals=cells["n"]))
    assert set(table["conclusion"]) == {"not testable"} and table[["effect", "lo", "hi"]].isna().all(axis=None)
    assert (table["note"] == "every response is a refusal").all()


def test_a_contrast_of_tasks_needs_refusals_in_each_pair():
    cells = cells_of(np.broadcast_to(np.array([-3.0, -2.0, -1.0])[None, :, None, None], (4, 3, 15, 3)))
    row = conclusion(
        "sensitive tasks", cells.assign(refusals=cells["refusals"] * (cells["task"] == TASKS[2])), models_of(4)
    )
    assert row["conclusion"] == "not testable" and row["note"] == "nli and politeness: there are no refusals"


def test_one_model_one_persona():
    cells = cells_of(np.full((1, 3, 15, 3), -1.0))
    table = claims_table(models_of(1), cells=cells).set_index("claim")
    untestable = ["capability", "model and task over persona", "newer generations"]
    assert set(table.loc[untestable, "conclusion"]) == {"not testable"}
    one = claims_table(models_of(1), cells=cells[cells["persona"].isin(["*", "persona-00"])])
    assert (one["note"].iloc[:4] == "there is only one persona").all()


def test_bad_input_is_an_error():
    cells = cells_of(np.full((2, 3, 15, 3), -1.0))
    with pytest.raises(InputError, match="cells or outcomes"):
        claims_table(models_of(2))
    with pytest.raises(InputError, match="one labeller"):
        claims_table(models_of(2), cells=pd.concat([cells, cells.assign(labeller="y")]))
    with pytest.raises(InputError, match="prompt with a persona"):
        claims_table(models_of(2), cells=cells[cells["persona"] == "*"])


def test_a_model_missing_from_a_task_is_left_out_of_averages_over_tasks():
    cells = cells_of(np.broadcast_to(np.array([-3.0, -2.0, -1.0])[None, :, None, None], (4, 3, 15, 3)))
    less = cells[(cells["model"] != "model-03") | (cells["task"] != "nli")]
    assert conclusion("sensitive tasks", less, models_of(4))["effect"] == pytest.approx(
        conclusion("sensitive tasks", cells, models_of(4))["effect"]
    )


@pytest.fixture(scope="module")
def world():
    return make_world(5, rates=[0.4, 0.25, 0.12, 0.06, 0.03], persona_sd=0.05, hot=[(0, 2, 0.8)], tasks=(-0.5, 0, 0.5))


@pytest.fixture(scope="module")
def outcomes(world):
    rng = np.random.default_rng(6)
    parts = []
    for task in world.tasks:
        persona = np.array([rng.choice(15, 10, replace=False) for _ in range(150)])
        frame = pd.DataFrame({"row_id": np.repeat([f"{task}{i}" for i in range(150)], 10)})
        frame["persona"], frame["draw"] = np.array(world.personas)[persona.ravel()], np.tile(np.arange(10), 150)
        frame["template"] = np.array(world.templates)[rng.integers(0, 9, len(frame))]
        baseline = frame.drop_duplicates(["row_id", "template"]).assign(persona="baseline", draw=-1)
        parts.append(pd.concat([frame, baseline]).assign(task=task))
    design = pd.concat(parts, ignore_index=True).assign(interim_look=0, model="*")
    design = design.assign(text_id=design["row_id"], block=design["row_id"])
    design["format"] = design["template"].map({f"p{k + 1}": FORMATS[k // 3] for k in range(9)})
    return respond(design, world, 7)


@pytest.fixture(scope="module")
def run(outcomes):
    models = models_of(5, ("Alpha",))
    tasks = dict(zip(outcomes["task"].cat.categories, TASKS, strict=True))
    named = outcomes.assign(task=outcomes["task"].cat.rename_categories(tasks))
    return claims_table(models, outcomes=named, seed=1).set_index("claim")


def test_claims_of_a_run(run):
    assert run.loc["personas raise refusal", "conclusion"] == "supported"
    assert "model-00, persona-02" in run.loc["personas raise refusal", "note"]
    assert "same prompts without a persona" in run.loc["personas raise refusal", "note"]
    assert run.loc["model and task over persona", "conclusion"] == "supported"
    assert run.loc["sensitive tasks", "conclusion"] == "supported"
    assert "compared with the same prompts without a persona" in run.loc["overestimation", "note"]
    assert run.loc["capability", "conclusion"] != "not testable"


def test_a_run_without_baseline_prompts_compares_personas(outcomes):
    table = claims_table(models_of(5, ("Alpha",)), outcomes=outcomes[outcomes["persona"] != "baseline"])
    table = table.set_index("claim")
    assert "mean of all personas" in table.loc["personas raise refusal", "note"]
    assert table.loc["personas raise refusal", "conclusion"] == "supported"
    assert table.loc["sensitive tasks", "conclusion"] == "not testable"  # other tasks than the three
