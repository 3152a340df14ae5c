"""The contract of an engine, checked on every registered engine."""

import contextlib
import http.server
import json
import re
import subprocess
import sys

import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.common.schemas import FINISH_REASONS
from falserefusal.inference import respond
from falserefusal.inference.engine import create_engine, engine_names
from falserefusal.inference.store import NO_BATCH, Response
from job_settings import decoding_with, served, settings
from loopback import answering
from needs_vllm import NEEDS_VLLM

DECODING = decoding_with(max_new_tokens=8)
COUNT = 6


class Echo(http.server.BaseHTTPRequestHandler):
    """A chat server whose response to a text is "response to <text>", streamed by words on request."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = f"response to {request['messages'][-1]['content']}".split(" ")
        if request.get("stream"):
            deltas = [{"content": word if n == 0 else f" {word}"} for n, word in enumerate(words)]
            choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
            choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
            chunks = [json.dumps({"object": "chat.completion.chunk", "choices": [choice]}) for choice in choices]
            self.send("".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]), "text/event-stream")
        else:
            choice = {"index": 0, "message": {"content": " ".join(words)}, "finish_reason": "stop"}
            self.send(json.dumps({"object": "chat.completion", "choices": [choice]}), "application/json")

    def send(self, body: str, content_type: str):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """For each engine a model that it can run, settings that change its identity, and settings that do not."""
    folder = tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"), seed=4)
    wider = tiny_checkpoints.save(tmp_path_factory.mktemp("wider"), seed=4, head_dim=32)  # vLLM's least on a processor
    with answering(Echo) as server:
        remote = served(f"http://127.0.0.1:{server.server_port}/v1") | {"hub_id": "org/tiny"}
        server = remote["server"]
        yield {
            "transformers": (
                settings(path=str(folder)),
                [{"dtype": "bfloat16"}, {"quantization": "8bit"}],
                [{"batch_tokens": 999}, {"threads": 1}],
            ),
            "vllm": (
                settings(backend="vllm", path=str(wider)) | {"threads": 1},
                [{"dtype": "bfloat16"}],
                [{"batch_tokens": 999}, {"device_map": None}, {"threads": 2}],
            ),
            "dummy": (
                settings(backend="dummy") | {"dummy": 0.5, "options": [["polite", "impolite"]]},
                [{"dummy": 0.4}, {"options": [["polite", "rude"]]}, {"model": "another"}, {"language": "de"}],
                [{"threads": 2}],
            ),
            "openai": (
                remote,
                [{"revision": "abc"}, {"dtype": "bfloat16"}, {"server": server | {"extra_body": {"top_k": 1}}}],
                [{"server": server | {"concurrency": 2}}, {"server": server | {"timeout": 5.0}}],
            ),
        }


ENGINES = [pytest.param(name, marks=NEEDS_VLLM) if name == "vllm" else name for name in engine_names()]


@pytest.fixture(params=ENGINES)
def case(request, cases):
    assert request.param in cases, f"add a model for the engine {request.param} to the fixture `cases`"
    return cases[request.param]


@pytest.fixture
def model(case):
    return case[0]


@pytest.fixture
def engine(model):
    return create_engine(model, DECODING)


def conversations(count: int = COUNT) -> list[list[dict]]:
    return [[{"role": "user", "content": f"Is text {i} polite or impolite?"}] for i in range(count)]


def names(count: int = COUNT) -> list[str]:
    return [f"p{i}" for i in range(count)]


def generate(engine, decided=None, in_full=None) -> list[tuple[str, dict[int, Response]]]:
    prompts = engine.render(conversations(), names())
    engine.prepare(prompts, names())
    keys = [f"{i:064x}" for i in range(COUNT)]
    with contextlib.closing(engine):
        return list(engine.generate(keys, decided, in_full or [False] * COUNT))


def test_the_identity_is_json_and_depends_on_the_model_alone(case, engine):
    model, changing, neutral = case
    assert json.loads(json.dumps(engine.identity)) == engine.identity and engine.identity["name"]
    assert create_engine(model, decoding_with(max_new_tokens=9, temperature=1.0)).identity == engine.identity
    for change in changing:
        assert create_engine(model | change, DECODING).identity != engine.identity, change
    for change in neutral:
        assert create_engine(model | change, DECODING).identity == engine.identity, change


def test_rendering_is_a_function_of_the_turns(model, engine):
    rendered = engine.render(conversations(), names())
    assert all(isinstance(text, str) for text in rendered) and len(set(rendered)) == COUNT
    assert create_engine(model, DECODING).render(conversations(), names()) == rendered
    assert all(f"text {i} polite" in text for i, text in enumerate(rendered))
    assert engine.render([], []) == []


def test_a_prompt_without_a_user_turn_is_rejected_by_name(engine):
    with pytest.raises(InputError, match="prompt odd"):
        engine.render([[{"role": "system", "content": "You decline."}]], ["odd"])


def test_prepared_prompts_have_lengths(engine):
    lengths = engine.prepare(engine.render(conversations(), names()), names())
    assert len(lengths) == COUNT and min(lengths) > 0


def test_every_prompt_gets_one_response_after_an_empty_first_report(engine):
    first, *reports = generate(engine)
    assert first == (NO_BATCH, {})
    assert sorted(i for _, fresh in reports for i in fresh) == list(range(COUNT))
    for batch, fresh in reports:
        assert batch == NO_BATCH or re.fullmatch(r"[0-9a-f]{16}/\d+", batch)
        assert engine.repeats_batches or batch == NO_BATCH
        for response in fresh.values():
            assert isinstance(response, Response) and response.finish_reason in FINISH_REASONS


def test_a_certain_verdict_ends_a_response_unless_it_is_requested_in_full(engine):
    in_full = [i % 2 == 0 for i in range(COUNT)]
    responses = {i: r for _, fresh in generate(engine, lambda _: True, in_full) for i, r in fresh.items()}
    stopped = [responses[i].finish_reason == "decided" for i in range(COUNT)]
    assert stopped == [not full for full in in_full]
    assert all(responses[i].complete for i in range(COUNT) if in_full[i])


def test_a_loaded_model_responds_to_further_prompts(engine):
    """`respond` asks some prompts again, and loads nothing for them."""
    keys, found = [f"{i:064x}" for i in range(COUNT)], []
    with contextlib.closing(engine):
        for asked in (conversations(), conversations()[:2]):
            engine.prepare(engine.render(asked, names(len(asked))), names(len(asked)))
            reports = list(engine.generate(keys[: len(asked)], None, [False] * len(asked)))
            found.append({i: response.text for _, fresh in reports for i, response in fresh.items()})
    assert sorted(found[1]) == [0, 1] and all(found[0][i] == text for i, text in found[1].items())


def test_the_provenance_is_json_and_names_engine_and_identity(engine):
    generate(engine)
    record = json.loads(json.dumps(engine.provenance()))
    assert record["backend"] == engine.name
    assert {key: record[key] for key in ("name", "revision")} == {
        key: engine.identity[key] for key in ("name", "revision")
    }
    assert all(isinstance(package, str) for package in engine.packages)


def test_stored_responses_are_reused_without_generating(model, engine, tmp_path, monkeypatch):
    prompts = pd.DataFrame({"prompt_id": names(), "messages": conversations()})
    first, _ = respond(model, DECODING, prompts, tmp_path, progress=False)
    monkeypatch.setattr(type(engine), "generate", lambda *_: pytest.fail("generated again"))
    again, about = respond(model, DECODING, prompts, tmp_path, progress=False)
    pd.testing.assert_frame_equal(first, again)
    assert about["responses"]["reused"] == COUNT and about["responses"]["generated"] == 0


IMPORTS = """
import sys
from falserefusal.inference.engine import create_engine, engine_names
assert engine_names()
assert not {"torch", "transformers", "openai"} & set(sys.modules), "names need no heavy import"
import pandas as pd
from falserefusal.inference import Decoding, respond
prompts = pd.DataFrame({"prompt_id": ["p"], "messages": [[{"role": "user", "content": "Hello"}]]})
respond(eval(sys.argv[1]), Decoding(1, 0.0, 1.0, 0), prompts, sys.argv[2], progress=False)
assert "openai" not in sys.modules
"""


def test_a_study_that_asks_no_server_imports_no_openai(root, cases, tmp_path):
    command = [sys.executable, "-c", IMPORTS, repr(cases["transformers"][0]), str(tmp_path)]
    job = subprocess.run(command, env={"PYTHONPATH": str(root / "workflow")}, capture_output=True, text=True)
    assert job.returncode == 0, job.stderr
