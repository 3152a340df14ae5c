"""Files are validated, written whole or not at all, and are the same bytes every time."""

import pandas as pd
import pandera.pandas as pa
import pytest

from falserefusal.common import files as tables
from falserefusal.common.errors import InputError

SCHEMA = pa.DataFrameSchema({"name": pa.Column(str), "n": pa.Column(int, pa.Check.gt(0))}, strict=True)


def test_the_same_frame_is_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"name": ["a", "b"], "n": [1, 2]})
    for write, suffix in ((tables.write_csv, "csv"), (tables.write_parquet, "parquet")):
        first, second = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
        write(frame, first)
        write(frame, second)
        assert first.read_bytes() == second.read_bytes()


def test_a_level_called_none_stays_a_word_and_an_empty_field_is_missing(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\nNone,\nNA,1\n")
    frame = tables.read_csv(tmp_path / "x.csv")
    assert frame["a"].tolist() == ["None", "NA"]
    assert frame["b"].isna().tolist() == [True, False]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), tables.atomic(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.csv"]


def test_written_files_are_readable_by_others(tmp_path):
    tables.write_text("x", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").stat().st_mode & 0o444


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na\n", "column 'n' is missing"),
        ("name,n,z\na,1,2\n", "column 'z' is not expected"),
        ("name,n\na,1\nb,0\n", "line 3, column 'n': 0"),
        ("", "not a readable CSV"),
    ],
)
def test_a_bad_file_is_told_by_name_line_and_column(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError) as error:
        tables.read_csv(tmp_path / "x.csv", SCHEMA)
    assert "x.csv" in str(error.value) and message in str(error.value)


def test_a_comma_too_many_in_every_row_does_not_shift_the_columns(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("model,rate\n\nA,0.5,\nB,0.25,\n")
    with pytest.raises(InputError, match=r"rates\.csv: line 3 has more fields than the header"):
        tables.read_csv(path)


def test_parquet_is_checked_on_the_way_out(tmp_path):
    with pytest.raises(InputError, match="column 'n'"):
        tables.write_parquet(pd.DataFrame({"name": ["a"], "n": [0]}), tmp_path / "x.parquet", SCHEMA)
    assert not (tmp_path / "x.parquet").exists()


KEYED = pa.DataFrameSchema(
    {"name": pa.Column(str), "year": pa.Column(int, coerce=True), "n": pa.Column(int, pa.Check.gt(0), coerce=True)},
    strict=True,
    unique=["name", "year"],
)


def said(path, text, schema=KEYED, **options):
    path.write_text(text)
    with pytest.raises(InputError) as error:
        tables.read_csv(path, schema, **options)
    return str(error.value)


def test_a_missing_key_column_is_all_that_is_said(tmp_path):
    path = tmp_path / "x.csv"
    assert said(path, "name,n\n" + "a,1\n" * 50) == f"{path}: column 'year' is missing"
    renamed = said(path, "name,yaer,n\n" + "a,1,1\n" * 50)
    assert renamed == f"{path}: column 'yaer' is not expected here; column 'year' is missing"


def test_a_wrong_field_is_told_once(tmp_path):
    path = tmp_path / "x.csv"
    word = said(path, "name,year,n\na,1,many\nb,1,2\n", dtype=str)
    assert word == f"{path}: line 2, column 'n': 'many' fails the check coerce_dtype('int64')"
    assert said(path, "name,year,n\na,1,1\nb,1,\n", dtype=str) == f"{path}: line 3, column 'n' is empty"


def test_lines_are_counted_as_an_editor_does(tmp_path):
    path = tmp_path / "x.csv"
    assert "line 4, column 'n': 0" in said(path, "name,year,n\n\na,1,1\nb,1,0\n")
    assert "line 5, column 'n': 0" in said(path, "name,year,n\na,1,1\n\n  \nb,1,0\n")
    assert "line 4, column 'n': 0" in said(path, 'name,year,n\n"a\nb",1,1\nb,1,0\n')
