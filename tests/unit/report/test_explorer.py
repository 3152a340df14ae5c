"""The responses of the page: all or a stated sample, without texts that may not be passed on, and harmless."""

import base64
import csv
import hashlib
import io
import json
import shutil

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.files import write_json, write_parquet
from falserefusal.common.schemas import TEXTS
from falserefusal.report import explorer
from falserefusal.report.build import Study, build_report
from falserefusal.report.explorer import LEFT_OUT, explorer_section, fields_of, without_quotes, without_texts
from small_responses import HOSTILE, MODELS, TASKS, answered, data_of, ids, make_files, refused, respond


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("study"), respond)


def test_every_response_can_be_put_together_with_its_prompt_and_evidence(files):
    stored, read = data_of(files)
    assert stored["shown"] == stored["total"] == 48 and stored["most"] is None and stored["withheld"] == []
    lists, columns = read.lists, read.columns
    assert lists["response"].count("Polite.") == 1 and len(lists["question"]) == 3
    i = ids(read).index(("Model-B", "politeness-1:p1:man"))
    prompt = columns["prompt"][i]
    system, asked = (lists[name][columns[name][prompt]] for name in ("system", "question"))
    body = lists["body"][columns["row"][prompt]]
    assert (system, asked + body) == ("Be kind.", "Would a man call it polite?\n\nText: secret of politeness-1")
    response = lists["response"][columns["response"][i]].encode("utf-16-le")
    start, end = columns["evidence"][0][i]  # in UTF-16 units, as JavaScript counts
    assert response[2 * start : 2 * end].decode("utf-16-le") == "I can't judge"
    assert [lists["verdict"][column[i]][0] for column in columns["verdict"]] == ["refused", "answered"]
    assert lists["meaning"]["refused_capability"].startswith("refusal")


def test_a_sample_fits_the_limit_and_can_be_drawn_again(tmp_path):
    def varied(model, row):
        rare = row.row_id == "politeness-3"
        return refused() if rare else answered(f"Polite. {hashlib.md5((model + row.prompt_id).encode()).hexdigest()}")

    files = make_files(tmp_path, varied, texts_per_task=40)
    whole, every = data_of(files)
    limit = whole["bytes"] // 3
    stored, read = data_of(files, limit=limit)
    assert stored["bytes"] <= limit and len(base64.b64decode(stored["data"])) == stored["bytes"]
    assert stored["total"] == 480 > stored["shown"] == len(set(ids(read))) > 12
    assert set(ids(read)) < set(ids(every))
    assert stored == data_of(files, limit=limit)[0]
    assert set(ids(read)) != set(ids(data_of(files, seed=2, limit=limit)[1]))
    refusals = [prompt for _, prompt in ids(read) if prompt.startswith("politeness-3:")]
    assert len(refusals) == 6  # each is the only one of its cell
    sizes = pd.Series([(m, p.split("-")[0], p.split(":")[2], p in refusals) for m, p in ids(read)]).value_counts()
    assert sizes.max() == stored["most"] and set(sizes[sizes > 1]) <= {stored["most"], stored["most"] - 1}


def test_no_more_responses_are_read_than_may_be_shown(files, monkeypatch):
    monkeypatch.setattr(explorer, "MOST", 10)
    stored, read = data_of(files)
    assert (stored["shown"], stored["total"]) == (10, 48)
    assert ("Model-B", "politeness-1:p1:man") in ids(read) or stored["most"] == 1


def test_texts_that_may_not_be_passed_on_are_not_in_the_data(files):
    stored, read = data_of(files, shared=["politeness"])
    text = json.dumps(read.lists) + json.dumps(read.columns)
    assert stored["withheld"] == ["offensiveness"]
    assert "secret of politeness-1" in text and "secret of offensiveness" not in text and "offensiveness-1" in text


def test_characters_that_no_page_may_hold_are_replaced(files):
    _, read = data_of(files)
    assert "nul \ufffd, escape \ufffd[2J, \ufffd" in read.lists["response"]
    assert not any("\u202e" in text or "\x00" in text for text in read.lists["response"])


def test_a_study_without_refusals_has_its_responses(tmp_path):
    stored, read = data_of(make_files(tmp_path, lambda model, row: answered()))
    assert stored["shown"] == 48 and {verdict for verdict, _ in read.lists["verdict"]} == {"answered"}


def test_texts_of_another_version_are_an_error(tmp_path):
    files = make_files(tmp_path, respond)
    path = files.texts["politeness"]
    write_parquet(pd.read_parquet(path).assign(text="another text"), path, TEXTS)
    with pytest.raises(InputError, match=r"texts-politeness\.parquet: prompt 'politeness-0:p1:baseline' does not"):
        data_of(files)


