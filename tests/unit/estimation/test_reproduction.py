"""What counts as reproduced: the paper's own cells, shifted ones, too few responses, and what cannot be compared."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.files import read_csv
from falserefusal.common.printed import (
    BASELINE_RATE,
    CELL,
    CLAIM,
    COEFFICIENT,
    FORMAT,
    IMPORTANCE,
    PERSONA_BY_MODEL,
    PERSONA_MEAN,
    QUANTITIES,
    RATE,
    RATE_MEAN,
)
from falserefusal.common.schemas import TASKS
from falserefusal.estimation import rates as rt
from falserefusal.estimation.regression import regression_table
from falserefusal.estimation.reproduction import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    TEXT_CORRELATION,
    Paper,
    reproduction_table,
)
from falserefusal.published.printed import published_cells, read_printed
from falserefusal.statistics.intervals import wilson_rare
from falserefusal.study.comparison import Comparison

RATES = [RATE_MEAN, PERSONA_MEAN, PERSONA_BY_MODEL, CELL, FORMAT]


@pytest.fixture(scope="module")
def printed(root):
    return {path.stem: read_csv(path) for path in (root / "config/published").glob("*.csv")}


@pytest.fixture(scope="module")
def whole(printed):
    return Comparison(True, tuple(printed["models"]["model"]), tuple(printed["personas"]["persona"]), TASKS)


@pytest.fixture(scope="module")
def cells(root, printed):
    models, personas = printed["models"]["model"].tolist(), printed["personas"]["persona"].tolist()
    return published_cells(read_printed(root / "config/published", models, personas))


def tables_of(cells, printed):
    groups = printed["personas"].set_index("persona")["group"].to_dict()
    importance = pd.DataFrame({"factor": ["model", "task"], "scope": "all", "index": [0.6, 0.3], "lo": 0.2, "hi": 0.7})
    claims = pd.DataFrame({"claim": list("abc"), "conclusion": ["supported", "contradicted", "inconclusive"]})
    return {
        "rates_model_task": rt.rates_model_task(cells),
        "rates_persona": rt.rates_persona(cells, rt.model_scopes(printed["models"]), groups),
        "rates_model_persona": rt.rates_model_persona(cells),
        "rates_task_model_persona": rt.rates_task_model_persona(cells),
        "rates_format": rt.rates_format(cells),
        "rates_baseline": rt.rates_baseline(cells).assign(baseline_rate=0.1, baseline_lo=0.05, baseline_hi=0.2),
        "importance": importance.assign(method="x"),
        "regression": regression_table(cells, ["persona", "task", "model"]),
        "claims": claims.assign(effect=1.0, effect_unit="pp", lo=0.5, hi=1.5),
    }


@pytest.fixture(scope="module")
def tables(cells, printed):
    return tables_of(cells, printed)


@pytest.fixture(scope="module")
def table(tables, printed, whole):
    return reproduction_table(tables, printed, whole, "phrase_list")


def of(table, quantity):
    return table[table["quantity"] == quantity]


def test_every_printed_value_is_accounted_for_once(table):
    assert table.groupby("quantity")["values"].sum().to_dict() == {**QUANTITIES, CLAIM: 3}
    assert not table.duplicated(["quantity", "item"]).any()
    assert set(table["result"]) == {REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE} and (table["reason"] != "").all()


def test_the_papers_own_cells_reproduce_its_rates(table):
    for quantity in RATES:
        assert (of(table, quantity)["result"] == REPRODUCED).all(), quantity
    odd = of(table, RATE).query("result != @REPRODUCED")
    assert odd["item"].tolist() == ["offensiveness, Qwen2.5-7B"], "Table 1 prints 0.19 %, its cells have none"


def test_rates_that_differ_are_not_reproduced(cells, printed, whole):
    other = cells.assign(refusals=np.minimum(cells["n"], (cells["refusals"] * 1.5).round().astype(int)))
    table = reproduction_table(tables_of(other, printed), printed, whole, "phrase_list")
    assert (of(table, RATE_MEAN)["result"] == NOT_REPRODUCED).all()
    cell = of(table, CELL).query("printed > 0.02 and printed < 0.6")
    assert (cell["result"] == NOT_REPRODUCED).mean() > 0.9
    silent = of(table, CELL).query("printed == 0")
    assert len(silent) > 200 and (silent["result"] == REPRODUCED).all()


def test_a_small_study_can_say_nothing(cells, printed, whole):
    small = cells.assign(n=20, refusals=(20 * cells["refusals"] / cells["n"]).round().astype(int))
    table = of(reproduction_table(tables_of(small, printed), printed, whole, "phrase_list"), CELL)
    assert (table["result"] == NOT_TESTABLE).all()
    assert (table["reason"] == "too few responses: sampling errors are above 0.05").all()


def test_what_the_paper_does_not_say_is_not_testable(table):
    assert of(table, BASELINE_RATE)["reason"].str.contains("no number of baseline prompts").all()
    assert of(table, IMPORTANCE)["result"].eq(NOT_TESTABLE).all()
    coefficients = of(table, COEFFICIENT).set_index("item")
    assert coefficients["reason"].str.contains("the fit of Table 7 has the template").any()
    assert "fit stopped" in coefficients.loc["model, Qwen2.5-7B", "reason"]
    claims = of(table, CLAIM).set_index("item")["result"]
    assert claims.loc[["a", "b", "c"]].tolist() == [REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE]


def test_what_is_not_compared_has_one_row_with_the_reason(tables, printed, whole):
    absent = dict.fromkeys([RATE_MEAN, PERSONA_MEAN, CLAIM], "2 of the paper's 16 models")
    some = Comparison(True, whole.models[:2], whole.personas, TASKS, absent)
    table = reproduction_table(tables, printed, some, "phrase_list")
    [row] = of(table, CLAIM).to_dict("records")
    assert (row["item"], row["values"], row["reason"]) == ("all 7 values", 7, "2 of the paper's 16 models")
    cells = of(table, CELL)
    assert len(cells) == 2 * 3 * 15 + 1 and cells["values"].sum() == 720
    assert cells["item"].iloc[-1] == "other 630 values"


def test_the_papers_error_has_the_stated_design_effect(printed):
    rates = Paper(printed).rates().set_index(["model", "task"])
    row = rates.loc[("Llama2-7B", "nli")]
    assert row["n"] == 30_000 and row["per_text"] == 10
    n = 30_000 / (1 + 9 * TEXT_CORRELATION)
    assert (row["paper_lo"], row["paper_hi"]) == pytest.approx([float(end) for end in wilson_rare(0.0887 * n, n)])
    means = Paper(printed).rate_means().set_index("task")
    alone = np.sqrt(((rates["paper_hi"] - rates["printed"]) ** 2).groupby("task").sum()) / 16
    assert (means["paper_hi"] - means["printed"] > alone[means.index]).all(), "models share their texts"


@pytest.mark.parametrize("kind", ["labeller_range", "corrected_rates"])
def test_errors_of_the_labeller_widen_the_tolerance(tables, printed, whole, kind):
    low = {"labeller_range": ["quantity", "refusal rate", "level"], "corrected_rates": []}[kind]
    if low:
        extra = pd.DataFrame([{"quantity": "refusal rate", "level": "Llama2-7B, nli", "lowest": 0.06, "highest": 0.1}])
    else:
        row = {"labeller": "structured", "group": "any persona", "model": "Llama2-7B", "task": "nli"}
        extra = pd.DataFrame([row | {"rate": 0.1, "corrected": 0.06}])
    moved = tables["rates_model_task"].copy()
    at = (moved["model"] == "Llama2-7B") & (moved["task"] == "nli")
    moved.loc[at, ["rate", "lo", "hi"]] = [0.1, 0.095, 0.105]
    tables = {**tables, "rates_model_task": moved}
    without, with_errors = (
        of(reproduction_table(t, printed, whole, "structured"), RATE).set_index("item").loc["nli, Llama2-7B"]
        for t in (tables, {**tables, kind: extra})
    )
    assert without["result"] == NOT_REPRODUCED and without["reason"] == "errors of the labeller not included"
    assert with_errors["tolerance"] == pytest.approx(without["tolerance"] + 0.04)
    assert with_errors["result"] == REPRODUCED and with_errors["reason"] == "errors of the labeller included"


def test_errors_of_the_papers_own_labeller_are_on_both_sides(tables, printed, whole):
    wide = {"quantity": "refusal rate", "level": "Llama2-7B, nli", "lowest": 0.0, "highest": 0.9}
    tables = {**tables, "labeller_range": pd.DataFrame([wide])}
    table = of(reproduction_table(tables, printed, whole, "phrase_list"), RATE)
    assert table["labeller_error"].eq(0).all()
    assert table["reason"].eq("no errors of the labeller to include").all()


def test_a_labeller_that_may_err_widely_reproduces_nothing(tables, printed, whole):
    wide = {"quantity": "refusal rate", "level": "Llama2-7B, nli", "lowest": 0.0, "highest": 0.9}
    tables = {**tables, "labeller_range": pd.DataFrame([wide])}
    row = of(reproduction_table(tables, printed, whole, "structured"), RATE).set_index("item").loc["nli, Llama2-7B"]
    assert row["result"] == NOT_TESTABLE and "can move the estimate by more than 0.05" in row["reason"]
