"""The rules' scripts for design, prompts, plan and preflight, run as Snakemake runs them."""

import json
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from entries import entry
from falserefusal.common.files import read_csv, read_parquet, write_parquet
from falserefusal.common.schemas import BASELINE, DESIGN, PROMPTS, TEXTS
from falserefusal.study.study import Study
from falserefusal.texts.fetch import raw_path
from falserefusal.texts.read import read
from falserefusal.texts.sample import sample

LIBRARY = "config/{}.csv"


class Named(dict):
    """Named files or params, as in a script's `snakemake` object."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def study(root, monkeypatch):
    monkeypatch.chdir(root)
    return lambda name: Study.load(yaml.safe_load((root / f"config/{name}.yaml").read_text()), root).record


def run(script, tmp_path, inputs, outputs, params):
    paths = {name: str(tmp_path / file) for name, file in outputs.items()}
    job = SimpleNamespace(
        input=Named(inputs), output=Named(paths), params=Named(params), log=[str(tmp_path / f"{script}.log")]
    )
    runpy.run_path(f"workflow/scripts/{script}.py", init_globals={"snakemake": job})
    return paths


def materials(*names):
    return {name: LIBRARY.format(name) for name in names}


def names_of(study):
    return {key: study[key] for key in ("models", "personas", "templates")}


def plan_of(study, tmp_path, **params):
    default = {"study": study["study"], "tasks": study["tasks"], "design": study["design"], "seed": study["seed"]}
    default |= {
        "prompts": study["prompts"],
        "raw": str(tmp_path),
        "gpu": "A100-80GB",
        "assumptions": {},
        "shape": None,
        "in_full_because": "structured reads whole responses",
        "recheck_share": study["inference"]["recheck_share"],
        "from_hub": [],
        "keep_weights": True,
        "whole": True,
    }
    return run(
        "plan",
        tmp_path,
        {**materials("personas", "templates", "gpus"), "models": study["materials"]["models"]},
        {"models": "plan.csv", "gpus": "plan_gpus.csv", "json": "plan.json", "text": "plan.txt"},
        default | names_of(study) | params,
    )


def test_from_texts_to_prompts(study, tmp_path):
    config = study("rehearsal")
    tasks = list(config["tasks"])
    files = []
    for task, settings in config["tasks"].items():
        path = raw_path(settings["source"], task, tmp_path)
        files.append(str(tmp_path / f"{task}.parquet"))
        write_parquet(sample(read(settings["source"], path, task)[0], 10, 1), files[-1], TEXTS)
    outputs = {"design": "d.parquet", "table5": "t5.csv", "table6": "t6.csv", "balance": "b.csv"}
    params = {"tasks": tasks, "design": config["design"], "seed": 3, **names_of(config)}
    made = run("design", tmp_path, materials("personas", "templates") | {"texts": files}, outputs, params)
    design = read_parquet(made["design"], DESIGN)
    persona = design["persona"] != BASELINE
    assert persona.sum() == 10 * (30 + 50 + 50)
    for name, levels in {"table5": 15, "table6": 9}.items():
        table = read_csv(made[name])
        assert len(table) == levels and table[tasks].sum().tolist() == [300, 500, 500]
    assert read_csv(made["balance"]).shape == (6, 7)

    params = {"task": "nli", **config["prompts"], **names_of(config)}
    params |= {key: config["tasks"]["nli"][key] for key in ("options", "layout")}
    inputs = materials("personas", "templates") | {"design": made["design"], "texts": files[0]}
    prompts = read_parquet(run("prompts", tmp_path, inputs, {"prompts": "p.parquet"}, params)["prompts"], PROMPTS)
    assert prompts["prompt_id"].tolist() == design["prompt_id"][design["task"] == "nli"].tolist()


def test_the_plan_counts_texts_that_are_here(study, tmp_path):
    made = plan_of(study("rehearsal"), tmp_path)
    data = json.loads((tmp_path / "plan.json").read_text())
    assert all(row["counted"] and row["unique_prompts"] <= row["prompts"] for row in data["workload"])
    text = (tmp_path / "plan.txt").read_text()
    assert "counted in the rendered prompts" in text and "Early decision is off: structured reads whole" in text
    table = pd.read_csv(made["models"])
    assert len(table) == 17 and table["model"].iloc[-1] == "total"


def test_the_plan_of_the_paper_needs_nothing_downloaded(study, tmp_path):
    plan_of(study("paper"), tmp_path, assumptions={"max_new_tokens": 32})
    data = json.loads((tmp_path / "plan.json").read_text())
    prompts = {row["task"]: row["prompts"] for row in data["workload"]}
    assert not any(row["counted"] for row in data["workload"])
    assert sum(prompts.values()) == pytest.approx(127_010 + 127_010 * 0.635, rel=0.001)
    assert [row["persona_prompts"] for row in data["workload"]] == [30_000, 50_000, 47_010]
    text = (tmp_path / "plan.txt").read_text()
    assert "expected, before any text is downloaded" in text
    assert all(number in text for number in ("30,000", "50,000", "47,010")), "the paper's prompts per task"
    assert not (tmp_path / "nli").exists()


def test_preflight_of_models_in_folders(study, tmp_path):
    config = study("rehearsal")
    folder = tmp_path / "weights"
    folder.mkdir()
    models = read_csv("config/models.csv").assign(hub_id=str(folder))
    models.to_csv(tmp_path / "models.csv", index=False)
    config["materials"]["models"] = str(tmp_path / "models.csv")
    plan_of(config, tmp_path)
    inputs = {"models": str(tmp_path / "models.csv"), "plan": str(tmp_path / "plan.csv")}
    params = {"tasks": config["tasks"], "fetched": ["Gemma-2B"], "raw": str(tmp_path), "compute_here": False}
    params |= {"gpus": {"Gemma-2B": 1}, "gpu_limit": None, "servers": {}, "quantization": None, "classifiers": {}}
    params |= {"hub_ids": [], "folder_in_use": None, "jobs": {}, "slurm": None, "slurm_too": False}
    params |= {"records": str(tmp_path), "demand": True, "table": str(tmp_path / "preflight.csv")}
    job = {"input": inputs, "params": params, "output": {}}
    code = f"""
import runpy, types
class Named(dict):
    __getattr__ = dict.__getitem__
job = types.SimpleNamespace(log=[{str(tmp_path / "log")!r}], **{{k: Named(v) for k, v in {job!r}.items()}})
runpy.run_path("workflow/scripts/preflight.py", init_globals={{"snakemake": job}})
"""

    def preflight(code=code):
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env={"PYTHONPATH": "workflow"}, capture_output=True, text=True)

    failed = preflight()
    assert failed.returncode == 1 and "missing" in (tmp_path / "preflight.csv").read_text()
    log = (tmp_path / "log").read_text()
    error = log[log.index("Error: ") :].strip().splitlines()
    assert error[0] == "Error: preflight: 1 thing is missing"
    assert error[1].startswith("  Gemma-2B: folder") and "Traceback" not in log
    going_on = preflight(code.replace("'demand': True", "'demand': False"))
    assert going_on.returncode == 0 and "1 thing is missing" in going_on.stdout
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("\x02" + 7 * "\0" + "{}" if name.endswith(".safetensors") else "{}")
    assert preflight().returncode == 0
    found = read_csv(tmp_path / "preflight.csv")
    assert set(found["subject"]) == {"Gemma-2B", *config["tasks"]} and (found["status"] == "ok").all()


def test_the_papers_scale_on_real_files(study, tmp_path, shared_dir):
    """Every prompt of two of the paper's designs, and of politeness on stand-in labels, from texts to chat turns."""
    config = study("paper")
    data = shared_dir / "data"
    nli = {"gold_label": "label", "premise": "sentence1_en", "hypothesis": "sentence2_en"}
    mail = {"id": "id", "gold_label": "inferred_politeness", "text": "text"}
    mails = {"path": str(data / "popquorn_politeness_texts.csv"), "columns": mail, "round_gold_labels": True}
    sources = {
        "nli": entry("file", path=str(data / "xnli_en_test.tsv"), columns=nli),
        "politeness": entry("file", **mails),
        "offensiveness": entry("popquorn", path=str(data / "popquorn_offensiveness.csv")),
    }
    for task, source in sources.items():
        config["tasks"][task]["source"] = source
    plan_of(config, tmp_path)
    workload = pd.DataFrame(json.loads((tmp_path / "plan.json").read_text())["workload"]).set_index("task")
    assert workload["counted"].all()
    assert 3000 * 16.3 < workload.loc["nli", "prompts"] < 3000 * 16.4  # ten draws and 6.35 templates a text
    assert 4701 * 16.3 < workload.loc["offensiveness", "prompts"] < 4701 * 16.4
    # 1,500 texts under 4,701 rows: the same prompt is asked more than once
    assert workload.loc["offensiveness", "unique_prompts"] < 0.95 * workload.loc["offensiveness", "prompts"]
