"""SIGTERM ends an inference job soon, and the responses that were finished stay stored."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import tiny_checkpoints
from falserefusal.inference.store import Store
from loopback import answering

SUPPORT, WORKFLOW = Path(__file__).parents[2] / "support", Path(__file__).parents[3] / "workflow"
ANSWERED = 13  # of 60 prompts in alphabetic order: 0, 1, 10 to 19, 2; 20 and the next three are waited for
PATIENCE = 120  # seconds, on a busy machine; a request of the server here never ends
JOB = """
import sys
from falserefusal.common.logs import log_to
with log_to(sys.argv[3]):
    import pandas as pd
    from falserefusal.inference import respond
    from job_settings import decoding_with, served, settings
    kind, place = sys.argv[1].split("=", 1)
    model = settings(path=place, batch_tokens=64) if kind == "path" else served(place, "m", concurrency=4)
    messages = [[{"role": "user", "content": f"{n}"}] for n in range(int(sys.argv[4]))]
    frame = pd.DataFrame({"prompt_id": [f"p{n}" for n in range(len(messages))], "messages": messages})
    respond(model, decoding_with(max_new_tokens=8), frame, sys.argv[2])
"""


def job(place: str, folder: Path, prompts: int) -> subprocess.Popen:
    path = f"{WORKFLOW}{os.pathsep}{SUPPORT}"
    command = [sys.executable, "-c", JOB, place, str(folder / "store"), str(folder / "x.log"), str(prompts)]
    env = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def stored(folder: Path) -> int:
    found = [Store(path).read() for path in (folder / "store").glob("*")]
    return sum(map(len, found))


def ended(process: subprocess.Popen, enough) -> None:
    """Send SIGTERM once `enough()` is true, and wait for the end."""
    try:
        while not enough() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()


class HalfDeaf(http.server.BaseHTTPRequestHandler):
    """Answers prompts below 20, and no other before the test ends."""

    def do_GET(self):
        self.send_error(404)

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        if int(text) >= 20:
            self.server.waiting.append(text)
            self.server.over.wait()
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_a_job_at_a_server_ends_although_requests_never_do(tmp_path):
    with answering(HalfDeaf) as server:
        server.waiting, server.over = [], threading.Event()
        process = job(f"url=http://127.0.0.1:{server.server_port}/v1", tmp_path, 60)
        ended(process, lambda: len(server.waiting) == 4)
        server.over.set()
    said = (tmp_path / "x.log").read_text()
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "Stopped: the job was told to end" in said and "Traceback" not in said
    assert stored(tmp_path) == ANSWERED


def test_replies_are_stored_soon_although_the_next_one_never_comes(tmp_path):
    """Also for a kill that no process can answer."""
    with answering(HalfDeaf) as server:
        server.waiting, server.over = [], threading.Event()
        process = job(f"url=http://127.0.0.1:{server.server_port}/v1", tmp_path, 60)
        end = time.monotonic() + PATIENCE
        try:
            while stored(tmp_path) < ANSWERED and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            process.kill()
            process.communicate()
            server.over.set()
    assert stored(tmp_path) == ANSWERED


def test_a_job_on_this_machine_ends_and_keeps_what_was_finished(tmp_path):
    tiny_checkpoints.save(tmp_path / "model")
    process = job(f"path={tmp_path / 'model'}", tmp_path, 3000)
    ended(process, lambda: stored(tmp_path) > 10)
    assert process.returncode == -signal.SIGTERM
    assert 10 < stored(tmp_path) < 3000
