"""The whole workflow on a few stand-ins, from texts to report; every response is known in advance."""

import html
import json
import re
import shutil
import socket
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

MODELS = ["Llama2-13B", "Qwen1.5-32B", "Gemma2-2B"]  # three families, three chat templates, one in bf16

LOGIN = "ann-of-this-test"


def small(root, **changes):
    """The rehearsal with three models and few texts, as the text of a config file."""
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    config |= {"study": "small", "models": MODELS, "estimation": {"bootstrap": 100, "permutations": 99}}
    for task, rows in {"nli": 8, "politeness": 5, "offensiveness": 5}.items():
        config["tasks"][task]["rows_per_gold_label"] = rows
    return yaml.safe_dump(config | changes)


@pytest.fixture(scope="module")
def done(checkout, root):
    """A copy in which a small rehearsal has run once."""
    workflow = checkout()
    workflow.path("config/small.yaml").write_text(small(root))
    workflow.log = workflow.run("--configfile", "config/small.yaml", LOGNAME=LOGIN, USER=LOGIN)
    workflow.results = workflow.path("results/small")
    return workflow


def test_every_response_is_the_predicted_one(done):
    """Stand-ins complain about a malformed prompt, so this also tests padding, BOS and header."""
    for model in MODELS:
        responses = pd.read_parquet(done.results / f"responses/{model}.parquet").set_index("prompt_id")
        expected = pd.read_parquet(done.results / f"planted/{model}.parquet").set_index("prompt_id")
        assert len(responses) == len(expected) > 500
        same = responses["response"].reindex(expected.index).str.strip() == expected["text"].str.strip()
        assert same.all(), responses.loc[expected.index[~same]].head()


def test_the_phrase_list_finds_what_was_planted(done):
    verdicts = pd.read_parquet(done.results / "verdicts/Llama2-13B.parquet").query("labeller == 'phrase_list'")
    planted = pd.read_parquet(done.results / "planted/Llama2-13B.parquet").set_index("prompt_id")
    assert ((verdicts.set_index("prompt_id")["verdict"] == "refused") == planted["phrase_list_refusal"]).all()


def test_the_structured_labeller_is_nearer_to_the_planted_category(done):
    """Persona-first refusals and “No.” as an answer are planted; the phrase list gets these wrong."""
    wrong = {"phrase_list": 0, "structured": 0}
    for model in MODELS:
        verdicts = pd.read_parquet(done.results / f"verdicts/{model}.parquet")
        planted = pd.read_parquet(done.results / f"planted/{model}.parquet").set_index("prompt_id")["refusal"]
        for labeller, own in verdicts.groupby("labeller"):
            wrong[labeller] += int(((own.set_index("prompt_id")["verdict"] == "refused") != planted).sum())
    assert wrong["structured"] < wrong["phrase_list"]


def test_tables_figures_and_report_are_there_and_marked(done):
    page = (done.results / "report/index.html").read_text()
    assert "REHEARSAL on stand-in checkpoints" in re.search("<title>(.*?)</title>", page, re.S)[1]
    assert "(stand-in)" in page
    tables = {file.stem for file in (done.results / "tables").glob("*.csv")}
    published = {"table1", "table5", "table6", "rates_persona", "rates_format", "importance", "regression", "claims"}
    assert (
        published | {"planted_rates", "reproduction", "labeller_rates", "effects_persona", "verdict_shares"} <= tables
    )
    cells = pd.read_csv(done.results / "tables/planted_rates.csv")
    assert cells["planted"].between(cells["lo"], cells["hi"]).mean() > 0.9
    planted = (
        pd.read_csv(done.results / "planted/personas.csv").groupby(["model", "task"])["planted"].mean().reset_index()
    )
    rates = pd.read_csv(done.results / "tables/rates_model_task.csv").merge(planted)
    assert len(rates) == 9
    assert rates["planted"].between(rates["lo"], rates["hi"]).sum() >= 8
    record = json.loads((done.results / "provenance.json").read_text())
    assert set(record["models"]) == set(MODELS)
    assert {about["dtype"] for about in record["models"].values()} == {"float32", "bfloat16"}


