"""Engine for a model behind an OpenAI-compatible server: vLLM, TGI, llama.cpp, Ollama, or a hosted API.

The server applies the chat template, so the checks of `chat` do not apply: how the server treats a system turn, BOS or
a prompt that is too long is unknown, and the provenance says so. Many servers also apply the checkpoint's generation
config to parameters that a request leaves out (a repetition penalty, for example): set these in `extra_body`.
"""

import functools
import json
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from urllib.parse import urlsplit

import tenacity

from falserefusal.common.errors import InputError
from falserefusal.inference.chat import place_system
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.engine import Unavailable, register
from falserefusal.inference.server_facts import reported
from falserefusal.inference.store import NO_BATCH, NOTHING, Response

log = logging.getLogger(__name__)

RETRIED = (408, 409, 425, 429)  # and every 5xx: the request may succeed later
STOPPED = ("stop", "eos_token", "stop_sequence", "tool_calls", "function_call")  # the model ended its response itself
FILTERED = re.compile("content_?filter|content_policy|policy_?violation|moderation|data_inspection", re.IGNORECASE)
TOO_LONG = re.compile("context_length_exceeded|maximum context length|context size|too long", re.IGNORECASE)
OF_ONE_PROMPT = (400, 403, 413, 422)  # errors that may be due to the prompt rather than to key, model or address
HOPELESS = 3  # consecutive failures before a server counts as unavailable; fewer may be due to the prompts
WRITE_SECONDS = 1.0  # responses are handed over at least this often


class MalformedReply(Exception):
    """The server reported success but sent no usable response."""


