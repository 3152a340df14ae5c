"""Names and numbers of a study as LaTeX: escaped, named in letters, rounded by their intervals."""

import re

import pandas as pd
import pytest

import tables_of_print as fixture
from falserefusal.figures.context import Context
from falserefusal.report.latex import Tabular, distinct, escape, letters
from falserefusal.report.paper import write_paper
from falserefusal.report.tex_numbers import macro_names, numbers_file, numbers_of
from falserefusal.report.tex_tables import TEX, difference, plain_number, rate
from falserefusal.study.files import TEX_TABLES

NO_FIGURES = pd.DataFrame(columns=["name", "width", "caption", "rows"])


def macros(text):
    return dict(re.findall(r"^\\newcommand\{\\(.*?)\}\{(.*)\}$", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("sign", "printed"),
    [
        ("_", r"\_"),
        ("%", r"\%"),
        ("&", r"\&"),
        ("#", r"\#"),
        ("$", r"\$"),
        ("{", r"\{"),
        ("}", r"\}"),
        ("~", r"\textasciitilde{}"),
        ("^", r"\textasciicircum{}"),
        ("\\", r"\textbackslash{}"),
        ("−", r"\ensuremath{-}"),
    ],
)
def test_every_special_sign_is_escaped(sign, printed):
    assert escape(f"a{sign}b") == f"a{printed}b"


def test_a_new_line_does_not_end_a_paragraph_or_a_comment():
    assert escape("a\n\nb\tc") == "a b c"


def test_names_of_macros_have_letters_only():
    assert letters("Llama2-7B") == "LlamaTwoSevenB"
    assert letters("Qwen2.5-32B") == "QwenTwoPointFiveThreeTwoB"
    assert letters("transgender woman") == "TransgenderWoman"
    assert letters("Über_größe") == "UberGrosse"
    for name in ("模型", "__", "%$", "é", "a.b.c", "٣"):
        assert re.fullmatch("[A-Za-z]+", letters(name)), name


def test_names_that_become_equal_stay_distinct():
    assert letters("Llama-2 7B") == letters("Llama2-7B")
    many = distinct(["X"] * 60 + ["XB"])
    assert len(set(many)) == 61 and all(name.isalpha() and name.isascii() for name in many)


def test_macros_are_distinct_and_in_letters(root):
    tables = fixture.run_tables(root)
    rates = tables["rates_model_task"]
    tables["rates_model_task"] = rates.assign(
        model=rates["model"].replace({"Llama2-7B": "Llama 27B", "Llama2-13B": "Llama-2.7B", "Llama3-8B": "Llama27-B"})
    )
    context = fixture.context(root, rehearsal=True)
    names = macro_names(numbers_of(tables, context))
    assert len(set(names)) == len(names) > 100
    assert all(re.fullmatch("FR[A-Za-z]+", name) for name in names)
    defined = re.findall(r"^\\newcommand\{(.*?)\}", numbers_file(tables, context), flags=re.MULTILINE)
    assert len(set(defined)) == len(defined)
    assert "FRMeanRateNLI" in names


def test_the_name_of_an_interval_is_never_that_of_another_number(root):
    tables = {"effects_mean": pd.DataFrame({"persona": ["x", "x interval"]}).assign(difference=0.1, lo=0.0, hi=0.2)}
    defined = re.findall(r"newcommand\{(.*?)\}", numbers_file(tables, Context("s", {}, {})))
    assert len(set(defined)) == len(defined) == 5


def test_macros_have_the_values_of_the_tables(root):
    tables = fixture.published_tables(root)
    found = macros(numbers_file(tables, fixture.context(root)))
    row = tables["rates_model_task"].query("model == 'mean' and task == 'nli'").iloc[0]
    assert found["FRMeanRateNLI"] == f"{100 * row['rate']:.2f}\\%" == "1.37\\%"
    assert found["FRMeanRateNLIInterval"] == f"{100 * row['lo']:.2f}\\% to {100 * row['hi']:.2f}\\%"
    assert found["FRResponses"] == "2,032,160"
    assert found["FRImportanceModel"] == "0.68"
    assert "FRImportanceModelNLI" in found


def test_numbers_of_stand_ins_are_marked(root):
    text = numbers_file(fixture.run_tables(root), fixture.context(root, rehearsal=True))
    values = macros(text)
    mark = values.pop("FRmark")
    assert mark == r"\textsuperscript{stand-ins}"
    assert values and all(value.endswith(r"\FRmark") for value in values.values())
    assert fixture.BANNER in text


def test_numbers_are_rounded_by_their_intervals():
    assert rate(0.24816, 0.20912, 0.29284) == ["24.8", r"\FRinterval{20.9}{29.3}"]
    assert rate(0.24816, 0.2479, 0.2484) == ["24.82", r"\FRinterval{24.79}{24.84}"]
    assert rate(0.5, 0.2, 0.8) == [r"\FRwide{50}", r"\FRwide{\FRinterval{20}{80}}"]
    assert rate(0.00001, 0, 0.0003)[0] == r"\textless{}0.01"
    assert rate(float("nan"), float("nan"), float("nan")) == ["--", ""]
    assert rate(0.5, float("nan"), float("nan")) == ["50.0", ""]
    assert difference(-0.0312, -0.06, -0.0021)[0] == r"\ensuremath{-}3.1"
    assert plain_number(0.5544, 0.5296, 0.5793) == ["0.55", r"\FRinterval{0.53}{0.58}"]


def test_every_table_of_a_study_has_a_tabular():
    assert set(TEX_TABLES) == set(TEX)


@pytest.mark.parametrize("name", TEX_TABLES)
def test_rows_have_as_many_cells_as_the_tabular_has_columns(root, name):
    tables = fixture.run_tables(root)
    if name not in tables:
        tables["effects_mean"] = tables["rates_persona"].assign(difference=0.1, p=0.2).head(15)
    tabular = TEX[name].make(tables, fixture.context(root, rehearsal=True))
    assert {len(row) for row in tabular.rows if len(row) > 1} == {tabular.width}
    text = tabular.text()
    assert r"\toprule" in text and r"\bottomrule" in text and r"\caption" not in text
    if name in ("rates_model_task", "rates_baseline"):
        assert "Llama2-7B (stand-in)" in text


def test_names_with_special_signs_are_escaped_everywhere(root, tmp_path):
    tables = fixture.published_tables(root)
    name = r"a_b%&#$\{}~^"
    tables = {key: table.replace({"Llama2-7B": name, "black": name}) for key, table in tables.items()}
    given = fixture.context(root)
    context = Context(name, {name: name} | given.models, {name: "R&D"} | given.personas)
    names = [table for table in TEX_TABLES if table in tables]
    write_paper(names, tables, NO_FIGURES, context, tmp_path)
    for path in tmp_path.rglob("*.tex"):
        lines = path.read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("%"))
        assert name not in text, path
    assert escape(name) in (tmp_path / "tables/tex/rates_model_task.tex").read_text(encoding="utf-8")
    assert r"R\&D" in (tmp_path / "tables/tex/rates_persona.tex").read_text(encoding="utf-8")


