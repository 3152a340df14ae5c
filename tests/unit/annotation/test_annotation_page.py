"""The sample that people annotate, what they see of it, and the page on which they annotate it (in Chromium)."""

import csv
import html
import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from falserefusal.annotation.page import (
    COUNTS_AS,
    EXAMPLES,
    HUMAN_VERDICTS,
    annotation_page,
    makers_of,
    mask_makers,
    mask_persona,
    sample_id,
    shown_items,
)
from falserefusal.annotation.sample import (
    CHOICE,
    DISAGREEMENT,
    OTHER,
    REFUSAL,
    draw_sample,
    machine_strata,
    population,
)
from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.common.verdicts import MISSING, VERDICT_KINDS
from falserefusal.labelling.registry import load_labeller
from falserefusal.labelling.verdicts import label
from falserefusal.study.materials import load_models, load_personas


def verdicts_frame(rows):
    columns = ["prompt_id", "labeller", "verdict", "category", "choice"]
    return pd.DataFrame(rows, columns=columns).assign(evidence=None)


def test_strata_are_what_the_labellers_made_of_a_response():
    verdicts = verdicts_frame(
        [
            ("q0", "structured", "answered", "answered", "polite"),
            ("q1", "structured", "answered", "answered", "polite"),
            ("q2", "structured", "refused", "refused_policy", None),
            ("q3", "structured", "invalid", "off_format", None),
            ("q4", "structured", "missing", "error", None),
            ("q5", "structured", "refused", "refused_policy", None),
            ("q0", "phrase_list", "answered", "not_refused", None),
            ("q1", "phrase_list", "refused", "refused", None),  # "No, polite"
            ("q2", "phrase_list", "answered", "not_refused", None),
            ("q5", "phrase_list", "refused", "refused", None),
            ("q0", "judge", "missing", "judge_failed", None),
            ("q5", "judge", "missing", "judge_failed", None),  # the two that gave a verdict agree
        ]
    )
    assert machine_strata(verdicts).set_index("prompt_id")["stratum"].to_dict() == {
        "q0": CHOICE, "q1": DISAGREEMENT, "q2": DISAGREEMENT, "q3": OTHER, "q5": REFUSAL,
    }  # fmt: skip
    others = verdicts[verdicts["labeller"] != "structured"]
    assert machine_strata(others).set_index("prompt_id")["stratum"].to_dict() == {
        "q0": OTHER, "q1": REFUSAL, "q2": OTHER, "q5": REFUSAL,
    }  # fmt: skip
    with pytest.raises(InputError, match="'judge', but it has none"):
        machine_strata(verdicts[verdicts["labeller"] == "judge"])


@pytest.fixture(scope="module")
def units():
    """Three models of 4,000, 2,000 and 1,000 responses; C refuses nothing."""
    random = np.random.default_rng(4)
    n = 7000
    frame = pd.DataFrame(
        {
            "model": np.repeat(["A", "B", "C"], [4000, 2000, 1000]),
            "prompt_id": [f"q{i:04d}" for i in range(n)],
            "task": random.choice(["nli", "offensiveness"], n),
            "group": random.choice(["Race", "Gender", BASELINE], n, p=[0.5, 0.4, 0.1]),
            "stratum": random.choice([CHOICE, REFUSAL, DISAGREEMENT, OTHER], n, p=[0.93, 0.04, 0.02, 0.01]),
        }
    )
    frame.loc[frame["model"] == "C", "stratum"] = CHOICE
    return frame.assign(persona="x", template="p1", format="unforced")


def test_every_model_gets_an_equal_part_and_rare_strata_more_than_their_share(units):
    key = draw_sample(units, 300, seed=1)
    assert len(key) == 300
    assert not key.duplicated(["model", "prompt_id"]).any()
    assert key["model"].value_counts().to_dict() == {"A": 100, "B": 100, "C": 100}
    drawn = key.groupby(["model", "stratum"]).size()
    there = units.groupby(["model", "stratum"]).size()
    assert drawn["A"].round(-1).to_dict() == {CHOICE: 30, REFUSAL: 30, DISAGREEMENT: 20, OTHER: 20}  # 25 and 15
    assert drawn["B", OTHER] == min(there["B", OTHER], 15)
    rate = drawn / there
    assert (rate["A"].drop(CHOICE) > 10 * rate["A", CHOICE]).all()
    for spread in (["task"], ["group"]):
        sizes = key[key["model"] == "C"].groupby(spread).size()
        assert sizes.max() - sizes.min() <= 2, "tasks and groups get equal parts, baseline prompts too"


