"""The paper's printed numbers are read completely; errors in them are reported with file, line and column."""

import shutil

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL
from falserefusal.published.printed import candidate_counts, published_cells, read_printed
from falserefusal.study.materials import load_models, load_personas


@pytest.fixture(scope="module")
def names(root):
    return {
        "models": load_models(root / "config/models.csv")["model"].tolist(),
        "personas": load_personas(root / "config/personas.csv")["persona"].tolist(),
    }


@pytest.fixture
def folder(root, tmp_path):
    return shutil.copytree(root / "config/published", tmp_path / "published")


def edit(path, change):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(frame).to_csv(path, index=False)


def put(line, column, value):
    """Replace one field; the header is line 1."""

    def change(frame):
        frame.loc[line - 2, column] = value
        return frame

    return change


def without(column):
    return lambda frame: frame.drop(columns=column)


COUNTS = "counts_task_model_persona"


def test_cells_are_the_printed_study(root, names):
    cells = published_cells(read_printed(root / "config/published", **names))
    persona = cells[cells["persona"] != ALL]
    assert len(persona) == 16 * 15 * 3
    assert persona["n"].sum() == 2_032_160
    assert persona["refusals"].sum() == 162_003
    assert persona.groupby("task")["refusals"].sum().to_dict() == {
        "nli": 6_577,
        "politeness": 45_092,
        "offensiveness": 110_334,
    }
    assert len(cells[cells["format"] != ALL]) == 16 * 3 * 3


def test_table5_holds_the_prompts_of_one_model(root, names):
    table5 = read_printed(root / "config/published", **names)["table5"].set_index("persona")
    assert table5.sum().to_dict() == {"nli": 30_000, "politeness": 50_000, "offensiveness": 47_010}
    assert table5.loc["black"].to_dict() == {"nli": 1988, "politeness": 3338, "offensiveness": 3145}


def test_candidate_counts_by_hand():
    # 1 of 3 prints 33.33; nothing of 3 prints 33.00; of 30,000 both 1 (0.0033) and 0 ... print 0.00
    low, high = candidate_counts(pd.Series([33.33, 33.00, 0.00]), pd.Series([3, 3, 30_000]))
    assert (low[0], high[0]) == (1, 1)
    assert high[1] < low[1]
    assert (low[2], high[2]) == (0, 1)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (COUNTS, without("n"), "column 'n' is missing"),
        (COUNTS, lambda frame: frame.assign(extra="1"), "column 'extra' is not expected"),
        (COUNTS, put(2, "n", "0"), "line 2, column 'n': 0"),
        (COUNTS, put(2, "n", "many"), "column 'n'"),
        (COUNTS, put(5, "refusal_pct", "101"), "line 5, column 'refusal_pct': 101"),
        (COUNTS, put(2, "refusal_pct", "3.11"), "line 2, column 'refusal_pct': no integer count is 3.11 percent"),
        (COUNTS, put(2, "refusals", "65"), "line 2, column 'refusals': 65 is not 3.09 percent"),
        (COUNTS, put(2, "model", "GPT-2"), "line 2, column 'model': 'GPT-2'"),
        (COUNTS, put(3, "persona", "elf"), "line 3, column 'persona': 'elf'"),
        (COUNTS, without("persona"), "column 'persona' is missing"),
        (COUNTS, lambda frame: pd.concat([frame, frame[:1]]), "line"),
        ("table1_refusal_pct", put(2, "nli", "-1"), "line 2, column 'nli': -1"),
        ("format_heatmaps", put(2, "n", "9975"), "line 2, column 'n': 9975"),
        ("format_heatmaps", put(2, "format", "loose"), "'loose'"),
        ("table6_prompt_n", put(2, "prompt", "q1"), "line 2, column 'prompt': 'q1' is not one of p1, p2"),
        ("figure5_importance", put(3, "factor", "colour"), "line 3, column 'factor': 'colour' is not one of model"),
        ("table7_logit", put(2, "type", "colour"), "line 2, column 'type': 'colour'"),
        ("table7_logit", put(2, "variable", "Martian"), "line 2, column 'variable': 'Martian' is not one of Phys"),
        ("table7_logit", put(29, "variable", "GPT9"), "line 29, column 'variable': 'GPT9' is not one of Llama2-7B"),
        ("quoted_statements", put(9, "id", "s99"), "line 9, column 'id': 's99' is not one of s01, s02"),
        ("quoted_statements", put(5, "quantity", "mode of NLI"), "line 5, column 'quantity': no recipe fits"),
        (
            "quoted_statements",
            put(14, "quantity", "GPT9-7B refusal rate, NLI"),
            "line 14, column 'quantity': model 'GPT9-7B'",
        ),
        ("quoted_statements", without("value"), "column 'value' is missing"),
        ("quoted_statements", put(4, "value", "about 3"), "column 'value'"),
    ],
)
def test_errors_name_file_line_and_column(folder, names, file, change, message):
    edit(folder / f"{file}.csv", change)
    with pytest.raises(InputError) as error:
        read_printed(folder, **names)
    assert f"{file}.csv" in str(error.value) or f"{file}" in str(error.value)
    assert message in str(error.value)


