"""Fetching: from a server on this machine that fails, lies and recovers, and from an imitation of the hub."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest

from entries import entry
from falserefusal.common.files import InputError, made_from
from falserefusal.texts.fetch import fetch, raw_path, record
from loopback import answering

DATA = b"instance_id,user_id,text,politeness\n1,1,Hello,3.0\n"
DIGEST = hashlib.sha256(DATA).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.command, self.path))
        data = self.server.files.get(self.path)
        if len(self.server.requests) <= self.server.failures:
            status, data = 503, b"busy"
        else:
            status, data = (200, data) if data is not None else (404, b"no such file")
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')  # what the hub sends with a file
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(files, failures=0):
    """A server of `files`; the first `failures` requests get a 503."""
    with answering(Handler) as server:
        server.files, server.failures, server.requests = files, failures, []
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def patient(monkeypatch):
    """Retries without the pauses between them."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


def popquorn(server, **more):
    return entry("popquorn", url=f"{server.url}/raw_data.csv", **more)


def test_a_file_is_fetched_once(tmp_path):
    with serving({"/raw_data.csv": DATA}) as server:
        source = popquorn(server)
        path, digest = fetch(source, "politeness", tmp_path)
        assert path == raw_path(source, "politeness", tmp_path) and path.read_bytes() == DATA and digest == DIGEST
        assert fetch(source, "politeness", tmp_path) == (path, digest)
        assert len(server.requests) == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_busy_server_is_asked_again(tmp_path, patient):
    with serving({"/raw_data.csv": DATA}, failures=2) as server:
        path, _ = fetch(popquorn(server, sha256=DIGEST), "politeness", tmp_path)
        assert len(server.requests) == 3
    assert path.read_bytes() == DATA


def test_a_server_that_stays_busy_is_an_error_with_the_way_out(tmp_path, patient):
    with serving({}, failures=100) as server:
        with pytest.raises(InputError, match=r"'politeness': could not download http://127.*path: <file>.*kind: file"):
            fetch(popquorn(server), "politeness", tmp_path)
        assert len(server.requests) == 4
    assert not raw_path(popquorn(server), "politeness", tmp_path).exists()


def test_another_checksum_is_an_error_and_leaves_no_file(tmp_path, patient):
    with serving({"/raw_data.csv": DATA}) as server:
        source = popquorn(server, sha256="0" * 64)
        with pytest.raises(InputError, match=f"does not have the config's sha256 0000.*{DIGEST}"):
            fetch(source, "politeness", tmp_path)
    assert not raw_path(source, "politeness", tmp_path).exists()


def test_the_checksum_of_the_first_download_is_held(tmp_path, patient):
    earlier = tmp_path / "source.json"
    with serving({"/raw_data.csv": DATA}) as server:
        source = popquorn(server)
        path, _ = fetch(source, "politeness", tmp_path, earlier)  # there is no record yet
        earlier.write_text(json.dumps(record(source, "politeness", path)))
        assert fetch(source, "politeness", tmp_path, earlier) == (path, DIGEST)
        path.write_bytes(DATA[:20])
        assert fetch(source, "politeness", tmp_path, earlier) == (path, DIGEST)  # a damaged file is fetched again
        path.unlink()
        server.files["/raw_data.csv"] = other = DATA + b"2,1,Bye,1.0\n"
        digest = hashlib.sha256(other).hexdigest()
        remedy = f"delete {earlier}, or set `sha256` in the task's source"
        with pytest.raises(InputError, match=f"'politeness': http.* first download, {DIGEST} .*{digest}.*{remedy}$"):
            fetch(source, "politeness", tmp_path, earlier)
        assert not path.exists()
        assert (
            fetch({**source, "sha256": digest}, "politeness", tmp_path, earlier)[1] == digest
        )  # the config has priority
        path.unlink()
        server.files["/other.csv"] = DATA
        elsewhere = {**source, "url": f"{server.url}/other.csv"}
        assert fetch(elsewhere, "politeness", tmp_path, earlier)[1] == DIGEST  # of another address, nothing is known
        earlier.unlink()
        assert fetch(source, "politeness", tmp_path, earlier)[1] == digest


def test_a_file_of_the_user_may_change(tmp_path):
    path, earlier = tmp_path / "mine.csv", tmp_path / "source.json"
    source = entry("popquorn", path=str(path))
    path.write_bytes(DATA)
    earlier.write_text(json.dumps(record(source, "politeness", path)))
    path.write_bytes(DATA + DATA)
    assert fetch(source, "politeness", tmp_path, earlier)[0] == path


def test_a_damaged_file_is_fetched_again(tmp_path):
    with serving({"/raw_data.csv": DATA}) as server:
        source = popquorn(server, sha256="SHA256:" + DIGEST.upper())
        path = raw_path(source, "politeness", tmp_path)
        path.parent.mkdir()
        path.write_bytes(DATA[:20])
        assert fetch(source, "politeness", tmp_path)[1] == DIGEST


