"""The rehearsal and its null study at full size, without inference: every response of a stand-in is known in advance.

test_rehearsal.py checks on small studies that the stand-ins give these responses. Here the design, the labeller and the
estimates are compared with the planted rates and with the paper's Table 1.
"""

import pandas as pd
import pytest
from scipy import stats

from falserefusal.common.outcomes import outcomes_of_models
from falserefusal.estimation.effects import persona_effects
from falserefusal.estimation.outcomes import outcomes_of
from falserefusal.estimation.rates import cell_rates, rates_model_task, table1
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.intervals import wilson_rare
from falserefusal.statistics.multiplicity import max_t, screen

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predicted(checkout):
    """A function from a study's name to its outcomes and its planted rates by model and task."""
    workflow = checkout()

    def study(name, config):
        workflow.run(f"results/{name}/planted/personas.csv", "--configfile", config)
        folder = workflow.path(f"results/{name}")
        design = pd.read_parquet(folder / "design.parquet")
        pairs = []
        for model in pd.read_csv(workflow.path("config/models.csv"))["model"]:
            responses = pd.read_parquet(folder / f"planted/{model}.parquet")
            verdict = responses["phrase_list_refusal"].map({True: "refused", False: "answered"})
            pairs.append((model, responses[["prompt_id"]].assign(labeller="phrase_list", verdict=verdict)))
        personas = pd.read_csv(workflow.path("config/personas.csv"))["persona"].tolist()
        parts = list(outcomes_of(design, pairs, personas, [f"p{k}" for k in range(1, 10)]))
        assert [len(part) for part in parts] == [len(design)] * 16
        outcomes = outcomes_of_models({part["model"].iloc[0]: part for part in parts})
        planted = pd.read_csv(folder / "planted/personas.csv").query("persona != 'baseline'")
        return outcomes, planted.groupby(["model", "task"])["planted"].mean()

    return study


def intervals(outcomes, level):
    """Rate, lo and hi by model and task."""
    frame, _ = cell_rates(None, ["model", "task"], outcomes)
    lo, hi = wilson_rare(frame["rate"] * frame["effective"], frame["effective"], level)
    return frame.assign(lo=lo, hi=hi).set_index(["model", "task"])[["rate", "lo", "hi"]]


def screened(outcomes, seed):
    """Every model's change under every persona, and whether it raises the rate, family-wise at 5%."""
    return screen(persona_effects(outcomes, fit_personas(outcomes)), max_t(outcomes, permutations=999, seed=seed))


@pytest.fixture(scope="module")
def rehearsal(predicted):
    return predicted("rehearsal", "config/rehearsal.yaml")


def test_the_rehearsal_finds_what_was_planted_and_prints_the_papers_table_1(rehearsal, root):
    outcomes, planted = rehearsal
    found = intervals(outcomes, 0.99)
    assert len(found) == 48
    few = int(stats.binom.ppf(0.999, 48, 0.01))  # misses that 99% intervals have by chance
    inside = planted[found.index].between(found["lo"], found["hi"])
    assert (~inside).sum() <= few, found[~inside].assign(planted=planted)

    printed = pd.read_csv(root / "config/published/table1_refusal_pct.csv").set_index("model")
    table = table1(rates_model_task(None, outcomes)).set_index("model")
    assert list(table.index.drop("mean")) == list(printed.index.drop("mean", errors="ignore"))
    near = (printed.stack() / 100).rename_axis(["model", "task"])[found.index].between(found["lo"], found["hi"])
    assert (~near).sum() <= few, found[~near]
    assert table.loc["Llama2-7B", "offensiveness"] == round(100 * found.loc[("Llama2-7B", "offensiveness"), "rate"], 2)


def test_the_null_has_no_persona_finding(predicted):
    """Family-wise at 5%, over all models and personas; its rates are the planted ones."""
    outcomes, planted = predicted("null", "config/null.yaml")
    found = intervals(outcomes, 0.99)
    assert (~planted[found.index].between(found["lo"], found["hi"])).sum() <= int(stats.binom.ppf(0.999, 48, 0.01))
    effects = screened(outcomes, seed=2026)
    assert len(effects) == 16 * 15
    assert not effects["raises"].any(), effects[effects["raises"]]


def test_where_persona_effects_are_planted_the_same_screen_finds_some(rehearsal):
    assert screened(rehearsal[0], seed=2025)["raises"].any()
