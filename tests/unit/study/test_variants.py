"""Rows with a system prompt or a package as their source, and studies of one checkpoint."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.study.materials import are_variants, load_models
from falserefusal.study.models_file import rows_of

HEADER = "model,family,generation,size_b,hub_id,revision,gated,params_b,layers,kv_heads,head_dim,hidden,vocab,context"
HEADER += ",capability,package,package_file,sha256,system_prompt,system_prompt_file\n"
PACKAGE = "some-model==1.0,some.Q4_1.gguf," + "0" * 64


def models_file(folder, *rows):
    path = folder / "models.csv"
    path.write_text(HEADER + "".join(rows))
    return path


def test_the_pilot_asks_one_checkpoint_under_four_system_prompts(root, monkeypatch):
    monkeypatch.chdir(root)
    models = load_models("config/models_pilot.csv")
    assert are_variants(models) and len(models) == 4
    assert models["hub_id"].unique().tolist() == ["resources/weights/SmolLM2-135M-Instruct.Q4_1"]
    prompts = dict(zip(models["model"], models["system_prompt"], strict=True))
    assert pd.isna(prompts["none"])
    assert prompts["Llama2-default"].startswith("You are a helpful, respectful and honest assistant.")
    assert prompts["Llama2-default"].endswith("please don't share false information.")
    assert prompts["Mistral-guard"].endswith("promote fairness and positivity.")


def test_the_papers_models_are_no_variants(root):
    assert not are_variants(load_models(root / "config/models.csv"))
    assert not are_variants(pd.DataFrame({"model": ["a", "b"]})), "where they come from is not known"


def test_a_system_prompt_is_read_without_the_newline_at_its_end(tmp_path):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Be {brief}.\n\nAlways.\n")
    path = models_file(
        tmp_path, f"A,F,G,1,org/a,,false,,,,,,,,,,,,,{prompt}\n", "B,F,G,1,org/a,,false,,,,,,,,,,,,Own.,\n"
    )
    assert [row["system_prompt"] for row in rows_of(path, ["A", "B"], {})] == ["Be {brief}.\n\nAlways.", "Own."]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "A,F,G,1,,,false,,,,,,,,,some-model==1.0,,,,\n",
            "the row of A names a package and must fill package_file, sha256",
        ),
        (f"A,F,G,1,org/a,,false,,,,,,,,,{PACKAGE},,\n", "the row of A has two sources"),
        (f"A,F,G,1,,,false,,,,,,,,,{PACKAGE.replace('==', '>=')},,\n", "write name==version, not 'some-model>=1.0'"),
        ("A,F,G,1,org/a,,false,,,,,,,,,,,,Own.,x.txt\n", "has both a system prompt and a file of one"),
        ("A,F,G,1,org/a,,false,,,,,,,,,,,,,no/such.txt\n", "its system prompt no/such.txt cannot be read"),
    ],
)
def test_mistakes_in_a_row_are_named(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        rows_of(models_file(tmp_path, row), ["A"], {})
