"""The jobs of a cluster run, in dry runs; and a study in which a model could not run."""

import re

import pandas as pd
import pytest
import yaml

SMALL = """
study: small
models: [Llama2-7B, Llama3.2-1B, Gemma2-2B]
checkpoints: {kind: standins}
tasks:
  offensiveness:
    source: {kind: embedded}
    rows_per_gold_label: 3
    options: [offensive, not offensive]
design: {draws_per_row: 3}
estimation: {bootstrap: 100, permutations: 99}
"""
JOB = r"Ask (\S+?)(?:, shard (\S+))? \(GPUs (\d+), memory (\d+) MB, at most (\d+) min\)"

XY = {"x": "refused", "y": "not_refused"}


@pytest.fixture(scope="module")
def copy(checkout):
    return checkout()


def asked(copy, config, *arguments):
    """The inference jobs of a dry run with the cluster's profile: (model, shard) to GPUs, memory and minutes."""
    copy.path("study.yaml").write_text(yaml.safe_dump(config))
    own = ["--dry-run", "--quiet", "host", "--workflow-profile", "profiles/slurm", "--configfile", "study.yaml"]
    output = copy.run(*own, *arguments)
    found = [(job[:2], tuple(map(int, job[2:]))) for job in re.findall(JOB, output)]
    assert len(found) == len(dict(found))
    return dict(found)


def paper(copy, **changes):
    return yaml.safe_load(copy.path("config/paper.yaml").read_text()) | changes


def served(copy, url):
    """Changes of a config that ask one model, Served, of a server."""
    models = copy.path("config/models.csv").read_text().splitlines()
    columns = len(models[0].split(","))
    row = ["Served", "f", "g", "1", "org/served"] + [""] * (columns - 5) + ["far"]
    copy.path("served.csv").write_text(
        "\n".join([f"{models[0]},server", *(f"{m}," for m in models[1:]), ",".join(row)])
    )
    return {"materials": {"models": "served.csv"}, "models": ["Served"], "servers": {"far": {"base_url": url}}}


def test_the_paper_is_one_job_a_model(copy):
    jobs = asked(copy, paper(copy))
    models = pd.read_csv(copy.path("config/models.csv")).set_index("model")
    assert set(jobs) == {(model, "") for model in models.index}
    for (model, _), (gpus, memory, minutes) in jobs.items():
        weights = 2000 * models["params_b"][model]  # MB in bfloat16
        assert gpus == 1 and 8000 + weights < memory < 9000 + 1.2 * weights and 30 <= minutes <= 24 * 60
    assert jobs["Qwen2.5-32B", ""][2] > 5 * jobs["Llama3.2-1B", ""][2]


def test_shards_are_jobs_of_their_own_on_as_many_gpus_as_they_need(copy):
    changes = {"models": ["Gemma-2B", "Qwen2.5-32B"], "planning": {"gpu": "L4-24GB"}}
    planned = asked(copy, paper(copy, **changes))
    shards = [f"{part}-of-2" for part in (1, 2)]
    assert set(planned) == {("Gemma-2B", ""), *(("Qwen2.5-32B", shard) for shard in shards)}
    assert all(
        planned["Qwen2.5-32B", shard][0] == 4 and planned["Qwen2.5-32B", shard][2] <= 24 * 60 for shard in shards
    )
    set_by_hand = asked(copy, paper(copy, **changes, inference={"shards": {"Gemma-2B": 3, "Qwen2.5-32B": 1}}))
    assert set(set_by_hand) == {("Qwen2.5-32B", ""), *(("Gemma-2B", f"{part}-of-3") for part in (1, 2, 3))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inference": {"shards": {"Gemma-3B": 2}}},
            "inference.shards: 'Gemma-3B' is not a model of the study",
        ),
        ({"planning": {"gpu": "A100"}}, "planning.gpu: 'A100' is not in config/gpus.csv; did you mean"),
        ({"allow_missing": True}, "no model of the study 'paper' has its responses in results/paper/responses yet"),
        (
            {"judges": {"strict": {"model": "gpt-4o"}}},
            "judges.strict.model: 'gpt-4o' is not in config/models.csv",
        ),
        ({"materials": {"models": "bare.csv"}}, "bare.csv: unknown column 'size'; did you mean 'size_b'?"),
        (
            {"inference": {"shards": 2}, "design": {"sequential": {"first": 9, "growth": 1}}},
            "inference.shards: a sequential study asks a model once for each look, in one job; leave it out",
        ),
    ],
)
def test_errors_are_reported_before_anything_runs(copy, changes, message):
    copy.path("bare.csv").write_text("model,hub_id,size\nMine,org/mine,7\n")
    copy.path("study.yaml").write_text(yaml.safe_dump(paper(copy, **changes)))
    output = copy.run("--dry-run", "--configfile", "study.yaml", check=False)
    assert message in output and "Traceback" not in output


def test_weights_are_downloaded_once(copy):
    copy.path("study.yaml").write_text(yaml.safe_dump(paper(copy, models=["Gemma-2B", "Gemma2-2B"])))
    assert copy.dry_run("weights", "--configfile", "study.yaml") == {"fetch_model": 2, "weights": 1}
    classifiers = {"c": {"hub_id": "org/c", "categories": XY}}
    copy.path("study.yaml").write_text(yaml.safe_dump(paper(copy, models=["Gemma-2B"], classifiers=classifiers)))
    jobs = copy.dry_run("weights", "--configfile", "study.yaml")
    assert jobs == {"fetch_model": 1, "fetch_classifier": 1, "weights": 1}
    output = copy.run("--dry-run", "results/paper/verdicts/Gemma-2B.parquet", "--configfile", "study.yaml")
    assert "Classify the responses of Gemma-2B: c (GPUs 1, memory 8000 MB, at most 180 min)" in output
    asked_elsewhere = paper(copy, **served(copy, "http://localhost:1/v1"))
    copy.path("study.yaml").write_text(yaml.safe_dump(asked_elsewhere))
    assert "fetch_model" not in copy.dry_run("--configfile", "study.yaml")


@pytest.mark.parametrize(
    ("changes", "ready", "missing"),
    [
        ({}, ["offensiveness"], []),
        (
            {"classifiers": {"c": {"hub_id": "./none", "categories": XY}}},
            [],
            ["classifier c"],
        ),
        ({"judges": {"j": {"model": "Gemma2-2B"}}}, [], ["Gemma2-2B"]),
        (
            {
                "judges": {"j": {"model": "Served"}},
                "materials": {"models": "served.csv"},
                "servers": {"far": {"base_url": "http://127.0.0.1:9/v1"}},
            },
            [],
            ["server far"],
        ),
    ],
    ids=["stand-ins", "a classifier", "a judge", "a server"],
)
def test_preflight_checks_what_a_study_needs(copy, tmp_path, changes, ready, missing):
    served(copy, "")
    config = yaml.safe_load(SMALL) | changes
    copy.path("study.yaml").write_text(yaml.safe_dump(config))
    output = copy.run("preflight", "--configfile", "study.yaml", check=bool(ready), HF_HUB_CACHE=str(tmp_path))
    found = pd.read_csv(copy.path("results/small/plan/preflight.csv"))
    assert sorted(found["subject"][found["status"] == "missing"]) == missing
    assert set(found["subject"]) == {"offensiveness", *missing} and "Traceback" not in output


def test_with_allow_missing_no_model_runs(copy):
    copy.path("small.yaml").write_text(SMALL)
    for model in ("Llama2-7B", "Gemma2-2B"):
        for file in (f"{model}.parquet", f"{model}.provenance.json"):
            copy.path("results/small/responses").mkdir(parents=True, exist_ok=True)
            copy.path(f"results/small/responses/{file}").touch()
    jobs = copy.dry_run("tables", "--configfile", "small.yaml", "--config", "allow_missing=true")
    assert jobs["verdicts"] == 2 and "responses" not in jobs


@pytest.mark.slow
def test_a_model_that_cannot_run_is_missing_from_the_report_until_it_can(checkout):
    copy = checkout()
    copy.path("small.yaml").write_text(SMALL)
    arguments = ["--configfile", "small.yaml"]
    copy.run("--until", "standins", *arguments)
    weights = copy.path("results/small/standins/Llama3.2-1B/model.safetensors")
    kept = weights.read_bytes()
    weights.write_bytes(kept[: len(kept) // 2])

    output = copy.run("--keep-going", "report", *arguments, check=False)
    assert "Failed: Ask Llama3.2-1B" in output and not copy.path("results/small/cells.parquet").exists()
    copy.run("report", *arguments, "--config", "allow_missing=true")
    page = copy.path("results/small/report/index.html").read_text()
    assert "1 of 3 models gave no result" in page and "below: Llama3.2-1B (stand-in)" in page
    rates = copy.path("results/small/tables/rates_model_task.csv")
    assert set(pd.read_csv(rates)["model"]) == {"Llama2-7B", "Gemma2-2B", "mean"}
    assert set(pd.read_json(copy.path("results/small/provenance.json"), typ="series")["models"]) == {
        "Llama2-7B",
        "Gemma2-2B",
    }

    weights.write_bytes(kept)
    output = copy.run("report", *arguments)
    assert output.count("Ask ") == 1  # the others have their responses
    assert "gave no result" not in copy.path("results/small/report/index.html").read_text()
    assert set(pd.read_csv(rates)["model"]) == {"Llama2-7B", "Llama3.2-1B", "Gemma2-2B", "mean"}
