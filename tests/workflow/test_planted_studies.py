"""The default study and its null, at full size and without inference: every answer of a stand-in is known beforehand.

That the stand-ins do give these answers is tested on small studies (test_rehearsal.py); here the design, the labeller
and the estimates are held against the planted rates and against the paper's Table 1.
"""

import pandas as pd
import pytest
from scipy import stats

from falserefusal.estimation.cells import count_cells, judged_draws
from falserefusal.estimation.effects import persona_effects
from falserefusal.estimation.rates import cell_rates, rates_model_task, table1
from falserefusal.statistics.gls import fit_personas
from falserefusal.statistics.intervals import wilson_rare
from falserefusal.statistics.multiplicity import max_t, screen

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def foretold(checkout):
    """A function from a study's name to its outcomes and its planted rates by model and task."""
    workflow = checkout()

    def study(name, config):
        workflow.run(f"results/{name}/truth/personas.csv", "--configfile", config)
        folder = workflow.path(f"results/{name}")
        design = pd.read_parquet(folder / "design.parquet")
        labels = []
        for model in pd.read_csv(workflow.path("config/models.csv"))["model"]:
            truth = pd.read_parquet(folder / f"truth/{model}.parquet")
            verdicts = truth[["prompt_id", "category"]].assign(
                labeller="phrase_list", refusal=truth["phrase_list_refusal"]
            )
            labels.append((model, verdicts))
        personas = pd.read_csv(workflow.path("config/personas.csv"))["persona"].tolist()
        outcomes, missing = judged_draws(design, labels, personas, [f"p{k}" for k in range(1, 10)])
        assert missing.empty and outcomes["model"].nunique() == 16
        planted = pd.read_csv(folder / "truth/personas.csv").query("persona != 'baseline'")
        return outcomes, planted.groupby(["model", "task"])["planted"].mean()

    return study


def limits(outcomes, level):
    """rate, lo and hi by model and task."""
    frame, _ = cell_rates(count_cells(outcomes), ["model", "task"], outcomes)
    lo, hi = wilson_rare(frame["rate"] * frame["effective"], frame["effective"], level)
    return frame.assign(lo=lo, hi=hi).set_index(["model", "task"])[["rate", "lo", "hi"]]


def screened(outcomes, seed):
    """Every model's change under every persona, and whether it raises the rate, family-wise at 5%."""
    return screen(persona_effects(outcomes, fit_personas(outcomes)), max_t(outcomes, permutations=999, seed=seed))


@pytest.fixture(scope="module")
def rehearsal(foretold):
    return foretold("rehearsal", "config/rehearsal.yaml")


def test_the_rehearsal_finds_what_was_planted_and_prints_the_papers_table_1(rehearsal, root):
    outcomes, planted = rehearsal
    found = limits(outcomes, 0.99)
    assert len(found) == 48
    few = int(stats.binom.ppf(0.999, 48, 0.01))  # misses that 99% intervals have by chance
    inside = planted[found.index].between(found["lo"], found["hi"])
    assert (~inside).sum() <= few, found[~inside].assign(planted=planted)

    printed = pd.read_csv(root / "config/published/table1_refusal_pct.csv").set_index("model")
    table = table1(rates_model_task(count_cells(outcomes), outcomes)).set_index("model")
    assert list(table.index.drop("mean")) == list(printed.index.drop("mean", errors="ignore"))
    near = (printed.stack() / 100).rename_axis(["model", "task"])[found.index].between(found["lo"], found["hi"])
    assert (~near).sum() <= few, found[~near]
    assert table.loc["Llama2-7B", "offensiveness"] == round(100 * found.loc[("Llama2-7B", "offensiveness"), "rate"], 2)


def test_the_null_has_no_persona_finding(foretold):
    """Family-wise at 5%, over all models and personas; its rates are the planted ones."""
    outcomes, planted = foretold("null", "config/null.yaml")
    found = limits(outcomes, 0.99)
    assert (~planted[found.index].between(found["lo"], found["hi"])).sum() <= int(stats.binom.ppf(0.999, 48, 0.01))
    effects = screened(outcomes, seed=2026)
    assert len(effects) == 16 * 15
    assert not effects["raises"].any(), effects[effects["raises"]]


def test_where_persona_effects_are_planted_the_same_screen_finds_some(rehearsal):
    assert screened(rehearsal[0], seed=2025)["raises"].any()
