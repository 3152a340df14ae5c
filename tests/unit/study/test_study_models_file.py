"""Required columns of a models file, and the error messages."""

import pytest

from falserefusal.common.errors import InputError
from falserefusal.study.models_file import rows_of

HEADER = "model,family,generation,size_b,hub_id,revision,gated,params_b,layers,kv_heads,head_dim,hidden,vocab,context"
HEADER += ",capability\n"
LLAMA = "Llama,Llama,Llama1,7,org/llama,,true,6.7,,,,,,,\n"
OTHER = "Other,,,,org/other,,,,,,,,,,\n"


@pytest.fixture
def rows(tmp_path):
    def read(text, models=("Llama",), **judges):
        path = tmp_path / "models.csv"
        path.write_text(text)
        return rows_of(path, list(models), {name: {"model": model} for name, model in judges.items()})

    return read


def test_rows_of_models_and_judges_each_once(rows):
    found = rows(HEADER + OTHER + LLAMA + LLAMA.replace("Llama", "Judge", 1), a="Judge", b="Llama", c="Judge")
    assert [row["model"] for row in found] == ["Llama", "Judge"]
    assert found[0]["size_b"] == "7" and found[0]["layers"] == ""


def test_a_judge_that_is_no_model_of_the_file(rows):
    with pytest.raises(InputError, match=r"judges.strict.model: gpt-4o is not in .*models.csv, which has Llama;"):
        rows(HEADER + LLAMA, strict="gpt-4o")


def test_a_file_with_names_and_hub_ids_only(rows):
    with pytest.raises(InputError) as error:
        rows("model,hub_id\nLlama,org/llama\n")
    message = str(error.value)
    assert "column family, generation, size_b, gated, revision, params_b, layers" in message
    assert "size_b: memory, GPUs and time of the model's jobs follow from it (10^9 parameters)" in message
    assert "hub_id:" not in message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (OTHER, "the row of Other must fill family: .*; generation: .*; size_b: .*; gated: "),
        (LLAMA.replace("Llama", "Other", 1).replace(",7,", ",7B,"), "column 'size_b': '7B' must be a number above 0"),
    ],
)
def test_a_row_that_is_not_filled_matters_only_where_it_is_asked(rows, row, message):
    assert len(rows(HEADER + LLAMA + row)) == 1
    with pytest.raises(InputError, match=message):
        rows(HEADER + LLAMA + row, models=("Llama", "Other"))


def test_the_files_that_come_with_the_workflow_are_whole(root):
    for name in ("models", "models_laptop"):
        path = root / f"config/{name}.csv"
        models = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
        assert len(rows_of(path, models, {})) == len(models)
