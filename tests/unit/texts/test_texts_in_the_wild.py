"""Files as people have them: many formats and encodings, missing values of every spelling, and broken rows."""

import gzip
import json
import subprocess
import sys

import pandas as pd
import pytest

from entries import entry
from falserefusal.common.files import InputError
from falserefusal.texts.problems import summary
from falserefusal.texts.read import read

COLUMNS = {"id": "id", "text": "text", "gold_label": "label"}
ROWS = [{"id": 1, "text": "hello", "label": "toxic"}, {"id": 2, "text": "naïve 你好", "label": "ok"}]


def zipped(content):
    """Compressed content that is the same at any time, because it names a test."""
    return gzip.compress(content, mtime=0)


def table(rows=ROWS, separator=","):
    frame = pd.DataFrame(rows)
    return frame.to_csv(index=False, sep=separator)


def lines(rows=ROWS):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


@pytest.fixture
def read_as(tmp_path):
    """Write `content` (text, bytes or a data frame) as a file of this name, and read it as texts of one's own."""

    def read_it(name, content, **more):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(entry("file", path=str(path), columns=COLUMNS, **more), path, "toxicity")

    return read_it


def rows_of(values, column="label"):
    """A CSV file with two good rows and one for each value."""
    other = [{"id": f"x{i}", "text": "t", "label": "ok"} | {column: value} for i, value in enumerate(values)]
    return table([*ROWS, *other])


# formats


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", table()),
        ("a.CSV", "\ufeff" + table()),
        ("a.tsv", table(separator="\t")),
        ("a.txt", table(separator="\t")),
        ("a.jsonl", lines()),
        ("a.ndjson", "\ufeff" + lines().replace("\n", "\r\n\r\n")),
        ("a.json", json.dumps(ROWS)),
        ("a.json", lines()),
        ("a.csv.gz", zipped(table().encode())),
        ("a.TSV.GZ", zipped(table(separator="\t").encode())),
        ("a.jsonl.gz", zipped(lines().encode())),
        ("a.parquet", pd.DataFrame(ROWS)),
        ("a.parquet", pd.DataFrame(ROWS).astype({"label": "category"}).iloc[[0, 1]].set_index([[7, 9]])),
    ],
)
def test_every_format_gives_the_same_texts(read_as, name, content):
    frame, problems = read_as(name, content)
    assert frame["text"].tolist() == ["hello", "naïve 你好"]
    assert frame["gold_label"].tolist() == ["toxic", "ok"]
    assert frame["row_id"].tolist() == ["toxicity-1", "toxicity-2"]
    assert problems.empty


def test_an_excel_workbook_is_read_by_its_first_sheet(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame([*ROWS, {"id": 3, "text": "None", "label": None}]).to_excel(book, sheet_name="one", index=False)
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="two")
    frame, problems = read(entry("file", path=str(path), columns=COLUMNS), path, "toxicity")
    assert frame["text"].tolist() == ["hello", "naïve 你好"]
    assert problems["problem"].tolist() == ["several sheets", "no gold label"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"no workbook", "CSV UTF-8"),
        ("a.csv", b"PK\x03\x04 a workbook", r"\.xlsx"),
        ("a.csv", b"PAR1 columns", r"\.parquet"),
        ("a.csv", zipped(b"id"), r"\.gz"),
        ("a.csv.gz", b"id,text", "not a readable gzip file"),
        ("a.csv.gz", zipped(table().encode())[:-6], "not a readable gzip file"),
        ("a.json", "[1, 2]", "must hold JSON objects.*row 1 is '1'"),
        ("a.json", json.dumps({"data": ROWS}, indent=1), "must hold JSON objects.*row 1 is '{'"),
        ("a.json", '[{"id": 1', "not a readable list of JSON objects"),
        ("a.jsonl", "", "must hold JSON objects"),
        ("a.csv", table().encode("utf-16-le"), "encoding: utf-16-le"),
        ("a.csv", table(separator=";"), r'is its separator really .*With `separator: ";"` it has these columns'),
        ("a.csv", table(separator="\t"), r'With `separator: "\\t"` it has these columns'),
        ("a.csv", "id,text,label,text\n1,a,b,c\n", "it has 'text' more than once"),
        ("a.csv", "\n", "must name the columns"),
        ("a.csv", "id,text,label\n", "the file has no rows"),
    ],
)
def test_a_file_that_is_something_else_is_an_error_that_says_what(read_as, name, content, message):
    with pytest.raises(InputError, match=message):
        read_as(name, content)