def test_no_connection_is_an_error_with_the_way_out(tmp_path, patient):
    with serving({}) as server:
        source = popquorn(server)
    with pytest.raises(InputError, match="could not download http://127"):
        fetch(source, "politeness", tmp_path)


def test_offline_nothing_is_asked_but_what_is_there_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with serving({"/raw_data.csv": DATA}) as server:
        source = popquorn(server)
        with pytest.raises(InputError, match=r"could not download http.*HF_HUB_OFFLINE is set"):
            fetch(source, "politeness", tmp_path)
        assert server.requests == []
    path = raw_path(source, "politeness", tmp_path)
    path.parent.mkdir()
    path.write_bytes(DATA)
    assert fetch(source, "politeness", tmp_path) == (path, DIGEST)


def test_a_local_file_stays_where_it_is(tmp_path):
    path = tmp_path / "mine.csv"
    source = entry("popquorn", path=str(path))
    with pytest.raises(InputError, match=r"there is no file .*mine\.csv"):
        fetch(source, "politeness", tmp_path / "resources")
    path.write_bytes(DATA)
    assert fetch(source, "politeness", tmp_path / "resources") == (path, DIGEST)
    with pytest.raises(InputError, match="does not have the config's sha256"):
        fetch({**source, "sha256": "0" * 64}, "politeness", tmp_path)


