"""Reading: what becomes of good rows and of every kind of bad one."""

import csv

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entries import entry
from falserefusal.common.files import InputError, validate
from falserefusal.common.schemas import TEXTS
from falserefusal.texts.fetch import raw_path
from falserefusal.texts.problems import PROBLEMS, summary
from falserefusal.texts.read import read
from falserefusal.texts.sample import sample, shortfalls

RATED = {"id": "id", "text": "text", "gold_label": "label"}


def source(path, **more):
    return entry("file", **{"path": str(path), "columns": RATED} | more)


def read_file(path, content, task="politeness", **more):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    frame, problems = read(source(path, **more), path, task)
    return validate(frame, TEXTS, "frame"), PROBLEMS.validate(problems)


def findings(problems):
    """(row, column, problem, action) of all findings but the gold labels that these small files do not have."""
    found = problems[~problems["problem"].str.startswith("no row has the gold label")].drop(columns=["task", "value"])
    return [(None if pd.isna(row) else row, *rest) for row, *rest in found.itertuples(index=False)]


@pytest.fixture
def csv_path(tmp_path):
    return tmp_path / "ratings.csv"


@pytest.fixture
def tsv_path(tmp_path):
    return tmp_path / "ratings.tsv"


def test_a_clean_file_becomes_texts(csv_path):
    frame, problems = read_file(csv_path, 'id,text,label\n7,"Well, ""hello"".",1\nb,Two\'s company,5\n')
    assert frame["row_id"].tolist() == ["politeness-7", "politeness-b"]
    assert frame["text"].tolist() == ['Well, "hello".', "Two's company"]
    assert frame["gold_label"].tolist() == ["1", "5"]
    assert frame["premise"].isna().all() and frame["hypothesis"].isna().all()
    assert set(frame["source"]) == {"ratings.csv"} and set(frame["task"]) == {"politeness"}
    assert findings(problems) == []


def test_labels_of_the_scale_without_rows_are_reported(csv_path):
    _, problems = read_file(csv_path, "id,text,label\n1,a,1\n2,b,2\n3,c,3\n4,d,4\n")
    assert problems[["problem", "value"]].values.tolist() == [["no row has the gold label", "5"]]
    assert problems["row"].isna().all()


def test_text_id_depends_on_the_content_alone(csv_path, tmp_path):
    frame, _ = read_file(csv_path, "id,text,label\n1,same,1\n2,same,5\n3,other,1\n")
    again, _ = read_file(tmp_path / "other.csv", "id,text,label\n9,same,2\n", task="offensiveness")
    assert frame["text_id"][0] == frame["text_id"][1] == again["text_id"][0] != frame["text_id"][2]
    assert frame["text_id"].str.fullmatch("[0-9a-f]{16}").all()


def test_text_id_of_a_pair_keeps_premise_and_hypothesis_apart(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("p\th\tl\nab\tc\tneutral\na\tbc\tneutral\n")
    columns = {"premise": "p", "hypothesis": "h", "gold_label": "l"}
    frame, _ = read(source(path, columns=columns), path, "nli")
    assert frame["text_id"].nunique() == 2
    assert frame["row_id"].tolist() == ["nli-1", "nli-2"]
    assert frame["text"].isna().all()


def test_words_that_look_like_missing_values_are_texts(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n1,NA,1\n2,null,2\n3,nan,3\n4,None,4\n")
    assert frame["text"].tolist() == ["NA", "null", "nan", "None"]
    assert findings(problems) == []


# labels


@pytest.mark.parametrize("label", ["3", "3.0", " 3 ", "3.000", "3e0"])
def test_whole_numbers_in_any_spelling_are_ratings(csv_path, label):
    frame, _ = read_file(csv_path, f"id,text,label\n1,a,{label}\n")
    assert frame["gold_label"].tolist() == ["3"]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "no gold label"),
        ("NaN", "no gold label"),
        ("0", "gold label is not one of 1, 2, 3, 4, 5"),
        ("6.0", "gold label is not one of 1, 2, 3, 4, 5"),
        ("-1", "gold label is not one of 1, 2, 3, 4, 5"),
        ("inf", "gold label is not one of 1, 2, 3, 4, 5"),
        ("polite", "gold label is not one of 1, 2, 3, 4, 5"),
        ("3.4", "gold label is not one of 1, 2, 3, 4, 5; round_gold_labels: true rounds scores"),
    ],
)
def test_rows_with_other_labels_are_left_out_and_reported(csv_path, label, problem):
    frame, problems = read_file(csv_path, f"id,text,label\n1,a,1\n2,b,{label}\n")
    assert frame["row_id"].tolist() == ["politeness-1"]
    assert findings(problems) == [(2, "label", problem, "row dropped")]


