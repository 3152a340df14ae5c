"""The backend openai before a run: address, key and server, against a server on loopback."""

import json
from http.server import BaseHTTPRequestHandler

import pytest

from falserefusal.planning.server import check_server
from loopback import answering

KEY = "sk-secret"
# as vLLM publishes it, shortened
SCHEMA = {"components": {"schemas": {"ChatCompletionRequest": {"properties": {"top_k": {}, "repetition_penalty": {}}}}}}
LIST = {"data": [{"id": "gpt-4o-2024-08-06"}, {"id": "org/llama-8b"}]}


class Server(BaseHTTPRequestHandler):
    """Lists its models to whoever has the key; has other paths in other states."""

    def do_GET(self):
        if self.path == "/moved/models":
            self.send_response(308)
            self.send_header("Location", "https://u:pw@elsewhere.example/v1/models?key=1")
            self.end_headers()
            return
        found = {"/v1/models": {}, "/vllm/v1/models": {}, "/vllm/openapi.json": SCHEMA, "/named/models": LIST}.get(
            self.path
        )
        status = {"/down/models": 503, "/odd/models": 405}.get(self.path, 404 if found is None else 200)
        if self.path == "/v1/models" and self.headers.get("Authorization") != f"Bearer {KEY}":
            status = 401
        self.send_response(status)
        body = json.dumps(found).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    with answering(Server) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("path", "variable", "key", "item", "status", "message"),
    [
        ("/v1", "KEY", KEY, "server", "ok", "responds"),
        ("/v1/", "KEY", KEY, "server", "ok", "responds"),
        ("/odd", None, None, "server", "ok", "responds"),
        ("/v1", "KEY", None, "key", "missing", "the environment variable KEY is not set"),
        ("/v1", "KEY", "wrong", "key", "missing", "rejects the key"),
        ("/v1", None, None, "key", "missing", "rejects requests without a key"),
        ("", "KEY", KEY, "server", "warn", "has no list of models (HTTP 404)"),
        ("/down", None, None, "server", "missing", "does not respond (HTTP 503)"),
    ],
)
def test_what_is_said_of_a_server(address, monkeypatch, path, variable, key, item, status, message):
    monkeypatch.delenv("KEY", raising=False)
    if key:
        monkeypatch.setenv("KEY", key)
    (found,) = check_server("s", {"base_url": address + path, "api_key_env": variable})
    assert found[:2] == (item, status) and message in found[2]
    assert bool(found[3]) == (status != "ok") and KEY not in str(found)


def test_a_key_put_where_its_variable_belongs_is_not_shown():
    ((_, status, message, what),) = check_server("s", {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "hf_abc"})
    assert status == "missing" and "environment variable in servers.s.api_key_env" in message
    assert "hf_abc" not in message + what


def test_a_server_that_is_not_there_may_be_open_to_the_nodes_alone():
    nowhere = {"base_url": "http://127.0.0.1:9/v1"}
    assert [check_server("s", nowhere, here)[0][1] for here in (True, False)] == ["missing", "warn"]
    assert check_server("s", {})[0][:2] == ("address", "missing")


def test_a_model_that_the_server_does_not_list_is_a_warning(address):
    asked = {"base_url": f"{address}/named", "models": ["gpt-4o", "org/Llama-8B", "org/llama-80b", "zzz"]}
    server, *rows = check_server("s", asked)
    assert server[:2] == ("server", "ok") and [row[:2] for row in rows] == [("model", "warn")] * 2
    assert "does not list the model 'org/llama-80b'" in rows[0][2] and "did you mean 'org/llama-8b'?" in rows[0][3]
    assert "it has gpt-4o-2024-08-06, org/llama-8b" in rows[1][3]


def test_a_server_that_redirects_is_not_followed(address, monkeypatch):
    monkeypatch.setenv("KEY", KEY)
    (found,) = check_server("s", {"base_url": f"{address}/moved", "api_key_env": "KEY"})
    assert found[:2] == ("server", "missing") and "redirects to https://…@elsewhere.example/v1/models?…, " in found[2]
    assert "pw" not in str(found) and "key=1" not in str(found)


def test_a_parameter_that_the_server_does_not_know_is_a_warning(address):
    body = {"repetition_penaltie": 1.0, "top_k": -1, "colour": "red"}
    server, *rows = check_server("s", {"base_url": f"{address}/vllm/v1", "extra_body": body})
    assert server[:2] == ("server", "ok") and [row[:2] for row in rows] == [("extra_body", "warn")] * 2
    assert "'repetition_penaltie' is not a parameter of" in rows[0][2]
    assert rows[0][3].endswith("servers.s.extra_body.repetition_penaltie; did you mean 'repetition_penalty'?")
    assert rows[1][3] == "correct or remove servers.s.extra_body.colour"
    assert len(check_server("s", {"base_url": f"{address}/odd", "extra_body": body})) == 1, "no schema, no warning"