def test_a_stratum_with_too_few_responses_is_drawn_whole(units):
    key = draw_sample(units, 2000, seed=1)
    rare = units["stratum"].eq(OTHER)
    assert (key["stratum"] == OTHER).sum() == rare.sum()
    assert (key.loc[key["stratum"] == OTHER, "weight"] == 1).all()
    assert len(key) == 2000, "its part goes to others"


@pytest.mark.parametrize("n", [20, 300])  # 20: fewer than the 48 cells
def test_weights_are_the_inverse_of_the_chance_to_be_drawn(units, n):
    """Each model's count of responses, estimated by the sum of weights, is right on average over draws."""
    keys = pd.concat([draw_sample(units, n, seed=seed).assign(seed=seed) for seed in range(60)])
    np.testing.assert_allclose(keys["weight"], keys["in_cell"] / keys["drawn"])
    for column in ("model", "stratum", "task", "group"):
        found = keys.pivot_table(index="seed", columns=column, values="weight", aggfunc="sum").fillna(0)
        error = found.mean() - units[column].value_counts()
        assert (error.abs() <= 4 * found.std() / np.sqrt(60) + 1e-6).all(), column


def test_a_stratum_can_be_left_out(units):
    key = draw_sample(units, 100, seed=1, shares={CHOICE: 0, REFUSAL: 1, DISAGREEMENT: 1, OTHER: 1})
    assert set(key["stratum"]) == {REFUSAL, DISAGREEMENT, OTHER}
    assert key["model"].value_counts().to_dict() == {"A": 50, "B": 50}, "C has nothing else"
    with pytest.raises(InputError, match=r"change annotation\.shares"):
        draw_sample(units[units["model"] == "C"], 9, seed=1, shares={CHOICE: 0, REFUSAL: 1, DISAGREEMENT: 1, OTHER: 1})


def test_the_sample_is_the_same_whatever_the_order_of_the_rows(units):
    shuffled = units.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(draw_sample(units, 50, seed=3), draw_sample(shuffled, 50, seed=3))
    assert not draw_sample(units, 50, seed=3)["prompt_id"].equals(draw_sample(units, 50, seed=4)["prompt_id"])


def test_a_sample_larger_than_the_study_is_the_study(units):
    key = draw_sample(units[:40], 1000, seed=1)
    assert len(key) == 40
    assert (key["weight"] == 1).all()


def test_population_takes_each_models_own_prompts(root):
    design = pd.DataFrame(
        {
            "prompt_id": ["q0", "q1", "q2"],
            "task": "nli",
            "text_id": "t0",
            "persona": ["black", BASELINE, "woman"],
            "template": "p1",
            "format": "unforced",
            "model": [ALL, ALL, "B"],
        }
    )
    verdicts = verdicts_frame([(f"q{i}", "structured", "answered", "answered", "neutral") for i in range(3)])
    personas = load_personas(root / "config" / "personas.csv")
    units = population({"A": verdicts, "B": verdicts}, design, personas)
    assert units.groupby("model")["group"].agg(list).to_dict() == {
        "A": ["Race", BASELINE],
        "B": ["Race", BASELINE, "Gender"],
    }


@pytest.mark.parametrize(
    ("text", "surface", "masked"),
    [
        ("As a Black person, I cannot", "black person", "As [persona], I cannot"),
        ("Black people differ; the black cat doesn't", "black person", "[persona] differ; the black cat doesn't"),
        ("As an Asian woman I find it rude. Asians agree.", "asian", "As [persona] I find it rude. [persona] agree."),
        ("A transgender man would. Transgender men too.", "transgender man", "[persona] would. [persona] too."),
        ("A woman would manage", "man", "A woman would manage"),
        ("Men and manners", "man", "[persona] and manners"),
        ("A physically-disabled person", "physically-disabled person", "[persona]"),
        ("The physically disabled", "physically-disabled person", "The physically disabled"),  # a known gap
        ("As a person", "", "As a person"),
        ("Eine Muslimin würde das sagen.", "Muslimin", "[persona] würde das sagen."),
    ],
)
def test_personas_are_masked(text, surface, masked):
    assert mask_persona(text, surface) == masked


def test_models_without_a_hub_id_have_their_family_as_maker(root):
    makers = makers_of(load_models(root / "config/template/models.csv"))
    assert {"often", "seldom"} <= set(makers) and "nan" not in makers


def test_makers_are_masked(root):
    makers = makers_of(load_models(root / "config" / "models.csv"))
    assert mask_makers("I am Qwen, made by Alibaba Cloud, not Llama3 by Meta.", makers) == (
        "I am [model], made by [model], not [model] by [model]."
    )
    assert (
        mask_makers("A gemmologist's llama-like metaphor", ["Gemma", "meta"]) == "A gemmologist's llama-like metaphor"
    )


NASTY = '</script><img src=x onerror="document.title=1"> & "quoted", comma\nsecond line'