ROWS = {  # the second row of each file
    COUNTS: "task 'nli', model 'Llama2-7B', persona 'able-bodied'",
    "format_heatmaps": "task 'nli', model 'Llama2-7B', format 'semi-forced'",
    "table1_refusal_pct": "model 'Llama2-13B'",
    "table6_prompt_n": "prompt 'p2'",
    "fig1_baseline_offensiveness": "model 'Llama2-13B'",
    "figure5_importance": "factor 'task'",
    "table7_logit": "type 'persona', variable 'White'",
    "quoted_statements": "id 's02'",
}


@pytest.mark.parametrize("file", ROWS)
def test_a_missing_row_is_named_by_its_key(folder, names, file):
    path = folder / f"{file}.csv"
    edit(path, lambda frame: frame.drop(index=1))
    with pytest.raises(InputError) as error:
        read_printed(folder, **names)
    assert str(error.value) == f"{path}: the row with {ROWS[file]} is missing"


@pytest.mark.parametrize("file", ROWS)
def test_a_file_with_only_a_header_lacks_every_row(folder, names, file):
    path = folder / f"{file}.csv"
    rows = len(pd.read_csv(path))
    edit(path, lambda frame: frame[:0])
    with pytest.raises(InputError, match=f"is missing \\({rows - 1} more rows are missing\\)") as error:
        read_printed(folder, **names)
    assert str(error.value).startswith(f"{path}: the row with ")


def test_a_model_without_rows_is_an_error(folder, names):
    edit(folder / f"{COUNTS}.csv", lambda frame: frame[frame["model"] != "Gemma-2B"])
    with pytest.raises(InputError, match=r"the row with .*'Gemma-2B'.* \(44 more rows are missing\)"):
        read_printed(folder, **names)


def test_blank_lines_do_not_shift_line_numbers(folder, names):
    path = folder / f"{COUNTS}.csv"
    path.write_text(path.read_text().replace("\nnli,Llama2-7B,black,56.39", "\n\nnli,Llama2-7B,black,56.40"))
    with pytest.raises(InputError, match="line 5, column 'refusal_pct': no integer count is"):
        read_printed(folder, **names)


def test_an_empty_list_of_personas_is_an_error(folder):
    edit(folder / "personas.csv", lambda frame: frame[:0])
    with pytest.raises(InputError, match=r"personas\.csv: no rows below the header"):
        load_personas(folder / "personas.csv")


def test_a_missing_file_is_named(folder, names):
    (folder / "table7_logit.csv").unlink()
    with pytest.raises(InputError, match=r"table7_logit\.csv: no such file"):
        read_printed(folder, **names)


def test_format_counts_round_to_the_printed_rate(root, names):
    cells = published_cells(read_printed(root / "config/published", **names))
    form = cells[cells["format"] != ALL]
    printed = pd.read_csv(root / "config/published/format_heatmaps.csv")
    merged = form.merge(printed, on=["task", "model", "format"])
    assert np.abs(100 * merged["refusals"] / merged["n_x"] - merged["refusal_pct"]).max() <= 0.005