def test_the_record_says_what_the_file_is(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(DATA)
    found = record(entry("popquorn", url="http://there/raw_data.csv"), "politeness", path)
    assert found == {
        "task": "politeness",
        "kind": "popquorn",
        "origin": "http://there/raw_data.csv",
        "file": "mine.csv",
        "bytes": len(DATA),
        "sha256": DIGEST,
        "sha256_expected": None,
    }


def run(code, folder, **environment):
    """Run `code` in a new process: huggingface_hub reads its environment when it is imported."""
    root = Path(__file__).resolve().parents[3]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(root / "workflow"), "HF_HOME": str(folder / "hf"), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


FETCH_XNLI = f"""
from falserefusal.common.files import InputError
from falserefusal.texts.fetch import fetch
from falserefusal.texts.read import read
source = {entry("xnli", revision="main")!r}
try:
    path, digest = fetch(source, "nli", "resources")
    print(digest, len(read(source, path, "nli")[0]))
except InputError as error:
    print("InputError", error)
"""


def test_xnli_comes_from_the_hub_and_then_from_its_cache(tmp_path):
    pairs = {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"], "label": [0, 1, 2]}
    pd.DataFrame(pairs).to_parquet(tmp_path / "test.parquet")
    data = (tmp_path / "test.parquet").read_bytes()
    address = "/datasets/facebook/xnli/resolve/main/en/test-00000-of-00001.parquet"
    with serving({address: data}) as server:
        online = run(FETCH_XNLI, tmp_path, HF_ENDPOINT=server.url)
        assert online.stdout.split() == [hashlib.sha256(data).hexdigest(), "3"], online.stderr
    [fetched] = (tmp_path / "resources" / "nli").iterdir()
    fetched.unlink()
    offline = run(FETCH_XNLI, tmp_path, HF_ENDPOINT=server.url, HF_HUB_OFFLINE="1")
    assert offline.stdout == online.stdout, offline.stderr

    fetched.unlink()
    origin = "hf://datasets/facebook/xnli@main/en/test-00000-of-00001.parquet"
    (tmp_path / "r.json").write_text(json.dumps({"origin": origin, "sha256": "0" * 64}))
    held = FETCH_XNLI.replace('"resources")', '"resources", "r.json")')
    changed = run(held, tmp_path, HF_ENDPOINT=server.url, HF_HUB_OFFLINE="1")
    assert (
        f"first download, {'0' * 64} (r.json): the file" in changed.stdout
        and online.stdout.split()[0] in changed.stdout
    )
    assert not fetched.exists()


def test_no_hub_is_an_error_with_the_way_out(tmp_path):
    result = run(FETCH_XNLI, tmp_path, HF_HUB_OFFLINE="1")
    assert result.stdout.startswith(
        "InputError task 'nli': could not download hf://datasets/facebook/xnli@main/en/test"
    )
    assert "path: <file>" in result.stdout


SCRIPT = """
import runpy
from types import SimpleNamespace
given = {{name: SimpleNamespace(**values) for name, values in {given!r}.items()}}
runpy.run_path({script!r}, init_globals={{"snakemake": SimpleNamespace(log=["log.txt"], **given)}})
"""


def run_script(name, folder, **given):
    script = Path(__file__).resolve().parents[3] / "workflow" / "scripts" / name
    return run(SCRIPT.format(given=given, script=str(script)), folder, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")


def test_the_scripts_fetch_and_sample(tmp_path):
    rows = "".join(f"{i},7,Message {i},{i % 5 + 1}.0\n" for i in range(40)) + "40,7,,1.0\n"
    data = b"instance_id,user_id,text,politeness\n" + rows.encode()
    with serving({"/raw_data.csv": data}) as server:
        source = popquorn(server)
        raw = str(raw_path(source, "politeness", "resources"))
        task = {"task": "politeness", "source": source}
        fetched = run_script(
            "fetch_texts.py", tmp_path, params={**task, "folder": "resources"}, output={"raw": raw, "record": "r.json"}
        )
        assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / raw).read_bytes() == data
    record = (tmp_path / "r.json").read_text()
    (tmp_path / "resources/politeness/source.json").write_text(record)
    assert json.loads((tmp_path / "r.json").read_text())["sha256"] == hashlib.sha256(data).hexdigest()
    outputs = [{"texts": f"texts{i}.parquet", "problems": f"problems{i}.csv"} for i in (1, 2)]
    for output in outputs:
        given = {
            "params": {**task, "folder": "resources", "rows_per_gold_label": 10, "seed": 3},
            "input": {"raw": raw},
            "output": output,
        }
        written = run_script("texts.py", tmp_path, **given)
        assert written.returncode == 0, written.stderr
    assert "politeness: 40 of 40 usable rows" in (tmp_path / "log.txt").read_text()
    assert len(pd.read_parquet(tmp_path / "texts1.parquet")) == 40
    problems = pd.read_csv(tmp_path / "problems1.csv")
    assert problems["action"].tolist() == ["row dropped"] + ["all taken"] * 5
    for kind in ("texts", "problems"):
        first, second = ((tmp_path / output[kind]).read_bytes() for output in outputs)
        assert first == second
    (name,) = (file := made_from(tmp_path / "texts1.parquet"))
    assert name == raw and file[name]["sha256"] == json.loads(record)["sha256"]
    (tmp_path / raw).write_bytes(data.replace(b"Message 1,", b"Massage 1,"))
    edited = run_script("texts.py", tmp_path, **given)
    assert edited.returncode == 1 and "edited since its download" in (tmp_path / "log.txt").read_text()


def test_a_script_ends_with_one_line_about_a_users_mistake(tmp_path):
    given = {"task": "politeness", "source": entry("popquorn", path="x.csv"), "folder": "resources"}
    result = run_script("fetch_texts.py", tmp_path, params=given, output={"raw": "x.csv", "record": "r.json"})
    assert result.returncode == 1
    log = (tmp_path / "log.txt").read_text()
    assert log.strip().splitlines()[-1].startswith("Error: task 'politeness': there is no file x.csv")
    assert "Traceback" not in log + result.stderr


SECRETS = ("?sig=S3CR%2BET", "?X-Amz-Signature=S3CRET&token=S3CRET", "?file=a.csv&token='S3CRET')/S3CRET?", "#S3CRET")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_signed_url_is_fetched_and_its_signature_is_kept_nowhere(tmp_path, capfd, caplog, secret):
    caplog.set_level("DEBUG", "falserefusal")
    with serving({f"/raw_data.csv{secret}".partition("#")[0]: DATA}) as server:
        source = entry("popquorn", url=f"{server.url}/raw_data.csv{secret}")
        path, digest = fetch(source, "politeness", tmp_path)
    about = record(source, "politeness", path)
    assert digest == DIGEST and about["origin"] == f"{server.url}/raw_data.csv{secret[0]}…"
    printed = capfd.readouterr()
    assert "S3CR" not in f"{path} {json.dumps(about)} {printed.out} {printed.err} {caplog.text}"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("fault", ["absent", "unreachable", "checksum", "offline"])
def test_no_message_shows_the_signature_of_a_url(tmp_path, patient, monkeypatch, capfd, fault, secret):
    with serving({f"/raw_data.csv{secret}".partition("#")[0]: DATA} if fault == "checksum" else {}) as server:
        address = "http://127.0.0.1:9" if fault == "unreachable" else server.url
        source = entry("popquorn", url=f"{address}/raw_data.csv{secret}", sha256="0" * 64)
        if fault == "offline":
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(InputError) as error:
            fetch(source, "politeness", tmp_path)
    printed = capfd.readouterr()
    assert f"{address}/raw_data.csv{secret[0]}…" in str(error.value)
    assert "S3CR" not in f"{error.value} {printed.out} {printed.err}"


def test_another_signature_is_another_file(tmp_path):
    first, second = (entry("popquorn", url=f"http://there/raw.csv?file={name}") for name in "ab")
    assert raw_path(first, "politeness", tmp_path) != raw_path(second, "politeness", tmp_path)