def test_scores_are_rounded_on_request_halves_up(csv_path):
    rows = "".join(f"{i},t{i},{score}\n" for i, score in enumerate([1.34, 2.5, 3.5, 4.67, 0.5, 0.49, 5.5]))
    frame, problems = read_file(csv_path, "id,text,label\n" + rows, round_gold_labels=True)
    assert frame["gold_label"].tolist() == ["1", "3", "4", "5", "1"]
    assert [row for row, *_ in findings(problems)] == [6, 7]


def test_label_map_translates_codes(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n1,a,0\n2,b,1.0\n3,c,7\n", gold_label_map={0: 1, "1": 5})
    assert frame["gold_label"].tolist() == ["1", "5"]
    assert [row for row, *_ in findings(problems)] == [3]


def test_labels_are_matched_whatever_their_case(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("p,h,l\na,b,Entailment\nc,d,NEUTRAL\ne,f,-\n")
    columns = {"premise": "p", "hypothesis": "h", "gold_label": "l"}
    frame, problems = read(source(path, columns=columns), path, "nli")
    assert frame["gold_label"].tolist() == ["entailment", "neutral"]
    assert problems["row"].dropna().tolist() == [3]


def test_another_task_has_the_scale_of_its_config(csv_path):
    content = "id,text,label\n1,a,toxic\n2,b,fine\n3,c,dunno\n"
    frame, problems = read_file(csv_path, content, task="toxicity", scale=["toxic", "fine"])
    assert frame["gold_label"].tolist() == ["toxic", "fine"]
    assert [row for row, *_ in findings(problems)] == [3]
    frame, problems = read_file(csv_path, content, task="toxicity")
    assert len(frame) == 3 and problems.empty


# ids


def test_an_id_of_several_columns_is_joined(csv_path):
    csv_path.write_text("i,u,text,label\n1,9,a,1\n1,10,a,2\n")
    columns = {"id": ["i", "u"], "text": "text", "gold_label": "label"}
    frame, _ = read(source(csv_path, columns=columns), csv_path, "politeness")
    assert frame["row_id"].tolist() == ["politeness-1-9", "politeness-1-10"]


def test_equal_ids_of_different_rows_are_numbered_and_kept(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n1,a,1\n1,a,2\n1-2,b,3\n1,c,3\n")
    assert frame["row_id"].tolist() == [f"politeness-{i}" for i in ["1", "1-2", "1-2-2", "1-3"]]
    assert findings(problems) == [(row, "id", "id was used before", "numbered") for row in (2, 3, 4)]
    assert problems["value"].tail(3).tolist() == ["1 became 1-2", "1-2 became 1-2-2", "1 became 1-3"]


def test_a_row_repeated_in_full_is_left_out(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n1,a,1\n2,b,2\n1,a,1\n")
    assert frame["row_id"].tolist() == ["politeness-1", "politeness-2"]
    assert findings(problems) == [(3, "", "repeats an earlier row in every column", "kept once")]


def test_equal_rows_without_ids_are_two_annotations(csv_path):
    csv_path.write_text("text,label\na,1\na,1\n")
    columns = {"text": "text", "gold_label": "label"}
    frame, _ = read(source(csv_path, columns=columns), csv_path, "politeness")
    assert frame["row_id"].tolist() == ["politeness-1", "politeness-2"]


def test_a_row_without_an_id_is_known_by_its_number(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n2,a,1\n,b,2\n")
    assert frame["row_id"].tolist() == ["politeness-2", "politeness-row2"]
    assert findings(problems) == [(2, "id", "empty id", "the row is identified by its number")]


def test_many_equal_ids_take_no_quadratic_time(csv_path):
    rows = "".join(f"same,text {i},1\n" for i in range(20_000))
    frame, problems = read_file(csv_path, "id,text,label\n" + rows)
    assert frame["row_id"].is_unique and len(findings(problems)) == 19_999


def test_popquorn_without_user_ids_is_numbered_and_says_so(tmp_path):
    path = tmp_path / "raw_data.csv"
    path.write_text("text,politeness,gender,instance_id\na,1.0,Man,4\na,1.0,Man,4\n")
    frame, problems = read(entry("popquorn", path=str(path)), path, "politeness")
    assert frame["row_id"].tolist() == ["politeness-1", "politeness-2"]
    assert findings(problems) == [(None, "user_id", "no such id column", "rows are identified by their number")]


# characters


@pytest.mark.parametrize("text", ["", "   ", "<br>", " <BR/><br /> "])
def test_empty_texts_are_left_out(csv_path, text):
    frame, problems = read_file(csv_path, f"id,text,label\n1,a,1\n2,{text},2\n")
    assert frame["row_id"].tolist() == ["politeness-1"]
    assert (2, "text", "empty text", "row dropped") in findings(problems)


def test_html_breaks_become_line_breaks(csv_path):
    frame, problems = read_file(csv_path, "id,text,label\n1,Hi<br>there<BR />you</br>,1\n2,a < b,2\n")
    assert frame["text"].tolist() == ["Hi\nthere\nyou", "a < b"]
    assert (1, "text", "HTML line break", "written as a line break") in findings(problems)
    assert all(row == 1 for row, *_ in findings(problems))


def test_carriage_returns_become_line_breaks_and_tabs_blanks(csv_path):
    frame, problems = read_file(csv_path, b'id,text,label\r\n1,"a\r\nb\rc\td",1\r\n')
    assert frame["text"].tolist() == ["a\nb\nc d"]
    assert [(problem, action) for _, _, problem, action in findings(problems)] == [
        ("carriage return", "written as a line break"),
        ("tab", "written as a space"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(csv_path):
    frame, problems = read_file(csv_path, b"\xef\xbb\xbf" + "id,text,label\n1,caf\u00e9,1\n".encode())
    assert frame["text"].tolist() == ["caf\u00e9"] and findings(problems) == []


def test_utf16_with_a_byte_order_mark_is_read(tsv_path):
    frame, _ = read_file(tsv_path, "id\ttext\tlabel\n1\tcaf\u00e9\t1\n".encode("utf-16"))
    assert frame["text"].tolist() == ["caf\u00e9"]


def test_windows_bytes_in_popquorn_are_read_row_by_row(csv_path):
    csv_path.write_bytes(
        b"instance_id,user_id,text,politeness\n"
        b"1,1,it\x92s \x93fine\x94,1\n2,1,caf\xc3\xa9,2\n3,1,caf\xc3\xa9 \x96 caf\xe9,3\n"
    )
    frame, problems = read(entry("popquorn", path=str(csv_path)), csv_path, "politeness")
    assert frame["text"].tolist() == ["it’s “fine”", "café", "café – café"]
    assert findings(problems) == [
        (1, "text", "bytes that are not UTF-8", "read as Windows-1252"),
        (3, "text", "bytes that are not UTF-8", "read as Windows-1252"),
    ]


def test_a_windows_file_with_a_windows_header_is_read(csv_path):
    csv_path.write_bytes(b"id,Gr\xf6\xdfe,label\n1,na\xefve,1\n")
    columns = {"id": "id", "text": "Größe", "gold_label": "label"}
    frame, _ = read(source(csv_path, columns=columns, encoding="cp1252"), csv_path, "politeness")
    assert frame["text"].tolist() == ["naïve"]


@pytest.mark.parametrize("text", ["itâ€™s fine", "cafÃ©", "lost \ufffd", "Â£5"])
def test_mojibake_is_reported_and_kept(csv_path, text):
    frame, problems = read_file(csv_path, f"id,text,label\n1,{text},1\n2,Ângela’s naïve café – “ça va”,2\n")
    assert frame["text"][0] == text
    assert findings(problems) == [(1, "text", "characters garbled by a wrong encoding", "kept")]


# the table itself


def test_quotes_in_an_unquoted_tsv_are_characters(tsv_path):
    frame, problems = read_file(tsv_path, 'id\ttext\tlabel\n1\t"Stop," he said\t1\n2\t6" of snow\t2\n3\t"a"\t3\n')
    assert frame["text"].tolist() == ['"Stop," he said', '6" of snow', '"a"']
    assert findings(problems) == []


def test_a_quoted_cell_in_an_unquoted_tsv_is_reported(tsv_path):
    frame, problems = read_file(tsv_path, 'id\ttext\tlabel\n1\t"say ""hi"""\t1\n')
    assert frame["text"].tolist() == ['"say ""hi"""']
    assert findings(problems) == [(1, "text", "looks quoted, but quoting is none", "kept")]


def test_a_stray_tab_costs_its_row_only(tsv_path):
    frame, problems = read_file(tsv_path, "id\ttext\tlabel\n1\ta\tb\t1\n2\tc\t2\n\n3\td\n4\te\t4\n")
    assert frame["row_id"].tolist() == ["politeness-2", "politeness-4"]
    assert findings(problems) == [(row, "", "not 3 fields, as the header has", "row dropped") for row in (1, 4)]
    assert problems.loc[problems["row"] == 1, "value"].tolist() == [r"4 fields: '1\ta\tb\t1'"]


@pytest.mark.parametrize(
    "content", ['id,text,label\n1,a,1\n2,"b,2\n3,c,3\n', 'id,text,label\n1,a,1\n2,"b,2\n3,"c",3\n']
)
def test_a_quote_left_open_is_an_error_with_its_row(csv_path, content):
    with pytest.raises(InputError, match=r"ratings\.csv: data row 2 .*quoting: none"):
        read_file(csv_path, content)


def test_a_missing_column_is_an_error_that_lists_the_others(csv_path):
    with pytest.raises(InputError, match=r"ratings\.csv: no column 'label'; the file has id, text, rating"):
        read_file(csv_path, "id,text,rating\n1,a,1\n")


def test_a_wrong_separator_is_guessed(csv_path):
    with pytest.raises(InputError, match=r"is its separator really ','\?"):
        read_file(csv_path, "id;text;label\n1;a;1\n")


@pytest.mark.parametrize("content", ["", "id,text,text\n1,a,b\n"])
def test_a_file_without_proper_header_is_an_error(csv_path, content):
    with pytest.raises(InputError, match=r"\(the first line\) must name the columns, each once"):
        read_file(csv_path, content)


def test_no_usable_row_is_an_error_that_says_why(csv_path):
    with pytest.raises(InputError, match=r"1 of 1 rows cannot be used.*gold label is not one of .* \(row 1, '9'\)"):
        read_file(csv_path, "id,text,label\n1,a,9\n")
    with pytest.raises(InputError, match="the file has no rows below the header; add texts"):
        read_file(csv_path, "id,text,label\n")


def test_a_missing_file_is_an_error(csv_path):
    with pytest.raises(InputError, match="no such file"):
        read(source(csv_path), csv_path, "politeness")


def test_no_row_disappears_without_a_line(csv_path):
    bad = ["2,,1", "3,c,", "4,d,9", "5,e,1,x", "1,a,1", "6,f"]
    frame, problems = read_file(csv_path, "id,text,label\n1,a,1\n" + "\n".join(bad) + "\n")
    assert len(frame) == 1
    assert set(problems.loc[problems["action"].isin(["row dropped", "kept once"]), "row"]) == set(range(2, 8))
    assert "1 x text: empty text -> row dropped (row 2)" in summary(problems)


# without Latin-1, of which a few in a row look like a wrong encoding
ANY_CHARACTER = st.characters(
    exclude_categories=["Cs", "Cc"],
    include_characters="\t\r\n",
    exclude_characters=[*map(chr, range(0x80, 0x100)), "\ufffd"],
)
ANY_TEXT = st.text(ANY_CHARACTER, max_size=40).map("a{}".format)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=5))
def test_any_text_comes_through_every_format_alike(tmp_path, texts):
    table = pd.DataFrame({"id": range(1, len(texts) + 1), "text": texts, "label": 3})
    table.to_parquet(tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([table.columns, *table.values.tolist()])
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True, force_ascii=False)
    expected = [text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").strip() for text in texts]
    for path in (tmp_path / "a.csv", tmp_path / "a.parquet", tmp_path / "a.jsonl"):
        frame, _ = read(source(path), path, "politeness")
        assert frame["text"].tolist() == expected


# the paper's sources, as files that look like them


def test_the_hub_file_of_xnli(tmp_path):
    path = tmp_path / "test.parquet"
    pairs = {"premise": ["a", "b", "c", "d"], "hypothesis": ["e", "f", "", "h"], "label": [0, 1, 2, 2]}
    pd.DataFrame(pairs).to_parquet(path)
    frame, problems = read(entry("xnli", path=str(path)), path, "nli")
    assert frame["gold_label"].tolist() == ["entailment", "neutral", "contradiction"]
    assert frame["row_id"].tolist() == ["nli-1", "nli-2", "nli-4"]
    assert set(frame["source"]) == {"xnli/test"}
    assert findings(problems) == [(3, "hypothesis", "empty text", "row dropped")]


def test_missing_values_of_a_parquet_file_are_empty(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": [1, 2, 3], "text": ["a", None, "c"], "label": [1.0, 2.0, None]}).to_parquet(path)
    frame, problems = read(source(path), path, "politeness")
    assert frame["row_id"].tolist() == ["politeness-1"]
    assert [(row, problem) for row, _, problem, _ in findings(problems)] == [(2, "empty text"), (3, "no gold label")]


def test_a_broken_parquet_file_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read(source(path), path, "politeness")


@pytest.mark.parametrize("task", ["nli", "politeness", "offensiveness"])
def test_the_embedded_corpus_reads_without_a_problem(task):
    path = raw_path(entry("embedded"), task, "unused")
    frame, problems = read(entry("embedded"), path, task)
    assert len(validate(frame, TEXTS, "frame")) == (210 if task == "nli" else 200)
    assert problems.empty


def real_file(shared_dir, name):
    path = shared_dir / "data" / name
    if not path.exists():
        pytest.skip(f"no {name} among the real data")
    return path


def test_popquorn_offensiveness_gives_the_papers_sample(shared_dir):
    path = real_file(shared_dir, "popquorn_offensiveness.csv")
    frame, problems = read(entry("popquorn", path=str(path)), path, "offensiveness")
    assert frame["gold_label"].value_counts().to_dict() == {"1": 7516, "2": 2190, "3": 1590, "4": 1039, "5": 701}
    assert frame["text_id"].nunique() == 1500
    assert problems.empty
    texts = sample(frame, 1000, seed=2025)
    assert len(texts) == 4701
    assert shortfalls(frame, 1000, "offensiveness")["action"].tolist() == ["all taken"]


def test_xnli_test_gives_the_papers_sample(shared_dir):
    path = real_file(shared_dir, "xnli_en_test.tsv")
    columns = {"premise": "sentence1_en", "hypothesis": "sentence2_en", "gold_label": "label"}
    frame, problems = read(source(path, columns=columns), path, "nli")
    assert frame["gold_label"].value_counts().to_dict() == dict.fromkeys(
        ["entailment", "contradiction", "neutral"], 1670
    )
    assert set(problems["action"]) == {"removed"}
    assert len(sample(frame, 1000, seed=2025)) == 3000


def test_rounded_politeness_scores_give_what_there_is(shared_dir):
    path = real_file(shared_dir, "popquorn_politeness_texts.csv")
    columns = {"id": "id", "text": "text", "gold_label": "inferred_politeness"}
    frame, problems = read(source(path, columns=columns, round_gold_labels=True), path, "politeness")
    assert frame["gold_label"].value_counts().to_dict() == {"1": 3, "2": 194, "3": 1693, "4": 1759, "5": 69}
    assert not frame["text"].str.contains("<br>").any()
    assert "row dropped" not in set(problems["action"])
    assert len(sample(frame, 1000, seed=2025)) == 3 + 194 + 1000 + 1000 + 69
    assert len(shortfalls(frame, 1000, "politeness")) == 3