def test_a_line_that_is_no_json_object_costs_that_row(read_as):
    frame, problems = read_as("a.jsonl", f"{lines()}\n{{oops\n[1]\n")
    assert len(frame) == 2
    assert problems[["row", "problem", "value"]].values.tolist() == [
        [3, "not a JSON object", "'{oops'"],
        [4, "not a JSON object", "'[1]'"],
    ]


def test_semicolons_decimal_commas_and_columns_without_a_name(read_as):
    content = "\ufeffid;text;label;;\n1;a, b;3,5;;\n2;c;2,4;;\n;;;;\n"
    frame, problems = read_as("a.csv", content, separator=";", round_gold_labels=True)
    assert frame["text"].tolist() == ["a, b", "c"] and frame["gold_label"].tolist() == ["4", "2"]
    assert problems.empty


@pytest.mark.parametrize("label", ["1,0", "0,1", "1_0"])
def test_a_comma_is_a_decimal_comma_only_in_scores(read_as, label):
    frame, _ = read_as("a.csv", rows_of([label]))
    assert frame["gold_label"].iloc[-1] == label


# types


@pytest.mark.parametrize("column", ["id", "text", "label"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"en": "a"}, {"en": "b"}], "an object"),
        ([["a"], ["b"]], "a list"),
        ([b"a", b"b"], "bytes"),
    ],
)
def test_values_with_parts_are_an_error_that_names_column_and_type(read_as, column, values, kind):
    table = pd.DataFrame(ROWS)
    table[column] = values
    with pytest.raises(InputError, match=rf"column '{column}' holds {kind} in row 1"):
        read_as("a.parquet", table)
    if kind != "bytes":
        with pytest.raises(InputError, match=rf"column '{column}' holds {kind} in row 2"):
            read_as("a.jsonl", lines([ROWS[0], ROWS[1] | {column: values[1]}]))


def test_columns_that_are_not_used_may_have_any_type(read_as):
    frame, problems = read_as("a.parquet", pd.DataFrame(ROWS).assign(other=[["a"], None]))
    assert len(frame) == 2 and problems.empty


@pytest.mark.parametrize("values", [[3, 4], [True, False], [0.5, None]])
def test_a_column_of_texts_without_any_text_is_an_error(read_as, values):
    with pytest.raises(InputError, match="column 'text' holds no text"):
        read_as("a.parquet", pd.DataFrame(ROWS).assign(text=values))


@pytest.mark.parametrize(
    ("values", "labels"), [([1, 2], ["1", "2"]), ([1.0, 2.0], ["1", "2"]), ([True, False], ["true", "false"])]
)
def test_numbers_and_truth_values_are_gold_labels(read_as, values, labels):
    for name, content in (
        ("a.parquet", pd.DataFrame(ROWS).assign(label=values)),
        ("a.jsonl", lines([row | {"label": value} for row, value in zip(ROWS, values, strict=True)])),
    ):
        assert read_as(name, content)[0]["gold_label"].tolist() == labels


def test_half_a_character_of_a_json_file_is_replaced(read_as):
    frame, problems = read_as("a.jsonl", '{"id": 1, "text": "a\\ud83d b", "label": "ok"}')
    assert frame["text"].tolist() == ["a\ufffd b"]
    assert problems["problem"].tolist() == ["characters garbled by a wrong encoding"]


# encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gbk", "你这个人真的很有意思"),
        ("big5", "你這個人真的很有意思"),
        ("shift_jis", "とても面白い"),
        ("euc-kr", "정말 재미있다"),
        ("cp1252", "it’s “naïve” – café"),
        ("cp1251", "привет"),
        ("latin-1", "naïve café"),
        ("cp1253", "γειά"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz"])
def test_another_encoding_must_be_named(read_as, name, encoding, text):
    rows = [*ROWS[:1], *({"id": f"r{i}", "text": text, "label": "ok"} for i in range(5))]
    content = (lines(rows) if "json" in name else table(rows)).encode(encoding)
    content = zipped(content) if name.endswith(".gz") else content
    line = 2 if "json" in name else 3
    with pytest.raises(InputError, match=rf"line {line} has the byte 0x.., which is not utf-8\. .*`encoding: cp1252`"):
        read_as(name, content)
    frame, problems = read_as(name, content, encoding=encoding)
    assert frame["text"].tolist() == ["hello", *[text] * 5] and problems.empty


def test_a_byte_order_mark_goes_before_the_encoding_of_the_config(read_as):
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert read_as("a.csv", table().encode(encoding), encoding="cp1252")[0]["text"].tolist()[1] == "naïve 你好"


GARBLED = [
    "it’s naïve – “fine”".encode().decode("cp1252", "replace"),
    "привет мир".encode().decode("latin-1"),
    "你好世界".encode().decode("cp1252", "replace"),
    "你这个人真的很有意思".encode("gbk").decode("latin-1"),
    "привет мир".encode("cp1251").decode("cp1252"),
    "it’s".encode("cp1252").decode("latin-1"),
    "caf\ufffd",
]


@pytest.mark.parametrize("text", GARBLED)
def test_garbled_texts_are_reported_and_if_they_are_most_an_error(read_as, caplog, text):
    good = [{"id": f"g{i}", "text": f"fine {i}", "label": "ok"} for i in range(10)]
    bad = [{"id": f"b{i}", "text": text, "label": "ok"} for i in range(4)]
    frame, problems = read_as("a.csv", table(good + bad))
    assert len(frame) == 14 and "4 of 14 texts look garbled" in caplog.text
    assert problems["problem"].tolist() == ["characters garbled by a wrong encoding"] * 4
    with pytest.raises(InputError, match=r"4 of 7 texts .* are garbled.*Correct `encoding`"):
        read_as("a.csv", table(good[:3] + bad))


@pytest.mark.parametrize(
    "text",
    [
        "Ångström, naïve",
        "Þetta er íslenska",
        "señor ¡SÍ!",
        "CAFÉ »",
        "tiếng Việt",
        "привет",
        "你好",
        "مرحبا",
        "5 £ – “ça va”",
    ],
)
def test_texts_of_any_language_are_not_garbled(read_as, text):
    frame, problems = read_as("a.csv", table([row | {"text": text} for row in ROWS * 3]))
    assert set(frame["text"]) == {text}
    assert "characters garbled by a wrong encoding" not in set(problems["problem"])


# gold labels

MISSING = ["", " ", "\u00a0", "\u200b", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "none", "nil", "#N/A"]
MISSING += ["-", ".", "?", "missing", "Missing", "<NA>"]


def test_a_missing_gold_label_is_none_in_any_spelling(read_as):
    frame, problems = read_as("a.csv", rows_of(MISSING), max_lost=1)
    assert frame["gold_label"].tolist() == ["toxic", "ok"]
    assert problems["problem"].tolist() == ["no gold label"] * len(MISSING)


@pytest.mark.parametrize("word", ["None", "NA", "missing", "-"])
def test_a_word_that_scale_or_map_names_is_a_gold_label(read_as, word):
    content = rows_of([word, word.lower()])
    assert read_as("a.csv", content, scale=["toxic", "ok", word])[0]["gold_label"].tolist()[2:] == [word, word]
    mapped = read_as("a.csv", content, gold_label_map={word: "clean"})[0]
    assert mapped["gold_label"].tolist() == ["toxic", "ok", "clean", "clean"]
    mapped = read_as("a.csv", content, gold_label_map={"ok": word})[0]
    assert mapped["gold_label"].tolist() == ["toxic", word, word, word]


def test_null_is_a_missing_text_only_where_the_file_has_types(read_as):
    rows = [
        *ROWS,
        {"id": 3, "text": None, "label": "ok"},
        {"id": 4, "label": "ok"},
        {"id": 5, "text": "null", "label": "ok"},
    ]
    for name, content in (("a.jsonl", lines(rows)), ("a.parquet", pd.DataFrame(rows))):
        frame, problems = read_as(name, content)
        assert frame["text"].tolist() == ["hello", "naïve 你好", "null"]
        assert problems["problem"].tolist() == ["empty text"] * 2
    assert read_as("a.csv", rows_of(["None", "NA"], "text"))[0]["text"].tolist()[2:] == ["None", "NA"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("where", {"label": "true"}, "where: no row has 'true' in the column 'label'; .* are 'toxic', 'ok'"),
        ("where", {"id": 1.0}, "where: no row has '1.0' in the column 'id'; its most frequent values are '1', '2'"),
        ("gold_label_map", {"1": "a", "0": "b"}, "gold_label_map: no row has '1', '0' .* are 'toxic', 'ok'"),
    ],
)
def test_a_filter_or_map_that_matches_nothing_is_an_error_with_what_there_is(read_as, key, value, message):
    with pytest.raises(InputError, match=message):
        read_as("a.csv", table(), **{key: value})


