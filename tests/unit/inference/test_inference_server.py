"""The engine for OpenAI-compatible servers, on servers of this machine: one with planned faults, and a real one."""

import contextlib
import http.server
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.request
from datetime import UTC, datetime

import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.common.files import write_parquet
from falserefusal.common.schemas import RESPONSES
from falserefusal.inference import EarlyDecision, respond, server_engine, server_errors
from falserefusal.inference.store import Store
from job_settings import decoding_with, served, settings
from loopback import answering

DECODING = decoding_with(max_new_tokens=16)
STREAM = EarlyDecision(lambda _: False, 0.0)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SECRET = "sk-not-to-be-seen"


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """Answers a prompt 'n' with 'answer to n', unless its server's `fault(request number, text)` says otherwise."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.server.pages.get(self.path)
        self.send(json.dumps(found), 200 if found else 404)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests.append((request, self.headers.get("authorization")))
            number = len(self.server.requests)
        text = request["messages"][-1]["content"]
        fault = self.server.fault(number, text) or {}
        if fault.get("drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if "status" in fault:
            body = json.dumps(fault.get("body", {"error": {"message": "told to"}}))
            self.send(body, fault["status"], fault.get("headers", {}))
            return
        answer = fault.get("answer", f"answer to {text}")
        if request.get("stream"):
            self.stream(answer, fault)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}}
        choice["finish_reason"] = fault.get("finish_reason", "stop")
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        reply = {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
        self.send(json.dumps({**reply, "model": "org/m@2", "system_fingerprint": "fp_1"}), 200)

    def send(self, body: str, status: int, headers=()):
        data = body.encode()
        self.send_response(status)
        for name in headers:
            self.send_header(name, headers[name])
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, answer: str, fault: dict):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for n, word in enumerate(answer.split(" ")):
                if n == fault.get("cut_after"):
                    self.wfile.write(fault.get("cut_with", "").encode())
                    return
                self.event({"delta": {"content": word if n == 0 else f" {word}"}, "finish_reason": None})
                self.server.words += 1
                time.sleep(fault.get("pause", 0))
            self.event({"delta": {}, "finish_reason": fault.get("finish_reason", "stop")})
            self.wfile.write(b"data: [DONE]\n\n")

    def event(self, choice: dict):
        chunk = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(fault=lambda number, text: None, port: int = 0, pages=None):
    with answering(Misbehaving, port) as server:
        server.pages = pages or {}
        server.fault, server.requests, server.words, server.lock = fault, [], 0, threading.Lock()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        model = served(address, "org/m", concurrency=4, longest_wait=0.02, attempts=12)
        yield server, model | {"hub_id": "org/m"}


def prompts(count: int) -> pd.DataFrame:
    rows = [(f"p{i}", [{"role": "user", "content": str(i)}]) for i in range(count)]
    return pd.DataFrame(rows, columns=["prompt_id", "messages"])


def expected(count: int) -> list[str]:
    return [f"answer to {i}" for i in range(count)]


def test_answers_come_back_in_order_with_every_parameter_sent(tmp_path):
    with serving() as (server, model):
        model["server"]["extra_body"] = {"repetition_penalty": 1}
        frame, about = respond(model, DECODING, prompts(30), tmp_path, progress=False)
        assert frame["response"].tolist() == expected(30)
        assert set(frame["finish_reason"]) == {"stop"} and set(frame["prompt_tokens"]) == {11}
        assert len(server.requests) == 30
        sent = server.requests[0][0]
        assert {k: v for k, v in sent.items() if k != "messages"} == {
            "model": "org/m",
            "max_tokens": 16,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 0,
            "repetition_penalty": 1,
        }
        again, about = respond(model, DECODING, prompts(40), tmp_path, progress=False)
        assert len(server.requests) == 40 and about["responses"]["reused"] == 30
        assert again["response"].tolist() == expected(40)
        assert "not checked" in about["gate"]


def test_every_sample_of_a_prompt_is_a_request_with_a_seed_of_its_own(tmp_path):
    asked = pd.concat([prompts(4).assign(sample=k) for k in range(3)], ignore_index=True)
    asked["prompt_id"] += "#" + asked["sample"].astype(str)
    with serving() as (server, model):
        frame, _ = respond(model, decoding_with(temperature=0.7), asked, tmp_path, progress=False)
        assert frame["response"].tolist() == expected(4) * 3
        assert len(server.requests) == len({request[0]["seed"] for request in server.requests}) == 12


def test_every_third_connection_dropped_loses_and_doubles_nothing(tmp_path):
    with serving(lambda number, _: {"drop": True} if number % 3 == 0 else None) as (server, model):
        frame, _ = respond(model, DECODING, prompts(60), tmp_path, progress=False)
        assert frame["response"].tolist() == expected(60)
        assert set(frame["finish_reason"]) == {"stop"}
        assert len(server.requests) > 80
    assert len(Store(tmp_path / "org--m").read()) == 60


def test_a_429_storm_is_waited_out(tmp_path):
    storm = {"status": 429, "body": {"error": {"message": "slow down"}}}
    with serving(lambda number, _: storm if number <= 20 or number % 4 == 0 else None) as (_, model):
        frame, about = respond(model, DECODING, prompts(30), tmp_path, progress=False)
    assert frame["response"].tolist() == expected(30)
    assert about["responses"]["finish_reasons"] == {"stop": 30}


def test_a_request_that_never_succeeds_is_an_error_and_asked_again_by_the_next_run(tmp_path, caplog):
    def fault(number, text):
        return {"status": 503} if text == "7" else None

    with serving(fault) as (server, model):
        frame, about = respond(model, DECODING, prompts(20), tmp_path, progress=False)
    failed = frame["prompt_id"] == "p7"
    assert frame.loc[failed, ["response", "finish_reason"]].values.tolist() == [["", "error"]]
    assert about["responses"]["finish_reasons"] == {"error": 1, "stop": 19}
    (message,) = [record.message for record in caplog.records if "no response" in record.message]
    assert message.startswith("1 of 20 prompts, such as p7, have no response after 12 attempts")
    with serving(port=server.server_port) as (server, model):
        frame, about = respond(model, DECODING, prompts(20), tmp_path, progress=False)
        assert len(server.requests) == 1
    assert frame["response"].tolist() == expected(20)


def test_a_dead_server_stops_the_run_and_keeps_what_was_answered(tmp_path):
    dying = serving(lambda number, _: None if number <= 10 else {"drop": True})
    gone = r"does not respond \(.*\)\.\n10 of 60 responses are stored\. Run again"
    with dying as (server, model), pytest.raises(InputError, match=gone):
        respond(model, DECODING, prompts(60), tmp_path, progress=False)
    with serving(port=server.server_port) as (server, model):
        frame, _ = respond(model, DECODING, prompts(60), tmp_path, progress=False)
        assert len(server.requests) == 50
    assert frame["response"].tolist() == expected(60)


UNREACHABLE = (
    r"m: http://%s/v1 cannot be reached after 3 attempts \(\[Errno .*\)\.\n0 of 100 responses are stored\. Run again"
)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_a_server_that_cannot_be_reached_is_one_message_and_soon(tmp_path, caplog, monkeypatch, host):
    tries = []
    real = server_engine.ServerEngine._whole
    monkeypatch.setattr(server_engine.ServerEngine, "_whole", lambda *given: tries.append(1) or real(*given))
    model = served(f"http://{host}/v1", longest_wait=0.01, attempts=3, concurrency=4)
    with pytest.raises(InputError, match=UNREACHABLE % host):
        respond(model, DECODING, prompts(100), tmp_path, progress=False)
    assert len(tries) <= 2 * 4 * 3, "no request of the other 90 was tried"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("early", [EarlyDecision(None, 0.0), STREAM], ids=["whole", "streamed"])
def test_a_server_that_dies_in_the_middle_is_one_message_and_every_reply_is_stored(tmp_path, caplog, early):
    """It closes its port and every connection while requests are under way."""
    died = threading.Event()

    def fault(number, text):
        if number > 10 and not died.is_set():
            died.set()
            threading.Thread(target=close, daemon=True).start()
        return {"drop": True} if number > 10 else None

    def close():
        server.shutdown()
        server.socket.close()

    gone = r"cannot be reached after 3 attempts \(.*refused.*\)\.\n10 of 60 responses are stored\. Run again"
    with serving(fault) as (server, model):
        model["server"]["attempts"] = 3
        model["server"]["longest_wait"] = 0.3
        with pytest.raises(InputError, match=gone):
            respond(model, DECODING, prompts(60), tmp_path, early=early, progress=False)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with serving(port=server.server_port) as (server, model):
        frame, _ = respond(model, DECODING, prompts(60), tmp_path, early=early, progress=False)
        assert len(server.requests) == 50
    assert frame["response"].tolist() == expected(60)


VLLM = {
    "/version": {"version": "0.11.0"},
    "/v1/models": {
        "data": [
            {"id": "other", "max_model_len": 1},
            {"id": "org/m", "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 4096},
        ]
    },
}
TGI = {"/info": {"model_dtype": "float16", "version": "3.3.0", "sha": "abc"}}


@pytest.mark.parametrize(
    ("pages", "reported"),
    [
        (VLLM, {"owned_by": "vllm", "max_model_len": 4096, "version": "0.11.0"}),
        (TGI, {"version": "3.3.0", "dtype": "float16"}),
        ({}, {}),
    ],
    ids=["vLLM", "TGI", "silent"],
)
def test_the_provenance_has_what_the_server_reports_and_nothing_of_packages_here(tmp_path, pages, reported):
    with serving(pages=pages) as (_, model):
        _, about = respond(model, DECODING, prompts(3), tmp_path, progress=False)
        _, again = respond(model, DECODING, prompts(3), tmp_path, progress=False)
    assert about["reported"] == reported and "store" in again["reported"]
    assert about["dtype"] is None and about["quantization"] is None
    assert set(about["versions"]) == {"python", "openai"}


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refused_request_stops_the_run_at_once(tmp_path, status):
    with serving(lambda *_: {"status": status, "body": {"error": {"message": "no such model"}}}) as (server, model):
        with pytest.raises(InputError, match=r"rejects the request.*no such model"):
            respond(model, DECODING, prompts(50), tmp_path, progress=False)
        assert len(server.requests) < 20


# faults of one reply, to one prompt; every other reply is correct
MALFORMED = {
    "an error reported as success": {"status": 200, "body": {"error": {"message": "overloaded", "code": 502}}},
    "no choices": {"status": 200, "body": {"id": "1", "object": "chat.completion", "choices": []}},
    "no message": {"status": 200, "body": {"choices": [{"index": 0, "finish_reason": "stop"}]}},
    "a proxy's page": {"status": 200, "body": "<html>please log in</html>"},
    "aborted": {"answer": "I am so", "finish_reason": "abort"},
    "broken": {"answer": "I am so", "finish_reason": "error"},
    "no reason and no text": {"answer": "", "finish_reason": None},
    "no text": {"answer": ["I am"]},
    "a wait below zero": {"status": 429, "headers": {"retry-after": "-1"}},
    "a wait that is no number": {"status": 429, "headers": {"retry-after": "nan"}},
}


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("fault", MALFORMED.values(), ids=MALFORMED)
def test_a_reply_that_is_no_answer_is_asked_again_and_costs_no_other(tmp_path, fault, lasting):
    left = [fault] * (100 if lasting else 1)
    with serving(lambda _, text: left.pop() if text == "7" and left else None) as (_, model):
        model["server"]["attempts"] = 3
        frame, about = respond(model, DECODING, prompts(20), tmp_path, progress=False)
    responses = expected(20)
    if lasting:
        responses[7] = ""
        assert about["responses"]["finish_reasons"] == {"error": 1, "stop": 19}
    assert frame["response"].tolist() == responses
    assert len(Store(tmp_path / "org--m").read()) == 20


@pytest.mark.parametrize("reason", ["stop", "eos_token", "stop_sequence", "tool_calls", "function_call"])
def test_reasons_that_mean_the_model_ended(tmp_path, reason):
    with serving(lambda *_: {"finish_reason": reason}) as (_, model):
        frame, _ = respond(model, DECODING, prompts(2), tmp_path, progress=False)
        streamed, _ = respond(model, DECODING, prompts(2), tmp_path / "s", early=STREAM, progress=False)
    assert set(frame["finish_reason"]) == set(streamed["finish_reason"]) == {"stop"}


@pytest.mark.parametrize(
    "fault",
    [
        {"cut_after": 1, "cut_with": 'data: {"error": {"message": "EngineDead", "code": 500}}\n\n'},
        {"cut_after": 1, "cut_with": 'data: "a string"\n\n'},
        {"cut_after": 1, "cut_with": 'data: {"id": "1", "cho\n\n'},
        {"finish_reason": "abort"},
    ],
    ids=["an error event", "a string", "half an event", "aborted"],
)
def test_a_stream_that_goes_wrong_is_asked_again(tmp_path, fault):
    with serving(lambda number, _: fault if number % 2 else None) as (_, model):
        frame, _ = respond(model, DECODING, prompts(6), tmp_path, early=STREAM, progress=False)
    assert frame["response"].tolist() == expected(6) and set(frame["finish_reason"]) == {"stop"}


def test_a_refusal_ends_the_run_and_every_answer_that_was_served_is_kept(tmp_path):
    """This includes requests in progress when another request is rejected."""

    def fault(number, text):
        if text == "7":
            time.sleep(0.2)
            return {"status": 401}
        time.sleep(0.3 if number > 10 else 0)
        return None

    with serving(fault) as (server, model):
        with pytest.raises(InputError, match="rejects the request"):
            respond(model, DECODING, prompts(40), tmp_path, progress=False)
        assert len(Store(tmp_path / "org--m").read()) == len(server.requests) - 1


def test_a_bug_of_ours_keeps_what_was_served(tmp_path):
    def decided(text):
        if text.endswith("7"):
            raise ZeroDivisionError
        return False

    with serving() as (_, model), pytest.raises(ZeroDivisionError):
        respond(model, DECODING, prompts(30), tmp_path, early=EarlyDecision(decided, 0.0), progress=False)
    assert len(Store(tmp_path / "org--m").read()) >= 5


def test_an_interrupt_keeps_what_was_served_also_what_is_under_way(tmp_path, monkeypatch):
    real, calls = server_engine.wait, []

    def interrupted(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(server_engine, "wait", interrupted)
    with serving() as (server, model):
        with pytest.raises(KeyboardInterrupt):
            respond(model, DECODING, prompts(40), tmp_path, progress=False)
        assert len(Store(tmp_path / "org--m").read()) == len(server.requests) < 40


def test_one_prompt_that_never_gets_an_answer_does_not_pass_for_a_dead_server(tmp_path):
    with serving(lambda _, text: {"status": 503} if text == "7" else None) as (_, model):
        model["server"]["attempts"] = 2
        for _ in range(3):
            frame, _ = respond(model, DECODING, prompts(12), tmp_path, progress=False)
            assert frame["finish_reason"].tolist().count("error") == 1


REFUSALS = [
    ({"status": 400, "body": {"error": {"message": "no such role"}}}, "the request of prompt p7: .*no such role"),
    ({"status": 422, "body": {"error": {"message": "no such role"}}}, "the request of prompt p7: .*no such role"),
    ({"status": 400, "body": {"error": {"message": "m", "code": "context_length_exceeded"}}}, "prompt p7: too long"),
    (
        {"status": 400, "body": {"object": "error", "message": "maximum context length is 9", "code": 400}},
        "prompt p7: too long for the model at .*is 9",
    ),
]


@pytest.mark.parametrize(("fault", "message"), REFUSALS)
def test_a_prompt_that_is_refused_is_named(tmp_path, fault, message):
    picky = serving(lambda _, text: fault if text == "7" else None)
    with picky as (_, model), pytest.raises(InputError, match=message):
        respond(model, DECODING, prompts(20), tmp_path, progress=False)


def test_a_wait_is_as_long_as_the_server_asks_and_grows(monkeypatch):
    monkeypatch.setattr(server_errors.tenacity.wait.random, "uniform", lambda low, high: high)

    def wait(attempt, asked):
        response = types.SimpleNamespace(headers={} if asked is None else {"retry-after": asked})
        outcome = types.SimpleNamespace(exception=lambda: types.SimpleNamespace(response=response))
        state = types.SimpleNamespace(outcome=outcome, attempt_number=attempt)
        return server_errors.wait_seconds(state, longest=60.0, now=NOON)

    assert [wait(n, "0") for n in (1, 2, 3)] == [0.5, 1.0, 2.0], "there is a wait even if the server asks for none"
    assert [wait(3, asked) for asked in (None, "-1", "nan", "soon")] == [2.0] * 4
    assert [wait(1, asked) for asked in ("7", "inf", "3600")] == [7.0, 60.0, 60.0]
    assert wait(1, "Fri, 27 Nov 2026 12:00:30 GMT") == 30.0 and wait(1, "Fri, 27 Nov 2026 11:00:00 GMT") == 0.5


def test_a_date_to_wait_for_is_compared_with_the_clock_of_the_server():
    asked = {"retry-after": "Fri, 27 Nov 2026 09:00:10 GMT", "date": "Fri, 27 Nov 2026 09:00:00 GMT"}
    assert server_errors.retry_after(asked, NOON) == 10.0
    assert server_errors.retry_after({"retry-after-ms": "1500", "retry-after": "2"}, NOON) == 1.5


def test_two_servers_share_no_answer_and_the_provenance_says_who_answered(tmp_path):
    for answer in ("from the first", "from the second"):
        with serving(lambda _, text, answer=answer: {"answer": answer}) as (server, model):
            frame, about = respond(model, DECODING, prompts(3), tmp_path, progress=False)
            assert about["address"] == f"127.0.0.1:{server.server_port}/v1"
            assert about["replies"] == {"model": ["org/m@2"], "system_fingerprint": ["fp_1"]}
            model["server"]["base_url"] += "/"
            _, again = respond(model, DECODING, prompts(3), tmp_path, progress=False)
        assert set(frame["response"]) == {answer}
        assert again["responses"]["generated"] == 0 and again["replies"].startswith("nothing was generated")


def test_two_servers_of_one_revision_share_their_answers(tmp_path):
    for answer in ("from the first", "from the second"):
        with serving(lambda _, text, answer=answer: {"answer": answer}) as (server, model):
            frame, about = respond({**model, "revision": "abc"}, DECODING, prompts(3), tmp_path, progress=False)
        assert about["address"] == f"127.0.0.1:{server.server_port}/v1"
        assert set(frame["response"]) == {"from the first"}


def test_filtered_empty_and_huge_answers_are_recorded_as_what_they_are(tmp_path):
    blocked = {"status": 400, "body": {"error": {"message": "blocked", "code": "content_filter"}}}
    policy = {"status": 400, "body": {"error": {"message": "blocked", "code": "content_policy_violation"}}}
    forbidden = {"status": 403, "body": {"error": {"message": "flagged", "code": "content_filter"}}}
    faults = {
        "0": {"answer": ""},
        "1": {"answer": None},
        "2": {"answer": "x" * 2**20},
        "3": {"answer": "cut", "finish_reason": "length"},
        "4": {"answer": "", "finish_reason": "content_filter"},
        "5": blocked,
        "7": policy,
        "8": forbidden,
        "9": {"answer": "half \ud800"},
    }
    with serving(lambda _, text: faults.get(text)) as (_, model):
        frame, about = respond(model, DECODING, prompts(10), tmp_path, progress=False)
        respond(model, DECODING, prompts(10), tmp_path, progress=False)
    write_parquet(frame, tmp_path / "responses.parquet", RESPONSES)
    reasons = ["stop", "stop", "stop", "length", *["content_filter"] * 2, "stop", *["content_filter"] * 2, "stop"]
    assert frame["finish_reason"].tolist() == reasons
    assert frame["response"].str.len().tolist() == [0, 0, 2**20, 3, 0, 0, 11, 0, 0, 6]
    assert about["responses"]["empty"] == 6


def test_the_key_comes_from_the_environment_and_is_seen_nowhere(tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    with serving(lambda number, _: {"status": 500} if number % 2 else None) as (server, model):
        model["server"]["api_key_env"] = "SOME_PROVIDER_KEY"
        monkeypatch.delenv("SOME_PROVIDER_KEY", raising=False)
        with pytest.raises(InputError, match="environment variable SOME_PROVIDER_KEY is not set"):
            respond(model, DECODING, prompts(3), tmp_path)
        monkeypatch.setenv("SOME_PROVIDER_KEY", SECRET)
        _, about = respond(model, DECODING, prompts(3), tmp_path)
        assert {auth for _, auth in server.requests} == {f"Bearer {SECRET}"}
    written = json.dumps(about) + caplog.text + "".join(capsys.readouterr())
    written += "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert SECRET not in written


@pytest.mark.parametrize("status", [401, 503])
def test_a_key_that_the_server_repeats_is_shown_nowhere(tmp_path, monkeypatch, caplog, status):
    error_reply = {"status": status, "body": {"error": {"message": f"Incorrect API key provided: {SECRET}"}}}
    with serving(lambda number, _: error_reply if number > 2 else None) as (server, model):
        model["server"] |= {"api_key_env": "SOME_PROVIDER_KEY", "attempts": 2}
        monkeypatch.setenv("SOME_PROVIDER_KEY", f"{SECRET}\n")
        with pytest.raises(InputError, match=r"Incorrect API key provided: \[key\]") as error:
            respond(model, DECODING, prompts(30), tmp_path)
        assert {auth for _, auth in server.requests} == {f"Bearer {SECRET}"}, "without the line break"
    written = str(error.value) + caplog.text + "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert SECRET not in written


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("hf_abc", "the environment variable is not set"),
        ("CURLY", "the key in CURLY contains a character that no key has"),
    ],
)
def test_a_key_that_is_absent_or_spoilt_is_refused_and_not_shown(tmp_path, monkeypatch, variable, message):
    monkeypatch.setenv("CURLY", f"{SECRET}\u201d")
    with pytest.raises(InputError, match=message) as error:
        respond(served("http://x/v1", api_key_env=variable), DECODING, prompts(1), tmp_path)
    assert SECRET not in str(error.value) and "hf_abc" not in str(error.value)


def test_a_stream_is_left_once_the_verdict_is_settled(tmp_path):
    long = "I'm sorry, but " + "this goes on and on " * 200

    def decided(text):
        return text.startswith("I'm sorry,") or len(text) > 9

    with serving(lambda *_: {"answer": long, "pause": 0.002}) as (server, model):
        frame, _ = respond(model, DECODING, prompts(8), tmp_path, early=EarlyDecision(decided, 0.0), progress=False)
        assert set(frame["finish_reason"]) == {"decided"} and set(frame["response"]) == {"I'm sorry,"}
        assert server.words < 8 * 200, "the server stopped early too"
        full, _ = respond(model, DECODING, prompts(1), tmp_path, early=EarlyDecision(decided, 1.0), progress=False)
    assert full["response"].tolist() == [long] and full["finish_reason"].tolist() == ["stop"]


def test_a_stream_cut_by_the_server_is_no_answer(tmp_path):
    with serving(lambda number, _: {"cut_after": 1} if number % 2 else None) as (_, model):
        frame, _ = respond(model, DECODING, prompts(6), tmp_path, early=STREAM, progress=False)
    assert frame["response"].tolist() == expected(6)


@pytest.mark.slow
def test_transformers_serve_says_what_the_local_backend_says(tmp_path):
    folder = tiny_checkpoints.save(tmp_path / "checkpoint", seed=4)
    (folder / "generation_config.json").unlink()  # a server would apply its penalties
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder), "--device", "cpu"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--host", "127.0.0.1"], env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            assert process.poll() is None
            time.sleep(0.2)
        asked = prompts(12)
        remote = served(f"http://127.0.0.1:{port}/v1", str(folder), concurrency=2)
        whole, _ = respond(remote, DECODING, asked, tmp_path / "store", progress=False)
        streamed, _ = respond(remote, DECODING, asked, tmp_path / "s2", early=STREAM, progress=False)
        local, _ = respond(settings(path=str(folder)), DECODING, asked, tmp_path / "store", progress=False)
    finally:
        process.terminate()
        process.wait()
    assert whole["response"].tolist() == local["response"].tolist()
    characters = [frame["response"].str.rstrip("\ufffd").tolist() for frame in (streamed, local)]
    assert characters[0] == characters[1], (
        "up to the half character at the end of a cut response, which a stream leaves out"
    )