def test_a_page_without_responses_has_no_explorer(tmp_path):
    write_json({"shown": 0}, tmp_path / "explorer.json")
    assert explorer_section(None) is None and explorer_section(tmp_path / "explorer.json") is None
    page = write_page(tmp_path / "index.html", None)
    assert 'id="explorer"' not in page.read_text(encoding="utf-8")


def write_page(path, stored, **study):
    """The page of a study that has nothing but its responses."""
    section = None
    if stored:
        write_json(stored, path.with_suffix(".json"))
        section = explorer_section(path.with_suffix(".json"))
    index = pd.DataFrame(columns=["name", "counterpart", "caption", "message", "tables", "rows"])
    kind = "rehearsal" if study.get("banner") else "run"
    build_report(path, Study("own", kind, models=list(MODELS), explorer=section, **study), {}, index, path.parent)
    return path


def test_a_sample_is_stated_and_a_script_cannot_be_ended_by_a_response(files, tmp_path):
    limit = data_of(files, shared=["politeness"])[0]["bytes"] * 2 // 3
    stored, _ = data_of(files, shared=["politeness"], limit=limit)
    page = write_page(tmp_path / "index.html", stored).read_text(encoding="utf-8")
    said = f"{stored['shown']} of 48 responses</strong>, a random sample (seed 1): at most {stored['most']} of each "
    assert said in page and "verdict of structured" in page
    assert "The texts of offensiveness are left out" in page
    assert "window.harm" not in page
    assert page.count("</script>") == page.count("<script")
    section = explorer_section(tmp_path / "index.json")
    assert "</" not in section["script"] + section["style"] and "innerHTML" not in section["script"]
    whole = write_page(tmp_path / "whole.html", data_of(files)[0]).read_text(encoding="utf-8")
    assert "All 48 responses of the study." in whole and "random sample" not in whole


def test_samples_elsewhere_on_the_page_have_no_texts_that_may_not_be_passed_on(files):
    text = "a long text that must not be passed on"
    frame = pd.DataFrame({"task": TASKS, "prompt_id": ["a", "b"], "prompt": ["secret one", f"Judge it. {text}"]})
    frame["response"] = ["fine", f"You wrote: {text}. No."]
    shown = without_texts({"refusals": frame}, data_of(files, shared=["politeness"])[0])
    assert shown["refusals"]["prompt"].tolist() == ["secret one", "[prompt b: its text may not be passed on]"]
    assert shown["refusals"]["response"].tolist() == ["fine", f"You wrote:{LEFT_OUT}. No."]
    assert without_texts({"refusals": frame}, None)["refusals"].equals(frame)


def test_responses_do_not_quote_texts_that_may_not_be_passed_on(tmp_path):
    def quoting(model, row):
        return answered(f"The text 'secret of {row.row_id}' is fine")

    files = make_files(tmp_path, quoting)
    _, read = data_of(files, shared=["politeness"])
    found = json.dumps(read.lists)
    assert "'secret of politeness-1' is fine" in found and f"'{LEFT_OUT}' is fine" in found
    assert "secret of offensiveness" not in found


def test_quotes_are_found_in_part_and_common_words_stay():
    text = "My grandfather built one of these radios from a kit."
    assert without_quotes(f"It says {text[5:40]}!", [text]) == f"It says {LEFT_OUT}!"
    assert without_quotes("My grandfather built one", [text]) == "My grandfather built one"
    assert without_quotes("No, the word is rude.", ["rude"]) == "No, the word is rude."
    assert fields_of("\n\nPremise: a\nHypothesis: b", "\n\nPremise: {premise}\nHypothesis: {hypothesis}") == ["a", "b"]


# in a browser


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page_file(files, tmp_path_factory):
    stored, _ = data_of(files, shared=["politeness"])
    path = tmp_path_factory.mktemp("page") / "index.html"
    return write_page(path, stored, banner="REHEARSAL, on <stand-ins>", model_suffix=" (stand-in)")


@pytest.fixture
def opened(browser, page_file):
    """Open the page at a width and a fragment; fails if it logs a message or asks for anything."""
    pages, noise = [], []

    def show(width=1200, fragment="", before=""):
        page = browser.new_context(viewport={"width": width, "height": 800}, accept_downloads=True).new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url) if request.url[:5] not in READ else None)
        if before:
            page.add_init_script(before)
        page.goto(page_file.as_uri() + fragment)
        pages.append(page)
        return page

    yield show
    for page in pages:
        assert page.evaluate("window.harm") is None
        page.context.close()
    assert noise == []


READ = ("file:", "blob:", "data:")


def status(page, text):
    page.get_by_text(text, exact=True).wait_for(timeout=5000)


