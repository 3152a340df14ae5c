"""Files are validated, written completely or not at all, and reproducible to the byte."""

import pandas as pd
import pandera.pandas as pa
import pytest

from falserefusal.common import files
from falserefusal.common.errors import InputError

SCHEMA = pa.DataFrameSchema({"name": pa.Column(str), "n": pa.Column(int, pa.Check.gt(0))}, strict=True)


def test_the_same_frame_is_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"name": ["a", "b"], "n": [1, 2]})
    for write, suffix in ((files.write_csv, "csv"), (files.write_parquet, "parquet")):
        first, second = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
        write(frame, first)
        write(frame, second)
        assert first.read_bytes() == second.read_bytes()


def test_a_level_called_none_stays_a_word_and_an_empty_field_is_missing(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\nNone,\nNA,1\n")
    frame = files.read_csv(tmp_path / "x.csv")
    assert frame["a"].tolist() == ["None", "NA"]
    assert frame["b"].isna().tolist() == [True, False]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.csv"]


def test_written_files_are_readable_by_others(tmp_path):
    files.write_text("x", tmp_path / "x.txt")
    assert (tmp_path / "x.txt").stat().st_mode & 0o444


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na\n", "column 'n' is missing"),
        ("name,n,z\na,1,2\n", "column 'z' is not expected"),
        ("name,n\na,1\nb,0\n", "line 3, column 'n': 0"),
        ("", "the file is empty"),
    ],
)
def test_errors_name_file_line_and_column(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError) as error:
        files.read_csv(tmp_path / "x.csv", SCHEMA)
    assert "x.csv" in str(error.value) and message in str(error.value)


def test_an_extra_comma_in_every_row_does_not_shift_the_columns(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("model,rate\n\nA,0.5,\nB,0.25,\n")
    with pytest.raises(InputError, match=r"rates\.csv: line 3 has more fields than the header"):
        files.read_csv(path)


def test_parquet_is_checked_on_the_way_out(tmp_path):
    with pytest.raises(InputError, match="column 'n'"):
        files.write_parquet(pd.DataFrame({"name": ["a"], "n": [0]}), tmp_path / "x.parquet", SCHEMA)
    assert not (tmp_path / "x.parquet").exists()


KEYED = pa.DataFrameSchema(
    {"name": pa.Column(str), "year": pa.Column(int, coerce=True), "n": pa.Column(int, pa.Check.gt(0), coerce=True)},
    strict=True,
    unique=["name", "year"],
)


def error_of(path, text, schema=KEYED, **options):
    path.write_text(text)
    with pytest.raises(InputError) as error:
        files.read_csv(path, schema, **options)
    return str(error.value)


def test_a_missing_key_column_is_the_only_message(tmp_path):
    path = tmp_path / "x.csv"
    assert error_of(path, "name,n\n" + "a,1\n" * 50) == f"{path}: column 'year' is missing"
    renamed = error_of(path, "name,yaer,n\n" + "a,1,1\n" * 50)
    assert renamed == f"{path}: column 'yaer' is not expected here (did you mean 'year'?); column 'year' is missing"


def test_a_wrong_field_is_reported_once(tmp_path):
    path = tmp_path / "x.csv"
    message = error_of(path, "name,year,n\na,1,many\nb,1,2\n", dtype=str)
    assert message == f"{path}: line 2, column 'n': 'many' is not a number"
    assert error_of(path, "name,year,n\na,1,1\nb,1,\n", dtype=str) == f"{path}: line 3, column 'n' is empty"


def test_lines_are_counted_as_an_editor_does(tmp_path):
    path = tmp_path / "x.csv"
    assert "line 4, column 'n': 0" in error_of(path, "name,year,n\n\na,1,1\nb,1,0\n")
    assert "line 5, column 'n': 0" in error_of(path, "name,year,n\na,1,1\n\n  \nb,1,0\n")
    assert "line 4, column 'n': 0" in error_of(path, 'name,year,n\n"a\nb",1,1\nb,1,0\n')


def test_a_text_that_a_spreadsheet_would_run_is_written_harmlessly_and_read_back(tmp_path):
    texts = ["=1+1", "+1", "-x", "@sum", "\tx", "'=1", "''=1", "'quoted'", "plain", "a=b", None]
    frame = pd.DataFrame({"text": texts, "n": range(-5, 6)})
    files.write_csv(frame, tmp_path / "x.csv")
    cells = [row.split(",")[0] for row in (tmp_path / "x.csv").read_text().splitlines()[1:]]
    assert not any(cell.strip('"').startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    assert files.read_csv(tmp_path / "x.csv")["n"].tolist() == list(range(-5, 6))
    assert files.read_csv(tmp_path / "x.csv")["text"].astype(object).where(lambda s: s.notna(), None).tolist() == texts
