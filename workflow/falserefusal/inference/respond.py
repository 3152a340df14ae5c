"""Ask one model every prompt once: from the store what is there, from the model what is missing."""

import dataclasses
import logging
import platform
import re
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.local import LocalEngine, peak_memory
from falserefusal.inference.openai_backend import ServerEngine
from falserefusal.inference.progress import Progress
from falserefusal.inference.store import Answer, Store, request_key

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "bitsandbytes", "openai")


def model_settings(
    model: dict, inference: dict, checkpoint: str | Path | None = None, threads: int | None = None
) -> tuple[dict, Decoding]:
    """The first two arguments of `respond`, from a row of the models file and the config's inference section.

    `checkpoint`: a local folder to use in place of the row's hub id. `inference["trust_remote_code"]` lists the models
    whose own code may run. Cells of the models file that are empty count as absent.
    """
    row = {key: value for key, value in model.items() if not pd.isna(value)}
    trusted = model["model"] in (inference.get("trust_remote_code") or [])
    settings = {**inference, **row, "trust_remote_code": trusted, "threads": threads}
    if checkpoint:
        settings["path"] = str(checkpoint)
    wanted = {field.name for field in dataclasses.fields(Decoding)}
    return settings, Decoding(**{key: value for key, value in inference.items() if key in wanted})


def respond(
    model: dict,
    decoding: Decoding,
    prompts: pd.DataFrame,
    store: str | Path,
    *,
    decided: Callable[[str], bool] | None = None,
    audit: float = 0.03,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> tuple[pd.DataFrame, dict]:
    """Answers of one model to `prompts` (prompt_id, messages), and where they came from.

    `model` holds its id under `model`, its `backend` (transformers, the default, or openai), and what that backend
    reads (see `LocalEngine` and `ServerEngine`). `decided(text)` says that the verdict on every answer beginning with
    `text` is settled: generation stops there, except for the share `audit` of prompts (by hash) that are answered in
    full. `shard` (i, n) answers the i-th of n parts of the prompts (by hash).

    Returns a frame as RESPONSES declares, one row per prompt of this shard in the order of `prompts`, and a provenance
    dict. Raises InputError before the first batch if the prompts could not be asked rightly.
    """
    if not 0 <= audit <= 1:
        raise InputError(f"audit: {audit} is not a share between 0 and 1")
    part, parts = shard
    if not 0 <= part < parts:
        raise InputError(f"shard: {part} of {parts} is not one of 0 to {parts - 1}")
    started = time.monotonic()
    engine = _engine(model, decoding)
    names = prompts["prompt_id"].astype(str).tolist()
    conversations = [with_system(messages, model.get("system_prompt")) for messages in prompts["messages"]]
    rendered = engine.render(conversations, names)
    keys = [request_key(engine.identity, text, decoding.parameters) for text in rendered]
    mine = [i for i, key in enumerate(keys) if int(key[:8], 16) % parts == part]
    first: dict[str, int] = {}
    for i in mine:
        first.setdefault(keys[i], i)  # identical prompts are asked once

    def in_recheck(key: str) -> bool:
        return int(key[8:16], 16) < audit * 16**8

    def usable(key: str, answer: Answer) -> bool:
        stopped = answer.finish_reason == "decided" and decided is not None and not in_recheck(key)
        return answer.complete or (stopped and decided(answer.response))

    with Store(Path(store) / re.sub(r"[^A-Za-z0-9._-]+", "--", engine.identity["name"])) as kept:
        answers = {key: answer for key, answer in kept.read(set(first)).items() if usable(key, answer)}
        reused = len(answers)
        torn = kept.torn if engine.repeats_batches else set()
        missing = [key for key in first if key not in answers or key in torn]
        if missing:
            log.info("%s: %d answers stored, %d to generate", model["model"], reused, len(missing))
            asked = [first[key] for key in missing]
            sizes = engine.prepare([rendered[i] for i in asked], [names[i] for i in asked])
            reports = engine.answer(missing, decided, [in_recheck(key) for key in missing])
            next(reports)  # the weights are loaded: what is left is estimated from here on
            bar = Progress(sum(sizes), model["model"], progress)
            for batch, fresh in reports:
                kept.append({missing[j]: answer for j, answer in fresh.items()}, batch)
                bar.add(sum(sizes[j] for j in fresh), len(fresh))
            bar.close()
            answers = kept.read(set(first))  # what is told is what is stored, and what the next run will tell
    rows = [(names[i], answers[keys[i]]) for i in mine]
    frame = pd.DataFrame(
        {
            "prompt_id": [name for name, _ in rows],
            "response": [answer.response for _, answer in rows],
            "finish_reason": [answer.finish_reason for _, answer in rows],
            "prompt_tokens": [answer.prompt_tokens for _, answer in rows],
            "new_tokens": [answer.new_tokens for _, answer in rows],
        }
    )
    seconds = time.monotonic() - started
    about = {
        "model": model["model"],
        "system_prompt": model.get("system_prompt"),
        **engine.provenance(),
        "decoding": {"greedy": decoding.temperature == 0, **decoding.parameters},
        "early_decision": {"on": decided is not None, "audit": audit if decided is not None else None},
        "shard": [part, parts],
        "answers": {
            "prompts": len(mine),
            "distinct": len(first),
            "reused": reused,
            "generated": len(missing),
            "finish_reasons": dict(sorted(Counter(frame["finish_reason"]).items())),
            "empty": sum(not answer.response.strip() for _, answer in rows),
        },
        "seconds": round(seconds, 3),
        "answers_per_second": round(len(missing) / seconds, 3),
        "peak_memory": peak_memory(),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    return frame, about


def with_system(messages: list[dict], system_prompt: str | None) -> list[dict]:
    """The turns of a prompt under a model's own system prompt, which replaces the study's; None keeps what is there."""
    turns = [dict(turn) for turn in messages]
    if not system_prompt:
        return turns
    if turns and turns[0]["role"] == "system":
        turns = turns[1:]
    return [{"role": "system", "content": system_prompt}, *turns]


def _engine(model: dict, decoding: Decoding):
    backend = model.get("backend") or "transformers"
    if backend == "transformers":
        return LocalEngine(model, decoding)
    if backend == "openai":
        return ServerEngine(model, decoding)
    raise InputError(f"backend: '{backend}' is none of transformers, openai")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
