"""The page in a real browser: quiet, offline, narrow, sortable, printable, accessible."""

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml

import small_responses as responses
import tables_of_print as fixture
from falserefusal.common.files import write_json
from falserefusal.figures.draw import draw_figures
from falserefusal.figures.registry import FigureSet
from falserefusal.report.build import OPEN_FIGURES, Study, build_report
from falserefusal.report.explorer import explorer_section
from falserefusal.report.present import safe_cell

AXE = Path(__file__).parents[2] / "support/vendor/axe.min.js"
UNFOLD = "document.querySelectorAll('details').forEach(part => { part.open = true; })"


@pytest.fixture(scope="module")
def file(root, tmp_path_factory):
    """The page of a small study with every kind of part: figures, claims, tables, records."""
    folder = tmp_path_factory.mktemp("page")
    tables, context = fixture.published_tables(root), fixture.context(root)
    figures = FigureSet("published").figures()[: OPEN_FIGURES + 1]
    index = draw_figures(figures, tables, context, folder)
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    stored, _ = responses.data_of(responses.make_files(folder, responses.respond), shared=["politeness"])
    write_json(stored, folder / "explorer.json")
    explorer = explorer_section(folder / "explorer.json")
    study = Study("mine", "run", "Mine", models=list(context.models), citation=citation, explorer=explorer)
    tables["hostile"] = pd.DataFrame({"model": list(responses.HOSTILE.values()), "rate": 0.5})
    record = {"code": {"commit": "0" * 40, "date": "2026-01-02", "edited": True}, "config": {"seed": 1}, "models": {}}
    build_report(folder / "index.html", study, tables, index, folder, record, samples())
    return folder / "index.html"


def samples():
    """Refusals and disagreements whose prompts, responses and evidence are hostile."""
    texts = list(responses.HOSTILE.values())
    rows = pd.DataFrame({"prompt": texts, "response": texts, "evidence": [text[:9] for text in texts]})
    rows = rows.assign(model="Model A", prompt_id=[f"{name}:p1:man" for name in responses.HOSTILE])
    rows = rows.assign(task="politeness", persona="man", system_text=texts[0], category="refused", verdict="refused")
    differ = [rows.assign(labeller=name, kind="one", responses=len(rows)) for name in responses.LABELLERS]
    return {"refusals": rows.assign(agreed=len(rows)).iloc[[0]], "disagreements": pd.concat(differ)}


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, file):
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.noise = []
    opened.on("console", lambda message: opened.noise.append(message.text))
    opened.on("pageerror", lambda error: opened.noise.append(str(error)))
    opened.on("request", lambda request: opened.noise.append(request.url))
    opened.goto(file.as_uri())
    assert opened.noise.pop(0) == file.as_uri()
    yield opened
    assert opened.evaluate("window.harm") is None, "a response ran as a script"
    assert opened.noise == [], "messages or requests"
    opened.close()


def column(page, table, number):
    return page.locator(f"#grid-{table} tbody tr:visible td:nth-child({number})").all_inner_texts()


def test_a_table_is_sorted_by_number_with_mouse_and_keyboard(page):
    head = page.locator("#grid-rates_model_task th", has_text="rate (%)")
    place = 1 + head.evaluate("node => node.cellIndex")
    page.evaluate("document.addEventListener('sort-end', () => { window.sorted = (window.sorted || 0) + 1; })")
    head.click()
    page.wait_for_function("window.sorted == 1")
    rates = [float(cell) for cell in column(page, "rates_model_task", place)]
    assert rates == sorted(rates, reverse=True) and rates != sorted(rates)
    head.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("window.sorted == 2")
    assert [float(cell) for cell in column(page, "rates_model_task", place)] == rates[::-1]
    assert head.get_attribute("aria-sort") == "ascending"


def test_a_table_is_filtered_by_all_words(page):
    box = page.locator("input[data-table=grid-rates_model_task]")
    box.fill("llama2-7b nli")
    assert column(page, "rates_model_task", 1) == ["Llama2-7B"]
    rows = page.locator("#grid-rates_model_task tbody tr").count()
    said = page.locator("#table-rates_model_task output").inner_text()
    assert said == f"1 of {rows} rows"
    box.fill("")
    assert len(column(page, "rates_model_task", 1)) == rows


