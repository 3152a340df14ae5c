"""Time and peak memory of all estimation at the paper's scale: 16 models x 127,010 prompts, and baseline prompts.

    python benchmarks/estimation.py [--share 1.0] [--out results/benchmarks/estimation.csv]

Outcomes are simulated in a world with the paper's rates by model, written to Parquet, and estimated in a fresh process,
as in a workflow's job, so the memory reported is that of estimation alone. `--share` uses a share of the rows.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices are small: more threads of the linear algebra are slower

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROWS = {"task-0": (3000, 3000), "task-1": (5000, 3718), "task-2": (4701, 1500)}  # rows sampled, texts behind them
REPLICATES, PERMUTATIONS, SCREEN_PERMUTATIONS = 1000, 500, 2000


def simulate(folder: Path, share: float) -> tuple[int, int]:
    """Write outcomes of the paper's nested design; return the numbers of responses with and without a persona."""
    from falserefusal.common.files import read_csv
    from falserefusal.common.schemas import BASELINE
    from falserefusal.design.monte_carlo import make_design
    from falserefusal.study.config import Design
    from falserefusal.study.materials import load_templates
    from simulation.worlds import make_world, respond

    printed = (
        read_csv(ROOT / "config" / "published" / "table1_refusal_pct.csv").drop(columns="model").mean(axis=1) / 100
    )
    world = make_world(1, rates=np.clip(printed, 1e-4, None), persona_sd=0.3, shares=(0.25, 0.25, 0.2))
    form = load_templates(ROOT / "config" / "templates.csv", ["nli"]).set_index("template")["format"]
    templates = pd.DataFrame([(task, t, form[t]) for task in ROWS for t in world.templates])
    templates.columns = ["task", "template", "format"]
    texts = {}
    for task, (rows, distinct) in ROWS.items():
        number = np.arange(int(rows * share))
        text = number % max(int(distinct * share), 1)
        texts[task] = pd.DataFrame(
            {"row_id": [f"{task}r{i}" for i in number], "text_id": [f"{task}x{i}" for i in text]}
        )
    design = make_design(texts, world.personas, templates, Design().model_dump(), world.models, 1)
    outcomes = respond(design, world, 2)
    outcomes.to_parquet(folder / "outcomes.parquet", index=False)
    baseline = int((outcomes["persona"] == BASELINE).sum())
    return len(outcomes) - baseline, baseline


def estimate(path: Path, queue: multiprocessing.Queue) -> None:
    """Put (step, seconds, peak memory in MiB so far) of every step into `queue`."""
    from falserefusal.estimation.claims import claims_table
    from falserefusal.estimation.effects import mean_effects, persona_differences, persona_effects
    from falserefusal.estimation.importance import importance_table, sensitivity_from_outcomes
    from falserefusal.estimation.rates import rates_format, rates_model_task, rates_task_model_persona
    from falserefusal.estimation.regression import deviance_table, firth_table, interaction_table, regression_table
    from falserefusal.statistics.clusters import cluster_table
    from falserefusal.statistics.gls import fit_personas
    from falserefusal.statistics.multiplicity import max_t, screen

    def step(name, run):
        start = time.perf_counter()
        result = run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        queue.put((name, time.perf_counter() - start, peak))
        return result

    outcomes = step("read", lambda: pd.read_parquet(path))
    levels = ["model", "task", "persona", "template", "format"]
    cells = (
        outcomes.groupby([*levels, "labeller"], observed=True)["refusal"].agg(n="size", refusals="sum").reset_index()
    )
    models = pd.DataFrame({"model": list(outcomes["model"].cat.categories)})
    models = models.assign(
        family="Simulated", generation=np.arange(len(models)) // 4, capability=np.arange(len(models))
    )
    models["generation"] = models["generation"].astype(str)

    def rates():
        table = cluster_table(outcomes, ["model", "task", "persona", "format"])
        return [make(cells, table) for make in (rates_model_task, rates_task_model_persona, rates_format)]

    def effects():
        fit = fit_personas(outcomes)
        table = persona_effects(outcomes, fit)
        mean_effects(fit), persona_differences(fit)
        return screen(table, max_t(outcomes, permutations=SCREEN_PERMUTATIONS))

    def sensitivity():
        phrasings = {f"p{k + 1}": k % 3 + 1 for k in range(9)}
        options = {"replicates": REPLICATES, "permutations": PERMUTATIONS}
        return importance_table(sensitivity_from_outcomes(outcomes, phrasings, **options))

    def regressions():
        return [make(outcomes) for make in (regression_table, firth_table, interaction_table, deviance_table)]

    step("rates", rates)
    screened = step("persona effects and screen", effects)
    step(f"sensitivity, {REPLICATES} bootstrap replicates", sensitivity)
    step("regressions", regressions)
    step("claims", lambda: claims_table(models, outcomes=outcomes, screened=screened))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="share of the paper's rows (default 1)")
    parser.add_argument("--out", type=Path, help="also write the table to this CSV file")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        persona, baseline = simulate(Path(folder), options.share)
        print(f"{persona:,} responses with a persona, {baseline:,} without")
        queue = context.Queue()
        process = context.Process(target=estimate, args=(Path(folder) / "outcomes.parquet", queue))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"estimation ended with exit status {process.exitcode}")
        rows = [queue.get() for _ in range(6)]
    table = pd.DataFrame(rows, columns=["step", "seconds", "peak_mib"])
    table.loc[len(table)] = ["all", table["seconds"].sum(), table["peak_mib"].max()]
    print(table.to_string(index=False, float_format=lambda value: f"{value:,.1f}"))
    if options.out:
        from falserefusal.common.files import write_csv

        write_csv(table, options.out)


if __name__ == "__main__":
    main()
