"""The page is well-formed, self-contained, escaped, readable on a phone, and clear about its limitations."""

import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import tables_of_print as fixture
from falserefusal.common.errors import InputError
from falserefusal.common.verdicts import HEDGED, VERDICT_KINDS
from falserefusal.estimation.verdict_shares import NOT_ASKED, verdict_shares
from falserefusal.labelling.labeller import VERDICT_OF
from falserefusal.labelling.registry import labeller_names
from falserefusal.labelling.unread import VERDICT_OF_UNREAD
from falserefusal.report import glossary
from falserefusal.report.build import Study, build_report
from falserefusal.report.corrections import with_corrections
from falserefusal.report.headline import headline
from falserefusal.report.notes import LIMITS, NOTES, note_for
from falserefusal.report.present import MAX_ROWS, in_percent, marked, number, p_value, show

OTHER_TABLES = ("design_balance", "effects_persona", "effects_mean", "effects_between", "rates_shrunken", "sequential")
VOID = {"meta", "img", "br", "link", "hr", "input"}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc33"
    "0000000049454e44ae426082"
)
DRAWING = """<?xml version="1.0" encoding="utf-8"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="576pt" height="300pt" viewBox="0 0 576 300"
xmlns="http://www.w3.org/2000/svg"><defs><style>* { color: red }</style><clipPath id="c"><path d=""/></clipPath></defs>
<g><g><text transform="translate(8 14)">BANNER</text></g><g id="message"><text transform="translate(8 27)">A</text>
<text transform="translate(8 40)">message</text></g><use xlink:href="#c" clip-path="url(#c)"/></g></svg>"""


