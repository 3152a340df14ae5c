"""Engine for a model behind an OpenAI-compatible server: vLLM, TGI, llama.cpp, Ollama, or a hosted API.

The server applies the chat template, so the checks of `chat` do not apply: how the server treats a system turn, BOS or
a prompt that is too long is unknown, and the provenance says so. Many servers also apply the checkpoint's generation
config to parameters that a request leaves out (a repetition penalty, for example): set these in `extra_body`.

How replies and errors differ between servers is in `server_reply`, `server_errors` and `server_names`.
"""

import functools
import json
import logging
import math
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import tenacity

from falserefusal.common.addresses import server_address
from falserefusal.common.errors import InputError
from falserefusal.inference import server_errors
from falserefusal.inference.chat import place_system
from falserefusal.inference.decoding import Decoding
from falserefusal.inference.engine import Unavailable, register
from falserefusal.inference.server_errors import may_pass
from falserefusal.inference.server_facts import reported
from falserefusal.inference.server_names import same_model
from falserefusal.inference.server_reply import (
    NONE,
    UNKNOWN,
    MalformedReply,
    as_data,
    as_reply,
    choice_of,
    finished,
    kind_of,
    response_so_far,
    split_thinking,
    token_counts,
)
from falserefusal.inference.store import NO_BATCH, NOTHING, Response

log = logging.getLogger(__name__)

