"""Speed of this workflow's inference and of other systems on a processor, on the same prompts and models.

    make benchmark    # sets up the environments and runs this; about half an hour

Two models: the pilot's, and a random one of 17 million parameters (random_model.py). Systems (systems.py): our
engines `transformers` and `vllm`, in full and with early decision; vLLM's own LLM.chat; transformers' generate;
lm-evaluation-harness; llama.cpp's server through our server engine. Each run is a process on one core with one
thread. The systems take turns. Measured are the CPU seconds (user and system) of that process, and of llama.cpp's
server, between loading the model and the last response. Responses are compared with transformers' generate in
float32, one prompt at a time.
"""

import argparse
import csv
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(HERE)]

import inputs  # noqa: E402 (found by the line above)

REFERENCE = ("one by one", "float32")
PEER = "lm-eval"
SYSTEMS = ("transformers", "generate", "lm-eval", "vllm", "LLM.chat")
EARLY = ("transformers, early", "vllm, early")
NAMES = {
    "transformers": "our engine `transformers`",
    "transformers, early": "our engine `transformers`, early decision",
    "generate": "transformers' `generate`, batches of 64",
    "lm-eval": "lm-evaluation-harness, batches of 64",
    "vllm": "our engine `vllm`",
    "vllm, early": "our engine `vllm`, early decision",
    "LLM.chat": "vLLM's own `LLM.chat`",
    "llama.cpp": "llama.cpp's server, through our server engine",
    "one by one": "transformers' `generate`, one prompt at a time",
}


@dataclass
class Run:
    """One run of one system; a row of the file of raw numbers.

    `new_tokens`: 0 if the system does not report them; `same`: number of responses that `same` accepts; `versions`: of
    Python and the packages that it ran with.
    """

    model: str
    dtype: str
    system: str
    repeat: int
    prompts: int
    cpu_s: float
    wall_s: float
    peak_mib: int
    new_tokens: int
    same: int
    versions: str


def measure(system: str, job: dict, vllm_python: Path) -> dict:
    """Run one system in a fresh process; see systems.py."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    python = vllm_python if system.startswith(("vllm", "LLM")) else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "job.json"), Path(folder, "result.json")
        asked.write_text(json.dumps(job | {"system": system}), encoding="utf-8")
        command = [str(python), str(HERE / "systems.py"), str(asked), str(answered)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{system}, {job['dtype']}, failed:\n{done.stderr[-3000:]}")
        return json.loads(answered.read_text(encoding="utf-8"))


def plan(gguf: dict[str, str]) -> list[tuple[str, str]]:
    """System and number format of the runs of one round; early decisions only in float32."""
    once = [*((system, "float32") for system in EARLY), *(("llama.cpp", dtype) for dtype in gguf)]
    return [*((system, dtype) for dtype in ("float32", "bfloat16") for system in SYSTEMS), *once]


def same(system: str, text: str, reference: str) -> bool:
    """Whether a response is the reference's; with early decision, whether the reference starts with it."""
    if system in EARLY:
        return reference.strip().startswith(text.rstrip("\ufffd").strip())
    return text.strip() == reference.strip()


def compare(model: str, args: argparse.Namespace, work: Path) -> list[Run]:
    """All runs on one model."""
    asked = inputs.conversations(args.prompts)
    folder = inputs.checkpoint(model, asked, work)
    gguf = inputs.gguf_files(model, folder, work)
    runs: list[Run] = []
    job = {"checkpoint": str(folder), "conversations": asked, "new_tokens": args.new_tokens}
    todo = [(1, *REFERENCE), *((n, *one) for n in range(1, args.repeats + 1) for one in plan(gguf))]
    reference: list[str] = []
    for repeat, system, dtype in todo:
        found = measure(system, job | {"dtype": dtype, "gguf": gguf[dtype]}, args.vllm_python)
        reference = reference or found["texts"]
        equal = sum(same(system, *pair) for pair in zip(found["texts"], reference, strict=True))
        numbers = round(found["cpu_s"], 2), round(found["wall_s"], 2), found["peak_mib"], found["new_tokens"]
        versions = "; ".join(f"{name} {version}" for name, version in found["versions"].items())
        runs.append(Run(model, dtype, system, repeat, len(asked), *numbers, equal, versions))
        print(f"{model}, {repeat}: {system}, {dtype}: {found['cpu_s']:.1f} CPU s, {equal} same", file=sys.stderr)
    return runs


