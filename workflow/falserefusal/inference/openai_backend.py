"""The OpenAI-compatible backend: vLLM, TGI, llama.cpp, Ollama, transformers serve, or a hosted API, through one client.

The server applies the chat template, so the gate of `chat` does not apply: what it does with a system turn, BOS or an
overlong prompt is the server's business, and the provenance says that nothing of it was checked. Many servers also obey
the checkpoint's generation config where a request is silent (a repetition penalty, say): `extra_body` can speak up.
"""

import functools
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from urllib.parse import urlsplit

import tenacity

from falserefusal.common.errors import InputError
from falserefusal.inference.chat import SYSTEM_ROLES, place_system
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.store import NO_BATCH, NOTHING, Answer

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
STOPPED = ("stop", "eos_token", "stop_sequence", "tool_calls", "function_call")  # the model itself ended its answer
FILTERED = re.compile("content_?filter|content_policy|policy_?violation|moderation|data_inspection", re.IGNORECASE)
TOO_LONG = re.compile("context_length_exceeded|maximum context length|context size|too long", re.IGNORECASE)
OF_ONE_PROMPT = (400, 403, 413, 422)  # refusals that may be due to the prompt rather than to key, model or address
HOPELESS = 3  # requests that fail in a row, at least, before a server counts as gone: fewer may be due to the prompts
WRITE_SECONDS = 1.0  # answers lie in memory this long at most


class MalformedReply(Exception):
    """The server said yes and sent something that is not an answer."""