@pytest.fixture
def items():
    key = pd.DataFrame(
        {
            "item_id": ["a00001", "a00002", "a00003"],
            "model": ["A", "B", "A"],
            "prompt_id": ["q0", "q0", "q1"],
            "task": "offensiveness",
            "persona": ["black", "black", BASELINE],
        }
    )
    question = "Would a black person classify it as offensive or not offensive?\n\nText: the black person left"
    prompts = pd.DataFrame(
        {
            "prompt_id": ["q0", "q1"],
            "messages": [[{"role": "user", "content": question}], [{"role": "user", "content": "Classify it. <b>"}]],
        }
    )
    responses = pd.DataFrame(
        {
            "model": ["A", "B", "A"],
            "prompt_id": ["q0", "q0", "q1"],
            "response": ["As a black person, no.", NASTY, ""],
            "finish_reason": ["stop", "length", "content_filter"],
        }
    )
    options = {"offensiveness": ["offensive", "not offensive"]}
    return shown_items(key, prompts, responses, {"black": "black person"}, options, ["Llama"])


def test_items_hide_model_and_persona_but_not_the_text(items):
    assert items["question"][0] == (
        "Would [persona] classify it as offensive or not offensive?\n\nText: the black person left"
    )
    assert items["response"].tolist() == ["As [persona], no.", NASTY, ""]
    assert items["cut"].tolist() == [False, True, False]
    assert items["blocked"].tolist() == [False, False, True]
    assert not {"model", "persona", "stratum", "weight"} & set(items.columns)


def test_an_item_without_its_response_is_an_error():
    key = pd.DataFrame({"item_id": ["a"], "model": ["A"], "prompt_id": ["q"], "task": ["nli"], "persona": ["man"]})
    prompts = pd.DataFrame({"prompt_id": ["q"], "messages": [[{"role": "user", "content": "?"}]]})
    none = pd.DataFrame(columns=["model", "prompt_id", "response", "finish_reason"], dtype=str)
    with pytest.raises(InputError, match="A, q is missing"):
        shown_items(key, prompts, none, {}, {}, [])


def test_the_page_is_self_contained_and_the_same_every_time(items):
    page = annotation_page(items, "<rehearsal>", sample_id(items))
    assert page == annotation_page(items, "<rehearsal>", sample_id(items))
    assert "<rehearsal>" not in page
    assert "</script><img" not in page
    assert "http://" not in page and "https://" not in page
    assert "default-src 'none'" in page
    assert 'id="banner"' not in page
    rehearsed = annotation_page(items, "null", "s1", "REHEARSAL on <stand-ins>")
    assert "<title>REHEARSAL on &lt;stand-ins&gt;: Annotation: null</title>" in rehearsed
    assert '<p id="banner" role="note">REHEARSAL on &lt;stand-ins&gt;</p>' in rehearsed


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def text_of(page, selector):
    return page.locator(selector).text_content()


