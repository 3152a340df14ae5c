"""Simulate studies in worlds with known rates, and write how well the estimators do: docs/simulation/*.csv.

    python benchmarks/simulation/run.py [--share 1] [--cores 2] [--only coverage screen ...] [--out docs/simulation]

All five experiments take about an hour on two cores. A share of the replicates means the first ones of the full run.
Tables are written after every setting, so an interrupted run keeps what is finished.
"""

import argparse
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes are the parallel part

import numpy as np
import pandas as pd

from falserefusal.common.files import write_csv
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.design.monte_carlo import make_design
from falserefusal.statistics.multiplicity import holm
from falserefusal.study.config import Design
from simulation import experiments
from simulation.crossed import CROSSED
from simulation.crossed import crossed as crossed_of
from simulation.experiments import Setting
from simulation.label_error import LABELLERS
from simulation.label_error import label_error as label_error_of
from simulation.said import NULL
from simulation.said import said as said_of
from simulation.schemes import BLOCKED
from simulation.schemes import schemes as schemes_of
from simulation.shrinkage import SHRINKAGE_WORLDS
from simulation.shrinkage import shrinkage as shrinkage_of
from simulation.true_values import formats_of

CORRELATIONS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)  # of two responses to a prompt
FULL = 127_010  # prompts per model of the paper's design
SCHEDULE = {"first": 35, "growth": 0.25}  # of interim looks