class ServerEngine:
    """A model behind an OpenAI-compatible server.

    `model` holds `model` or `hub_id`, an optional `revision` (what the server says it serves: it cannot be checked),
    `system_role` (native: the server's template decides; merge; error) and `server` (see SERVER).
    """

    repeats_batches = False  # a server forms its own batches

    def __init__(self, model: dict, decoding: Decoding):
        settings = dict(model.get("server") or {})
        self.address = check_settings(settings)
        self.server = {**SERVER, **settings}
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
            # two servers may serve different weights under one name, unless a revision says that they don't
            "address": None if model.get("revision") else self.address,
            "extra_body": self.server["extra_body"],
        }
        self.key, self.last_error = "", ""
        self.stopping = threading.Event()  # no further attempts: the run ends early
        self.about: dict = {"replies": NOTHING, "generate_s": NOTHING}

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
        """Yield (batch name, answers by index into the prepared prompts); the first report is empty, as work begins.

        A request that fails after all attempts is an answer with the finish reason error; raises InputError where no
        request can succeed.
        """
        from openai import OpenAI

        self.key = self._read_key()
        client = OpenAI(
            base_url=self.server["base_url"],
            api_key=self.key or "none",
            timeout=self.server["timeout"],
            max_retries=0,
        )
        yield NO_BATCH, {}
        self.models: set[str] = set()
        self.fingerprints: set[str] = set()
        started = written = time.monotonic()
        # neighbours share a prefix, as caches like
        todo = iter(sorted(range(len(keys)), key=lambda i: self.prompts[i]))
        many = int(self.server["concurrency"])
        fresh: dict[int, Answer] = {}
        failed = 0  # requests in a row
        end: BaseException | None = None  # what ends the run early
        with ThreadPoolExecutor(many) as pool:
            running: dict[Future, int] = {}
            try:
                while end is None:
                    while len(running) < many and (i := next(todo, None)) is not None:
                        rule = None if whole[i] else decided
                        running[pool.submit(self._ask, client, i, int(keys[i][:7], 16), rule)] = i
                    if not running:
                        break
                    try:
                        wait(running, return_when=FIRST_COMPLETED)
                    except KeyboardInterrupt as stop:
                        end = stop
                    for future in [future for future in running if future.done()]:
                        i = running.pop(future)
                        if (error := future.exception()) is not None:
                            end = end or error
                            continue
                        fresh[i] = future.result()
                        failed = failed + 1 if fresh[i].finish_reason == "error" else 0
                    if end is None and failed >= max(HOPELESS, min(2 * many, len(keys))):
                        end = InputError(
                            f"{self.server['base_url']} does not answer ({self.last_error}): every answer so far is "
                            "kept, run again when it is back"
                        )
                    if end is not None:
                        fresh |= self._last_answers(running)
                    if end is not None or not running or time.monotonic() - written >= WRITE_SECONDS:
                        yield NO_BATCH, fresh
                        fresh, written = {}, time.monotonic()
            finally:
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
        self.about = {
            "replies": {"model": sorted(self.models), "system_fingerprint": sorted(self.fingerprints)},
            "generate_s": time.monotonic() - started,
        }
        if end is not None:
            raise end

    def _last_answers(self, running: dict[Future, int]) -> dict[int, Answer]:
        """Answers of the requests under way when a run ends early: they are paid for, too."""
        self.stopping.set()
        wait(running)
        answers = {i: future.result() for future, i in running.items() if future.exception() is None}
        return {i: answer for i, answer in answers.items() if answer.finish_reason != "error"}

    def provenance(self) -> dict:
        shown = {key: value for key, value in self.server.items() if key != "api_key_env"}
        unchecked = "the server renders the chat template; its handling of system turns, BOS and length is not checked"
        about = {**self.identity, "address": self.address, "server": shown}
        return {"backend": "openai", **about, "gate": unchecked, **self.about}

    def _read_key(self) -> str:
        """The key, or nothing for a server that wants none; error messages do not show it."""
        variable = self.server["api_key_env"]
        if not variable:
            return ""
        key = os.environ.get(variable, "").strip()
        if not key:
            which = variable if variable.isupper() else "it names"  # else it may be a key after all
            raise InputError(f"inference.server.api_key_env: the environment variable {which} is not set")
        if not (key.isascii() and key.isprintable()):
            raise InputError(
                f"inference.server.api_key_env: the key in {variable} holds a character that no key has, "
                "such as a curly quote or a line break; set it again"
            )
        return key

    def _clean(self, said: object) -> str:
        """What a server said, on one line, without our key: some repeat it in their error messages."""
        text = " ".join(str(said).split())
        return (text.replace(self.key, "[key]") if self.key else text)[:300]

    def _ask(self, client, i: int, seed: int, decided: Callable[[str], bool] | None) -> Answer:
        """One answer, with retries; an answer with the finish reason error if none of them succeeds."""
        import openai

        attempt = tenacity.retry(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(int(self.server["attempts"])), tenacity.stop_when_event_set(self.stopping)
            ),
            wait=functools.partial(_wait, longest=float(self.server["longest_wait"])),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )
        request = {
            "model": self.served,
            "messages": json.loads(self.prompts[i]),
            "max_tokens": self.decoding.max_new_tokens,
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p if self.decoding.temperature else 1.0,
            "seed": seed if self.decoding.temperature else 0,
            "extra_body": self.server["extra_body"],
        }
        try:
            return attempt(self._stream if decided else self._whole)(client, request, decided)
        except Exception as error:
            if _filtered(error):
                return Answer("", "content_filter")
            if isinstance(error, openai.APIStatusError) and not _may_pass(error):
                raise self._refusal(error, self.names[i]) from error
            if not _may_pass(error):
                raise
            self.last_error = self._clean(error) or type(error).__name__
            if not self.stopping.is_set():
                log.warning(
                    "prompt %s: no answer after %d attempts (%s): asked again by the next run",
                    self.names[i],
                    self.server["attempts"],
                    self.last_error,
                )
            return Answer("", "error")

    def _refusal(self, error, name: str) -> InputError:
        reason = self._clean(error)
        of_one = error.status_code in OF_ONE_PROMPT
        if of_one and TOO_LONG.search(f"{error.code} {reason}"):
            return InputError(
                f"prompt {name}: too long for the model as {self.server['base_url']} serves it ({reason}); "
                "shorten the text or max_new_tokens"
            )
        which = f" of prompt {name}" if of_one else ""
        return InputError(f"{self.server['base_url']} refuses the request{which}: {reason}")

    def _whole(self, client, request: dict, _: None) -> Answer:
        reply = client.chat.completions.create(**request)
        text, reason = _said(reply, "message")
        self._note(reply)
        return Answer(text, _reason(reason), *_counts(reply))

    def _stream(self, client, request: dict, decided: Callable[[str], bool]) -> Answer:
        """Read an answer as it comes and hang up once its verdict is settled, which stops the server too."""
        text, reason, counts, pieces = "", None, (0, 0), 0
        with client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}) as stream:
            for event in stream:
                self._note(event)
                counts = max(counts, _counts(event))
                if not getattr(event, "choices", None):
                    continue
                piece, ended = _said(event, "delta")
                text, pieces, reason = text + piece, pieces + bool(piece), ended or reason
                if piece and reason is None and decided(text):
                    return Answer(text, "decided", 0, pieces)
        if reason is None:
            raise ConnectionError("the server ended the stream before the answer's end")
        return Answer(text, _reason(reason), *(counts if any(counts) else (0, pieces)))

    def _note(self, reply: object) -> None:
        """Which model the server says it asked, for the provenance."""
        for seen, said in ((self.models, "model"), (self.fingerprints, "system_fingerprint")):
            if isinstance(value := getattr(reply, said, None), str):
                seen.add(self._clean(value))