@register("openai")
class ServerEngine:
    """Engine for a model behind an OpenAI-compatible server.

    Parameters
    ----------
    model : dict
        `server` (the config's settings of it, and under `model` the model's name there), `model` or `hub_id`, an
        optional `revision` (which cannot be checked), `dtype`, `quantization` and `system_role` (native: the server's
        template decides).
    decoding : Decoding
        The decoding parameters.
    """

    repeats_batches = False  # a server forms its own batches
    packages = ("openai",)

    def __init__(self, model: dict, decoding: Decoding):
        self.version: dict[str, str] = {}  # a server does not say which weights it has
        self.server = model["server"]
        self.address = _address(self.server["base_url"])
        self.policy = model["system_role"]
        self.decoding = decoding
        self.identity = {
            "name": model.get("hub_id") or model["model"],
            "revision": model.get("revision"),
            "dtype": model["dtype"],
            "quantization": model["quantization"],
            "served_as": self.server["model"],
            # without a revision, two servers may serve different weights under one name
            "address": None if model.get("revision") else self.address,
            "extra_body": self.server["extra_body"],
        }
        self.key, self.last_error = "", ""
        self.last_reply = -math.inf  # time of the last response
        self.unanswered: list[str] = []  # prompts without a response after all attempts
        self.stopping = threading.Event()  # set when the run ends early: no further attempts
        self.about: dict = {"reported": NOTHING, "replies": NOTHING, "generate_s": NOTHING}

    def render(self, conversations: list[list[dict]], names: list[str]) -> list[str]:
        """Return the messages as JSON, with the system turn placed as `system_role` says."""
        turns = [place_system(turns, self.policy, name) for turns, name in zip(conversations, names, strict=True)]
        return [json.dumps(conversation, sort_keys=True) for conversation in turns]

    def prepare(self, prompts: list[str], names: list[str]) -> list[int]:
        """Take the prompts and return estimates of their lengths in tokens."""
        self.prompts, self.names = prompts, names
        return [len(prompt) // 4 + 1 for prompt in prompts]

    def generate(
        self, keys: list[str], decided: Callable[[str], bool] | None, in_full: list[bool]
    ) -> Iterator[tuple[str, dict[int, Response]]]:
        """Send the requests, several at a time, and yield responses about every second.

        A request that fails after all attempts gives a response with the finish reason "error". Raises InputError where
        no request can succeed, and Unavailable where the server cannot be reached.
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
        started = time.monotonic()
        # sorted, because neighbours share a prefix, which servers cache
        order = sorted(range(len(keys)), key=lambda i: self.prompts[i])

        def ask(i: int) -> Response:
            return self._ask(client, i, int(keys[i][:7], 16), None if in_full[i] else decided)

        error = yield from self._run(order, ask)
        if error is not None:
            raise error
        self.about = {
            "reported": self._reported(),
            "replies": {"model": sorted(self.models), "system_fingerprint": sorted(self.fingerprints)},
            "generate_s": time.monotonic() - started,
        }
        if self.unanswered:
            log.warning(
                "%d of %d prompts, such as %s, have no response after %d attempts (%s): the next run asks them again",
                len(self.unanswered),
                len(order),
                self.unanswered[0],
                self.server["attempts"],
                self.last_error,
            )

    def _run(
        self, order: list[int], ask: Callable[[int], Response]
    ) -> Generator[tuple[str, dict[int, Response]], None, BaseException | None]:
        """Run `ask` on every prompt of `order` in threads, yield the responses, return what ended the run early."""
        many = self.server["concurrency"]
        todo, fresh, written = iter(order), {}, time.monotonic()
        failed = 0  # consecutive requests
        end: BaseException | None = None
        with ThreadPoolExecutor(many) as pool:
            running: dict[Future, int] = {}
            try:
                while end is None:
                    while len(running) < many and (i := next(todo, None)) is not None:
                        running[pool.submit(ask, i)] = i
                    if not running:
                        break
                    try:
                        wait(running, return_when=FIRST_COMPLETED)
                    except KeyboardInterrupt as interrupt:
                        end = interrupt
                    for future in [future for future in running if future.done()]:
                        i = running.pop(future)
                        if (error := future.exception()) is not None:
                            end = end or error
                            continue
                        fresh[i] = future.result()
                        failed = failed + 1 if fresh[i].finish_reason == "error" else 0
                    if end is None and failed >= max(HOPELESS, min(2 * many, len(order))):
                        end = Unavailable(f"{self.server['base_url']} does not respond ({self.last_error})")
                    if end is not None:
                        fresh |= self._last_responses(running)
                    if end is not None or not running or time.monotonic() - written >= WRITE_SECONDS:
                        yield NO_BATCH, fresh
                        fresh, written = {}, time.monotonic()
            finally:
                self.stopping.set()
                pool.shutdown(cancel_futures=True)
        return end

    def _last_responses(self, running: dict[Future, int]) -> dict[int, Response]:
        """Responses of the requests in progress when a run ends early; they are kept because they are paid for."""
        self.stopping.set()
        wait(running)
        responses = {i: future.result() for future, i in running.items() if future.exception() is None}
        return {i: response for i, response in responses.items() if response.finish_reason != "error"}

    def provenance(self) -> dict:
        """Return identity, address and settings of the server (never the key), and what the server reported.

        `dtype` and `quantization` are None, because the study sets neither on a server.
        """
        shown = {key: value for key, value in self.server.items() if key != "api_key_env"}
        unchecked = "the server renders the chat template; its handling of system turns, BOS and length is not checked"
        about = {**self.identity, "dtype": None, "quantization": None, "address": self.address, "server": shown}
        return {"backend": self.name, **about, "gate": unchecked, **self.about}

    def _reported(self) -> dict:
        """What the server says about itself, without the key."""
        said = reported(self.server["base_url"], self.key, self.server["model"])
        return {name: self._clean(value) if isinstance(value, str) else value for name, value in said.items()}

    def _read_key(self) -> str:
        """The key, or "" for a server that needs none; error messages never show it."""
        variable = self.server["api_key_env"]
        if not variable:
            return ""
        key = os.environ.get(variable, "").strip()
        if not key:
            which = f" {variable}" if variable.isupper() else ""  # in small letters it may be the key itself
            raise InputError(f"servers.<name>.api_key_env: the environment variable{which} is not set")
        if not (key.isascii() and key.isprintable()):
            raise InputError(
                f"servers.<name>.api_key_env: the key in {variable} contains a character that no key has, "
                "such as a curly quote or a line break; set it again"
            )
        return key

    def _clean(self, message: object) -> str:
        """A server's message on one line, without the key: some servers repeat it in their error messages."""
        text = " ".join(str(message).split())
        return (text.replace(self.key, "[key]") if self.key else text)[:300]

    def _ask(self, client, i: int, seed: int, decided: Callable[[str], bool] | None) -> Response:
        """One response, with retries; its finish reason is "error" if no attempt succeeds.

        Raises Unavailable if the server could not be reached, and sent no other response meanwhile.
        """
        import openai

        started = time.monotonic()
        attempt = tenacity.retry(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.server["attempts"]), tenacity.stop_when_event_set(self.stopping)
            ),
            wait=functools.partial(_wait, longest=self.server["longest_wait"]),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )
        request = {
            "model": self.server["model"],
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
                return Response("", "content_filter")
            if isinstance(error, openai.APIStatusError) and not _may_pass(error):
                raise self._refusal(error, self.names[i]) from error
            if not _may_pass(error):
                raise
            self.last_error = self._clean(_cause(error)) or type(error).__name__
            if not self.stopping.is_set():
                if _unreachable(error) and self.last_reply < started:
                    address, attempts = self.server["base_url"], self.server["attempts"]
                    raise Unavailable(
                        f"{address} cannot be reached after {attempts} attempts ({self.last_error})"
                    ) from error
                self.unanswered.append(self.names[i])
            return Response("", "error")

    def _refusal(self, error, name: str) -> InputError:
        reason = self._clean(error)
        of_one = error.status_code in OF_ONE_PROMPT
        if of_one and TOO_LONG.search(f"{error.code} {reason}"):
            return InputError(
                f"prompt {name}: too long for the model at {self.server['base_url']} ({reason}); "
                "shorten the text or max_new_tokens"
            )
        which = f" of prompt {name}" if of_one else ""
        return InputError(f"{self.server['base_url']} rejects the request{which}: {reason}")

    def _whole(self, client, request: dict, _: None) -> Response:
        reply = client.chat.completions.create(**request)
        text, reason = _content(reply, "message")
        self._note(reply)
        return Response(text, _reason(reason), *_counts(reply))

    def _stream(self, client, request: dict, decided: Callable[[str], bool]) -> Response:
        """Read a response as it is streamed and close the connection once its verdict is certain.

        Closing the connection stops the generation on the server.
        """
        text, reason, counts, pieces = "", None, (0, 0), 0
        with client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}) as stream:
            for event in stream:
                self._note(event)
                counts = max(counts, _counts(event))
                if not getattr(event, "choices", None):
                    continue
                piece, ended = _content(event, "delta")
                text, pieces, reason = text + piece, pieces + bool(piece), ended or reason
                if piece and reason is None and decided(text):
                    return Response(text, "decided", 0, pieces)
        if reason is None:
            raise ConnectionError("the server ended the stream before the end of the response")
        return Response(text, _reason(reason), *(counts if any(counts) else (0, pieces)))

    def _note(self, reply: object) -> None:
        """Record that the server replied, and which model it reports, for the provenance."""
        self.last_reply = time.monotonic()
        for seen, field in ((self.models, "model"), (self.fingerprints, "system_fingerprint")):
            if isinstance(value := getattr(reply, field, None), str):
                seen.add(self._clean(value))


