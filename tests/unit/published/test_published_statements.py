"""Every quoted number is recomputed from the printed cells, and the conclusion follows from the numbers alone."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.estimation.importance import importance_table, sensitivity_from_cells
from falserefusal.estimation.regression import REFERENCES, collapse, regression_table
from falserefusal.published.printed import published_cells, read_printed
from falserefusal.published.statements import RECIPES, Cells, check_statements, check_tables
from falserefusal.published.wordings import WORDINGS, check_wording, listed_models, read_wording
from falserefusal.study.materials import load_models, load_personas


@pytest.fixture(scope="module")
def printed(root):
    models = load_models(root / "config/models.csv")["model"].tolist()
    personas = load_personas(root / "config/personas.csv")["persona"].tolist()
    return read_printed(root / "config/published", models, personas)


@pytest.fixture(scope="module")
def recomputed(printed):
    cells = published_cells(printed)
    factors = {factor: level for factor, level in REFERENCES.items() if factor != "template"}
    return Cells(
        cells,
        printed,
        importance_table(sensitivity_from_cells(cells, replicates=20, permutations=20)),
        regression_table(collapse(cells, list(factors)), list(factors), printed=printed["table7_logit"], own=True),
    )


@pytest.fixture(scope="module")
def statements(printed, recomputed):
    return check_statements(printed["quoted_statements"], recomputed).set_index("id")


def test_all_72_statements_have_a_conclusion(statements):
    assert len(statements) == 72
    assert set(statements["conclusion"]) == {"agrees", "differs", "not recomputable"}
    assert (statements.loc[statements["conclusion"] != "agrees", "reason"] != "").all(), "a disagreement has a reason"


@pytest.mark.parametrize(
    ("statement", "value", "conclusion"),
    [
        ("s01", 30_000, "agrees"),
        ("s04", 14.669, "differs"),  # Table 1 prints 76.54 for Llama2-7B and 0.19 for Qwen2.5-7B
        ("s06", 1.369, "agrees"),
        ("s19", 0.104, "differs"),  # "registers no refusals at all"
        ("s26", 12.38, "agrees"),
        ("s31", 2, "differs"),  # four of the six do refuse
        ("s32", 14.67, "agrees"),
        ("s43", 9.376, "differs"),  # printed as 9.37
        ("s54", 0.683, "differs"),
        ("s55", 0.338, "differs"),
        ("s56", 0.158, "differs"),
        ("s57", 0.129, "differs"),  # a lower bound above the printed value
        ("s62", 3.846, "not recomputable"),
        ("s64", 2.445, "not recomputable"),
        ("s71", -0.061, "differs"),  # the text lost Table 7's sign
        ("s72", 0.541, "not recomputable"),
    ],
)
def test_known_quantities(statements, statement, value, conclusion):
    assert statements.loc[statement, "recomputed"] == pytest.approx(value, abs=0.0051)
    assert statements.loc[statement, "conclusion"] == conclusion


def test_the_ranking_of_importance_reproduces(statements):
    model, task, persona, prompt = (statements.loc[s] for s in ("s54", "s55", "s56", "s57"))
    for column in ("printed", "recomputed"):
        assert model[column] > task[column] > persona[column] > prompt[column]


def test_printed_tables_against_each_other(recomputed, printed):
    table = check_tables(recomputed, printed)
    off = table[table["conclusion"] == "differs"]
    assert set(off.loc[off["source"] == "Table 1", "item"]) == {"Llama2-7B, offensiveness", "Qwen2.5-7B, offensiveness"}
    assert off.loc[off["source"] == "Figure 4", "difference"].abs().max() == pytest.approx(0.169, abs=0.001)


def test_a_changed_number_changes_its_conclusion(printed, recomputed):
    quoted = printed["quoted_statements"].copy()
    quoted.loc[quoted["id"] == "s13", "value"] = 87.37
    assert check_statements(quoted, recomputed).set_index("id").loc["s13", "conclusion"] == "differs"


def test_every_recipe_is_used_and_unknown_wording_is_an_error(printed):
    used = {read_wording(quantity)[0] for quantity in printed["quoted_statements"]["quantity"]}
    assert used == set(RECIPES) == {kind for _, kind in WORDINGS}
    with pytest.raises(InputError, match="no recipe fits"):
        read_wording("median over models of refusal rate, NLI")


@pytest.mark.parametrize(
    ("quantity", "unknown"),
    [
        ("Gemma9-2B refusal rate, NLI", "model 'Gemma9-2B'"),
        ("mean over Gemma2-2B, -9B, -81B and tasks, persona black", "model 'Gemma2-81B'"),
        ("Gemma2-2B mean over tasks, persona martian", "persona 'martian'"),
        ("logistic coefficient, persona atheist", "persona 'atheist'"),  # the reference has no coefficient
        ("logistic coefficient, task irony", "task 'irony'"),
    ],
)
def test_names_in_a_wording_are_known(quantity, unknown):
    models, personas = ["Gemma2-2B", "Gemma2-9B"], ["black", "man", "atheist"]
    check_wording("Gemma2-2B mean over tasks, persona atheist", models, personas)
    check_wording("logistic coefficient, persona man", models, personas)
    with pytest.raises(InputError) as error:
        check_wording(quantity, models, personas)
    assert str(error.value).startswith(f"{unknown} in {quantity!r} is not one of ")


def test_a_short_list_of_models_reads_as_their_names():
    assert listed_models("Gemma2-2B, -9B, -27B") == ["Gemma2-2B", "Gemma2-9B", "Gemma2-27B"]
    assert listed_models("Llama2-7B, Llama2-13B") == ["Llama2-7B", "Llama2-13B"]


def test_an_unknown_model_in_a_statement_is_an_error(recomputed):
    quoted = pd.DataFrame(
        [("x", "4", "GPT2-7B refusal rate, NLI", 1.0, "%", "", 2)],
        columns=["id", "section", "quantity", "value", "unit", "note", "decimals"],
    )
    with pytest.raises(InputError, match="no GPT2-7B"):
        check_statements(quoted, recomputed)


def test_the_page_on_printed_errors_counts_the_conclusions(statements, root):
    count = statements["conclusion"].value_counts()
    page = " ".join((root / "docs/printed_errors.md").read_text(encoding="utf-8").split())
    agree, differ, other = (count[name] for name in ("agrees", "differs", "not recomputable"))
    assert f"Of the {len(statements)} quoted numbers, {agree} agree, {differ} differ, and {other} cannot" in page