def test_a_link_opens_what_is_folded(page):
    folded = page.locator("#table-rates_persona > details")
    assert not folded.evaluate("part => part.open")
    page.evaluate("location.hash = 'table-rates_persona'")
    page.wait_for_function("document.querySelector('#table-rates_persona > details').open")
    assert page.locator("#grid-rates_persona").is_visible()


def test_a_table_is_downloaded_without_a_network(page, root):
    with page.expect_download() as download:
        page.locator("#table-rates_model_task a[download]").click()
    page.noise.clear()  # the address of the file itself
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(fixture.published_tables(root)["rates_model_task"].columns)
    address = page.locator("#table-rates_model_task a[download]").get_attribute("href")
    assert unquote(address).partition(",")[2] == text


@pytest.mark.parametrize("folded", [True, False])
def test_only_boxes_made_for_it_scroll_sideways(page, folded):
    page.set_viewport_size({"width": 360, "height": 800})
    if not folded:
        page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('.drawing svg').getBoundingClientRect().width") >= 600
    if folded:
        assert page.evaluate("document.documentElement.scrollHeight") < 20_000


def test_the_explorer_finds_a_refusal_by_three_filters(page):
    for label, value in [
        ("Model", "Model-B"),
        ("Verdict of structured", "refused"),
        ("Agreement on refusal", "labellers differ"),
    ]:
        page.get_by_label(label, exact=True).select_option(value)
    page.get_by_text("1 of 48 responses match.", exact=True).wait_for()
    assert page.locator("#explorer summary").count() == 1
    assert "politeness, man, p1" in page.locator("#explorer summary").inner_text()


def test_hostile_texts_are_only_text_in_tables_quotes_samples_and_files(page):
    page.evaluate(UNFOLD)
    forbidden = re.compile("[\x00\x1b\x85\u202a-\u202e\u2066-\u2069]")
    shown = page.evaluate("document.body.textContent")
    assert not forbidden.search(shown)
    hostile = responses.HOSTILE
    cells = page.locator("#grid-hostile tbody td:first-child").all_text_contents()
    assert cells[0] == hostile["markup"] and cells[3] == hostile["long"] and "gnirts desrever" in cells[2]
    quotes = page.locator("#short blockquote, #labellers blockquote").all_text_contents()
    assert quotes.count(hostile["markup"]) == 2 + 3 and quotes.count(hostile["long"]) == 3
    assert page.locator("main img").count() == 0
    with page.expect_download() as download:
        page.locator("#table-hostile a[download]").click()
    page.noise.clear()
    file = pd.read_csv(download.value.path(), keep_default_na=False)
    assert file["model"].tolist() == [safe_cell(text) for text in hostile.values()]
    assert not forbidden.search("".join(file["model"]))
    assert file["model"][4] == f"'{hostile['formula']}", "a spreadsheet would run it"


def test_the_first_screen_has_the_summary(page):
    assert page.locator("#short dt").all_inner_texts() == ["Asked", "Found", "Limits"]
    assert page.locator("#short dd").last.bounding_box()["y"] < 900
    assert page.evaluate("document.documentElement.scrollHeight") < 16_000


def test_print_shows_every_table_and_figure_and_the_screen_is_as_before(page):
    hidden = "() => [...document.querySelectorAll('table, .drawing')].filter(part => !part.checkVisibility()).length"
    before = page.evaluate("document.querySelectorAll('details[open]').length")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(hidden) == 0
    assert page.locator("nav").is_hidden() and page.locator(".filter").first.is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") == before


def test_keyboard_reaches_the_content_first(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator("a.skip").bounding_box()["x"] >= 0
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(page, scheme):
    if not AXE.exists():
        pytest.skip("tests/support/vendor/axe.min.js is not there")
    page.emulate_media(color_scheme=scheme)
    page.add_script_tag(path=AXE)
    page.get_by_text("48 of 48 responses match.", exact=True).wait_for()
    page.evaluate(
        "document.querySelectorAll('#figures details, #claims details, #reuse').forEach(part => part.open = true)"
    )
    page.locator("#explorer summary").first.click()
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == []
