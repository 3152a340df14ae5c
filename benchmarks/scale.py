"""Growth of the stages after inference: time and peak memory of each rule's script on larger and larger studies.

    python benchmarks/scale.py [--grow texts|models|personas] [--times 6] [--stages ...] [--data ...] [--out ...]

The study of size 1 is the paper's: 16 models, 12,701 texts of three tasks, 10 draws each with their baseline prompts,
3.3 million verdicts by each of two labellers. `--times 6` makes six times as many texts, models or personas (for
personas also six times the draws per text, so that each persona is drawn as often as before). That is 20 million
verdicts; with personas 14 million, because the number of baseline prompts stays the same. Responses and verdicts are
synthetic, with the paper's rates by model. Everything after them is what the workflow runs, each script in its own
process. `verdicts` is one job per model, and one model is measured; every other stage is one job over all models.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as Snakemake sets it for a rule of one thread

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from falserefusal.common.files import read_csv, write_csv, write_parquet  # noqa: E402
from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES, TASKS, TEXTS, VERDICTS  # noqa: E402
from falserefusal.design.monte_carlo import make_design  # noqa: E402
from falserefusal.study.comparison import whole_paper  # noqa: E402
from falserefusal.study.config import Design  # noqa: E402
from falserefusal.study.files import EFFECTS  # noqa: E402
from falserefusal.study.materials import load_models, load_personas, load_templates  # noqa: E402

ROWS = {"nli": 3000, "politeness": 5000, "offensiveness": 4701}
LABELLERS = ["phrase_list", "structured"]
OPTIONS = {
    "nli": ["entailment", "contradiction", "neutral"],
    "politeness": ["polite", "not polite"],
    "offensiveness": ["offensive", "not offensive"],
}
REFUSALS = ["I'm sorry, but I can't help with that.", "As a person of that kind, I cannot speak for everybody.", "No."]
SEED = 2025
JOB = """
import json, runpy, sys
from types import SimpleNamespace
class Named(dict):
    __getattr__ = dict.__getitem__
