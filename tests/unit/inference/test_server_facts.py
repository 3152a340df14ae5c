"""What is asked of a server beside prompts: the key reaches no other address."""

import http.server
import urllib.error

import pytest

from falserefusal.inference.server_facts import get, reported
from loopback import answering


def test_no_redirect_is_followed_with_the_key():
    seen = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with answering(Elsewhere) as other:

        class Redirecting(Elsewhere):
            def do_GET(self):
                self.send_response(307)
                self.send_header("Location", f"http://127.0.0.1:{other.server_port}/v1/models")
                self.end_headers()

        with answering(Redirecting) as server:
            address = f"http://127.0.0.1:{server.server_port}/v1"
            with pytest.raises(urllib.error.HTTPError, match="307"):
                get(f"{address}/models", "secret")
            assert reported(address, "secret", "m") == {}
    assert seen == []