def test_every_table_and_every_figures_data_say_that_they_are_of_stand_ins(done):
    """Whatever file is passed on alone; also those whose columns are read by other programs."""
    files = [*(done.results / "tables").glob("*.csv"), *(done.results / "figures").glob("*.csv")]
    assert len(files) > 40
    for file in [*files, done.results / "disagreements.csv"]:
        table = pd.read_csv(file)
        assert list(table)[-1] == "study", file
        assert table["study"].str.startswith("REHEARSAL on stand-in checkpoints").all(), file
    assert not done.path("results/published").exists(), "a study that is named is built alone"
    page = (done.results / "report/index.html").read_text()
    assert not re.search("<th[^>]*>study</th>", page), "the page says it once, not in every row"


def test_nothing_to_pass_on_names_this_machine_or_its_user(done):
    files = [file for ending in ("csv", "json", "html") for file in done.results.rglob(f"*.{ending}")]
    assert {"index.html", "provenance.json", "claims.csv"} <= {file.name for file in files}
    places = [
        str(done.folder),
        str(Path.home()),
        str(Path(tempfile.gettempdir())),
        sys.prefix,
        LOGIN,
        socket.gethostname(),
    ]
    places = [place for place in places if len(place) > 4]  # a shorter name is also in the code of a picture
    for file in files:
        text = file.read_text()
        found = [place for place in places if re.search(rf"(?<![\w/]){re.escape(place)}(?!\w)", text)]
        assert not found, file


def test_the_archive_has_no_texts_and_studies_can_be_compared(done):
    config = ["--configfile", "config/small.yaml", "--rerun-triggers", "mtime"]
    done.run("archive", *config)
    with zipfile.ZipFile(done.results / "small.zip") as packed:
        names, page = packed.namelist(), packed.read("report/index.html").decode()
    assert {"provenance.json", "tables/rates_persona.csv", "verdicts/Gemma2-2B.csv", "design.csv"} <= set(names)
    texts = pd.read_parquet(done.results / "texts/politeness.parquet")["text"]
    assert not any(html.escape(text) in page for text in texts)
    shutil.copytree(done.results, done.path("results/again"))
    done.run("compare", "--config", "studies=[small,again]", "--rerun-triggers", "mtime")
    shutil.rmtree(done.path("results/again"))
    table = pd.read_csv(done.path("results/comparisons/small+again/differences.csv"))
    assert (table["difference"].dropna() == 0).all() and table["study"].str.startswith("REHEARSAL").all()
    assert "REHEARSAL" in done.path("results/comparisons/small+again/index.html").read_text()


def test_progress_is_in_the_logs_and_the_terminal_has_a_line_per_rule_and_the_findings(done):
    logs = "".join(file.read_text() for file in done.path("results/logs/small").rglob("*.log"))
    assert re.search(r"Llama2-13B: 100% of prompt tokens, \d+ responses", logs)
    lines = done.log.splitlines()
    assert len(lines) <= 60, done.log  # more lines of progress on a busy machine
    assert "small: REHEARSAL on stand-in checkpoints: says nothing about the real models" in lines
    assert any(line.startswith("  Page: results/small/report/index.html") for line in lines)
    index = done.path("results/index.html").read_text()
    assert 'href="small/report/index.html"' in index and "REHEARSAL on stand-in checkpoints" in index


def test_a_second_run_does_nothing(done):
    assert "Nothing to be done" in done.run("--configfile", "config/small.yaml")