def draw(name: str, world, calls: int, seed: list[int]) -> pd.DataFrame:
    """Draw a design of about `calls` prompts per model, baseline included, all tasks alike."""
    per_task, design_seed = calls / len(world.tasks), int(np.random.default_rng(seed).integers(2**62))
    if name in ("independent draws", "independent draws, own prompts"):
        return independent(world, round(per_task), seed, own="own" in name)
    if name.startswith("nested"):
        rows, config = round(per_task / (10 + 6.1)), {"kind": "nested", "baseline": True}
        per_text = number_in(name, "rows per text")
    else:
        blocks, per_text = round(per_task / 4), 1
        rows = blocks // number_in(name, "blocks per text")
        config = {"kind": "blocked", "blocks_per_task": blocks, "share_prompts": "own" not in name}
    if "sequential" in name:
        config["sequential"] = SCHEDULE
    number = np.arange(rows)
    ids = pd.DataFrame({"row_id": number, "text_id": number // per_text}).astype(str)
    texts = {task: ids.radd(task + ":") for task in world.tasks}
    formats = formats_of(world)
    templates = pd.DataFrame([(task, *pair) for task in world.tasks for pair in formats.items()])
    templates.columns = ["task", "template", "format"]
    return make_design(texts, world.personas, templates, Design(**config).model_dump(), world.models, design_seed)


def number_in(name: str, what: str) -> int:
    """The number before `what` in the name of a design; 1 if it is not there."""
    found = re.search(rf"(\d+) {what}", name)
    return int(found.group(1)) if found else 1


def independent(world, per_task: int, seed: list[int], own: bool) -> pd.DataFrame:
    """Draw a design in which every prompt has a new text, a random template and a random persona or the baseline."""
    rng = np.random.default_rng(seed)
    parts = []
    for model in world.models if own else [ALL]:
        for task in world.tasks:
            frame = pd.DataFrame({"row_id": [f"{task}:{model}:{k}" for k in range(per_task)]})
            frame["persona"] = rng.choice([BASELINE, *world.personas], per_task)
            frame["template"] = rng.choice(world.templates, per_task)
            parts.append(frame.assign(task=task, model=model))
    frame = pd.concat(parts, ignore_index=True)
    frame["format"] = frame["template"].map(formats_of(world))
    return frame.assign(text_id=frame["row_id"], block=frame["row_id"], draw=0, interim_look=0)


CLUSTERED, MANY_ROWS = "nested, 3 rows per text", "nested, 8 rows per text"
REPEATED = "blocked, 3 blocks per text"
TWO = ("nested", "blocked")
COVERAGE = {  # the designs of each world; about 2,000 prompts per model
    "moderate": TWO,
    "high correlation": (CLUSTERED, MANY_ROWS, REPEATED),
    "no effect of persona, template or task": ("nested", CLUSTERED, MANY_ROWS, "blocked", REPEATED),
    "heavy-tailed texts": (CLUSTERED, REPEATED),
    "heavy-tailed texts, no effect": (CLUSTERED, REPEATED),
    "effects in one template": TWO,
    "text x persona": (CLUSTERED, "blocked"),
    "opposite effects, mean zero": (CLUSTERED, "blocked", REPEATED),
    "rare refusals": TWO,
    "rare refusals, no effect": TWO,
    "nearly always refused": TWO,
    "crossed attributes": TWO,
    "families of models": TWO,
    "16 models": TWO,
}
SCREEN = [("null", "nested", 2000), ("null", "blocked", 2000), ("null, high correlation", "blocked", 4000)]
SCREEN += [("null, high correlation", "nested", 4000), ("null", CLUSTERED, 4000)]
SCREEN += [("10 of 240 cells", design, 8000) for design in ("nested", "blocked")]
SEQUENTIAL = [
    (world, f"{kind}, sequential", target)
    for kind in ("blocked", "nested")
    for world, target in (("16 models", 0.05), ("16 models", 0.03), ("16 models, high correlation", 0.03))
]
EFFICIENCY = {
    "paper": "nested",
    "independent draws": "independent draws",
    "independent draws, own prompts": "independent draws, own prompts",
    "blocked": "blocked",
    "blocked, own prompts": "blocked, own prompts",
}


def choose(share: float, cores: int, seed: int) -> dict:
    """Every experiment by name: a function that yields its tables by name, with a share of the replicates."""

    def setting(world: str, design: str, calls: int, count: int, offset: int) -> Setting:
        return Setting(draw, world, design, calls, max(1, round(count * share)), cores, seed + offset)

    def coverage():
        for world, designs in COVERAGE.items():
            for design in designs:
                tables = experiments.coverage(setting(world, design, 2000, 200, 0))
                yield dict(zip(("coverage", "false_findings"), tables, strict=True))

    def screen():
        for where in SCREEN:
            yield {"screen": experiments.persona_screen(setting(*where, 400, 1))}

    def claims():
        for world in experiments.CLAIM_WORLDS:
            for where in (("nested", 2000), ("blocked", 8000)):
                yield {"claims": experiments.claim_conclusions(setting(world, *where, 30, 2))}

    def sequential():
        for world, design, target in SEQUENTIAL:
            yield {"sequential": experiments.sequential(setting(world, design, 20_000, 40, 3), target, FULL)}

    def efficiency():
        reference, *others = EFFICIENCY
        for correlation in CORRELATIONS:
            named = replace(setting("moderate", reference, 2000, 60, 4), draw=draw_named)
            yield {"efficiency": experiments.efficiency(named, others, correlation, max(1, round(12 * share)))}

    def label_error():
        for world in LABELLERS:
            yield {"label_error": label_error_of(setting(world, "blocked", 2000, 100, 5))}

    def said():
        for world in NULL:
            for design in TWO:
                yield {"said": said_of(setting(world, design, 2000, 70, 8))}

    def shrinkage():
        for world in SHRINKAGE_WORLDS:
            for design in ("blocked", "nested"):
                yield {"shrinkage": shrinkage_of(setting(world, design, 2000, 24, 6))}

    def crossed():
        for where in CROSSED:
            yield {"crossed": crossed_of(setting(*where, 300, 9))}

    def schemes():
        for correlation in CORRELATIONS:
            yield {"schemes": schemes_of(setting("moderate", BLOCKED, 2000, 30, 7), correlation)}

    return {
        "label_error": label_error,
        "said": said,
        "shrinkage": shrinkage,
        "crossed": crossed,
        "schemes": schemes,
        "coverage": coverage,
        "screen": screen,
        "claims": claims,
        "sequential": sequential,
        "efficiency": efficiency,
    }


def draw_named(name: str, world, calls: int, seed: list[int]) -> pd.DataFrame:
    """Draw a design by its name in the table of efficiencies."""
    return draw(EFFICIENCY[name], world, calls, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/simulation"), help="folder of the tables")
    parser.add_argument("--only", nargs="+", help="names of some experiments, such as coverage")
    parser.add_argument("--share", type=float, default=1.0, help="share of the replicates, such as 0.1 for a quick run")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=20251)
    options = parser.parse_args()
    for name, run in choose(options.share, options.cores, options.seed).items():
        if options.only and name not in options.only:
            continue
        start = time.perf_counter()
        tables: dict[str, list[pd.DataFrame]] = {}
        for found in run():
            for table, part in found.items():
                tables.setdefault(table, []).append(part)
                whole = pd.concat(tables[table], ignore_index=True)
                if table == "false_findings":
                    whole["p_holm"] = holm(whole["p"].to_numpy())
                write_csv(whole, options.out / f"{table}.csv")
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
