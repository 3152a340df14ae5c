"""Servers that differ in a word: awkward replies of a server on loopback, whole and streamed, and how they are read."""

import contextlib
import http.server
import json
import logging
from collections import Counter

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.inference import EarlyDecision, respond
from falserefusal.inference.engine import create_engine
from falserefusal.inference.server_names import same_model
from falserefusal.inference.server_reply import kind_of, response_so_far, split_thinking
from falserefusal.inference.store import Store
from job_settings import decoding_with, served
from loopback import answering

DECODING = decoding_with(max_new_tokens=16)
WHOLE, STREAM = EarlyDecision(None, 0.0), EarlyDecision(lambda _: False, 0.0)
MODES = pytest.mark.parametrize("early", [WHOLE, STREAM], ids=["whole", "streamed"])


class Awkward(http.server.BaseHTTPRequestHandler):
    """Sends what its server's `reply(request, number)` says, whole or as a stream."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        reply = self.server.reply(request, len(self.server.requests))
        if "message" not in reply:
            self.send(json.dumps(reply["body"]), reply.get("status", 200), reply.get("headers", {}))
        elif request.get("stream"):
            self.send(streamed(reply), kind="text/event-stream")
        else:
            self.send(json.dumps(whole(reply)))

    def do_GET(self):
        self.send("{}", 404)

    def send(self, body, status=200, headers=(), kind="application/json"):
        self.send_response(status)
        for name in headers:
            self.send_header(name, headers[name])
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def whole(reply: dict) -> dict:
    choice = {"index": 0, "message": {"role": "assistant", **reply["message"]}, "finish_reason": reply["finish"]}
    usage = {"prompt_tokens": 5, "completion_tokens": reply.get("new", 3)}
    return {"object": "chat.completion", "model": reply.get("model", "org/m"), "choices": [choice], "usage": usage}


def streamed(reply: dict) -> str:
    """Each field of the message in pieces, then the finish reason, then the usage."""
    fields = {name: (v[:3], v[3:8], v[8:]) if isinstance(v, str) else (v,) for name, v in reply["message"].items()}
    last = [{"content": piece} for piece in fields.pop("content")]
    first = [{name: pieces[i] for name, pieces in fields.items() if i < len(pieces)} for i in range(3)]
    deltas = [{"role": "assistant", "content": ""}, *first, *last]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reply["finish"]})
    about = {"object": "chat.completion.chunk", "model": reply.get("model", "org/m")}
    events = [{**about, "choices": [choice]} for choice in choices]
    usage = {"prompt_tokens": 5, "completion_tokens": reply.get("new", 3)}
    events.append({**about, "choices": [], "usage": usage})
    return "".join(f"data: {event}\n\n" for event in [*map(json.dumps, events), "[DONE]"])


@contextlib.contextmanager
def serving(reply, handler=Awkward, **own):
    """A server, and the settings of a model behind it."""
    with answering(handler) as server:
        server.reply, server.requests = reply, []
        settings = {"concurrency": 1, "longest_wait": 0.01, "attempts": 3} | own
        model = served(f"http://127.0.0.1:{server.server_port}/v1", "org/m", **settings)
        yield server, model | {"hub_id": "org/m", "revision": "1"}


def prompts(*texts):
    rows = [(f"p{i}", [{"role": "user", "content": text}]) for i, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["prompt_id", "messages"])


def ask(store, reply, early=WHOLE, texts=("a question",), **own):
    """Ask a server that always sends one reply; returns frame, provenance and requests."""
    with serving(lambda *_: reply, **own) as (server, model):
        return *respond(model, DECODING, prompts(*texts), store, early=early, progress=False), server.requests


def said(content, finish="stop", **fields) -> dict:
    extra = {name: fields.pop(name) for name in ("new", "model") if name in fields}
    return {"message": {"content": content, **fields}, "finish": finish, **extra}


def failed(status, code=None, message="told to", **more) -> dict:
    return {"status": status, "body": {"error": {"message": message, "code": code, **more}}}


TEXT, THINK = "not offensive", [{"type": "text", "text": "let me see"}]
PARTS = [{"type": "text", "text": "not "}, {"type": "text", "text": "offensive"}]
# reply -> text, thinking, finish reason; always after one request
REPLIES = [
    (said(TEXT, "eos"), TEXT, "", "stop"),
    (said(TEXT, "STOP"), TEXT, "", "stop"),
    (said(TEXT, "end_turn"), TEXT, "", "stop"),
    (said(TEXT, "FINISH_REASON_STOP"), TEXT, "", "stop"),
    (said(TEXT, "complete"), TEXT, "", "stop"),
    (said(TEXT, None), TEXT, "", "stop"),
    (said(TEXT, ""), TEXT, "", "stop"),
    (said(TEXT, "null", new=16), TEXT, "", "length"),
    (said(TEXT, "MAX_TOKENS"), TEXT, "", "length"),
    (said(TEXT, "model_length"), TEXT, "", "length"),
    (said(TEXT, "a_new_reason"), TEXT, "", "stop"),
    (said("", "SAFETY"), "", "", "content_filter"),
    (said(None, "PROHIBITED_CONTENT"), "", "", "content_filter"),
    (said("I am", "contentFilter"), "I am", "", "content_filter"),
    (said("", "guardrail_intervened"), "", "", "content_filter"),
    (said("", "RECITATION"), "", "", "recitation"),
    (said(None, "stop", refusal="I cannot do that."), "I cannot do that.", "", "stop"),
    (said(PARTS), TEXT, "", "stop"),
    (said([{"type": "output_text", "text": TEXT}]), TEXT, "", "stop"),
    (said([{"type": "thinking", "thinking": THINK}, *PARTS]), TEXT, "let me see", "stop"),
    (said([{"type": "reasoning", "text": "let me see"}, *PARTS]), TEXT, "let me see", "stop"),
    (said(TEXT, reasoning_content="let me see"), TEXT, "let me see", "stop"),
    (said(TEXT, reasoning="let me see", reasoning_content="let me see"), TEXT, "let me see", "stop"),
    (said(TEXT, thinking=THINK), TEXT, "let me see", "stop"),
    (said(f"<think>\nlet me see\n</think>\n\n{TEXT}"), TEXT, "let me see", "stop"),
    (said(f"let me see</think>{TEXT}"), TEXT, "let me see", "stop"),
    (said(f"[THINK]let me see[/THINK]{TEXT}"), TEXT, "let me see", "stop"),
    (said("<think>let me see", "length"), "", "let me see", "length"),
    (said("<think>let me see", "stop"), "", "let me see", "length"),
    (said(None, "length", reasoning_content="let me see"), "", "let me see", "length"),
    (said("", "stop", reasoning="let me see"), "", "let me see", "length"),
    (said("", None, reasoning="let me see"), "", "let me see", "length"),
    (said(f"<thinking></thinking>{TEXT}"), TEXT, "", "stop"),
    (said("a <think> tag"), "a <think> tag", "", "stop"),
    (said(TEXT, model="ORG/M-2024-08-06"), TEXT, "", "stop"),
]


# errors that are a block, which are responses
REPLIES += [
    (failed(400, "content_filter"), "", "", "content_filter"),
    (failed(400, None, innererror={"code": "ResponsibleAIPolicyViolation"}), "", "", "content_filter"),
    (failed(400, "contentFilter"), "", "", "content_filter"),
    (failed(403, 403, metadata={"reasons": ["violence"], "flagged_input": "a question"}), "", "", "content_filter"),
    (failed(422, None, type="guardrail_intervened"), "", "", "content_filter"),
    (failed(451, "SENSITIVE_CONTENT"), "", "", "content_filter"),
    (failed(400, "data_inspection_failed"), "", "", "content_filter"),
    (failed(200, "PROHIBITED_CONTENT"), "", "", "content_filter"),
    ({"body": {"choices": [], "promptFeedback": {"blockReason": "OTHER"}}}, "", "", "content_filter"),
    ({"status": 400, "body": [{"error": {"code": 400, "status": "SAFETY"}}]}, "", "", "content_filter"),
    (failed(400, "recitation"), "", "", "recitation"),
]


# a server that sends no stream although one was asked for
REPLIES += [({"body": whole(said(TEXT, "eos"))}, TEXT, "", "stop")]


@pytest.fixture(scope="module", params=[WHOLE, STREAM], ids=["whole", "streamed"])
def read(request, tmp_path_factory):
    """Every reply of the table as it was read, with the numbers of its prompt's requests in two runs."""
    store = tmp_path_factory.mktemp("store")
    asked = prompts(*map(str, range(len(REPLIES))))
    with serving(lambda sent, _: REPLIES[int(sent["messages"][0]["content"])][0]) as (server, model):
        frame, _ = respond(model, DECODING, asked, store, early=request.param, progress=False)
        respond(model, DECODING, asked, store, early=request.param, progress=False)
        texts = [int(sent["messages"][0]["content"]) for sent in server.requests]
    return frame.assign(requests=[texts.count(i) for i in range(len(REPLIES))])