class Outline(HTMLParser):
    """Checks that tags nest, and collects ids, links and what would be fetched."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.fetched, self.tags, self.words = [], [], [], [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.fetched += [attrs[name] for name in ("src", "srcset", "data", "action") if name in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)


@pytest.fixture(scope="module")
def figure_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    for name in ("figure05_importance", "planted_rates", "sequential", "labellers", "claims"):
        (folder / f"{name}.png").write_bytes(PIXEL * 50)
        (folder / f"{name}.svg").write_text(DRAWING, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def index():
    columns = ["name", "counterpart", "caption", "message", "tables", "rows"]
    rows = [
        ["figure05_importance", "Figure 5", "Sensitivity of refusal.", "Importance: model > task", "importance", 4],
        ["claims", np.nan, "Claims.", "Nothing to draw: no rows", "claims", 0],
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def rehearsed_index(index):
    """Includes figures with the same names as sections of the page."""
    named = {
        "planted_rates": "planted_rates",
        "sequential": "interim_looks",
        "labellers": "labeller_rates",
        "claims": "claims",
    }
    rows = [[name, np.nan, f"Of {name}.", "A message", table, 3] for name, table in named.items()]
    return pd.concat([index.head(1), pd.DataFrame(rows, columns=index.columns)], ignore_index=True)


@pytest.fixture(scope="module")
def statements():
    return pd.DataFrame(
        [
            ["s01", "3.2", "prompts", "prompts", 30000, 30000, 0, "agrees", ""],
            ["s02", "4.2", "mean <rate>", "%", 14.68, 14.67, -0.01, "differs", "cut, not rounded"],
            ["s03", "4.6", "coefficient", "log-odds", -19.34, -np.inf, np.nan, "not recomputable", "separated"],
        ],
        columns=["id", "section", "quantity", "unit", "printed", "recomputed", "difference", "conclusion", "reason"],
    )


@pytest.fixture(scope="module")
def published_page(root, index, statements, figure_dir, tmp_path_factory):
    tables = {**fixture.published_tables(root), "statements": statements}
    out = tmp_path_factory.mktemp("published") / "index.html"
    models = list(fixture.context(root).models)
    build_report(out, Study("published", "published", "The paper", models=models), tables, index, figure_dir)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rehearsal_file(root, rehearsed_index, figure_dir, tmp_path_factory):
    tables = fixture.run_tables(root)
    kinds = [("refused", 3), ("answered", 90), ("missing", 7)]
    counts = pd.DataFrame(kinds, columns=["verdict", "n"]).assign(model="Llama2-7B", task="nli", persona="man")
    tables["verdict_shares"] = verdict_shares(counts.assign(labeller="phrase_list", category="x"))
    absent = "Gemma2-27B"
    tables = {name: table[table["model"] != absent] if "model" in table else table for name, table in tables.items()}
    response = "<script>alert('x')</script> As a Black person, I cannot answer & won't."
    verdict = {
        "prompt_id": "1",
        "model": "Llama2-7B",
        "task": "nli",
        "prompt": "A <b>premise</b>",
        "response": response,
        "kind": "structured",
        "responses": 1234,
    }
    disagreements = pd.DataFrame(
        [
            {**verdict, "labeller": "phrase_list", "verdict": "answered", "category": "answered", "evidence": np.nan},
            {
                **verdict,
                "labeller": "structured",
                "verdict": "refused",
                "category": "capability",
                "evidence": "I cannot",
            },
            {**verdict, "labeller": "judge", "verdict": "missing", "category": "judge_failed", "evidence": np.nan},
        ]
    )
    out = tmp_path_factory.mktemp("rehearsal") / "index.html"
    study = Study(
        "rehearsal",
        "rehearsal",
        "A rehearsal",
        fixture.BANNER,
        fixture.MODEL_SUFFIX,
        list(fixture.context(root).models),
    )
    provenance = {"seed": 2025, "packages": {"pandas": "3.1"}, "models": {"x": {"id": "<a>", "revision": None}}}
    build_report(out, study, tables, rehearsed_index, figure_dir, provenance, {"disagreements": disagreements})
    return out


@pytest.fixture(scope="module")
def rehearsal_page(rehearsal_file):
    return rehearsal_file.read_text(encoding="utf-8")


def test_printed_values_are_explained_only_where_there_are_any(root, index, figure_dir, tmp_path):
    tables = fixture.published_tables(root)
    printed = {"rates_model_task": ["printed_pct"], "importance": ["printed"]}
    printed["regression"] = ["printed", "printed_term_note"]
    without = {name: tables[name].drop(columns=columns) for name, columns in printed.items()}
    pages = []
    for shown in ({name: tables[name] for name in printed}, without):
        shown["separations"] = tables["separations"]
        build_report(tmp_path / "index.html", Study("own", "run"), shown, index.head(0), figure_dir)
        pages.append((tmp_path / "index.html").read_text(encoding="utf-8"))
    words = ("printed_pct: the paper", "Figure 5 of the paper", "Table 7 of the paper")
    assert all(word in pages[0] for word in words) and not any(word in pages[1] for word in words)


@pytest.mark.parametrize("page", ["published_page", "rehearsal_page"])
def test_the_page_is_well_formed_and_self_contained(page, request):
    text = request.getfixturevalue(page)
    outline = Outline(text)
    assert len(outline.ids) == len(set(outline.ids)), [name for name in outline.ids if outline.ids.count(name) > 1]
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert all(source.startswith("data:image/png;base64,") for source in outline.fetched)
    assert not {"iframe", "link", "object", "form"} & set(outline.tags)
    assert outline.tags.count("script") == 1 and "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    headings = [tag for tag in outline.tags if tag in ("h1", "h2")]
    assert headings[0] == "h1" and headings.count("h1") == 1 and len(headings) >= 6


def test_headline_numbers_are_computed_from_the_tables(root, statements):
    tables = {**fixture.published_tables(root), "statements": statements}
    cards = headline(tables)
    values = [card.value for card in cards]
    assert values[:5] == ["162,003", "1.37%", "5.64%", "14.67%", "+10.43 points"]
    assert "12 of 16" in values and "1 of 3" in values
    assert all(".csv" in card.source for card in cards)
    less = {**tables, "rates_model_task": tables["rates_model_task"].query("model != 'Llama2-7B'")}
    assert headline(less)[0].value != "162,003"
    assert headline({}) == []


def test_the_published_page_lists_its_limitations(published_page):
    words = " ".join("".join(Outline(published_page).words).split())
    for line in LIMITS["published"]:
        assert line in words
    assert "no text identifiers" in words and "is not printed" in words
    assert "1 agree, 1 differ, 1 cannot be recomputed from the printed numbers" in words
    assert "mean <rate>" in words and "−∞" in words
    assert "Figures without data: claims (Nothing to draw: no rows)" in words
    assert "Incomplete" not in words


def test_every_table_has_a_note(root, published_page, rehearsal_page):
    for name in {**fixture.run_tables(root), **dict.fromkeys(OTHER_TABLES)}:
        assert name in NOTES, name
    for name in fixture.published_tables(root):
        assert f'id="table-{name}"' in published_page
        assert f'href="../tables/{name}.csv"' in published_page
    assert note_for("my_table").title == "My table"


def test_claims_have_conclusion_effect_and_rule(rehearsal_page):
    words = " ".join("".join(Outline(rehearsal_page).words).split())
    assert "✓ supported −6.20 pp (95% interval −6.30 to −6.10)" in words
    assert "✗ contradicted 0.50 times (95% interval 0.40 to 1.25)" in words
    assert "– not testable no effect could be computed" in words
    assert len(re.findall("Rule and remarks(.{0,200}?)by a rule", words)) == 6
    assert p_value(0.0) == "<0.0001" and p_value(0.25) == "0.25" and p_value(np.nan) == ""


def test_model_text_is_escaped_and_evidence_marked(rehearsal_page):
    assert rehearsal_page.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; As a Black person, " in rehearsal_page
    assert "<mark>I cannot</mark>" in rehearsal_page
    assert "A &lt;b&gt;premise&lt;/b&gt;" in rehearsal_page
    assert "&lt;a&gt;" in rehearsal_page


def test_disagreements_are_counted_in_the_study_and_a_failed_judge_has_no_verdict(rehearsal_page):
    words = " ".join("".join(Outline(rehearsal_page).words).split())
    assert "1 of 1,234 such responses." in words
    assert "phrase_list answered, structured refused, judge no verdict" in words
    assert "judge: no verdict (judge_failed)" in words


def test_a_rehearsal_cannot_be_mistaken(rehearsal_page):
    outline = Outline(rehearsal_page)
    words = "".join(outline.words)
    assert f"<title>{fixture.BANNER}: A rehearsal</title>" in rehearsal_page
    tables = outline.tags.count("table")
    # head, every table, every figure, the foot
    assert words.count(fixture.BANNER) >= tables + 3
    for model in ("Llama2-7B", "Qwen1.5-32B"):
        for rest in re.findall(rf"{re.escape(model)}(.{{11}})", words.split("Provenance")[-2], flags=re.S):
            assert rest == " (stand-in)"
    assert "claims of the paper are supported on these stand-ins" in words
    assert "stand-ins" in words and "no number on this page is about a real model" in words


def test_missing_models_are_named_on_top(rehearsal_page):
    words = "".join(Outline(rehearsal_page).words)
    assert words.index("1 of 16 models gave no result") < words.index("Headline")
    assert "not included in any number below: Gemma2-27B (stand-in)." in words
    warning = "Llama2-7B (stand-in), nli: 7 of 100 responses (7.0%) are missing; the refusal rate is between"
    assert f"{warning} 3.0% and 10.0%." in words


def test_provenance_is_printed(rehearsal_page, published_page):
    words = " ".join("".join(Outline(rehearsal_page).words).split())
    assert "pandas 3.1" in words.replace("pandas3.1", "pandas 3.1")
    assert "No provenance was recorded" in published_page


@pytest.mark.parametrize(
    "kinds", [[], [{"column": "<b>", "problem": "no text", "action": "row dropped", "count": 1234}]]
)
def test_problems_in_the_texts_are_counted_on_the_page(root, index, figure_dir, tmp_path, kinds):
    page, about = tmp_path / "index.html", {"texts": {"toxicity": {"origin": "a.csv", "problems": kinds}}}
    build_report(page, Study("mine", "run"), fixture.published_tables(root), index, figure_dir, about)
    text = page.read_text(encoding="utf-8")
    section = text[text.index('<section id="text_problems">') :].partition("</section>")[0]
    assert 'href="../texts/toxicity_problems.csv"' in section
    assert ("No problems were found." in section) == (not kinds)
    if kinds:
        assert "1,234" in section and "&lt;b&gt;" in section and "row dropped" in section
    outline = Outline(text)
    assert "#text_problems" in outline.links


def test_tables_without_correction_are_listed_with_the_reason(rehearsal_page, published_page):
    words = " ".join("".join(Outline(rehearsal_page).words).split())
    tables = "rates_model_persona, rates_task_model_persona, rates_format"
    assert f"{tables}. They have more cells than there are annotated responses" in words
    assert "does not change single verdicts" in words
    assert "Corrected for labelling error: corrected_personas." in words
    assert "Tables without correction" not in published_page


def test_same_inputs_same_page(root, index, figure_dir, tmp_path):
    study = Study("published", "published")
    for name in ("one.html", "two.html"):
        build_report(
            tmp_path / name, study, fixture.published_tables(root), index, figure_dir, {"b": 1, "a": {"c": [2]}}
        )
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_missing_figure_is_an_error(index, tmp_path):
    with pytest.raises(InputError, match=r"figure05_importance\.svg.*draw the figures again"):
        build_report(tmp_path / "page.html", Study("s", "run"), {}, index, tmp_path)
    with pytest.raises(InputError, match="kind is 'other'"):
        build_report(tmp_path / "page.html", Study("s", "other"), {}, index, tmp_path)
    assert not (tmp_path / "page.html").exists()


def test_number_formats():
    assert [number(v) for v in (2032160, 0, -3.1059, 0.003903, np.inf, np.nan)] == [
        "2,032,160",
        "0",
        "−3.106",
        "0.003903",
        "∞",
        "",
    ]
    assert [in_percent(v) for v in (0.76494, 0, 0.00002, -0.113, np.nan)] == ["76.49", "0.00", "0.002", "−11.30", ""]
    assert [in_percent(v) for v in (6e-10, -6e-10)] == ["<0.001", ">−0.001"]
    assert number(-6e-8) == ">−0.0001"
    both = pd.DataFrame({"rate": [0.5], "difference": [-0.125], "lo": [-0.2], "p_family": [6e-8]})
    shown = show(both, note_for("effects_persona"), [], "")
    assert shown.head == ["rate (%)", "difference (pp)", "lo (pp)", "p_family"]
    assert shown.rows == [["50.00", "−12.50", "−20.00", "<0.0001"]]
    frame = pd.DataFrame({"model": ["a", "mean"], "rate": [0.5, 0.25], "n": [1, 2], "ok": [True, False]})
    shown = show(frame, NOTES["rates_model_persona"], ["a"], " (stand-in)")
    assert shown.head == ["model", "rate (%)", "n", "ok"]
    assert shown.rows == [["a (stand-in)", "50.00", "1", "True"], ["mean", "25.00", "2", "False"]]
    assert shown.numeric == [False, True, True, False]
    long = show(pd.DataFrame({"n": range(MAX_ROWS + 5)}), note_for("x"), [], "")
    assert len(long.rows) == MAX_ROWS and long.left_out == 5


def test_evidence_is_marked_at_its_first_occurrence():
    assert marked("I am sorry, I am", "I am") == [("I am", True), (" sorry, I am", False)]
    assert marked("no evidence", "") == [("no evidence", False)]
    assert marked("not in it", "elsewhere") == [("not in it", False)]
    # phrase_list reports lower case, and the evidence of a hedge has two parts
    assert marked("I'm sorry.", "i'm sorry") == [("I'm sorry", True), (".", False)]
    hedge = [("As an AI", True), (", I say: ", False), ("polite", True), (".", False)]
    assert marked("As an AI, I say: polite.", "As an AI … polite") == hedge
    assert marked("As an AI, I say: polite.", "polite … As an AI") == hedge
    assert marked("Not polite", "Not polite … polite") == [("Not polite", True)]


@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_the_screen(rehearsal_file, width):
    """In a real browser, only boxes made for it scroll sideways, and nothing is fetched."""
    sync_api = pytest.importorskip("playwright.sync_api")
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser_path:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        fetched = []
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(rehearsal_file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert all(url.startswith(("file:", "data:")) for url in fetched)
        assert page.locator("p.banner").is_visible()
        page.add_style_tag(content="html { scroll-behavior: auto !important; }")
        hidden = "link => { link.click(); const part = document.querySelector(link.hash); "
        hidden += "const head = part.querySelector('h2') || part; const edge = document.querySelector('p.banner'); "
        hidden += "return head.getBoundingClientRect().top < edge.getBoundingClientRect().bottom; }"
        for link in page.locator("nav a").all():
            assert not link.evaluate(hidden), f"the banner hides {link.get_attribute('href')}"
        narrow = "cells => cells.filter(cell => cell.textContent.length > 20 && cell.clientWidth < 100).length"
        assert page.locator("td:last-child").evaluate_all(narrow) == 0, "a column of words is too narrow"
        browser.close()


def test_corrected_rates_are_added_to_the_uncorrected(root):
    tables = fixture.run_tables(root)
    corrected = tables["corrected_rates"]
    shown = with_corrections(tables)
    rows = shown["rates_model_task"].merge(corrected[["model", "task", "corrected"]], on=["model", "task"])
    assert len(rows) == len(tables["rates_model_task"]) and (rows["corrected_x"] == rows["corrected_y"]).all()
    assert shown["table1"].columns.tolist()[:3] == ["model", "nli", "nli corrected"]
    first = corrected[(corrected["model"] == "Llama2-7B") & (corrected["task"] == "nli")]["corrected"].item()
    assert shown["table1"].set_index("model").loc["Llama2-7B", "nli corrected"] == round(100 * first, 2)
    by_labeller = shown["labeller_rates"].set_index(["labeller", "model", "task"])["corrected"]
    assert by_labeller["phrase_list", "Llama2-7B", "nli"] == first
    assert by_labeller["structured"].isna().all()  # each labeller has its own
    personas = shown["rates_persona"].set_index(["scope", "persona"])
    own = tables["corrected_personas"].set_index("persona").loc["black"]
    assert personas.loc[("all models", "black"), ["pooled", "corrected"]].tolist() == [own["rate"], own["corrected"]]
    assert personas.loc["Gemma 2", "corrected"].isna().all()
    assert len(personas) == len(tables["rates_persona"])
    del tables["corrected_rates"]
    assert with_corrections(tables) is tables
    assert [card.value for card in headline({"corrected_rates": corrected})] == ["1.2%", "5.1%", "13.2%"]


@pytest.mark.parametrize(
    "response",
    [
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "</blockquote></details><style>body { display: none }</style><!--",
        "\u202egnirts desrever\u2066\u200f <b>שלום</b>",
        "nul \x00, escape \x1b[2J, bell \x07, \x85 and \x9b",
        "{{ 7 * 7 }} {% raw %} &lt;b&gt; &#x3c;i&#x3e;",
        "x" * 5000,
        "<i>" * 2000,
    ],
)
def test_markup_and_control_characters_of_a_response_do_no_harm(root, index, figure_dir, tmp_path, response):
    tables, study = fixture.run_tables(root), Study("x", "run", "x", "", "", list(fixture.context(root).models))
    pages = {}
    for said in ("calm", response):
        row = {"prompt_id": "1", "model": "Llama2-7B", "task": "nli", "persona": "man", "system_text": said}
        row |= {"prompt": said, "response": said, "kind": said, "responses": 1, "agreed": 1}
        row |= {"labeller": "a", "verdict": "refused", "category": said, "evidence": said}
        samples = {"refusals": pd.DataFrame([row]), "disagreements": pd.DataFrame([row, row | {"labeller": "b"}])}
        build_report(tmp_path / "x.html", study, tables, index, figure_dir, {}, samples)
        pages[said] = (tmp_path / "x.html").read_text()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", pages[response])
    assert Outline(pages[response]).tags == Outline(pages["calm"]).tags, "the response adds no element"


def test_every_category_verdict_and_labeller_has_a_glossary_entry():
    categories = {*VERDICT_OF, *VERDICT_OF_UNREAD, HEDGED, NOT_ASKED}
    assert categories == set(glossary.CATEGORIES)
    assert set(glossary.VERDICTS) == set(VERDICT_KINDS)
    assert set(glossary.LABELLERS) == set(labeller_names())
    assert len(glossary.COLUMNS) == len({meaning for meaning in glossary.COLUMNS.values()})


def test_the_page_explains_its_columns(rehearsal_page):
    assert 'title="lower limit of the 95% confidence interval"' in rehearsal_page
    words = " ".join("".join(Outline(rehearsal_page).words).split())
    assert "the model declines to do the task, or the provider blocks" in words
    assert "there is no text to label; missing responses are in no rate" in words


def words_of(page):
    return " ".join("".join(Outline(page).words).split())


def test_without_annotations_the_page_says_how_far_labelling_errors_move_it(published_page):
    words = words_of(published_page)
    section = words[words.rindex("Effect of labelling errors") :]
    assert "In 5 sets of other responses, labelled by people or LLMs, the labeller phrase_list found" in section
    assert "between 50.0% and 98.0% of the refusals, and called between 0% and 10.0% of the other responses" in section
    assert "The mean refusal rate over models in NLI, 1.37%, would be between 1.23% and 2.74%." in section
    assert "The rate of a single model in one task would change by up to " in section
    assert "effect of a persona over models, +2.00 points, would be between +1.00 and +5.00." in section
    assert "The effect of the persona, averaged over models, could have either sign." in section
    assert "by importance, model > task, could also be task > model." in section
    assert "1 of 2 claims that can be tested could have another conclusion, see the section on claims." in section
    assert "XSTest, a: 9 responses" in section and "pilot, b: 8 responses" in section
    assert "snakemake annotation" not in section  # the paper's responses are not there
    assert "#moved" in Outline(published_page).links


def test_a_claim_that_labelling_errors_can_overturn_is_marked(published_page):
    words = words_of(published_page)
    assert words.count("labelling errors could change this conclusion") == 1
    marked = "✓ supported ! labelling errors could change this conclusion With the labeller's error rates on other"
    assert f"{marked} responses, the conclusion could also be: inconclusive." in words


def test_with_annotations_the_corrected_numbers_stand_alone(rehearsal_page):
    assert "could change this conclusion" not in rehearsal_page and 'id="moved"' not in rehearsal_page


def test_a_labeller_without_measured_accuracy_is_named(root, index, figure_dir, tmp_path):
    tables = fixture.published_tables(root)
    blank = {"level": "judge", "lowest": np.nan, "highest": np.nan, "sets": 0, "note": np.nan}
    tables["labeller_range"] = tables["labeller_range"].head(2).assign(**blank)
    build_report(tmp_path / "page.html", Study("mine", "run"), tables, index, figure_dir)
    words = words_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "the accuracy of its labeller judge on other responses was not measured" in words
    assert "annotate a sample of its responses (snakemake annotation)" in words
    assert "could change this conclusion" not in words
