"""Figures are drawn from tables only, legible, marked as a rehearsal if they are one, and reproducible."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import tables_of_print as fixture
from drawn_texts import problems_of, texts_of
from falserefusal.common.numbers import listing
from falserefusal.common.printed import CELL, QUANTITIES, RATE
from falserefusal.figures.claims import _along
from falserefusal.figures.context import Context
from falserefusal.figures.dots import Dot, NothingToDraw, grouped_rows, whiskers
from falserefusal.figures.draw import _draw, draw_figures, save
from falserefusal.figures.labelling import draw_labeller_range
from falserefusal.figures.personas import panel_grid
from falserefusal.figures.registry import FigureSet
from falserefusal.figures.style import MESSAGE, WARNING, Page, number, percent, styled
from falserefusal.study.files import ENDINGS

EVERYTHING = {"sequential": True, "several_labellers": True, "annotated": True, "shrunken": True}


@pytest.fixture(scope="module")
def published(root):
    return fixture.published_tables(root)


@pytest.fixture(scope="module")
def rehearsed(root):
    return fixture.run_tables(root)


@pytest.fixture(scope="module")
def gallery(root, published, rehearsed):
    """Figures of both kinds of study, drawn once: kind -> [(figure's entry, canvas)]."""
    few = ("figure01_baseline", "figure02_persona_mean", "figure04_format_offensiveness", "figure05_importance")
    few += ("figure06_regression", "figure07_nli", "no_answers", "labeller_range")
    return {
        "published": drawn(
            [f for f in FigureSet("published").figures() if f.name in few], published, fixture.context(root)
        ),
        "rehearsal": drawn(
            FigureSet("rehearsal", **EVERYTHING).figures(), rehearsed, fixture.context(root, rehearsal=True)
        ),
    }


def drawn(chosen, tables, context):
    with styled():
        pairs = [(figure, _draw(figure, tables, context)[0]) for figure in chosen]
        for _, canvas in pairs:
            FigureCanvasAgg(canvas).draw()
    return pairs


def named(name, kind="published"):
    return [figure for figure in FigureSet(kind, **EVERYTHING).figures() if figure.name == name]


def test_the_list_of_figures_needs_no_drawing_library():
    code = "import sys; from falserefusal.figures.registry import FigureSet; FigureSet('run').figures(); "
    code += "sys.exit(any(name in sys.modules for name in ('matplotlib', 'pandas', 'numpy')))"
    folder = Path(__file__).resolve().parents[3] / "workflow"
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


def names_of(figures: FigureSet) -> list[str]:
    return [figure.name for figure in figures.figures()]


def test_published_has_a_counterpart_of_every_figure_of_the_paper():
    counterparts = " ".join(figure.counterpart for figure in FigureSet("published").figures())
    for i in range(1, 12):
        assert f"Figure {i}" in counterparts
    names = names_of(FigureSet("rehearsal", **EVERYTHING))
    assert len(set(names)) == len(names)
    everything = set(names_of(FigureSet("run", **EVERYTHING)))
    assert everything - set(names_of(FigureSet("run", **EVERYTHING, printed=()))) == {"reproduction"}
    optional = {"sequential", "labeller_claims", "corrected_models", "effects_shrunken"}
    assert optional <= everything and not optional & set(names_of(FigureSet("run")))
    assert "planted_rates" in names and "planted_rates" not in everything
    assert "labeller_range" in names_of(FigureSet("run")) and "labeller_range" not in everything
    assert "reproduction" not in names_of(FigureSet("published"))


def test_only_figures_of_the_same_quantity_have_a_counterpart():
    figures = {figure.name: figure.counterpart for figure in FigureSet("run", printed=(RATE, CELL)).figures()}
    assert figures["table1_model_task"] == "Table 1" and figures["figure09_offensiveness"] == "Figure 9"
    assert figures["figure02_persona_mean"] == figures["figure06_regression"] == ""
    assert not any(figure.counterpart for figure in FigureSet("run", printed=()).figures())


def test_a_study_that_is_not_about_the_paper_names_no_figure_after_it():
    names = names_of(FigureSet("run", **EVERYTHING, about_paper=False, printed=()))
    assert not [name for name in names if name.startswith(("figure", "table")) or "claims" in name]
    assert {"model_task", "persona_mean", "personas_nli", "format_nli", "baseline_offensiveness"} <= set(names)
    assert len(set(names)) == len(names) and "reproduction" not in names
    assert set(FigureSet("run").printed) == set(QUANTITIES)


def test_other_tasks_have_figures_of_their_own():
    names = names_of(FigureSet("run", tasks=("nli", "sentiment")))
    assert {"personas_sentiment", "format_sentiment", "baseline_sentiment", "figure07_nli"} <= set(names)
    assert "figure09_offensiveness" not in names
    with pytest.raises(ValueError, match="kind is 'other'"):
        FigureSet("other")


def test_every_promised_file_is_written_from_the_tables(root, published, tmp_path):
    index = draw_figures(FigureSet("published").figures(), published, fixture.context(root), tmp_path)
    files = {f"{name}.{ending}" for name in names_of(FigureSet("published")) for ending in ENDINGS}
    assert {path.name for path in tmp_path.iterdir()} == files | {"index.csv"}
    assert (index["rows"] > 0).all()
    assert set(FigureSet("published").table_names()) <= set(published)
    for name in index["name"]:
        width, height = Image.open(tmp_path / f"{name}.png").size
        assert 1590 <= width <= 1700 and height <= 2100  # 8 inches at 200 dpi; no taller than a page
    cells = pd.read_csv(tmp_path / "figure07_nli.csv")
    whole = published["rates_task_model_persona"].query("task == 'nli'")
    assert len(cells) == 240
    np.testing.assert_allclose(cells["rate"], whole["rate"], rtol=1e-5)


def test_same_tables_same_bytes(root, published, tmp_path):
    chosen = named("figure05_importance") + named("figure01_baseline")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw_figures(chosen, published, fixture.context(root), tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
        assert b"CreationDate" not in path.read_bytes()


def test_an_svg_is_small_and_keeps_every_text_as_it_is(root, tmp_path):
    said = 'a <b> & "c" id="d" 0.00345 -->'
    with styled():
        page = Page(fixture.context(root), "A message", said, "Source.", 1)
        page.axes(1, 0.1, 2, 0.5).plot([0, 1 / 3], [0, 1], label=said)
        save(page.figure, tmp_path / "x")
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    assert said in {words.strip() for words in tree.itertext()}
    assert [node.get("id") for node in tree.iter() if node.get("id") == MESSAGE] == [MESSAGE]
    assert "<!--" not in text and "metadata" not in text and "Verdana" in text
    assert not re.search(r'<path d="[^"]*[.][0-9]{3}', text)


def test_every_dot_of_an_svg_has_its_value(root, tmp_path):
    with styled():
        page = Page(fixture.context(root), "A message", "Reading.", "Source.", 1)
        ax = page.axes(1, 0.1, 2, 0.5)
        nan = float("nan")
        whiskers(ax, [0, 1, 2], [-1.5, nan, 8], [-2, 0, nan], [3.14159, 1, nan], Dot("#000000"))
        save(page.figure, tmp_path / "x")
    tree = ElementTree.parse(tmp_path / "x.svg")
    titles = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}title") if node.text]
    assert titles == ["−1.5 (−2 to 3.14)", "8"]


@pytest.mark.parametrize("kind", ["published", "rehearsal"])
def test_no_text_leaves_the_page_or_covers_another(gallery, kind):
    for figure, canvas in gallery[kind]:
        problems = problems_of(canvas)
        assert not problems, f"{figure.name}: {problems[:5]}"


def test_a_rehearsal_is_marked_in_every_title_and_after_every_model(root, gallery):
    for figure, canvas in gallery["rehearsal"]:
        assert canvas.texts[0].get_text().replace("\n", " ") == fixture.BANNER, figure.name
        for word in (text.get_text() for text in texts_of(canvas)):
            for model in fixture.context(root).models:
                lines = word.replace("\n", " ").split(model)
                assert all(rest.startswith(" (stand-in)") for rest in lines[1:]), f"{figure.name}: {word}"


def test_printed_outliers_are_in_the_title_of_the_papers_own_fit(root, published):
    for odd in (["Llama3.1-8B"], ["Llama3.1-8B", "Llama3-8B"]):
        noted = published["regression"]
        noted = noted.assign(printed_term_note=np.where(noted["level"].isin(odd), "outlier: x", ""))
        [(_, canvas)] = drawn(named("figure06_regression"), {**published, "regression": noted}, fixture.context(root))
        assert "outliers of the printed values" in canvas.get_label()
        assert all(level in canvas.get_label() for level in odd)


def test_notes_on_claims_name_stand_ins(root, rehearsed):
    context = fixture.context(root, rehearsal=True)
    noted = rehearsed["claims"].assign(note="largest Llama2-13B, black; least of all Llama3.1-8B.")
    [(_, canvas)] = drawn(named("claims"), {"claims": noted}, context)
    words = " ".join(text.get_text() for text in texts_of(canvas)).replace("\n", " ")
    assert "largest Llama2-13B (stand-in), black; least of all Llama3.1-8B (stand-in)." in words


def test_data_drawn_in_a_rehearsal_name_stand_ins(root, rehearsed, tmp_path):
    context = fixture.context(root, rehearsal=True)
    draw_figures(named("figure01_baseline") + named("importance_by_model"), rehearsed, context, tmp_path)
    assert set(pd.read_csv(tmp_path / "figure01_baseline.csv")["model"].str[-11:]) == {" (stand-in)"}
    assert pd.read_csv(tmp_path / "importance_by_model.csv")["scope"].str.endswith(" (stand-in)").all()


def test_messages_follow_the_data(root, gallery, published):
    before = next(c.get_label() for f, c in gallery["published"] if f.name == "figure02_persona_mean")
    cells = published["rates_task_model_persona"].copy()
    cells.loc[cells["persona"] == "woman", "refusals"] = cells["n"]
    changed = {**published, "rates_task_model_persona": cells}
    changed["separations"] = fixture.separations_of(changed)
    [(_, canvas)] = drawn(named("figure02_persona_mean"), changed, fixture.context(root))
    assert before.startswith("“black” is refused most often: “black” minus “able-bodied” +10.43 points")
    assert canvas.get_label().startswith("“woman” is refused most often: “woman” minus “able-bodied” +9")


def test_titles_show_where_the_numbers_differ_from_the_papers_text(gallery):
    titles = {figure.name: canvas.get_label() for figure, canvas in gallery["published"]}
    assert "below it in 2 of 16 models" in titles["figure01_baseline"]
    assert "unforced in 10, forced in 1 of 14" in titles["figure04_format_offensiveness"]
    assert titles["figure05_importance"].startswith("Importance: model > task > persona > format")


@pytest.mark.filterwarnings("error")
def test_small_studies_and_studies_without_a_refusal_are_drawn(root, rehearsed):
    context = Context("tiny", {"Llama2-7B": "Llama"}, {"black": "Race", "man": "Gender"})
    kept = {"model": ["Llama2-7B", "mean", ""], "persona": ["black", "man"], "task": ["nli", ""]}
    tables = {}
    for name, table in rehearsed.items():
        for column, keep in kept.items():
            if column in table:
                table = table[table[column].isin(keep)]
        tables[name] = table.copy()
    tables["importance"] = tables["importance"].assign(index=np.nan, lo=np.nan, hi=np.nan)
    for table in tables.values():
        table.loc[:, [column for column in table if column in ("rate", "lo", "refusals", "difference")]] = 0
    with styled():
        for figure in FigureSet("rehearsal", tasks=("nli",), **EVERYTHING).figures():
            canvas, data = _draw(figure, tables, context)
            FigureCanvasAgg(canvas).draw()
            assert len(data), figure.name


def test_a_study_of_many_small_families_is_drawn(root, rehearsed):
    models = list(fixture.context(root).models)
    context = Context("mixed", {model: f"family {i // 2}" for i, model in enumerate(models)}, {"black": "Race"})
    assert panel_grid(models, context) == [models[:6], models[6:12], models[12:]]
    chosen = named("figure08_politeness") + named("sequential") + named("figure02_persona_mean")
    for _, canvas in drawn(chosen, rehearsed, context):
        assert len(texts_of(canvas)) > 20


def test_a_figure_without_rows_says_so(root, published, tmp_path):
    tables = {**published, "claims": published["claims"].head(0)}
    del tables["importance"]
    chosen = named("claims") + named("figure05_importance")
    index = draw_figures(chosen, tables, fixture.context(root), tmp_path).set_index("name")
    assert index.loc["claims", "rows"] == 0 and index.loc["figure05_importance", "rows"] == 0
    assert index.loc["claims", "message"] == "Nothing to draw: tables/claims.csv has no rows"
    assert index.loc["figure05_importance", "message"] == "Nothing to draw: this study has no tables/importance.csv"
    assert (tmp_path / "claims.pdf").stat().st_size > 500


def test_where_no_estimate_has_a_printed_value_nothing_is_drawn(root, tmp_path):
    row = {"quantity": CELL, "item": "all 720 values", "values": 720, "unit": "rate", "result": "not testable"}
    columns = [*row, "printed", "estimate", "lo", "hi", "method"]
    table = pd.DataFrame([row, row | {"printed": 0.6}]).reindex(columns=columns)
    index = draw_figures(named("reproduction", "rehearsal"), {"reproduction": table}, fixture.context(root), tmp_path)
    assert index["message"].str.startswith("Nothing to draw").all()


def test_zero_and_its_interval_are_on_the_axis(gallery):
    canvas = next(canvas for figure, canvas in gallery["published"] if figure.name == "figure07_nli")
    ax = next(ax for ax in canvas.axes if ax.get_title(loc="left") == "Qwen2.5-32B")
    x = np.concatenate([line.get_xdata() for line in ax.lines])
    assert (x == 0).all() and len(x) == 15
    assert ax.get_xlim()[0] < 0
    whiskers = np.concatenate([lines.get_segments() for lines in ax.collections])
    assert whiskers.shape == (15, 2, 2) and (whiskers[:, 1, 0] > 0.1).all()


def test_a_ratio_of_one_is_no_effect():
    assert _along(np.array([1.0, 0.5, 2.0]), ratio=True).tolist() == [0, -1, 1]
    assert _along(np.array([-1.0, -2.0, 0.0]), ratio=False).tolist() == [-0.5, -1, 0]
    assert _along(np.array([np.nan, np.nan, 0.0]), ratio=False).tolist() == [0, 0, 0]


def test_separated_levels_take_the_penalised_fit(root):
    table = pd.DataFrame(
        [
            ["intercept", "", -3.0, -3.1, -2.9, np.nan, "ML"],
            ["persona", "black", 2.4, 2.3, 2.5, 2.62, "ML"],
            ["model", "Qwen2.5-7B", -np.inf, np.nan, np.nan, -19.34, "ML"],
            ["persona", "black", 2.3, 2.2, 2.4, np.nan, "Firth"],
            ["model", "Qwen2.5-7B", -13.5, -18.3, -11.6, np.nan, "Firth"],
            ["fit", "McFadden R2", 0.54, np.nan, np.nan, 0.57, "ML"],
        ],
        columns=["term", "level", "coef", "lo", "hi", "printed", "method"],
    )
    firth = table["method"] == "Firth"
    tables = {"regression": table[~firth], "regression_firth": table[firth].drop(columns="printed")}
    with styled():
        canvas, data = _draw(named("figure06_regression")[0], tables, fixture.context(root))
        FigureCanvasAgg(canvas).draw()
    data = data.set_index("level")
    assert list(data.index) == ["black", "Qwen2.5-7B"]
    assert data.loc["black", "coef"] == 2.4 and data.loc["Qwen2.5-7B", "coef"] == -13.5
    assert data.loc["Qwen2.5-7B", "printed"] == -19.34
    assert any("printed −19.34" in text.get_text() for text in texts_of(canvas))


def test_number_formats():
    rates = [0, 0.00004, 0.0006, 0.00998, 0.0123, 0.76494, np.nan]
    assert [percent(rate) for rate in rates] == ["0", "<0.01", "0.06", "1.0", "1.2", "76.5", "–"]
    assert number(-3.105) == "−3.10" and number(np.nan) == "–"
    assert listing(["a"]) == "a" and listing(["a", "b", "c"]) == "a, b and c"
    assert listing(list("abcdef"), 4) == "a, b, c and 3 more"


def test_rows_are_grouped():
    rows = grouped_rows({"a": "x", "b": "y", "c": "x"}, heading=1.0, gap=0.5)
    assert list(rows.at) == ["a", "c", "b"]
    assert rows.headings == {"x": 0.0, "y": 3.5}
    assert rows.at == {"a": 1.0, "c": 2.0, "b": 4.5} and rows.height == 5.5


@pytest.mark.parametrize("name", ["planted_rates", "reproduction"])
def test_values_outside_their_interval_have_their_own_mark(gallery, name):
    canvas = next(canvas for figure, canvas in gallery["rehearsal"] if figure.name == name)
    marks = {(line.get_color(), line.get_marker()) for ax in canvas.axes for line in ax.lines if len(line.get_xdata())}
    assert (WARNING, "x") in marks and (WARNING, "o") not in marks
    assert any("×" in text.get_text() for text in canvas.texts)


def test_corrected_rates_are_drawn_if_responses_were_annotated(root, rehearsed, tmp_path):
    for annotated in (True, False):
        chosen = [
            figure for figure in FigureSet("run", annotated=annotated).figures() if figure.name == "table1_model_task"
        ]
        tables = {name: rehearsed[name] for name in chosen[0].tables}
        draw_figures(chosen, tables, fixture.context(root), tmp_path)
        [(_, canvas)] = drawn(chosen, tables, fixture.context(root))
        labels = [text.get_text() for legend in canvas.legends for text in legend.get_texts()]
        assert ("corrected for labelling error" in labels) == annotated
        assert pd.read_csv(tmp_path / "table1_model_task.csv")["corrected"].notna().all() == annotated


def test_messages_report_where_labellers_disagree(rehearsed, root, tmp_path):
    chosen = [
        figure
        for figure in FigureSet("run", **EVERYTHING).figures()
        if figure.name.startswith(("labeller_", "corrected_"))
    ]
    messages = draw_figures(chosen, rehearsed, fixture.context(root), tmp_path).set_index("name")["message"]
    claims = len(fixture.claims())
    assert (
        messages["labeller_claims"] == f"{claims - 1} of {claims} claims have the same conclusion under every labeller"
    )
    assert messages["labeller_importance"] == "Labellers differ by up to 0.04 in the importance of a factor"
    assert messages["labeller_personas"].startswith("Labellers differ by up to ")
    drawn = pd.read_csv(tmp_path / "corrected_models.csv")
    assert set(drawn["labeller"]) == {"phrase_list"} and "mean" in set(drawn["model"])
    outside = ((drawn["rate"] < drawn["lo"]) | (drawn["rate"] > drawn["hi"]))[drawn["model"] != "mean"].sum()
    assert messages["corrected_models"].startswith(
        f"{outside} of 48 uncorrected rates are outside" if outside else "Every"
    )


def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    with styled():
        figure = Figure(figsize=(2, 1))
        figure.text(0, 0, "$x_{1$ and $y$")
        figure.savefig(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 500


def test_the_labellers_range_is_drawn_around_each_rate(root, published):
    context = fixture.context(root, rehearsal=True)
    [(_, canvas)] = drawn(named_without_annotations("labeller_range"), published, context)
    assert re.search(r"a rate would change by up to [\d.]+ points$", canvas.get_label())
    words = [text.get_text() for text in texts_of(canvas)]
    rates = published["rates_model_task"].set_index(["model", "task"])["rate"]
    rate = rates["Gemma2-27B", "politeness"]
    assert f"{percent(0.9 * rate)} to {percent(2 * rate)}" in words
    bars = [bar for ax in canvas.axes for bar in ax.patches]
    assert len(bars) == len(rates)
    unmeasured = published["labeller_range"].query("quantity == 'sensitivity'")
    with pytest.raises(NothingToDraw, match="were not measured elsewhere"):
        draw_labeller_range({**published, "labeller_range": unmeasured}, context)


def named_without_annotations(name):
    return [figure for figure in FigureSet("published").figures() if figure.name == name]