def test_editing_a_persona_runs_only_the_changed_prompts(done):
    path = done.path("config/personas.csv")
    kept = path.read_text()
    path.write_text(kept.replace("man,Gender,A man,man,a", "man,Gender,A man,grown man,a"))
    try:
        jobs = done.dry_run("--configfile", "config/small.yaml")
        done.run("--configfile", "config/small.yaml", "--until", "responses")
    finally:
        path.write_text(kept)
    assert not {"standins", "texts", "design", "published_cells", "published_figures"} & set(jobs)
    assert jobs["responses"] == 3
    design = pd.read_parquet(done.results / "design.parquet")
    record = json.loads((done.results / "responses/Llama2-13B.provenance.json").read_text())
    assert record["responses"]["generated"] == (design["persona"] == "man").sum()
    assert record["responses"]["reused"] == record["responses"]["distinct"] - record["responses"]["generated"]
    done.run("--configfile", "config/small.yaml", "--until", "responses")  # the old responses are still stored
    record = json.loads((done.results / "responses/Llama2-13B.provenance.json").read_text())
    assert record["responses"]["generated"] == 0


def test_changing_a_phrase_labels_again_without_inference(done):
    path = done.path("workflow/falserefusal/labelling/languages/en/refusal_phrases.txt")
    kept = path.read_text()
    path.write_text(kept + "i would rather not\n")
    jobs = done.dry_run("--configfile", "config/small.yaml")
    path.write_text(kept)
    assert jobs["verdicts"] == 3 and "cells" in jobs
    assert not {"responses", "prompts", "design"} & set(jobs)


def test_people_annotate_a_sample_and_rates_are_corrected(done):
    """The annotators here give the planted verdicts, so they agree with each other."""
    config = ("--configfile", "config/small.yaml")
    done.run("annotation", *config)
    folder = done.results / "annotation"
    page = (folder / "index.html").read_text()
    assert not any(model in page for model in MODELS), "the model is hidden"
    key = pd.read_csv(folder / "key.csv", dtype=str)
    planted = pd.concat(
        pd.read_parquet(done.results / f"planted/{model}.parquet").assign(model=model) for model in MODELS
    ).set_index(["model", "prompt_id"])["refusal"]
    refused = planted.reindex(pd.MultiIndex.from_frame(key[["model", "prompt_id"]])).to_numpy()
    verdicts = pd.Series(refused).map({True: "refused", False: "answered"})
    home = done.path("annotations/small")
    home.mkdir(parents=True)
    key.to_csv(home / "key.csv", index=False)
    for annotator in ("ann", "ben"):
        sheet = key[["sample", "item_id"]].assign(annotator=annotator, verdict=verdicts, note="")
        sheet.to_csv(home / f"{annotator}.csv", index=False)
    done.run("results/small/report/index.html", *config)
    agreement = pd.read_csv(done.results / "tables/annotator_agreement.csv")
    assert (agreement["value"] == 1).all()
    accuracy = pd.read_csv(done.results / "tables/labeller_accuracy.csv")
    assert set(accuracy["labeller"]) == {"phrase_list", "structured"}
    assert "corrected_rates" in (done.results / "report/index.html").read_text()
    data = json.loads((done.results / "provenance.json").read_text())["data"]
    people = {f"annotations/small/{name}.csv" for name in ("key", "ann", "ben")}
    assert people | {"workflow/falserefusal/labelling/languages/en/patterns.yaml"} <= set(data)


def judge_models(done):
    """A models file with a further model, Judge: a copy of a stand-in."""
    models = done.path("config/models.csv").read_text()
    row = models.splitlines()[1].split(",")
    folder = shutil.copytree(done.results / "standins/Llama2-13B", done.path("judge"), dirs_exist_ok=True)
    row[0], row[4] = "Judge", str(folder)
    done.path("config/models_judge.csv").write_text(models + ",".join(row) + "\n")
    return "config/models_judge.csv"


