"""Generate one model's responses to all prompts: read stored ones, generate and store the missing ones."""

import contextlib
import dataclasses
import logging
import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.templates import system_turn
from falserefusal.inference import batch_check
from falserefusal.inference.changes import note_version
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.devices import peak_memory
from falserefusal.inference.engine import Engine, Unavailable, create_engine
from falserefusal.inference.progress import Progress
from falserefusal.inference.store import Response, Store, request_key

log = logging.getLogger(__name__)


def model_settings(
    model: dict, inference: dict, checkpoint: str | Path | None = None, threads: int | None = None
) -> tuple[dict, Decoding]:
    """Make the first two arguments of `respond` from a row of the models file and the config's inference section.

    Parameters
    ----------
    model : dict
        What the job gets of the models file and of `servers`; it has precedence over `inference`.
    inference : dict
        The config's `inference`, complete. Its `trust_remote_code` lists the models whose own code may run.
    checkpoint : path, optional
        A local folder to use in place of the row's hub id.
    threads : int, optional
        CPU threads.
    """
    trusted = model["model"] in inference["trust_remote_code"]
    settings = {**inference, **model, "trust_remote_code": trusted, "threads": threads}
    if checkpoint:
        settings["path"] = str(checkpoint)
    parameters = {field.name for field in dataclasses.fields(Decoding)}
    return settings, Decoding(**{key: value for key, value in inference.items() if key in parameters})


@dataclasses.dataclass(frozen=True)
class EarlyDecision:
    """Where generation may stop early, and which stored responses can be used.

    Parameters
    ----------
    decided : callable or None
        Whether the verdict is certain for every response that starts with a text; generation stops there. None:
        responses are generated in full.
    recheck : float
        Share of the prompts (chosen by hash) whose responses are generated in full although `decided` is given.
    """

    decided: Callable[[str], bool] | None
    recheck: float

    @property
    def until(self) -> str:
        """How far responses are generated, for the log."""
        return "in full" if self.decided is None else "until their verdicts are certain"

    def in_full(self, key: str) -> bool:
        """Whether the response is generated in full although its verdict may be certain earlier."""
        return int(key[8:16], 16) < self.recheck * 16**8

    def usable(self, key: str, response: Response) -> bool:
        """Whether a stored response is complete, or stopped where its verdict is certain."""
        stopped = response.finish_reason == "decided" and self.decided is not None and not self.in_full(key)
        return response.complete or (stopped and self.decided(response.text))

    @property
    def record(self) -> dict:
        """For the provenance."""
        on = self.decided is not None
        return {"on": on, "recheck": self.recheck if on else None}


IN_FULL = EarlyDecision(None, 0.0)