def _address(base_url: str) -> str:
    """Host, port and path of a server, alike however its address is written."""
    url = urlsplit(base_url)
    return f"{url.netloc.lower()}{url.path.rstrip('/')}"


def _content(reply: object, part: str) -> tuple[str, object]:
    """Text and finish reason of a reply's only choice; raises MalformedReply if there is none."""
    try:
        choice = reply.choices[0]
        content = getattr(choice, part)
        text, reason = content.content or getattr(content, "refusal", None) or "", choice.finish_reason
    except (AttributeError, IndexError, TypeError) as error:
        raise MalformedReply(f"a reply without a response: {reply}") from error
    if not isinstance(text, str):
        raise MalformedReply(f"a response that is not text: {text}")
    return text, reason


def _reason(reason: object) -> str:
    if reason in STOPPED:
        return "stop"
    if reason in ("length", "content_filter"):
        return str(reason)
    raise MalformedReply(f"the server ended the response early ({reason})")


def _counts(reply: object) -> tuple[int, int]:
    usage = getattr(reply, "usage", None)
    prompt, new = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return (prompt if isinstance(prompt, int) else 0, new if isinstance(new, int) else 0)


def _filtered(error: Exception) -> bool:
    """Whether the error is that of a provider's content filter, which blocked the prompt."""
    import openai

    blocked = isinstance(error, openai.APIError) and getattr(error, "status_code", 400) in (400, 403)
    return blocked and FILTERED.search(f"{error.code} {error.type}") is not None


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    transport = type(error).__module__.split(".")[0].startswith(("httpx", "httpcore"))
    # any other APIError was sent by the server in the middle of a stream
    known = (openai.APIError, MalformedReply, OSError, json.JSONDecodeError, UnicodeDecodeError)
    return transport or isinstance(error, known)


def _unreachable(error: BaseException) -> bool:
    """Whether no connection was made: no server listens there, or there is no such name or route."""
    # by name, because the package that connects (httpx) has other names in other versions of openai
    return type(error.__cause__ or error).__name__ in ("ConnectError", "ConnectTimeout")


def _cause(error: BaseException) -> BaseException:
    """What made a connection fail; the client says only that it did."""
    import openai

    return (error.__cause__ or error) if isinstance(error, openai.APIConnectionError) else error


def _wait(state: tenacity.RetryCallState, longest: float) -> float:
    """Seconds to wait: exponential with jitter, and at least as long as the server asks for."""
    response = getattr(state.outcome.exception(), "response", None)
    try:
        asked = float(response.headers["retry-after"])
    except (AttributeError, KeyError, ValueError):
        asked = 0.0
    waited = tenacity.wait_random_exponential(multiplier=0.5, max=longest)(state)
    return waited if math.isnan(asked) else min(max(asked, waited), longest)