def test_a_sequential_study_stops_models_one_by_one(checkout, root):
    workflow = checkout()
    config = yaml.safe_load(small(root, design={"sequential": {"first": 30, "growth": 0.5}}))
    for task in config["tasks"].values():
        task["rows_per_gold_label"] = 20  # no target is met with fewer than 30 texts of a task
    config["estimation"]["targets"] = {"any-persona effect": 0.08}
    workflow.path("config/sequential.yaml").write_text(yaml.safe_dump(config))
    workflow.run(
        "results/small/tables/sequential.csv", "results/small/cells.parquet", "--configfile", "config/sequential.yaml"
    )
    sequential = pd.read_csv(workflow.path("results/small/tables/sequential.csv")).set_index("model")
    assert sequential.loc["all", "responses"] < sequential.loc["all", "full"]
    cells = pd.read_parquet(workflow.path("results/small/cells.parquet")).query("labeller == 'phrase_list'")
    assert cells.groupby("model")["n"].sum().to_dict() == sequential["responses"].drop("all").to_dict()
    shares = pd.read_csv(workflow.path("results/small/tables/verdict_shares.csv"))
    assert not shares[["missing", "not_asked"]].any(axis=None), "a model that stopped early has no missing responses"


def test_the_verdicts_of_an_interim_look_include_those_of_judges(done, root):
    """The judge is asked only about the responses that a look adds; the others are in the store.

    The judge is a stand-in: it complains about an unknown question and gives no verdict, which is never a refusal.
    """
    config = yaml.safe_load(small(root, study="judged", models=["Gemma2-2B"]))
    config["tasks"] = {"offensiveness": config["tasks"]["offensiveness"] | {"rows_per_gold_label": 20}}
    config["design"] = {"kind": "blocked", "blocks_per_task": 70, "sequential": {"first": 35, "growth": 1}}
    config |= {"judges": {"stern": {"model": "Judge"}}, "materials": {"models": judge_models(done)}}
    done.path("config/judged.yaml").write_text(yaml.safe_dump(config))
    done.run("results/judged/cells.parquet", "--configfile", "config/judged.yaml")
    cells = pd.read_parquet(done.path("results/judged/cells.parquet"))
    assert set(cells["labeller"]) == {"phrase_list", "structured", "stern"}
    records = [
        json.loads(done.path(f"results/judged/interim/{look}/judges/stern/Gemma2-2B.provenance.json").read_text())
        for look in (0, 1)
    ]
    verdicts = pd.read_parquet(done.path("results/judged/interim/1/verdicts/Gemma2-2B.parquet"))
    verdicts = verdicts.query("labeller == 'stern'")
    assert (
        set(verdicts["category"]) <= {"judge_failed", "off_format"}
        and (verdicts["category"] == "judge_failed").sum() > 200
    )
    assert not verdicts["verdict"].eq("refused").any()
    first, second = (record["responses"] for record in records)
    assert second["reused"] >= first["distinct"] and second["generated"] == second["distinct"] - second["reused"]


def test_what_a_config_says_is_not_filled_in(done, root):
    """Snakemake replaces {words} and <words> in the strings of a rule."""
    system = "Answer like {this}, {wildcards.task}, <results>."
    config = yaml.safe_load(small(root, study="braces", prompts={"system": system}, inference={"system_role": "merge"}))
    done.path("config/braces.yaml").write_text(yaml.safe_dump(config))
    done.run("results/braces/prompts/nli.parquet", "--configfile", "config/braces.yaml")
    prompts = pd.read_parquet(done.path("results/braces/prompts/nli.parquet"))
    assert prompts["messages"].iloc[0][0]["content"] == system


def test_the_paper_study_has_all_jobs_and_a_cost(checkout):
    workflow = checkout()
    jobs = workflow.dry_run("--configfile", "config/paper.yaml")
    assert jobs["responses"] == 16 and jobs["fetch_texts"] == 3 and jobs["prompts"] == 3
    assert "standins" not in jobs
    output = workflow.run("plan", "--configfile", "config/paper.yaml")
    assert "GPU hours" in output and "Gemma2-27B" in output