def respond(
    model: dict,
    decoding: Decoding,
    prompts: pd.DataFrame,
    store: str | Path,
    *,
    early: EarlyDecision = IN_FULL,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> tuple[pd.DataFrame, dict]:
    """Return one model's responses to `prompts` and their provenance; only missing responses are generated.

    Parameters
    ----------
    model : dict
        As `model_settings` makes it: the model's id under `model`, its `backend` (an engine's name),
        `batch_check_share`, and the settings that the engine reads (see `TransformersEngine`, `VllmEngine` and
        `ServerEngine`).
    decoding : Decoding
        The decoding parameters.
    prompts : DataFrame
        As PROMPTS declares; system_text and sample may be absent.
    store : path
        Folder of the responses of all models.
    early : EarlyDecision
        Where generation may stop early.
    shard : (int, int)
        (i, n): only part i, from 0, of n parts of the prompts (by hash).
    progress : bool
        Whether to show progress.

    Returns
    -------
    DataFrame
        As RESPONSES declares: one row per prompt of this shard, in the order of `prompts`.
    dict
        The provenance: model, decoding, counts, timings and versions.

    Raises
    ------
    InputError
        There is no such shard, a prompt cannot be rendered faithfully, or a server cannot be reached.
    """
    started = time.monotonic()
    engine = create_engine(model, decoding)
    requests = _requests(engine, model, decoding, prompts, shard)
    with contextlib.closing(engine), _store_of(engine, model, store) as opened:
        if engine.keeps_batch_tokens:
            engine.batch_tokens = opened.batch_tokens(engine.identity) or engine.batch_tokens
        run = _Run(engine, early, opened, lambda tokens: Progress(tokens, model["model"], progress))
        responses, made = run.responses(requests)
        about = _provenance(engine, model, decoding)  # before the batch check, which has timings of its own
        others, checked = _in_other_batches(run, requests, model["batch_check_share"])
    frame = requests.frame(responses).assign(**requests.other_batch(others))
    about |= {"early_decision": early.record, "shard": list(shard)} | _without_response(model["model"], frame)
    about |= {"responses": requests.counts(frame) | made, "batch_check": checked}
    generated = made["generated"] + checked["generated"]
    return frame, about | _measured(engine, generated, time.monotonic() - started)


def _without_response(model: str, frame: pd.DataFrame) -> dict:
    """The number of replies that end inside their thinking, for the provenance; reported if there are any."""
    cut = int((frame["response"].eq("") & frame["thinking"].ne("")).sum())
    if cut:
        log.warning(
            "%s: %d of %d replies end inside their thinking and have no response; raise inference.max_thinking_tokens",
            model,
            cut,
            len(frame),
        )
    return {"cut_in_thinking": cut}


def _store_of(engine: Engine, model: dict, store: str | Path) -> Store:
    """The model's part of the store."""
    folder = Path(store) / re.sub(r"[^A-Za-z0-9._-]+", "--", engine.identity["name"])
    note_version(folder, model["model"], engine.version)
    return Store(folder)


def _provenance(engine: Engine, model: dict, decoding: Decoding) -> dict:
    """The part of the provenance that says what was asked, and how."""
    about = engine.provenance()
    greedy = decoding.temperature == 0 and "temperature" not in about.get("omitted", ())
    return {
        "model": model["model"],
        "system_prompt": model.get("system_prompt"),
        **about,
        "decoding": {"greedy": greedy, **decoding.parameters},
    }


def _measured(engine: Engine, generated: int, seconds: float) -> dict:
    """The part of the provenance that says what the run took, and with which versions."""
    return {
        "seconds": round(seconds, 3),
        "responses_per_second": round(generated / seconds, 3),
        "peak_memory": peak_memory(),
        "versions": {"python": platform.python_version(), **_versions(engine.packages)},
    }


@dataclasses.dataclass(frozen=True)
class _Requests:
    """The rendered prompts of a run.

    names, prompts, keys: id, rendered text and store key of every prompt; mine: indices of this shard's prompts;
    first: for each different key of this shard the index of its first prompt, as identical prompts are asked once.
    """

    names: list[str]
    prompts: list[str]
    keys: list[str]
    mine: list[int]
    first: dict[str, int]

    def frame(self, responses: Mapping[str, Response]) -> pd.DataFrame:
        """RESPONSES: the response to every prompt of this shard."""
        rows = [(self.names[i], responses[self.keys[i]]) for i in self.mine]
        return pd.DataFrame(
            {
                "prompt_id": [name for name, _ in rows],
                "response": [response.text for _, response in rows],
                "finish_reason": [response.finish_reason for _, response in rows],
                "prompt_tokens": [response.prompt_tokens for _, response in rows],
                "new_tokens": [response.new_tokens for _, response in rows],
                "thinking": [response.thinking for _, response in rows],
            }
        )

    def other_batch(self, responses: Mapping[str, Response]) -> dict[str, list[str | None]]:
        """The columns of RESPONSES on the responses in other batches, each at the first prompt with its key."""
        found = [responses.get(self.keys[i]) if self.first[self.keys[i]] == i else None for i in self.mine]
        return {
            "other_batch_response": [response and response.text for response in found],
            "other_batch_finish_reason": [response and response.finish_reason for response in found],
        }

    def counts(self, frame: pd.DataFrame) -> dict:
        """Numbers of prompts and responses, for the provenance."""
        return {
            "prompts": len(self.mine),
            "distinct": len(self.first),
            "finish_reasons": dict(sorted(Counter(frame["finish_reason"]).items())),
            "empty": sum(not text.strip() for text in frame["response"]),
        }


def _requests(
    engine: Engine, model: dict, decoding: Decoding, prompts: pd.DataFrame, shard: tuple[int, int]
) -> _Requests:
    """Render all prompts, compute their keys and choose those of the shard."""
    part, parts = shard
    if not 0 <= part < parts:
        raise InputError(f"shard: {part} of {parts} is not one of 0 to {parts - 1}")
    names = prompts["prompt_id"].astype(str).tolist()
    added, samples = (
        prompts[column].tolist() if column in prompts else [default] * len(prompts)
        for column, default in (("system_text", ""), ("sample", 0))
    )
    conversations = [
        with_system(messages, model.get("system_prompt"), text)
        for messages, text in zip(prompts["messages"], added, strict=True)
    ]
    rendered = engine.render(conversations, names)
    keys = [
        request_key(engine.identity, text, decoding.parameters, sample)
        for text, sample in zip(rendered, samples, strict=True)
    ]
    mine = [i for i, key in enumerate(keys) if int(key[:8], 16) % parts == part]
    first: dict[str, int] = {}
    for i in mine:
        first.setdefault(keys[i], i)
    return _Requests(names, rendered, keys, mine, first)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What generates missing responses. `progress`: makes a Progress from a number of tokens."""

    engine: Engine
    early: EarlyDecision
    store: Store
    progress: Callable[[int], Progress]

    def responses(self, requests: _Requests, purpose: str = "") -> tuple[dict[str, Response], dict[str, int]]:
        """The responses to `requests` by key; how many were stored (reused), and how many were generated now.

        `purpose`: what the responses are for, for the log.
        """
        stored = self._usable(requests)
        torn = self.store.torn if self.engine.repeats_batches else set()
        missing = [key for key in requests.first if key not in stored or key in torn]
        if not missing:
            return stored, {"reused": len(stored), "generated": 0}
        name, until = self.engine.identity["name"], self.early.until
        log.info("%s: %d responses stored, %d to generate %s%s", name, len(stored), len(missing), until, purpose)
        if torn:
            log.info("%d stored responses are of interrupted batches, which are computed again as a whole", len(torn))
        if self.engine.keeps_batch_tokens:
            self.engine.batch_tokens = self.store.keep_batch_tokens(self.engine.identity, self.engine.batch_tokens)
        self._generate(requests, missing)
        # read again, so that this run and every later one report the same responses
        reused = len(requests.first) - len(missing)
        return self.store.read(set(requests.first)), {"reused": reused, "generated": len(missing)}

    def _usable(self, requests: _Requests) -> dict[str, Response]:
        stored = self.store.read(set(requests.first))
        return {key: response for key, response in stored.items() if self.early.usable(key, response)}

    def _generate(self, requests: _Requests, missing: list[str]) -> None:
        """Generate and store the responses of the keys `missing`."""
        asked = [requests.first[key] for key in missing]
        sizes = self.engine.prepare([requests.prompts[i] for i in asked], [requests.names[i] for i in asked])
        in_full = [self.early.in_full(key) for key in missing]
        reports = self.engine.generate(missing, self.early.decided, in_full)
        next(reports)  # loading is done, so that progress measures generation only
        bar = self.progress(sum(sizes))
        try:
            for batch, fresh in reports:
                self.store.append({missing[j]: response for j, response in fresh.items()}, batch)
                bar.add(sum(sizes[j] for j in fresh), len(fresh))
        except Unavailable as error:
            raise InputError(
                f"{self.engine.identity['name']}: {error}.\n{len(self._usable(requests))} of {len(requests.first)} "
                "responses are stored. Run again when the server is available: only the others are asked"
            ) from error
        bar.close()


def _in_other_batches(run: _Run, requests: _Requests, share: float) -> tuple[dict[str, Response], dict]:
    """Ask `share` of the prompts again in other batches (see `batch_check`).

    Returns
    -------
    dict of str to Response
        By the key of the first response.
    dict
        For the provenance: the share, how many prompts were asked again and how many of them now, or why none was.
    """
    about = {"share": share, "prompts": 0, "generated": 0}
    if not share:
        return {}, about | {"because": "inference.batch_check_share is 0"}
    if not run.engine.depends_on_batch:
        return {}, about | {"because": "a response does not depend on its batch, or a server forms batches of its own"}
    keys = [key for key in batch_check.chosen(requests.keys, share) if key in requests.first]
    found = {}
    for part in range(batch_check.PARTS):
        again = {batch_check.key_in_other_batch(key): key for key in keys if batch_check.part(key) == part}
        others = dataclasses.replace(requests, first={other: requests.first[key] for other, key in again.items()})
        responses, made = run.responses(others, ", again in other batches (inference.batch_check_share)")
        found |= {again[other]: response for other, response in responses.items()}
        about["generated"] += made["generated"]
    return found, about | {"prompts": len(keys)}


def with_system(messages: list[dict], system_prompt: str | None, system_text: str = "") -> list[dict]:
    """The turns of a prompt with the model's own system prompt in place of the study's; None changes nothing.

    `system_text` is what the template adds to whichever system prompt is sent.
    """
    turns = [dict(turn) for turn in messages]
    if not system_prompt:
        return turns
    if turns and turns[0]["role"] == "system":
        turns = turns[1:]
    return [*system_turn(system_prompt, system_text), *turns]


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