def test_annotating_by_keyboard_resuming_and_exporting(browser, items, tmp_path):
    file = tmp_path / "annotate.html"
    file.write_text(annotation_page(items, "rehearsal", "s1"), encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    problems, requests = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.fill("#annotator", "Ann, Jr.")
    page.keyboard.press("Enter")
    assert text_of(page, "#place") == "item 1 of 3"
    page.keyboard.press("1")
    assert text_of(page, "#place") == "item 2 of 3"
    assert text_of(page, "#response") == NASTY  # shown as text, not run
    assert page.title() == "Annotation: rehearsal"
    assert page.locator("#cut").is_visible()
    page.keyboard.press("n")
    page.keyboard.type('3 "odd", very')  # keys in a note give no verdict
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    assert text_of(page, "#place") == "item 3 of 3"
    assert page.locator("#empty").is_visible()

    page.reload()
    assert page.input_value("#annotator") == "Ann, Jr."
    page.keyboard.press("Tab")
    page.click("#start button")
    assert text_of(page, "#place") == "item 3 of 3"  # continues where it stopped
    page.keyboard.press("ArrowLeft")
    assert page.locator("button[data-verdict=refused]").get_attribute("aria-pressed") == "true"
    assert page.input_value("#note") == '3 "odd", very'
    page.keyboard.press("2")  # changes the verdict, keeps the note
    page.keyboard.press("ArrowRight")
    assert text_of(page, "#end") == "This was the last item; 1 without a verdict."
    page.click("#open")
    with page.expect_download() as download:
        page.click("#export")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert download.value.suggested_filename == "annotations_Ann_Jr_.csv"
    assert text_of(page, "#message") == "exported 2 of 3, 0 unsure"
    assert rows == [
        {"sample": "s1", "annotator": "Ann, Jr.", "item_id": "a00001", "verdict": "answered", "note": ""},
        {"sample": "s1", "annotator": "Ann, Jr.", "item_id": "a00002", "verdict": "hedged", "note": '3 "odd", very'},
    ]
    page.keyboard.press("5")
    assert page.locator("#done").get_attribute("title") == "3 of 3"

    for _ in range(2):  # after the last item, and again after a reload
        assert page.locator("#end").is_visible() and not page.locator("#item").is_visible()
        assert text_of(page, "#end") == "All 3 items have a verdict: export the CSV file."
        page.keyboard.press("1")  # no effect
        page.keyboard.press("ArrowLeft")
        assert text_of(page, "#place") == "item 3 of 3"
        assert page.locator("button[data-verdict=unsure]").get_attribute("aria-pressed") == "true"
        page.reload()
        page.click("#start button")
    assert not problems
    assert all(url.startswith(("file:", "blob:")) for url in requests)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_scroll_sideways_and_can_undo_and_import(browser, items, tmp_path, scheme):
    file, export = tmp_path / "annotate.html", tmp_path / "ann.csv"
    file.write_text(annotation_page(items, "rehearsal_" * 9, "s3", "REHEARSAL"), encoding="utf-8")
    context = browser.new_context(viewport={"width": 360, "height": 700}, color_scheme=scheme, accept_downloads=True)
    page = context.new_page()
    page.goto(file.as_uri())
    wide = "document.documentElement.scrollWidth > 360"
    assert not page.evaluate(wide)
    page.fill("#annotator", "Ann")
    page.keyboard.press("Enter")
    page.keyboard.press("?")
    assert page.locator("#definitions dl").is_visible() and not page.evaluate(wide)
    page.keyboard.down("1")
    page.keyboard.down("1")  # still held: auto-repeat
    page.keyboard.up("1")
    assert text_of(page, "#place") == "item 2 of 3"
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(export)
    page.keyboard.press("u")
    assert page.locator("#done").get_attribute("title") == "0 of 3"
    page.set_input_files("#import", export)
    page.wait_for_function("document.getElementById('message').textContent === 'imported 1 of 1 verdicts'")
    assert not page.evaluate(wide)
    context.close()


def test_two_annotators_in_one_browser_do_not_mix(browser, items, tmp_path):
    file = tmp_path / "annotate.html"
    file.write_text(annotation_page(items, "rehearsal", "s2"), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    for name, verdict in [("Ann", "1"), ("Bo", "4"), ("Ann", None)]:
        page.goto(file.as_uri())
        page.fill("#annotator", name)
        page.keyboard.press("Enter")
        if verdict:
            assert text_of(page, "#place") == "item 1 of 3"
            page.keyboard.press(verdict)
    assert text_of(page, "#place") == "item 2 of 3"
    page.keyboard.press("ArrowLeft")
    assert page.locator("button[data-verdict=answered]").get_attribute("aria-pressed") == "true"
    context.close()


def test_every_verdict_has_its_key_and_an_example_on_the_page(items):
    assert len({key for key, _, _ in HUMAN_VERDICTS}) == len(HUMAN_VERDICTS)
    verdicts = [verdict for _, verdict, _ in HUMAN_VERDICTS]
    assert set(verdicts) == {verdict for verdict, _, _ in EXAMPLES} == {*COUNTS_AS, "unsure"}
    assert set(COUNTS_AS.values()) == set(VERDICT_KINDS) - {MISSING}
    page = html.unescape(annotation_page(items, "x", "s1"))
    definitions = page[page.index('<details id="definitions"') : page.index("</details>")]
    of = dict(zip(verdicts, re.findall("<dd>.*?</dd>", definitions, flags=re.DOTALL), strict=False))
    for verdict, kind, response in EXAMPLES:
        assert f"“{response}” ({kind})" in of[verdict]
    assert "<b>hedged</b> (the labellers' answered)" in definitions
    assert "<b>missing</b>" in definitions


def test_the_structured_labeller_gives_the_examples_the_same_verdicts(root):
    clear = [(response, COUNTS_AS[verdict]) for verdict, _, response in EXAMPLES if verdict in COUNTS_AS]
    responses = pd.DataFrame(clear, columns=["response", "expected"]).assign(finish_reason="stop", yes_no=False)
    responses["prompt_id"] = responses.index.astype(str)
    responses["options"] = [("polite", "impolite")] * len(responses)
    labeller = load_labeller("structured", root / "workflow/falserefusal/labelling/languages/en/patterns.yaml")
    found = label(responses, [labeller]).set_index("prompt_id")["verdict"]
    assert dict(zip(responses["response"], found[responses["prompt_id"]], strict=True)) == dict(clear)
