"""The whole chain on a few stand-ins: texts to report, with a truth that is known answer by answer."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml

MODELS = ["Llama2-13B", "Qwen1.5-32B", "Gemma2-2B"]  # three families, three chat templates, one in bf16


def small(root, **changes):
    """The default study with three models and few texts, as a config file's text."""
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
    workflow.log = workflow.run("--configfile", "config/small.yaml")
    workflow.results = workflow.path("results/small")
    return workflow


def test_every_answer_is_the_one_that_was_foretold(done):
    """Canaries in the stand-ins answer nonsense to a mangled prompt, so this also tests padding, BOS and header."""
    for model in MODELS:
        answers = pd.read_parquet(done.results / f"responses/{model}.parquet").set_index("prompt_id")
        truth = pd.read_parquet(done.results / f"truth/{model}.parquet").set_index("prompt_id")
        assert len(answers) == len(truth) > 500
        same = answers["response"].reindex(truth.index).str.strip() == truth["text"].str.strip()
        assert same.all(), answers.loc[truth.index[~same]].head()


def test_the_papers_labeller_says_what_was_planted(done):
    labels = pd.read_parquet(done.results / "labels/Llama2-13B.parquet").query("labeller == 'phrase_list'")
    truth = pd.read_parquet(done.results / "truth/Llama2-13B.parquet").set_index("prompt_id")
    assert (labels.set_index("prompt_id")["refusal"] == truth["phrase_list_refusal"]).all()


def test_the_structured_labeller_is_nearer_to_the_planted_category(done):
    """Persona-first refusals and "No." as an answer are planted: the list errs there, a reader does not."""
    wrong = {"paper": 0, "structured": 0}
    for model in MODELS:
        labels = pd.read_parquet(done.results / f"labels/{model}.parquet")
        truth = pd.read_parquet(done.results / f"truth/{model}.parquet").set_index("prompt_id")["refusal"]
        for labeller, judged in labels.groupby("labeller"):
            wrong[labeller] += int((judged.set_index("prompt_id")["refusal"] != truth).sum())
    assert wrong["structured"] < wrong["paper"]