def test_three_filters_find_a_refusal(opened):
    page = opened()
    status(page, "48 of 48 responses match.")
    page.get_by_label("Model", exact=True).select_option("Model-B (stand-in)")
    page.get_by_label("Verdict of structured").select_option("refused")
    status(page, "2 of 48 responses match.")
    page.get_by_label("Agreement on refusal").select_option("labellers differ")
    status(page, "1 of 48 responses match.")
    summary = page.locator("#explorer summary")
    assert "politeness, man, p1: structured refused, phrase_list answered" in summary.text_content()
    page.get_by_role("button", name="Clear filters").click()
    status(page, "48 of 48 responses match.")
    page.get_by_label("Verdict of structured").select_option("refused: refused_capability")
    page.get_by_label("Search in responses and prompts").fill("SECRET OF politeness-2")
    status(page, "2 of 48 responses match.")
    page.get_by_label("Search in responses and prompts").fill("nowhere")
    status(page, "0 of 48 responses match.")


def test_keyboard_evidence_and_blurred_texts(opened):
    page = opened()
    page.get_by_label("Agreement on refusal").select_option("labellers differ")
    status(page, "1 of 48 responses match.")
    page.locator("#explorer summary").focus()
    page.keyboard.press("Enter")
    response = page.locator("#explorer .response")
    assert response.locator("mark").all_text_contents() == ["I can't judge", "I can't judge"]  # response, its verdict
    text = response.locator(".text")
    assert text.text_content() == "Text: secret of politeness-1"
    assert "blur" in text.evaluate("node => getComputedStyle(node).filter")
    assert text.get_attribute("aria-hidden") == "true"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert text.evaluate("node => getComputedStyle(node).filter") == "none"
    page.get_by_label("Show texts").check()
    page.get_by_label("Show texts").uncheck()
    assert "blur" in text.evaluate("node => getComputedStyle(node).filter")


@pytest.mark.parametrize("wanted", ["Model-B:politeness-1:p1:man", "Model A:offensiveness-3:p1:jewish"])
def test_a_link_opens_its_response(opened, wanted):
    page = opened()
    status(page, "48 of 48 responses match.")
    page.get_by_label("Verdict of structured").select_option("refused")
    status(page, "3 of 48 responses match.")
    page.evaluate("wanted => { location.hash = `#r=${encodeURIComponent(wanted)}`; }", wanted)
    shown = page.locator("#explorer .response[open]")
    shown.wait_for(timeout=5000)
    model, prompt_id = wanted.split(":", 1)
    assert f"Prompt {prompt_id}," in shown.text_content() and f"{model} (stand-in)" in shown.text_content()
    link = shown.get_by_role("link", name="Link to this response").get_attribute("href")
    again = opened(fragment=link)
    assert again.locator("#explorer .response[open]").text_content() == shown.text_content()
    assert again.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_link_to_no_response_says_so(opened):
    page = opened(fragment="#r=%3Cb%3Enobody")
    status(page, "The response <b>nobody is not on this page.")


def test_hostile_responses_are_only_text_and_fit_a_phone(opened):
    page = opened(360)
    page.get_by_label("Task").select_option("offensiveness")
    page.get_by_label("Model", exact=True).select_option("Model-B (stand-in)")
    status(page, "12 of 48 responses match.")
    page.locator("#explorer summary").evaluate_all("all => all.forEach(one => one.click())")
    shown = page.locator("#explorer blockquote:last-of-type").all_text_contents()
    assert {HOSTILE["markup"], HOSTILE["long"], HOSTILE["formula"], "(empty response)"} <= set(shown)
    assert page.get_by_text("not on this page").count() == 12
    assert page.locator("#explorer img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_selection_is_downloaded_as_csv(opened):
    page = opened()
    page.get_by_label("Task").select_option("offensiveness")
    page.get_by_label("Model", exact=True).select_option("Model-B (stand-in)")
    status(page, "12 of 48 responses match.")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download as CSV").click()
    assert started.value.suggested_filename == "own_responses.csv"
    text = started.value.path().read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 12 and {row["study"] for row in rows} == {"REHEARSAL, on <stand-ins>"}
    responses = {row["row_id"] + row["persona"]: row["response"] for row in rows}
    assert responses["offensiveness-1man"] == f"'{HOSTILE['formula']}"  # a spreadsheet would run it
    assert responses["offensiveness-0baseline"] == HOSTILE["markup"]
    assert not any("secret" in row["prompt"] for row in rows)
    assert rows[0]["verdict structured"] == "answered" and rows[0]["category phrase_list"] == "not_refused"


def test_an_old_browser_gets_a_message(opened):
    page = opened(before="delete window.DecompressionStream")
    assert page.get_by_text("needs JavaScript and a browser of 2023 or later").is_visible()
    assert not page.locator("#explorer form").is_visible()
