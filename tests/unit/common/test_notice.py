"""A rehearsal's tables carry its notice in every row; tables of real models do not change."""

import subprocess
import sys

import pandas as pd

from falserefusal.common.files import write_csv
from falserefusal.common.notice import BANNER, read_table, suffixed, system_prompts_for_models, write_table

TABLE = pd.DataFrame({"model": ["Llama2-7B", "mean"], "offensiveness": [12.22, 3.5]})


def test_the_notice_is_in_every_row_and_no_computation_sees_it(tmp_path):
    write_table(TABLE, tmp_path / "table1.csv", BANNER)
    lines = (tmp_path / "table1.csv").read_text().splitlines()
    assert lines[0] == "model,offensiveness,study"
    assert all(line.endswith(f",{BANNER}") for line in lines[1:])
    pd.testing.assert_frame_equal(read_table(tmp_path / "table1.csv"), TABLE)


def test_without_a_notice_the_bytes_are_the_same(tmp_path):
    write_csv(TABLE, tmp_path / "plain.csv")
    for notice in ("", None):
        write_table(TABLE, tmp_path / "table1.csv", notice)
        assert (tmp_path / "table1.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_rules_read_the_banner_without_pandas(root):
    code = "import sys; from falserefusal.common.notice import BANNER; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root / "workflow", check=False).returncode == 0


def test_only_whole_names_of_models_get_the_suffix():
    mark = suffixed(["Llama3", "Llama3.1"], " (stand-in)")
    assert mark("Llama3 and Llama3.1, not Llama3.2") == "Llama3 (stand-in) and Llama3.1 (stand-in), not Llama3.2"


def test_models_become_system_prompts_in_prose_but_not_in_names():
    text = system_prompts_for_models("Models by model: tables/rates_model_task.csv, remodelled")
    assert text == "System prompts by system prompt: tables/rates_model_task.csv, remodelled"