def read_runs(path: Path) -> list[Run]:
    """Runs from the file of raw numbers; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        types = {field.name: field.type for field in fields(Run)}
        return [Run(**{name: types[name](value) for name, value in row.items()}) for row in csv.DictReader(file)]


def write_runs(runs: list[Run], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Run)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(run) for run in runs)


# ---- the page


def table(runs: list[Run]) -> list[str]:
    """Markdown table of the runs on one model."""
    lines = [
        f"| system | number format | CPU s, median (range) | prompts per CPU s | times {PEER}'s speed | memory (MiB) "
        "| same responses |",
        "|---|---|---|---|---|---|---|",
    ]
    by: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by.setdefault((run.dtype, run.system), []).append(run)
    for (dtype, system), of in sorted(by.items(), key=lambda item: _order(item[0])):
        seconds = [run.cpu_s for run in of]
        middle = statistics.median(seconds)
        peers = by.get((dtype, PEER))
        faster = f"{spread(ratios(peers, of), 1)}" if peers and system not in (PEER, REFERENCE[0]) else "–"
        equal = sorted({run.same for run in of})
        lines.append(
            f"| {NAMES[system]} | {dtype} | {spread(seconds, 1)} | {of[0].prompts / middle:.1f} | {faster} "
            f"| {max(run.peak_mib for run in of)} | {' to '.join(map(str, equal))} of {of[0].prompts} |"
        )
    return lines


def _order(key: tuple[str, str]) -> tuple[int, int]:
    dtype, system = key
    return ("float32", "bfloat16", "Q4_1").index(dtype), list(NAMES).index(system)


def ratios(above: list[Run], below: list[Run]) -> list[float]:
    """CPU time of two systems, one divided by the other, in each round."""
    return [one.cpu_s / other.cpu_s for one, other in zip(above, below, strict=True)]


def spread(values: list[float], digits: int) -> str:
    """Median and range."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})" if low != high else middle


def page(runs: list[Run], new_tokens: int) -> str:
    """The page of results."""
    prompts, rounds = runs[0].prompts, max(run.repeat for run in runs)
    lines = [
        "# Inference on a processor, compared with other systems",
        "",
        "Made by `make benchmark`. Raw numbers: inference_cpu.csv.",
        "",
        f"{prompts} of the pilot's prompts, greedy responses of at most {new_tokens} tokens, one thread on one core, "
        f"{rounds} rounds in which the systems take turns. CPU seconds are user and system time; rendering and "
        "tokenizing the prompts count, loading the model does not. A ratio is one of two runs in the same round. "
        "Same responses: as many as are equal to those of `generate` in float32, one prompt at a time. In bfloat16 a "
        "response can depend on its batch, in every system.",
        "",
        "Early decision is that of a study with the phrase list as its only labeller: refusals, and 3% of all "
        "responses, are complete. Same responses are then those with which the complete ones start.",
    ]
    for model, title in TITLES.items():
        if of := [run for run in runs if run.model == model]:
            lines += ["", f"## {title}", "", *table(of), ""]
            for dtype in ("float32", "bfloat16"):
                pair = ([r for r in of if (r.system, r.dtype) == (name, dtype)] for name in ("vllm", "LLM.chat"))
                took = spread(ratios(*pair), 2)
                lines.append(f"In {dtype}, our engine `vllm` takes {took} times the CPU time of `LLM.chat`.")
    versions = sorted({(NAMES[run.system].split(",")[0], run.versions) for run in runs})
    used = [
        f"- {', '.join(n for n, v in versions if v == one)}: {one}" for one in dict.fromkeys(v for _, v in versions)
    ]
    return "\n".join([*lines, "", "## Notes", "", LLAMA_CPP, "", f"{machine()}. Versions:", "", *used, ""])


TITLES = {
    "pilot": "The pilot's model: SmolLM2-135M-Instruct",
    "random 17M": "A random Llama of 17 million parameters, with responses as long as those of a study",
}
LLAMA_CPP = (
    "llama.cpp's server gets the same weights as a GGUF file, in float32 or bfloat16, and the same tokens. Its CPU "
    "time is that of the server and of our engine together. Its key-value cache is float32 in the float32 rows, and "
    "else in half precision, the server's default. The row Q4_1 is the 4-bit file from which the pilot's weights were "
    "dequantized. The kernels for Q4_1 also round activations, to 8 bits, so the responses differ from those of the "
    "dequantized weights."
)


def machine() -> str:
    """The processor, and the number of cores."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores, shared with other jobs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64, help="number of prompts")
    parser.add_argument("--new-tokens", type=int, default=64, help="longest response, in tokens")
    parser.add_argument("--repeats", type=int, default=2, help="rounds")
    parser.add_argument(
        "--models", nargs="+", choices=inputs.MODELS, default=inputs.MODELS, help="the other's runs stay"
    )
    parser.add_argument("--vllm-python", type=Path, default=ROOT / ".venv-vllm/bin/python", help="Python that has vLLM")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/inference_cpu.md")
    args = parser.parse_args()
    raw = args.out.with_suffix(".csv")
    for model in args.models:
        with tempfile.TemporaryDirectory() as work:
            fresh = compare(model, args, Path(work))
        runs = [run for run in read_runs(raw) if run.model != model] + fresh
        write_runs(runs, raw)
        args.out.write_text(page(runs, args.new_tokens), encoding="utf-8")


if __name__ == "__main__":
    main()
