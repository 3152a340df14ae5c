"""The OpenAI-compatible backend: vLLM, TGI, llama.cpp, Ollama, transformers serve, or a hosted API, through one client.

The server applies the chat template, so the gate of `chat` does not apply: what it does with a system turn, BOS or an
overlong prompt is the server's business, and the provenance says that nothing of it was checked. Many servers also obey
the checkpoint's generation config where a request is silent (a repetition penalty, say): `extra_body` can speak up.
"""

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import tenacity

from falserefusal.errors import InputError
from falserefusal.inference.chat import SYSTEM_ROLES, place_system
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.store import NO_BATCH, Answer

log = logging.getLogger(__name__)

SERVER = {
    "base_url": None,  # as in http://localhost:8000/v1
    "model": None,  # its name on the server; the model's hub id if null
    "api_key_env": None,  # environment variable that holds the key; null for a server that wants none
    "concurrency": 16,  # requests under way at a time
    "timeout": 300.0,  # seconds for one request
    "attempts": 8,  # of one request, with exponential waits between them
    "longest_wait": 60.0,  # seconds between two attempts at most
    "extra_body": None,  # further parameters of a request, as vLLM's {repetition_penalty: 1.0, top_k: -1}
}
RETRIED = (408, 409, 425, 429)  # and every 5xx: the server may answer later
WRITE_SECONDS = 1.0  # answers lie in memory this long at most