@pytest.mark.parametrize("row", range(len(REPLIES)), ids=lambda row: f"{row}-{REPLIES[row][0]}"[:70])
def test_what_an_awkward_reply_is_read_as(read, row):
    found = read.iloc[row]
    assert (found["response"], found["thinking"], found["finish_reason"]) == REPLIES[row][1:]
    assert found["requests"] == 1, "asked once, then stored"


BLOCKS = [{"error": {"code": "content_filter", "message": "m"}}, {"promptFeedback": {"blockReason": "SAFETY"}}]


@pytest.mark.parametrize("event", BLOCKS)
def test_a_block_within_a_stream_is_a_response(tmp_path, event):
    class Blocking(Awkward):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.server.requests.append(1)
            self.send(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n", kind="text/event-stream")

    with serving(None, Blocking) as (server, model):
        frame, _ = respond(model, DECODING, prompts("q"), tmp_path, early=STREAM, progress=False)
    assert frame["finish_reason"].tolist() == ["content_filter"] and server.requests == [1]


FATAL = [
    (failed(429, "insufficient_quota"), {}, r"has no quota or credit left \(.*told to\)"),
    (failed(429, None, type="billing_hard_limit_reached"), {}, "has no quota or credit left"),
    (failed(402), {}, "has no quota or credit left"),
    (failed(400, None, "Unsupported parameter: 'seed'", param="seed"), {}, r"'seed': .*\nSet .*\.omit: \[seed\]"),
    (
        {"status": 422, "body": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}},
        {},
        r"parameter 'seed': .*Extra inputs.*\nSet .*\.omit: \[seed\]",
    ),
    (failed(400, None, "`temperature` and `top_p` cannot both be specified"), {}, r"omit: \[top_p\]"),
    (
        failed(400, None, "'temperature' does not support 0.0 with this model"),
        {"omit": ("seed",)},
        r"\[seed, temp.*page",
    ),
    (
        failed(400, "unsupported_parameter", "'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        {},
        "'max_tokens': .*\nSet .*max_tokens_key: max_completion_tokens",
    ),
    (
        failed(400, None, "Unrecognized request argument supplied: max_completion_tokens"),
        {"max_tokens_key": "max_completion_tokens"},
        "max_tokens_key: max_tokens$",
    ),
    (
        failed(400, None, "unknown parameter: top_k"),
        {"extra_body": {"top_k": 1}},
        r"'top_k': .*\nRemove .*extra_body\.top_k",
    ),
    (
        failed(400, None, "max_tokens must be below 4"),
        {},
        "rejects the request of prompt p0: .*max_tokens must be below 4",
    ),
    (failed(400, "account_blocked"), {}, "rejects the request of prompt p0"),
    (failed(400, None, "Unknown parameter: 'content_filter'", param="content_filter"), {}, "rejects the request"),
    (said(TEXT, model="gemma-3-1b-it"), {}, "asked for the model 'org/m', but its reply comes from 'gemma-3-1b-it'"),
    (said("", "SAFETY", model="org/m-mini"), {}, "reply comes from 'org/m-mini'"),
    (
        {"status": 307, "body": {}, "headers": {"location": "https://u:pw@elsewhere.example/v1?key=1"}},
        {},
        r"redirects to https://…@elsewhere\.example/v1\?…: prompts and key are not sent there",
    ),
]


@MODES
@pytest.mark.parametrize(("reply", "own", "message"), FATAL, ids=lambda one: str(one)[:70])
def test_what_no_repetition_changes_ends_the_run_with_one_message(tmp_path, early, reply, own, message):
    with serving(lambda *_: reply, **own) as (server, model), pytest.raises(InputError, match=message) as error:
        respond(model, DECODING, prompts("a question"), tmp_path, early=early, progress=False)
    assert len(server.requests) == 1 and not Store(tmp_path / "org--m").read()
    assert "u:pw" not in str(error.value) and "key=1" not in str(error.value)


LACKING = [said("", "a_new_reason"), said("", None), said("I am", "abort"), failed(503, "moderation_unavailable")]


@MODES
def test_a_reply_without_a_response_is_asked_again_but_not_for_ever(tmp_path, early):
    asked, numbers = prompts(*map(str, range(len(LACKING)))), Counter()

    def reply(sent, _, lasting):
        text = sent["messages"][0]["content"]
        numbers[text] += 1
        return LACKING[int(text)] if lasting or numbers[text] == 1 else said(TEXT)

    with serving(lambda *sent: reply(*sent, lasting=False)) as (server, model):
        frame, _ = respond(model, DECODING, asked, tmp_path, early=early, progress=False)
        assert set(frame["response"]) == {TEXT} and set(numbers.values()) == {2}
    with serving(lambda *sent: reply(*sent, lasting=True)) as (server, model):
        frame, _ = respond(model, DECODING, asked.head(1), tmp_path / "2", early=early, progress=False)
        assert set(frame["finish_reason"]) == {"error"} and len(server.requests) == 3


def test_an_unknown_reason_is_one_warning_that_names_it(tmp_path, caplog):
    frame, _, _ = ask(tmp_path, said(TEXT, "a_new_reason"), texts="abcde")
    assert set(frame["response"]) == {TEXT}
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "'a_new_reason' (5 times)" in warning


def identity(**own):
    return create_engine(served("http://x/v1", "org/m", **own), DECODING).identity


def test_settings_of_a_picky_server_are_part_of_the_key_only_where_they_matter():
    for own in ({"max_tokens_key": "max_completion_tokens"}, {"omit": ("stream_options",)}, {"price_in": 1.0}):
        assert identity(**own) == identity() and "omit" not in identity()
    assert identity(omit=("temperature", "seed"))["omit"] == ["seed", "temperature"]


@MODES
def test_settings_make_a_picky_server_usable(tmp_path, early):
    def picky(request, _):
        refused = [name for name in ("seed", "temperature", "max_tokens", "stream_options") if name in request]
        return failed(400, None, f"{refused[0]} is not supported") if refused else said(TEXT)

    own = {"max_tokens_key": "max_completion_tokens", "omit": ("seed", "temperature", "stream_options")}
    with serving(picky, **own) as (server, model):
        frame, about = respond(model, DECODING, prompts("a question"), tmp_path, early=early, progress=False)
    assert frame["response"].tolist() == [TEXT] and server.requests[0]["max_completion_tokens"] == 16
    assert about["omitted"] == ["seed", "temperature"] and about["decoding"]["greedy"] is False


def test_no_early_decision_on_thinking(tmp_path):
    """A decision is only asked for text that is certainly no thinking."""
    seen = []
    deciding = EarlyDecision(lambda text: seen.append(text) or len(text) > 3, 0.0)
    frame, _, _ = ask(tmp_path, said(f"<think>let me see</think>{TEXT}"), deciding)
    assert frame["finish_reason"].tolist() == ["decided"] and frame["thinking"].tolist() == ["let me see"]
    assert TEXT.startswith(frame["response"][0]) and all(TEXT.startswith(text) for text in seen)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("FinishReason.STOP", "stop"),
        ("stopReason.END_TURN", "stop"),
        ("stop_sequence", "stop"),
        ("tool_calls", "stop"),
        ("<|eos|>", "stop"),
        ("max_output_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("TOKEN_LIMIT", "length"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("refusal", "content_filter"),
        ("sensitive", "content_filter"),
        ("Content Filtered", "content_filter"),
        ("ERROR_TOXIC", "content_filter"),
        ("copyright", "recitation"),
        ("IMAGE_RECITATION", "recitation"),
        ("network_error", "aborted"),
        ("cancelled", "aborted"),
        ("OTHER", "unknown"),
        (3, "unknown"),
    ],
)
def test_reasons_in_any_spelling(reason, kind):
    assert kind_of(reason) == kind