def test_tables_figures_and_page_are_there_and_say_what_they_are(done):
    page = (done.results / "report/index.html").read_text()
    assert "REHEARSAL on stand-in checkpoints" in re.search("<title>(.*?)</title>", page, re.S)[1]
    assert "(stand-in)" in page
    tables = {file.stem for file in (done.results / "tables").glob("*.csv")}
    published = {"table1", "table5", "table6", "rates_persona", "rates_format", "importance", "regression", "claims"}
    assert published | {"planted_rates", "comparison", "labeller_rates", "effects_persona", "missing"} <= tables
    truth = pd.read_csv(done.results / "tables/planted_rates.csv")
    assert truth["planted"].between(truth["lo"], truth["hi"]).mean() > 0.9
    planted = (
        pd.read_csv(done.results / "truth/personas.csv").groupby(["model", "task"])["planted"].mean().reset_index()
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
    published = [*done.path("results/published/tables").glob("*.csv")]
    assert published and not any("study" in pd.read_csv(file) for file in published)
    page = (done.results / "report/index.html").read_text()
    assert not re.search("<th[^>]*>study</th>", page), "the page says it once, not in every row"


def test_progress_with_time_left_is_shown(done):
    assert re.search(r"Llama2-13B: 100% of prompt tokens, \d+ answers", done.log)


def test_a_second_run_does_nothing(done):
    assert "Nothing to be done" in done.run("--configfile", "config/small.yaml")


def test_editing_a_persona_asks_only_the_prompts_that_changed(done):
    path = done.path("config/personas.csv")
    kept = path.read_text()
    path.write_text(kept.replace("man,Gender,A man,man,a", "man,Gender,A man,grown man,a"))
    try:
        jobs = done.dry_run("--configfile", "config/small.yaml")
        done.run("--configfile", "config/small.yaml", "--until", "responses")
    finally:
        path.write_text(kept)
    assert not {"standins", "texts", "design", "published_cells", "draw_published_figures"} & set(jobs)
    assert jobs["responses"] == 3
    design = pd.read_parquet(done.results / "design.parquet")
    record = json.loads((done.results / "responses/Llama2-13B.provenance.json").read_text())
    assert record["answers"]["generated"] == (design["persona"] == "man").sum()
    assert record["answers"]["reused"] == record["answers"]["distinct"] - record["answers"]["generated"]
    done.run("--configfile", "config/small.yaml")  # back again, at no cost
    record = json.loads((done.results / "responses/Llama2-13B.provenance.json").read_text())
    assert record["answers"]["generated"] == 0


def test_changing_a_phrase_judges_again_without_asking_again(done):
    path = done.path("config/refusal_phrases.txt")
    kept = path.read_text()
    path.write_text(kept + "i would rather not\n")
    jobs = done.dry_run("--configfile", "config/small.yaml")
    path.write_text(kept)
    assert jobs["labels"] == 3 and "cells" in jobs
    assert not {"responses", "prompts", "design"} & set(jobs)


def test_people_label_a_sample_and_rates_are_corrected(done):
    """The annotators here know the planted truth: corrected rates must hold it, and structured be judged flawless."""
    config = ("--configfile", "config/small.yaml")
    done.run("annotation", *config)
    folder = done.results / "annotation"
    page = (folder / "index.html").read_text()
    assert not any(model in page for model in MODELS), "the model is hidden"
    key = pd.read_csv(folder / "key.csv", dtype=str)
    truth = pd.concat(
        pd.read_parquet(done.results / f"truth/{model}.parquet").assign(model=model) for model in MODELS
    ).set_index(["model", "prompt_id"])["refusal"]
    refused = truth.reindex(pd.MultiIndex.from_frame(key[["model", "prompt_id"]])).to_numpy()
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
    assert set(accuracy["labeller"]) == {"paper", "structured"}
    assert "corrected_rates" in (done.results / "report/index.html").read_text()
    data = json.loads((done.results / "provenance.json").read_text())["data"]
    people = {f"annotations/small/{name}.csv" for name in ("key", "ann", "ben")}
    assert people | {"config/labelling/patterns.yaml"} <= set(data)


def test_a_judge_that_cannot_be_read_is_a_failure_and_never_a_refusal(done, root):
    """A stand-in is no judge: it complains about a question it doesn't know, in words that no verdict is in."""
    models = done.path("config/models.csv").read_text()
    row = models.splitlines()[1].split(",")
    row[0], row[4] = "Judge", str(shutil.copytree(done.results / "standins/Llama2-13B", done.path("judge")))
    done.path("config/models_judge.csv").write_text(models + ",".join(row) + "\n")
    config = yaml.safe_load(small(root))
    config |= {"judges": {"stern": {"model": "Judge"}}, "materials": {"models": "config/models_judge.csv"}}
    done.path("config/judge.yaml").write_text(yaml.safe_dump(config))
    done.run("results/small/labels/Gemma2-2B.parquet", "--configfile", "config/judge.yaml")
    labels = pd.read_parquet(done.results / "labels/Gemma2-2B.parquet").query("labeller == 'stern'")
    kinds = labels["category"].value_counts()
    assert set(kinds.index) <= {"judge_failed", "empty"} and kinds["judge_failed"] > 500
    assert not labels["refusal"].any()


def test_a_study_in_rounds_stops_models_one_by_one(checkout, root):
    workflow = checkout()
    config = yaml.safe_load(small(root, design={"sequential": {"first": 30, "growth": 0.5}}))
    for task in config["tasks"].values():
        task["rows_per_gold_label"] = 20  # no target counts as met on fewer than 30 texts of a task
    config["estimation"]["targets"] = {"any-persona effect": 0.08}
    workflow.path("config/rounds.yaml").write_text(yaml.safe_dump(config))
    workflow.run(
        "results/small/tables/sequential.csv", "results/small/cells.parquet", "--configfile", "config/rounds.yaml"
    )
    stopping = pd.read_csv(workflow.path("results/small/tables/sequential.csv")).set_index("model")
    assert stopping.loc["all", "answers"] < stopping.loc["all", "full"]
    cells = pd.read_parquet(workflow.path("results/small/cells.parquet")).query("labeller == 'phrase_list'")
    assert cells.groupby("model")["n"].sum().to_dict() == stopping["answers"].drop("all").to_dict()
    missing = pd.read_csv(workflow.path("results/small/tables/missing.csv"))
    assert missing.empty, "a model that stopped early has no unanswered draws"


def test_the_paper_is_planned_whole(checkout):
    workflow = checkout()
    jobs = workflow.dry_run("--configfile", "config/paper.yaml")
    assert jobs["responses"] == 16 and jobs["fetch_texts"] == 3 and jobs["prompts"] == 3
    assert "standins" not in jobs
    said = workflow.run("plan", "--configfile", "config/paper.yaml")
    assert "GPU hours" in said and "Gemma2-27B" in said