def test_a_key_of_the_map_that_no_row_has_is_reported(read_as):
    frame, problems = read_as("a.csv", table(), gold_label_map={"Toxic": "bad", "maybe": "bad"})
    assert frame["gold_label"].tolist() == ["bad", "ok"]
    assert problems[["problem", "value"]].values.tolist() == [["a key of gold_label_map has no row", "maybe"]]


# texts


def test_texts_that_say_nothing_are_left_out(read_as):
    nothing = ["\u200b", "\ufeff\u200d", "\x00\x07", "...", "?!", "\u3164", "---", "\ufffd"]
    frame, problems = read_as("a.csv", rows_of([*nothing, "😀", "7", "٣", "字"], "text"))
    assert frame["text"].tolist()[2:] == ["😀", "7", "٣", "字"]
    dropped = problems[problems["action"] == "row dropped"]
    assert dropped["row"].tolist() == list(range(3, 3 + len(nothing)))
    assert set(dropped["problem"]) == {"empty text", "no letter, digit or emoji in the text"}


def test_control_characters_are_removed_and_reported(read_as):
    frame, problems = read_as("a.csv", "id,text,label\n1\0,a\0b\x07c\x0cd,x\0\n2,e,x\n")
    assert frame["text"].tolist() == ["abc\nd", "e"] and set(frame["gold_label"]) == {"x"}
    assert frame["row_id"][0] == "toxicity-1"
    assert set(problems["problem"]) == {"control characters", "page break or vertical tab"}


def test_a_very_long_text_is_read_and_reported(read_as):
    frame, problems = read_as("a.csv", rows_of(["a" * 140_000], "text"))
    assert frame["text"].str.len().tolist()[2:] == [140_000]
    assert problems[["row", "problem", "value"]].values.tolist() == [
        [3, "longer than 20,000 characters", "140,000 characters"]
    ]


# rows that are lost

LOST = {
    "commas without quotes": ("{i},well, {i},ok", "10 times: not 3 fields, as the header has .*'0,well, 0,ok'"),
    "no text": ("{i},,ok", "in the column 'text', 10 times: empty text"),
    "no gold label": ("{i},a,NA", "in the column 'label', 10 times: no gold label .*'NA'"),
    "off the scale": ("{i},a,9", "in the column 'label', 10 times: gold label is not one of ok .*'9'"),
}


@pytest.mark.parametrize("kind", LOST)
def test_a_file_that_loses_more_than_its_share_is_an_error_with_the_reason(read_as, kind):
    row, reason = LOST[kind]
    bad = "".join(row.format(i=i) + "\n" for i in range(10))
    good = "".join(f"g{i},fine,ok\n" for i in range(90))
    with pytest.raises(InputError, match=rf"a\.csv: 10 of 100 rows cannot be used.*{reason}.*max_lost above 0\.05"):
        read_as("a.csv", f"id,text,label\n{bad}{good}", scale=["ok"])
    frame, problems = read_as("a.csv", f"id,text,label\n{bad}{good}", scale=["ok"], max_lost=0.1)
    assert len(frame) == 90 and "    10 x " in summary(problems)
    assert (
        len(read_as("a.csv", f"id,text,label\n{bad}{good}{good.replace('g', 'h')}{good.replace('g', 'k')}")[0]) >= 270
    )


def test_repeated_rows_and_empty_lines_are_not_lost(read_as):
    frame, _ = read_as("a.csv", "id,text,label\n" + "".join(f"{i % 50},t,x\n\n,,\n" for i in range(100)))
    assert len(frame) == 50


@pytest.mark.parametrize("terminal", ["ascii", "latin-1", "cp1252"])
def test_a_log_takes_any_text_whatever_the_terminal(root, tmp_path, terminal):
    code = (
        "import sys; from falserefusal.common.logs import log_to\n"
        f"with log_to(r'{tmp_path}/x.log'): print('naïve 你好 \\ud83d')\n"
    )
    env = {"PYTHONPATH": str(root / "workflow"), "PYTHONIOENCODING": terminal}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""  # what a job says is in its log
    assert "naïve 你好" in (tmp_path / "x.log").read_text(encoding="utf-8")