@pytest.mark.parametrize(
    ("text", "so_far", "parts"),
    [
        ("<thi", "", ("", "<thi")),
        ("I'm", "I'm", ("", "I'm")),
        ("<Thinking>a", "", ("a", "")),
        ("<think>a</think>b", "b", ("a", "b")),
        ("<think>a</think><think>b</think>c", "c", ("ab", "c")),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b", None),
        ("<b>bold</b>", "<b>bold</b>", ("", "<b>bold</b>")),
    ],
)
def test_thinking_is_told_from_the_response_however_far_it_came(text, so_far, parts):
    assert response_so_far(text) == so_far
    assert parts is None or split_thinking(text) == parts


@pytest.mark.parametrize(
    ("asked", "reported", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("openai/gpt-4o", "gpt-4o", True),
        ("gpt-4o", "openai/gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4", "gpt-4o", False),
        ("gpt-4", "gpt-4-32k", False),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-opus-4", "claude-opus-4-1-20250805", False),
        ("gemini-1.5-flash", "models/gemini-1.5-flash-002", True),
        ("Llama3.1", "llama3.1:latest", True),
        ("llama3.1:8b", "llama3.1:70b", False),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1", True),
        ("org/m", "org/m@main", True),
        ("gemma-3-1b-it-qat", "gemma-3-1b-it-qat:2", True),
        ("Llama-3.1-8B-Instruct", "/models/Llama-3.1-8B-Instruct-Q4_K_M.gguf", True),
        ("/data/models/m.gguf", "m.gguf", True),
        ("C:\\models\\m.gguf", "m.gguf", True),
        ("Llama-3.1-8B-Instruct", "/models/Llama-3.1-70B-Instruct-Q4_K_M.gguf", False),
        ("m-Q4_K_M.gguf", "m-Q8_0.gguf", False),
        ("meta-llama/Llama-3-8B", "somebody/Llama-3-8B", False),
        ("org/llama-70b", "gemma-3-1b-it-qat:2", False),
    ],
)
def test_names_of_one_model(asked, reported, same):
    assert same_model(asked, reported) is same


def test_a_name_that_the_models_file_gives_is_accepted(tmp_path):
    with serving(lambda *_: said(TEXT, model="gpt-4o-2024-08-06")) as (_, model):
        model["server"]["reported_model"] = "gpt-4o"
        frame, about = respond(model, DECODING, prompts("a question"), tmp_path, progress=False)
    assert frame["response"].tolist() == [TEXT] and about["replies"]["model"] == ["gpt-4o-2024-08-06"]