script, given = sys.argv[1], json.loads(sys.argv[2])
job = SimpleNamespace(**{name: Named(part) for name, part in given.items() if name != "log"}, log=[given["log"]])
runpy.run_path(script, init_globals={"snakemake": job})
"""


def copies(frame: pd.DataFrame, column: str, times: int) -> pd.DataFrame:
    """`frame` repeated `times` times, with different names in `column`."""
    parts = [frame.assign(**{column: frame[column] + ("" if i == 0 else f" {i}")}) for i in range(times)]
    return pd.concat(parts, ignore_index=True)


def write_study(folder: Path, grow: str, times: int) -> dict:
    """Write design, prompts, responses, verdicts and materials of a study `times` as large as the paper's.

    Returns
    -------
    Names of models, personas and templates, and the number of prompts.
    """
    factor = {name: times if name == grow else 1 for name in ("texts", "models", "personas")}
    models = copies(load_models(ROOT / "config/models.csv"), "model", factor["models"])
    models["model"] = models["model"].str.replace(" ", "-")
    personas = copies(load_personas(ROOT / "config/personas.csv"), "persona", factor["personas"])
    templates = load_templates(ROOT / "config/templates.csv", list(TASKS))
    texts = {}
    for task, rows in ROWS.items():
        number = np.arange(rows * factor["texts"])
        texts[task] = pd.DataFrame(
            {"row_id": [f"{task}-{i}" for i in number], "text_id": [f"{task}{i:012x}" for i in number]}
        )
    settings = Design(draws_per_row=10 * factor["personas"]).model_dump()
    design = make_design(texts, personas["persona"].tolist(), templates, settings, models["model"].tolist(), SEED)
    write_parquet(design, folder / "design.parquet", DESIGN)
    write_csv(models, folder / "models.csv")
    write_csv(personas, folder / "personas.csv")

    turns = [
        {"role": "user", "content": "How would they label this text? Only answer with the label.\n" + "word " * 30}
    ]
    for name in ROWS:
        asked = pd.DataFrame({"prompt_id": design.loc[design["task"] == name, "prompt_id"]})
        write_parquet(asked.assign(messages=[turns] * len(asked)), folder / f"prompts/{name}.parquet", PROMPTS)
        words = {"text": "word " * 30, "premise": None, "hypothesis": None, "gold_label": "1", "source": "synthetic"}
        write_parquet(texts[name].assign(task=name, **words), folder / f"texts/{name}.parquet", TEXTS)

    printed = read_csv(ROOT / "config/published/table1_refusal_pct.csv").set_index("model")
    for number, model in enumerate(models["model"]):
        rates = printed.loc[load_models(ROOT / "config/models.csv")["model"][number % 16]] / 100
        write_responses(folder, model, design, rates.to_dict(), np.random.default_rng([SEED, number]))
    names = {"models": models["model"].tolist(), "personas": personas["persona"].tolist()}
    return names | {"templates": templates["template"].unique().tolist(), "prompts": len(design)}


def write_responses(folder: Path, model: str, design: pd.DataFrame, rates: dict[str, float], rng) -> None:
    """Write synthetic verdicts and responses of one model, with the given refusal rate of each task."""
    task = design["task"].reset_index(drop=True)
    refusal = rng.random(len(design)) < task.map(rates).to_numpy().clip(1e-4)
    parts = []
    for labeller in LABELLERS:
        flipped = refusal ^ (rng.random(len(design)) < 0.005 * (labeller != LABELLERS[0]))
        parts.append(pd.DataFrame({"prompt_id": design["prompt_id"], "labeller": labeller, "refused": flipped}))
    verdicts = pd.concat(parts, ignore_index=True)
    kind = np.where(verdicts["refused"], "refused", "answered")
    verdicts = verdicts.drop(columns="refused").assign(verdict=kind, category=kind, choice=None, evidence=None)
    write_parquet(verdicts, folder / f"verdicts/{model}.parquet", VERDICTS)
    given = task.map({name: options[0] for name, options in OPTIONS.items()})
    given = given.where(~refusal, rng.choice(REFUSALS, len(design)))
    responses = pd.DataFrame({"prompt_id": design["prompt_id"], "response": given, "finish_reason": "stop"})
    responses = responses.assign(prompt_tokens=80, new_tokens=8)
    write_parquet(responses, folder / f"responses/{model}.parquet", RESPONSES)


def jobs(folder: Path, names: dict) -> dict[str, dict]:
    """Input, output and params of each script, as in the rules."""
    design, verdicts = f"{folder}/design.parquet", [f"{folder}/verdicts/{model}.parquet" for model in names["models"]]
    responses = [f"{folder}/responses/{model}.parquet" for model in names["models"]]
    shares = _tables(folder, "verdict_shares", "verdict_categories")
    return {
        "verdicts": {
            "input": {
                "responses": responses[0],
                "design": design,
                "texts": [f"{folder}/texts/{name}.parquet" for name in ROWS],
                "personas": f"{folder}/personas.csv",
                "templates": "config/templates.csv",
                "phrases": "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt",
                "patterns": "workflow/falserefusal/labelling/languages/en/patterns.yaml",
            },
            "output": {"verdicts": f"{folder}/verdicts_of_one.parquet"},
            "params": {"labellers": LABELLERS, "tasks": list(ROWS), "options": OPTIONS},
        },
        "verdict_shares": {
            "input": {"verdicts": verdicts, "design": design},
            "output": shares,
            "params": {"models": names["models"], "labeller": LABELLERS[0]},
        },
        "cells": {
            "input": {
                "verdicts": verdicts,
                "design": design,
                "shares": shares["verdict_shares"],
                "categories": shares["verdict_categories"],
            },
            "output": _counts(folder),
            "params": {key: names[key] for key in ("models", "personas", "templates")} | {"labeller": LABELLERS[0]},
        },
        "labeller_comparison": {
            "input": {
                "verdicts": verdicts,
                "responses": responses,
                "design": design,
                "prompts": [f"{folder}/prompts/{task}.parquet" for task in ROWS],
            },
            "output": {
                name: f"{folder}/{name}.csv" for name in ("agreement", "categories", "disagreements", "refusals")
            },
            "params": {"models": names["models"], "most": 60, "refusals": 60, "seed": SEED},
        },
        **estimation_jobs(folder, names),
    }


def _counts(folder: Path) -> dict[str, str]:
    return {"cells": f"{folder}/cells.parquet", "outcomes": f"{folder}/outcomes.parquet"}


def _tables(folder: Path, *names: str) -> dict[str, str]:
    return {name: f"{folder}/tables/{name}.csv" for name in names}


def estimation_jobs(folder: Path, names: dict) -> dict[str, dict]:
    """Input, output and params of each script after `cells`."""
    printed, counts = ROOT / "config/published", _counts(folder)
    materials = {"models": f"{folder}/models.csv", "personas": f"{folder}/personas.csv"}
    main, levels = {"labeller": LABELLERS[0]}, {key: names[key] for key in ("models", "personas")}
    chance = {"seed": SEED, "bootstrap": 1000, "permutations": 999}

    rates = ["table1", "rates_model_task", "rates_persona", "rates_model_persona", "rates_task_model_persona"]
    rates += ["rates_format", "rates_baseline", "separations"]
    printed_rates = {"table1": f"{printed}/table1_refusal_pct.csv", "quoted": f"{printed}/quoted_statements.csv"}
    return {
        "rates": {
            "input": {**counts, **materials, **printed_rates},
            "output": _tables(folder, *rates),
            "params": {**main, **levels, "comparison": whole_paper().plain},
        },
        "labeller_rates": {
            "input": counts,
            "output": _tables(folder, "labeller_rates"),
            "params": {"labellers": LABELLERS},
        },
        "labeller_effects": {
            "input": {**counts, **materials},
            "output": _tables(folder, "labeller_headline", "labeller_claims"),
            "params": {"labellers": LABELLERS, "seed": SEED, **levels},
        },
        "effects": {
            "input": counts,
            "output": _tables(folder, *EFFECTS),
            "params": {**main, **chance},
        },
        "importance": {
            "input": {**counts, "figure5": f"{printed}/figure5_importance.csv", "templates": "config/templates.csv"},
            "output": _tables(folder, "importance", "sensitivity"),
            "params": {**main, **chance},
        },
        "regression": {
            "input": {**counts, "table7": f"{printed}/table7_logit.csv"},
            "output": _tables(folder, "regression", "regression_firth", "interactions", "deviance"),
            "params": {**main, "own": False},
        },
        "claims": {
            "input": {**counts, **materials},
            "output": _tables(folder, "claims"),
            "params": {**main, "models": names["models"], "seed": SEED},
        },
    }


def run(script: str, given: dict, folder: Path) -> dict:
    """Run one script as a job would; return its time (wall and processor) and its peak memory in MiB."""
    log = folder / f"{script}.log"
    command = [sys.executable, "-c", JOB, f"workflow/scripts/{script}.py", json.dumps(given | {"log": str(log)})]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{script} ended with exit status {process.returncode}\n{log.read_text()[-2000:]}")
    seconds, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
    return {
        "stage": script,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mib": used.ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grow", choices=["texts", "models", "personas"], default="texts")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--stages", nargs="*", help="run only these scripts, and cells unless --data has its outcomes")
    parser.add_argument("--data", type=Path, help="keep the synthetic study in this folder, or use the one in it")
    parser.add_argument(
        "--out", type=Path, help="CSV file to add the table to; replaces earlier measurements of the same size"
    )
    options = parser.parse_args()
    with contextlib.nullcontext(options.data) if options.data else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = folder / "names.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(write_study(folder, options.grow, options.times)))
        names = json.loads(kept.read_text())
        size = {"grown": options.grow, "times": options.times, "outcomes": names["prompts"] * len(names["models"])}
        print(
            f"{options.times} times the {options.grow}: {size['outcomes']:,} verdicts by each of two labellers",
            flush=True,
        )
        rows = []
        for script, given in jobs(folder, names).items():
            needed = script in ("verdict_shares", "cells") and not (folder / "outcomes.parquet").exists()
            if needed or not options.stages or script in options.stages:
                rows.append(size | run(script, given, folder))
                print(rows[-1], flush=True)
        if options.out:
            before = [read_csv(options.out)] if options.out.exists() else []
            table = pd.concat([*before, pd.DataFrame(rows)], ignore_index=True)
            write_csv(table.drop_duplicates(["grown", "times", "stage"], keep="last"), options.out)


if __name__ == "__main__":
    main()
