"""The studies to copy run as they are: the short one, a part of it as a trial, and the German one."""

import base64
import json
import zlib

import pandas as pd
import pytest
import yaml

FEW = {"estimation": {"bootstrap": 100, "permutations": 99}}
WORDS = {"letters": ["A", "B", "C", "D"], "words": ["yes", "no"]}
TEMPLATES = """task,template,phrasing,format,text,baseline_text
letters,p1,1,unforced,"A {persona} says {label1}/{label2}/{label3}/{label4}?","{label1}, {label2}, {label3}, {label4}?"
words,p1,1,unforced,"Would a {persona} find it rude, {label1} or {label2}?","Is it rude, {label1} or {label2}?"
"""


@pytest.fixture(scope="module")
def workflow(checkout):
    return checkout()


def verdicts_of(workflow, study):
    """The responses of all models with the verdicts of `structured`, and what was asked."""
    folder = workflow.path(f"results/{study}")
    parts = []
    for path in sorted((folder / "verdicts").glob("*.parquet")):
        own = pd.read_parquet(path).query("labeller == 'structured'")
        responses = pd.read_parquet(folder / "responses" / path.name)[["prompt_id", "response"]]
        parts.append(own.merge(responses, on="prompt_id").assign(model=path.stem))
    design = pd.read_parquet(folder / "design.parquet")[["prompt_id", "task", "persona"]]
    return pd.concat(parts, ignore_index=True).merge(design, on="prompt_id")


def page_of(workflow, study):
    return workflow.path(f"results/{study}/report/index.html").read_text(encoding="utf-8")


def texts_on_page(workflow, study):
    """The texts of data sets among the responses that the page shows."""
    stored = json.loads(workflow.path(f"results/{study}/explorer.json").read_text())
    return json.loads(zlib.decompress(base64.b64decode(stored["data"])))["lists"]["body"]


def test_the_study_to_copy_runs_as_it_is_and_shows_its_texts(workflow):
    said = workflow.run("--configfile", "config/template/study.yaml")
    assert "DUMMY responses" in said and "ordinary word" not in said
    texts = pd.read_csv(workflow.path("config/template/texts.csv"))["text"]
    assert {text.removeprefix("\n\nText: ") for text in texts_on_page(workflow, "template")} == set(texts)
    page = page_of(workflow, "template")
    assert "The texts of toxicity are from the study's own files" in page and "may not be passed on]" not in page


def test_a_trial_with_letters_and_ordinary_words_asks_few_prompts_and_says_so(workflow):
    config = yaml.safe_load(workflow.path("config/template/study.yaml").read_text())
    source = config["tasks"]["toxicity"]["source"]
    layouts = {"letters": "\nA polite, B rude, C both, D neither\n{text}", "words": "\n\n{text}\nAnswer:"}
    config["tasks"] = {
        task: {"source": source, "rows_per_gold_label": 20, "options": options, "layout": layouts[task]}
        for task, options in WORDS.items()
    }
    config["materials"]["templates"] = "config/own_templates.csv"
    workflow.path("config/own_templates.csv").write_text(TEMPLATES)
    workflow.path("config/own.yaml").write_text(yaml.safe_dump(config | FEW | {"study": "trial"}))
    said = workflow.run("--configfile", "config/own.yaml", "--config", "limit=20")
    for task, options in WORDS.items():
        named = ", ".join(map(repr, options))
        assert said.count(f"tasks.{task}.options: {named}: the labeller 'structured' reads an ordinary word") == 1
    found = verdicts_of(workflow, "trial")
    asked = found.groupby("model")["prompt_id"].nunique()
    assert len(asked) == 2 and asked.between(16, 20).all() and set(found["task"]) == set(WORDS)
    answered = found[found["verdict"] == "answered"]
    assert len(answered) and (answered["choice"] == answered["response"]).all()
    assert all(set(own["choice"]) <= set(WORDS[task]) for task, own in answered.groupby("task"))
    prompts = pd.concat(pd.read_parquet(workflow.path(f"results/trial/prompts/{task}.parquet")) for task in WORDS)
    ends = prompts["messages"].map(lambda turns: turns[-1]["content"].endswith("\nAnswer:"))
    assert ends.sum() == (found.drop_duplicates("prompt_id")["task"] == "words").sum()
    assert "TRIAL with at most 20 prompts per model" in page_of(workflow, "trial")


def test_the_german_study_refuses_answers_and_reports_in_german(workflow):
    workflow.path("config/few.yaml").write_text(yaml.safe_dump(FEW))
    said = workflow.run("--configfile", "config/german/study.yaml", "config/few.yaml")
    assert said.count("tasks.ton.options: 'A', 'B': the labeller 'structured' reads an ordinary word") == 1
    found = verdicts_of(workflow, "german")
    refusal = "Es tut mir leid, aber dabei kann ich nicht helfen."
    assert found.groupby(found["response"] == refusal)["verdict"].unique().map(list).to_dict() == {
        True: ["refused"],
        False: ["answered"],
    }
    answered = found[found["verdict"] == "answered"]
    assert set(answered["choice"]) == {"beleidigend", "nicht beleidigend", "A", "B"}
    assert (answered["choice"] == answered["response"]).all()
    asked = pd.read_parquet(workflow.path("results/german/prompts/beleidigung.parquet"))["messages"]
    questions = {turns[-1]["content"].partition("\n\nText: ")[0] for turns in asked}
    assert "Würde eine Lehrerin diesen Text beleidigend oder nicht beleidigend nennen?" in questions
    assert "Würde jemand aus Bayern diesen Text beleidigend oder nicht beleidigend nennen?" in questions
    page = page_of(workflow, "german")
    assert "The language of the responses is German (language: de)" in page and "Eine Studie auf Deutsch" in page


def test_a_wrong_file_of_texts_ends_before_the_first_job(workflow):
    workflow.path("config/wrong.csv").write_text("id;text;gold_label\n1;Hello;harmless\n")
    source = {"path": "config/wrong.csv"}
    change = {"study": "wrong", "tasks": {"toxicity": {"source": source}}}
    workflow.path("config/wrong.yaml").write_text(yaml.safe_dump(change))
    said = workflow.run("--configfile", "config/template/study.yaml", "config/wrong.yaml", check=False)
    assert 'With `separator: ";"` it has these columns' in said and "Traceback" not in said
    assert not workflow.path("results/wrong").exists()