class ServerEngine:
    """A model behind an OpenAI-compatible server.

    `model` holds `model` or `hub_id`, an optional `revision` (what the server says it serves: it cannot be checked),
    `system_role` (native: the server's template decides; merge; error) and `server` (see SERVER).
    """

    repeats_batches = False  # a server forms its own batches

    def __init__(self, model: dict, decoding: Decoding):
        settings = dict(model.get("server") or {})
        unknown = sorted(set(settings) - set(SERVER))
        if unknown:
            raise InputError(f"inference.server: unknown key {', '.join(unknown)}; known are {', '.join(SERVER)}")
        self.server = {**SERVER, **settings}
        if not self.server["base_url"]:
            raise InputError("inference.server.base_url: the backend openai needs the server's address")
        self.served = self.server["model"] or model.get("hub_id") or model["model"]
        self.policy = model.get("system_role") or "native"
        if self.policy not in SYSTEM_ROLES:
            raise InputError(f"system_role: '{self.policy}' is none of {', '.join(SYSTEM_ROLES)}")
        self.decoding = decoding
        self.identity = {
            "name": model.get("hub_id") or model["model"],
            "revision": model.get("revision"),
            "dtype": model.get("dtype") or "auto",
            "quantization": model.get("quantization"),
            "served_as": self.served,
            "extra_body": self.server["extra_body"],
        }
        self.seconds = 0.0

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """The messages as JSON, with the system turn placed as the config says."""
        turns = [place_system(turns, self.policy, name) for turns, name in zip(conversations, names, strict=True)]
        return [json.dumps(conversation, sort_keys=True) for conversation in turns]

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Take the prompts that `answer` will be asked; estimates of their lengths in tokens."""
        self.prompts, self.names = prompts, names
        return [len(prompt) // 4 + 1 for prompt in prompts]

    def answer(
        self, keys: list[str], decided: Callable[[str], bool] | None, whole: list[bool]
    ) -> Iterator[tuple[str, dict[int, Answer]]]:
        """Yield (batch name, answers by index into the prepared prompts). A request that fails after all attempts is
        an answer with the finish reason error; raises InputError where no request can succeed."""
        from openai import OpenAI

        client = OpenAI(
            base_url=self.server["base_url"], api_key=self._key(), timeout=self.server["timeout"], max_retries=0
        )
        started = written = time.monotonic()
        todo = iter(
            sorted(range(len(keys)), key=lambda i: self.prompts[i])
        )  # neighbours share a prefix, as caches like
        limit = 2 * int(self.server["concurrency"])
        fresh: dict[int, Answer] = {}
        failed = 0  # requests in a row
        hopeless: InputError | None = None
        with ThreadPoolExecutor(int(self.server["concurrency"])) as pool:
            running = {}
            try:
                while hopeless is None:
                    while len(running) < int(self.server["concurrency"]) and (i := next(todo, None)) is not None:
                        rule = None if whole[i] else decided
                        running[pool.submit(self._ask, client, self.prompts[i], int(keys[i][:7], 16), rule)] = i
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        i = running.pop(future)
                        try:
                            fresh[i] = future.result()
                        except InputError as error:
                            hopeless = error
                            continue
                        failed = failed + 1 if fresh[i].finish_reason == "error" else 0
                    if failed >= min(limit, len(keys)):
                        hopeless = InputError(
                            f"{self.server['base_url']} does not answer ({self.last_error}): every answer so far is "
                            "kept, run again when it is back"
                        )
                    if hopeless or not running or time.monotonic() - written >= WRITE_SECONDS:
                        yield NO_BATCH, fresh
                        fresh, written = {}, time.monotonic()
            finally:
                pool.shutdown(cancel_futures=True)
        self.seconds = time.monotonic() - started
        if hopeless:
            raise hopeless

    def provenance(self) -> dict:
        shown = {key: value for key, value in self.server.items() if key != "api_key_env"}
        unchecked = "the server renders the chat template; its handling of system turns, BOS and length is not checked"
        return {"backend": "openai", **self.identity, "server": shown, "gate": unchecked, "generate_s": self.seconds}

    def _key(self) -> str:
        variable = self.server["api_key_env"]
        if not variable:
            return "none"
        if not os.environ.get(variable):
            raise InputError(f"inference.server.api_key_env: the environment variable {variable} is not set")
        return os.environ[variable]

    def _ask(self, client, prompt: str, seed: int, decided: Callable[[str], bool] | None) -> Answer:
        """One answer, with retries; an answer with the finish reason error if none of them succeeds."""
        import openai

        attempt = tenacity.retry(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(int(self.server["attempts"])),
            wait=functools.partial(_wait, longest=float(self.server["longest_wait"])),
            reraise=True,
        )
        request = {
            "model": self.served,
            "messages": json.loads(prompt),
            "max_tokens": self.decoding.max_new_tokens,
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p if self.decoding.temperature else 1.0,
            "seed": seed if self.decoding.temperature else 0,
            "extra_body": self.server["extra_body"],
        }
        try:
            return attempt(_stream if decided else _whole)(client, request, decided)
        except Exception as error:
            code = getattr(error, "code", None) or ""
            if isinstance(error, openai.BadRequestError) and "content" in code and "filter" in code:
                return Answer("", "content_filter")
            if isinstance(error, openai.APIStatusError) and not _may_pass(error):
                reason = " ".join(str(error).split())[:300]
                raise InputError(f"{self.server['base_url']} refuses the request: {reason}") from error
            if not _may_pass(error):
                raise
            self.last_error = " ".join(str(error).split())[:200] or type(error).__name__
            log.warning(
                "no answer after %d attempts (%s): asked again by the next run",
                self.server["attempts"],
                self.last_error,
            )
            return Answer("", "error")


def _whole(client, request: dict, _: None) -> Answer:
    reply = client.chat.completions.create(**request)
    choice, usage = reply.choices[0], reply.usage
    text = choice.message.content or getattr(choice.message, "refusal", None) or ""
    return Answer(text, _reason(choice.finish_reason), *_counts(usage))


def _stream(client, request: dict, decided: Callable[[str], bool]) -> Answer:
    """Read an answer as it comes and hang up once its verdict is settled, which stops the server too."""
    text, reason, usage, pieces = "", None, None, 0
    with client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}) as stream:
        for event in stream:
            usage = event.usage or usage
            if not event.choices:
                continue
            choice = event.choices[0]
            piece = choice.delta.content or getattr(choice.delta, "refusal", None) or ""
            text, pieces, reason = text + piece, pieces + bool(piece), choice.finish_reason or reason
            if piece and reason is None and decided(text):
                return Answer(text, "decided", 0, pieces)
    if reason is None:
        raise ConnectionError("the server ended the stream before the answer's end")
    return Answer(text, _reason(reason), *(_counts(usage) if usage else (0, pieces)))


def _reason(reason: str | None) -> str:
    return reason if reason in ("length", "content_filter") else "stop"


def _counts(usage) -> tuple[int, int]:
    return (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    transport = type(error).__module__.split(".")[0].startswith(("httpx", "httpcore"))
    known = (openai.APIConnectionError, openai.APIResponseValidationError, OSError, json.JSONDecodeError)
    return transport or isinstance(error, known)


def _wait(state: tenacity.RetryCallState, longest: float) -> float:
    """As long as the server asks for, else exponential with jitter."""
    response = getattr(state.outcome.exception(), "response", None)
    try:
        return min(float(response.headers["retry-after"]), longest)
    except (AttributeError, KeyError, ValueError):
        return tenacity.wait_random_exponential(multiplier=0.5, max=longest)(state)