TOO_LONG = re.compile("context_length_exceeded|maximum context length|context size|too long", re.IGNORECASE)
OF_ONE_PROMPT = (400, 403, 413, 422)  # errors that may be due to the prompt rather than to key, model or address
HOPELESS = 3  # consecutive failures before a server counts as unavailable; fewer may be due to the prompts
WRITE_SECONDS = 1.0  # responses are handed over at least this often
OTHER_KEY = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
OMITTABLE = ("seed", "top_p", "temperature", "stream_options")  # as `servers.<name>.omit` in the config
SAMPLING = OMITTABLE[:3]  # those that can change a response


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

    repeats_batches = keeps_batch_tokens = False  # a server forms its own batches
    batch_tokens = None
    depends_on_batch = False  # a server forms batches of its own, and asking again would cost as much again
    packages = ("openai",)

    def __init__(self, model: dict, decoding: Decoding):
        self.version: dict[str, str] = {}  # a server does not say which weights it has
        self.server = model["server"]
        self.address = server_address(self.server["base_url"])
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
        self.omitted = [name for name in SAMPLING if name in self.server["omit"]]
        if self.omitted:
            self.identity["omit"] = self.omitted
        self.key, self.last_error = "", ""
        self.last_reply = -math.inf  # time of the last response
        self.unanswered: list[str] = []  # prompts without a response after all attempts
        self.unknown: Counter[str] = Counter()  # finish reasons that are not known here, and taken as "stop"
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
        from openai import DefaultHttpxClient, OpenAI

        self.key = self._read_key()
        client = OpenAI(
            base_url=self.server["base_url"],
            api_key=self.key or "none",
            timeout=self.server["timeout"],
            max_retries=0,
            http_client=DefaultHttpxClient(follow_redirects=False),  # prompts and key go to no other address
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
        if self.unknown:
            reasons = ", ".join(f"{reason} ({times} times)" for reason, times in sorted(self.unknown.items()))
            log.warning(
                "%s ended responses for a reason that is not known here: %s. They count as complete; see in the "
                "server's documentation what it means",
                self.server["base_url"],
                reasons,
            )
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

    def close(self) -> None:
        """Do nothing: the model is elsewhere."""

    def provenance(self) -> dict:
        """Return identity, address and settings of the server (never the key), and what the server reported.

        `dtype` and `quantization` are None, because the study sets neither on a server.
        """
        shown = {key: value for key, value in self.server.items() if key != "api_key_env"}
        unchecked = "the server renders the chat template; its handling of system turns, BOS and length is not checked"
        about = {**self.identity, "dtype": None, "quantization": None, "address": self.address, "server": shown}
        return {"backend": self.name, **about, "gate": unchecked, "omitted": self.omitted, **self.about}

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

        started = time.monotonic()
        attempt = tenacity.retry(
            retry=tenacity.retry_if_exception(may_pass),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.server["attempts"]), tenacity.stop_when_event_set(self.stopping)
            ),
            wait=functools.partial(server_errors.wait_seconds, longest=self.server["longest_wait"]),
            sleep=tenacity.sleep_using_event(self.stopping),
            reraise=True,
        )
        try:
            return attempt(self._stream if decided else self._whole)(client, self._request(i, seed), decided)
        except Exception as error:
            if kind := server_errors.withheld(error):
                return Response("", kind)
            if not may_pass(error):
                if (final := self._final(error, self.names[i])) is error:
                    raise
                raise final from error
            self.last_error = self._clean(server_errors.message_of(error)) or type(error).__name__
            if not self.stopping.is_set():
                if server_errors.unreachable(error) and self.last_reply < started:
                    address, attempts = self.server["base_url"], self.server["attempts"]
                    raise Unavailable(
                        f"{address} cannot be reached after {attempts} attempts ({self.last_error})"
                    ) from error
                self.unanswered.append(self.names[i])
            return Response("", "error")

    def _request(self, i: int, seed: int) -> dict:
        """The parameters of a request, without those that the server does not take."""
        sampling = self.decoding.temperature > 0
        request = {
            "model": self.server["model"],
            "messages": json.loads(self.prompts[i]),
            self.server["max_tokens_key"]: self.decoding.max_new_tokens,
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p if sampling else 1.0,
            "seed": seed if sampling else 0,
            "extra_body": self.server["extra_body"],
        }
        return {name: value for name, value in request.items() if name not in self.server["omit"]}

    def _final(self, error: Exception, name: str) -> Exception:
        """What to raise for an error that no further attempt changes."""
        import openai

        reason, address = self._clean(server_errors.message_of(error)), self.server["base_url"]
        if server_errors.no_credit(error):
            return Unavailable(f"the account at {address} has no quota or credit left ({reason})")
        if not isinstance(error, openai.APIStatusError):
            return error
        if target := server_errors.redirected_to(error):
            return InputError(
                f"{address} redirects to {self._clean(target)}: prompts and key are not sent there. If you trust that "
                "address, set servers.<name>.base_url to it"
            )
        of_one = error.status_code in OF_ONE_PROMPT
        if of_one and TOO_LONG.search(f"{error.code} {reason}"):
            return InputError(
                f"prompt {name}: too long for the model at {address} ({reason}); shorten the text or max_new_tokens"
            )
        if of_one and (parameter := server_errors.refused_parameter(error, self._parameters())):
            return InputError(
                f"{address} does not take the parameter '{parameter}': {reason}\n{self._remedy(parameter)}"
            )
        which = f" of prompt {name}" if of_one else ""
        return InputError(f"{address} rejects the request{which}: {reason}")

    def _parameters(self) -> list[str]:
        """The parameters of every request that may be refused."""
        extra = list(self.server["extra_body"] or {})
        return [name for name in (*OMITTABLE, self.server["max_tokens_key"]) if name not in self.server["omit"]] + extra

    def _remedy(self, parameter: str) -> str:
        """What to do about a parameter that the server does not take."""
        if parameter in OTHER_KEY:
            return f"Set servers.<name>.max_tokens_key: {OTHER_KEY[parameter]}"
        if parameter not in OMITTABLE:
            return f"Remove servers.<name>.extra_body.{parameter}"
        omit = ", ".join(name for name in OMITTABLE if name == parameter or name in self.server["omit"])
        greedy = "; its responses are then not greedy, and the page says so" if parameter == "temperature" else ""
        return f"Set servers.<name>.omit: [{omit}]{greedy}"

    def _whole(self, client, request: dict, _: None) -> Response:
        return self._read(client.chat.completions.create(**request))

    def _read(self, reply: object) -> Response:
        """The response in a reply that is no stream."""
        self._note(reply)
        text, thinking, reason = choice_of(reply, "message")
        return self._finished(reply, text, thinking, reason, token_counts(reply))

    def _stream(self, client, request: dict, decided: Callable[[str], bool]) -> Response:
        """Read a response as it is streamed and close the connection once its verdict is certain.

        Closing the connection stops the generation on the server.
        """
        text, thinking, reason, counts, pieces = "", "", None, (0, 0), 0
        event, last = None, False  # whether the event that ends a stream came: usage without a choice
        request |= {} if "stream_options" in self.server["omit"] else {"stream_options": {"include_usage": True}}
        with client.chat.completions.create(**request, stream=True) as stream:
            if "json" in stream.response.headers.get("content-type", ""):  # it does not stream
                return self._read(as_reply(json.loads(stream.response.read())))
            for event in stream:
                self._note(event)
                counts = max(counts, token_counts(event))
                if not getattr(event, "choices", None):
                    last = any(token_counts(event))
                    if not last:
                        self._check_empty(event)
                    continue
                piece, thought, ended = choice_of(event, "delta")
                text, thinking, pieces = text + piece, thinking + thought, pieces + bool(piece or thought)
                reason = reason if kind_of(ended) == NONE else ended
                if piece and reason is None and (said := response_so_far(text)) and decided(said):
                    inside = split_thinking(text)[0]
                    return Response(said, "decided", 0, pieces, thinking or inside)
        if reason is None and not last:
            raise ConnectionError("the server ended the stream before the end of the response")
        return self._finished(event, text, thinking, reason, counts if any(counts) else (0, pieces))

    def _check_empty(self, event: object) -> None:
        """Raise the error of an event without a choice that says the prompt was blocked; others mean nothing."""
        error = MalformedReply("an event without a choice", as_data(event))
        if not may_pass(error):
            raise error

    def _finished(self, reply: object, text: str, thinking: str, reason: object, counts: tuple[int, int]) -> Response:
        """The response of a complete reply; counts an unknown finish reason."""
        try:
            response = finished(text, thinking, reason, counts, self.decoding.max_new_tokens)
        except MalformedReply as error:
            raise MalformedReply(str(error), as_data(reply)) from error
        if kind_of(reason) == UNKNOWN and response.finish_reason == "stop":
            self.unknown[self._clean(repr(reason))] += 1
        return response

    def _note(self, reply: object) -> None:
        """Record that the server replied, and which model it reports, for the provenance."""
        self.last_reply = time.monotonic()
        for seen, field in ((self.models, "model"), (self.fingerprints, "system_fingerprint")):
            if isinstance(value := getattr(reply, field, None), str):
                seen.add(self._clean(value))
        model, names = getattr(reply, "model", None), (self.server["model"], self.server.get("reported_model"))
        if isinstance(model, str) and model and not any(same_model(name, model) for name in names if name):
            raise InputError(
                f"{self.server['base_url']} was asked for the model '{names[0]}', but its reply comes from "
                f"'{self._clean(model)}'.\nCorrect served_model in the models file; if it is the same model under "
                "another name, write that name into the column reported_model"
            )