def test_a_table_without_rows_is_written_and_not_shown(root, tmp_path):
    tables = fixture.published_tables(root)
    tables["importance"] = tables["importance"].head(0)
    write_paper(["importance", "rates_persona"], tables, NO_FIGURES, fixture.context(root), tmp_path)
    assert "no rows" in (tmp_path / "tables/tex/importance.tex").read_text(encoding="utf-8")
    floats = (tmp_path / "floats.tex").read_text(encoding="utf-8")
    assert "tab:rates_persona" in floats and "tab:importance" not in floats


def test_a_heading_has_space_before_it_and_a_rule_has_none():
    text = Tabular("lr", [], [["one"], ["a", "1"], ["two"], ["b", "2"], [], ["mean", "3"]]).text()
    assert text.count(r"\addlinespace") == 1 and text.count(r"\midrule") == 2


def test_the_mean_over_personas_has_a_name():
    table = pd.DataFrame({"persona": ["x", "*"], "difference": 0.1, "lo": 0.06, "hi": 0.14, "p": 0.04})
    context = Context("s", {}, {"x": "Race"})
    assert "FRMeanPersonaEffect" in macros(numbers_file({"effects_mean": table}, context))
    rows = TEX["effects_mean"].make({"effects_mean": table}, context).rows
    assert rows[-2:] == [[], ["all personas", "+10.0", r"\FRinterval{+6.0}{+14.0}", "0.04"]]
    assert Tabular(r">{\raggedright}p{2.7in}r@{ }l@{ }l>{\raggedright\arraybackslash}p{0.95in}", [], []).width == 5