def check_settings(server: dict) -> str:
    """The host, port and path that `server` (see SERVER) names; InputError where it is wrong or would show a secret."""
    unknown = sorted(set(server) - set(SERVER))
    if unknown:
        raise InputError(f"inference.server: unknown key {', '.join(unknown)}; known are {', '.join(SERVER)}")
    variable = server.get("api_key_env")
    if variable and not re.fullmatch(r"[A-Za-z_]\w*", variable, re.ASCII):  # not shown: it may be the key itself
        raise InputError(
            "inference.server.api_key_env: is no name of an environment variable; "
            "put the key into an environment variable and its name here"
        )
    base_url = server.get("base_url")
    if not base_url:
        raise InputError("inference.server.base_url: the backend openai needs the server's address")
    url = urlsplit(base_url)
    if "@" in url.netloc or url.query or url.fragment:  # not shown: it may hold a password
        raise InputError(
            "inference.server.base_url: leave user name, password and whatever follows a ? out of the address; "
            "put a key into an environment variable and name it in inference.server.api_key_env"
        )
    if url.scheme not in ("http", "https") or not url.hostname:
        raise InputError(f"inference.server.base_url: '{base_url}' is no address such as http://localhost:8000/v1")
    return f"{url.netloc.lower()}{url.path.rstrip('/')}"


def _said(reply: object, part: str) -> tuple[str, object]:
    """Text and finish reason of a reply's one choice; MalformedReply where there is none."""
    try:
        choice = reply.choices[0]
        said = getattr(choice, part)
        text, reason = said.content or getattr(said, "refusal", None) or "", choice.finish_reason
    except (AttributeError, IndexError, TypeError) as error:
        raise MalformedReply(f"a reply without an answer: {reply}") from error
    if not isinstance(text, str):
        raise MalformedReply(f"an answer that is no text: {text}")
    return text, reason


def _reason(reason: object) -> str:
    if reason in STOPPED:
        return "stop"
    if reason in ("length", "content_filter"):
        return str(reason)
    raise MalformedReply(f"the server broke the answer off ({reason})")


def _counts(reply: object) -> tuple[int, int]:
    usage = getattr(reply, "usage", None)
    prompt, new = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return (prompt if isinstance(prompt, int) else 0, new if isinstance(new, int) else 0)


def _filtered(error: Exception) -> bool:
    """Whether a provider's content filter, by its error code, kept the prompt from the model."""
    import openai

    blocked = isinstance(error, openai.APIError) and getattr(error, "status_code", 400) in (400, 403)
    return blocked and FILTERED.search(f"{error.code} {error.type}") is not None


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    transport = type(error).__module__.split(".")[0].startswith(("httpx", "httpcore"))
    # an APIError that is none of the others is one that the server sent in the middle of a stream
    known = (openai.APIError, MalformedReply, OSError, json.JSONDecodeError, UnicodeDecodeError)
    return transport or isinstance(error, known)


def _wait(state: tenacity.RetryCallState, longest: float) -> float:
    """Exponential with jitter, and at least as long as the server asks for."""
    response = getattr(state.outcome.exception(), "response", None)
    try:
        asked = float(response.headers["retry-after"])
    except (AttributeError, KeyError, ValueError):
        asked = 0.0
    waited = tenacity.wait_random_exponential(multiplier=0.5, max=longest)(state)
    return waited if math.isnan(asked) else min(max(asked, waited), longest)
