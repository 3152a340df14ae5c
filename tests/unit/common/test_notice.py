"""A rehearsal's tables say so in every row; those of real models are as they were."""

import pandas as pd

from falserefusal.common.files import write_csv
from falserefusal.common.notice import read_table, write_table

TABLE = pd.DataFrame({"model": ["Llama2-7B", "mean"], "offensiveness": [12.22, 3.5]})


def test_the_notice_is_in_every_row_and_no_computation_sees_it(tmp_path):
    write_table(TABLE, tmp_path / "table1.csv", "REHEARSAL on stand-ins")
    lines = (tmp_path / "table1.csv").read_text().splitlines()
    assert lines[0] == "model,offensiveness,study"
    assert all(line.endswith(",REHEARSAL on stand-ins") for line in lines[1:])
    pd.testing.assert_frame_equal(read_table(tmp_path / "table1.csv"), TABLE)


def test_without_a_notice_the_bytes_are_the_same(tmp_path):
    write_csv(TABLE, tmp_path / "plain.csv")
    for notice in ("", None):
        write_table(TABLE, tmp_path / "table1.csv", notice)
        assert (tmp_path / "table1.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
