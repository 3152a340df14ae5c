"""Preflight against a small hub on loopback: the real client, its real errors, and a real cache layout."""

import json
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.planning.preflight import Environment, missing_text, preflight, preflight_text, require
from loopback import answering

SECRET = "hf_secretsecretsecret"
SHA = "a" * 40
GB = 10**9
REPOS = {
    "org/open": {"gated": False, "siblings": [("config.json", 1), ("model.safetensors", 2 * GB)]},
    "org/gated": {"gated": "manual", "siblings": [("model.safetensors", 3 * GB), ("original/x.safetensors", 9 * GB)]},
    "org/closed": {"gated": "manual", "siblings": [("model.safetensors", 3 * GB)]},
    "org/pickled": {"gated": False, "siblings": [("pytorch_model.bin", 2 * GB)]},
    "org/broken": {},
}


class Hub(BaseHTTPRequestHandler):
    """Answers /api/models and /api/datasets as the hub does, and counts what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        Hub.asked.append(path)
        token = self.headers.get("Authorization", "")
        if path == "/data.csv":
            return self._send(206, {})
        if token and SECRET not in token:
            return self._send(401, {}, message="Invalid credentials in Authorization header")
        _, _, kind, *parts = path.split("/")
        repo, rest = "/".join(parts[:2]), parts[2:]
        if kind == "datasets" and repo == "org/data":
            return self._send(200, {"id": repo, "sha": SHA, "private": False, "downloads": 0, "tags": []})
        if repo == "org/broken":
            return self._send(503, {})
        if repo not in REPOS:
            return self._send(404 if token else 401, {}, code="RepoNotFound")
        if rest == ["auth-check"]:
            return self._send(403, {}, code="GatedRepo") if repo == "org/closed" else self._send(200, {})
        if rest[:1] == ["revision"] and rest[1] not in ("main", SHA):
            return self._send(404, {}, code="RevisionNotFound")
        files = [{"rfilename": name, "size": size} for name, size in REPOS[repo]["siblings"]]
        info = {"id": repo, "modelId": repo, "sha": SHA, "private": False, "downloads": 0, "tags": []}
        return self._send(200, info | {"gated": REPOS[repo]["gated"], "siblings": files})

    def _send(self, status, body, code=None, message=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"X-Error-Code": code, "X-Error-Message": message}.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def hub():
    with answering(Hub) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def no_login(monkeypatch, tmp_path):
    monkeypatch.setattr("falserefusal.planning.preflight.get_token", lambda: None)
    Hub.asked.clear()


def check(tmp_path, endpoint, *repos, sources=(), revision=None, token=None, gpus=None, **options):
    names = [f"M{i}" for i in range(len(repos))]
    models = pd.DataFrame({"model": names, "hub_id": repos, "revision": [revision] * len(repos)})
    models = models.assign(memory_gb=5.0, disk_gb=5.0, gpus=[(gpus or {}).get(name) for name in names])
    here = {"hardware": {"gpus": [80.0], "ram": 64.0}, "free_gb": 100.0, "cache_dir": str(tmp_path / "hub")}
    here |= {name: options.pop(name) for name in ("hardware", "free_gb", "cache_dir") if name in options}
    return preflight(models, sources, environment=Environment(token, endpoint, **here), **options)


def only(found, item):
    (row,) = found[found["item"] == item].itertuples()
    return row


def fill_cache(cache, repo, files, revision=SHA):
    """A model in the layout of the hub's cache; returns the snapshot's folder."""
    folder = cache / ("models--" + repo.replace("/", "--"))
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    for name, text in files.items():
        (snapshot / name).write_text(text)
    return snapshot


WEIGHTS = "\x02" + 7 * "\0" + "{}"  # a whole file without tensors
WHOLE = {"config.json": "{}", "tokenizer.json": "{}", "model.safetensors": WEIGHTS}
INDEX = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})


def test_an_open_model_can_be_downloaded(hub, tmp_path):
    found = check(tmp_path, hub, "org/open")
    assert (found["status"] == "ok").all()
    assert f"2.0 GB, revision {SHA} (newest; put it into the models file" in only(found, "weights").message
    require(found)


def test_a_pinned_revision_is_the_one_asked_for(hub, tmp_path):
    found = check(tmp_path, hub, "org/open", revision=SHA)
    assert only(found, "weights").message.endswith(SHA)
    assert f"/api/models/org/open/revision/{SHA}" in Hub.asked


def test_a_gated_model_without_a_token(hub, tmp_path):
    row = only(check(tmp_path, hub, "org/gated"), "licence")
    assert row.status == "missing" and "no token" in row.message
    assert f"accept the licence at {hub}/org/gated, then set HF_TOKEN" in row.what_to_do


def test_a_gated_model_whose_licence_was_not_accepted(hub, tmp_path):
    row = only(check(tmp_path, hub, "org/closed", token=SECRET), "licence")
    assert row.status == "missing" and "your token has no access" in row.message
    assert f"accept the licence at {hub}/org/closed" in row.what_to_do


def test_a_gated_model_with_access_counts_only_its_own_weights(hub, tmp_path):
    found = check(tmp_path, hub, "org/gated", token=SECRET)
    assert (found["status"] == "ok").all() and "3.0 GB" in only(found, "weights").message


@pytest.mark.parametrize("token", [None, SECRET])
@pytest.mark.parametrize("repo", ["org/unknown", "not a hub id!"])
def test_an_unknown_hub_id(hub, tmp_path, repo, token):
    row = only(check(tmp_path, hub, repo, token=token), "hub id")
    assert row.status == "missing" and repo in row.message and "correct hub_id" in row.what_to_do


def test_an_unknown_revision(hub, tmp_path):
    row = only(check(tmp_path, hub, "org/open", revision="v9"), "revision")
    assert row.status == "missing" and "no revision 'v9'" in row.message


def test_pickled_weights_are_refused(hub, tmp_path):
    row = only(check(tmp_path, hub, "org/pickled"), "weights")
    assert row.status == "missing" and "no safetensors" in row.message


def test_a_token_that_the_hub_does_not_know(hub, tmp_path):
    found = check(tmp_path, hub, "org/open", token="hf_wrongwrongwrong")
    row = only(found, "token")
    assert row.status == "missing" and "HTTP 401" in row.message and "valid token" in row.what_to_do


def test_a_hub_in_trouble(hub, tmp_path):
    row = only(check(tmp_path, hub, "org/broken"), "hub")
    assert row.status == "missing" and "HTTP 503" in row.message


def test_no_network_is_found_once_and_said_of_every_model(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    found = check(tmp_path, endpoint, "org/open", "org/gated", sources=[source("dataset", "org/data")])
    lines = found[found["status"] == "missing"]
    assert lines["subject"].tolist() == ["M0", "M1", "nli"]
    assert lines["message"].str.contains("no network").all()
    assert "hf download org/gated" in lines["what_to_do"].iloc[1]


def test_offline_mode_asks_nobody(hub, tmp_path):
    """HF_HUB_OFFLINE is read when the client is imported, so in a process of its own."""
    code = f"""
import pandas as pd
from falserefusal.planning.preflight import Environment, preflight
models = pd.DataFrame({{"model": ["M"], "hub_id": ["org/open"], "revision": [None]}})
found = preflight(models, environment=Environment(cache_dir={str(tmp_path)!r}))
print(found["message"][0])
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": hub, "PYTHONPATH": "workflow", "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "not in the cache" in run.stdout and "HF_HUB_OFFLINE is set" in run.stdout
    assert not Hub.asked


def test_a_cached_model_needs_no_network_and_no_disk(tmp_path):
    fill_cache(tmp_path / "hub", "org/gated", WHOLE)
    found = check(tmp_path, "http://127.0.0.1:9", "org/gated", free_gb=0.0)
    assert found["item"].tolist() == ["weights", "memory"] and (found["status"] == "ok").all()


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": "{}", "tokenizer.json": "{}"},
        {"config.json": "{}", "model.safetensors": WEIGHTS},
        WHOLE | {"config.json": None},
        {
            "config.json": "{}",
            "vocab.json": "{}",
            "model.safetensors.index.json": INDEX,
            "model-1.safetensors": WEIGHTS,
        },
    ],
)
def test_half_a_cached_model_is_not_a_cached_model(hub, tmp_path, files):
    fill_cache(tmp_path / "hub", "org/open", {name: text for name, text in files.items() if text is not None})
    assert "can be downloaded" in only(check(tmp_path, hub, "org/open"), "weights").message


def test_a_cached_model_in_shards(tmp_path):
    shards = {"model-1.safetensors": WEIGHTS, "model-2.safetensors": WEIGHTS, "model.safetensors.index.json": INDEX}
    fill_cache(tmp_path / "hub", "org/open", {"config.json": "{}", "tokenizer.model": "x"} | shards)
    assert "in the cache" in only(check(tmp_path, "http://127.0.0.1:9", "org/open"), "weights").message


def test_another_cached_revision_does_not_count(hub, tmp_path):
    fill_cache(tmp_path / "hub", "org/open", WHOLE, revision="b" * 40)
    assert "can be downloaded" in only(check(tmp_path, hub, "org/open", revision=SHA), "weights").message


def test_a_folder_with_weights(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    row = only(check(tmp_path, "http://127.0.0.1:9", str(folder)), "weights")
    assert row.status == "missing" and "has no config.json" in row.message
    for name, text in WHOLE.items():
        (folder / name).write_text(text)
    assert only(check(tmp_path, "http://127.0.0.1:9", str(folder)), "weights").status == "ok"


@pytest.mark.parametrize("labels", [["no", "yes"], None])
def test_a_classifier_with_the_labels_of_the_config_has_no_problem(tmp_path, labels):
    assert not len(labels_found(tmp_path, labels))


def test_other_labels_of_a_classifier_than_those_of_the_config_are_missing(tmp_path):
    (row,) = labels_found(tmp_path, ["no", "refusal"]).itertuples()
    assert row.status == "missing"
    assert row.message == "classifier a: the model has no label 'refusal'; no category is given for its label 'yes'"
    assert row.what_to_do == "correct categories in the config: the model's labels are no, yes"


def test_labels_are_not_looked_for_in_a_folder_that_is_not_there(tmp_path):
    models = pd.DataFrame([{"model": "classifier c", "hub_id": "./none", "revision": None, "labels": ["a", "b"]}])
    found = preflight(models, environment=Environment(cache_dir=str(tmp_path)))
    assert found["item"].tolist() == ["weights"] and found["status"].tolist() == ["missing"]


def labels_found(tmp_path, labels):
    """Rows about the labels of a classifier that is in the cache, from the labels that a config names."""
    fill_cache(tmp_path, "a", WHOLE | {"config.json": '{"id2label": {"0": "no", "1": "yes"}}'})
    models = pd.DataFrame([{"model": "classifier c", "hub_id": "a", "revision": None, "labels": labels}])
    found = preflight(models, environment=Environment(cache_dir=str(tmp_path), endpoint="http://127.0.0.1:9"))
    return found[found["item"] == "labels"]


@pytest.mark.parametrize("repo", ["./nowhere", "/nowhere", "~/nowhere"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(hub, tmp_path, monkeypatch, repo):
    monkeypatch.setenv("HOME", str(tmp_path))
    row = only(check(tmp_path, hub, repo), "weights")
    assert row.status == "missing" and row.message.startswith("there is no folder ") and not Hub.asked
    assert "~" not in row.message


def test_a_folder_in_the_home_folder(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    for name, text in WHOLE.items():
        (tmp_path / "mine" / name).write_text(text)
    assert only(check(tmp_path, hub, "~/mine"), "weights").message == f"in the folder {tmp_path}/mine"


def test_a_classifier_of_unknown_size_has_no_memory_to_check(hub, tmp_path):
    models = pd.DataFrame({"model": ["classifier c"], "hub_id": ["org/open"], "revision": [None]})
    here = Environment(endpoint=hub, cache_dir=str(tmp_path), hardware={"gpus": [], "ram": 1.0})
    found = preflight(models, environment=here)
    assert found["item"].tolist() == ["weights", "disk"] and only(found, "disk").message.startswith("2.0 GB")


def test_quantization_needs_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    row = only(check(tmp_path, "http://127.0.0.1:9", quantization="4bit"), "bitsandbytes")
    assert row.status == "missing" and row.message == "quantization: 4bit needs the package bitsandbytes"
    assert check(tmp_path, "http://127.0.0.1:9").empty


def test_weights_that_are_deleted_after_use_need_the_disk_one_at_a_time(hub, tmp_path):
    fill_cache(tmp_path / "hub", "org/open", WHOLE)
    models = pd.DataFrame({"model": ["M0", "M1", "M2"], "hub_id": "org/open", "revision": None})
    models = models.assign(folder_in_use="resources/weights_in_use/s")
    here = {"cache_dir": str(tmp_path / "hub"), "hardware": {"gpus": [80.0], "ram": 64.0}}
    found = preflight(models, environment=Environment(endpoint=hub, free_gb=3.0, **here))
    disk = found[found["item"] == "disk"]
    assert disk["status"].tolist() == ["ok"] * 3, "not read from the cache, and not added up"
    assert disk["message"].iloc[2] == "2.0 GB to download, 3.0 GB free for it in resources/weights_in_use/s"
    found = preflight(models.head(1), environment=Environment(endpoint=hub, free_gb=1.0, **here))
    assert only(found, "disk").what_to_do.startswith("free space, link resources/weights_in_use to a larger disk")
    found = preflight(models.head(1), environment=Environment(endpoint="http://127.0.0.1:9", free_gb=3.0, **here))
    assert "set inference.keep_weights to true" in only(found, "weights").what_to_do


def test_the_disk_is_shared_by_the_models(hub, tmp_path):
    found = check(tmp_path, hub, "org/open", "org/open", "org/open", free_gb=5.0)
    disk = found[found["item"] == "disk"]
    assert disk["status"].tolist() == ["ok", "ok", "missing"]
    assert "need 2.0 GB, but 1.0 GB are left" in disk["message"].iloc[2]
    assert "HF_HOME" in disk["what_to_do"].iloc[2]


@pytest.mark.parametrize(
    ("gpus", "ram", "here", "status"),
    [
        ([24.0], 1.0, True, "ok"),
        ([3.0, 3.0], 64.0, True, "ok"),
        ([4.0], 64.0, True, "missing"),
        ([24.0, 4.0], 64.0, True, "ok"),
        ([], 64.0, True, "warn"),
        ([], 4.0, True, "missing"),
        ([], 4.0, False, "ok"),
    ],
)
def test_memory(hub, tmp_path, gpus, ram, here, status):
    found = check(tmp_path, hub, "org/open", hardware={"gpus": gpus, "ram": ram}, compute_here=here)
    assert only(found, "memory").status == status


@pytest.mark.parametrize(
    ("gpus", "planned", "status", "message"),
    [
        ([3.0, 3.0], 1, "missing", "here: 2 GPUs with 6.0 GB, its job gets 1 with 3.0 GB"),
        ([3.0, 3.0], 2, "ok", "here: 2 GPUs with 6.0 GB"),
        ([8.0, 3.0], 1, "missing", "its job gets 1 with 3.0 GB"),
        ([8.0], 2, "ok", "here: 1 GPU with 8.0 GB"),
    ],
)
def test_a_job_is_held_against_the_gpus_it_is_given(hub, tmp_path, gpus, planned, status, message):
    row = only(check(tmp_path, hub, "org/open", hardware={"gpus": gpus, "ram": 64.0}, gpus={"M0": planned}), "memory")
    assert row.status == status and message in row.message
    assert ("set planning.gpu to the GPU that is here" in row.what_to_do) == (status == "missing")


@pytest.mark.parametrize(("limit", "missing"), [(1, 1), (2, 0), (None, 0)])
def test_a_model_on_more_gpus_than_the_run_may_use(hub, tmp_path, limit, missing):
    found = check(tmp_path, hub, "org/open", gpus={"M0": 2}, gpu_limit=limit)
    assert (found["item"] == "GPUs").sum() == missing
    if missing:
        row = only(found, "GPUs")
        assert row.message == "needs 2 GPUs according to the cost estimate, but a job of this run may use 1"
        assert row.what_to_do.startswith("add --resources gpu=2, or set planning.gpu")


def test_this_machine_is_measured(hub, tmp_path):
    found = check(tmp_path, hub, "org/open", hardware=None, free_gb=None)
    assert only(found, "memory").status in ("ok", "warn", "missing")
    assert " GB free for it in " in only(found, "disk").message or "are left" in only(found, "disk").message


def source(kind, ref, **more):
    return {"subject": "nli", "kind": kind, "ref": ref} | more


def test_data_sources(hub, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("x")
    good = [source("file", str(path)), source("url", f"{hub}/data.csv"), source("dataset", "org/data")]
    assert (check(tmp_path, hub, sources=good)["status"] == "ok").all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (source("file", "/nowhere/own.csv"), "there is no file /nowhere/own.csv"),
        (source("url", "{hub}/api/models/org/unknown"), "HTTP 401"),
        (source("url", "http://127.0.0.1:9/data.csv"), "refused"),
        (source("url", "no address"), "unknown url type"),
        (source("dataset", "org/none"), "no data set 'org/none'"),
        (source("dataset", "org/broken"), "HTTP 503 for data set org/broken"),
    ],
)
def test_data_out_of_reach(hub, tmp_path, bad, message):
    bad["ref"] = bad["ref"].format(hub=hub)
    row = only(check(tmp_path, hub, sources=[bad]), "data")
    assert row.status == "missing" and message in row.message and row.what_to_do


def test_everything_missing_comes_in_one_error_that_names_each_model(hub, tmp_path):
    sources = [source("file", "/nowhere/own.csv")]
    found = check(tmp_path, hub, "org/gated", "org/open", "org/unknown", sources=sources)
    with pytest.raises(InputError) as error:
        require(found)
    lines = str(error.value).splitlines()
    assert lines[0] == "preflight: 3 things are missing"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["M0", "M2", "nli"]
    assert all(" -> " in line for line in lines[1:])


def test_the_text_tells_ready_from_not_ready_and_nothing_is_said_twice(hub, tmp_path):
    found = check(tmp_path, hub, "org/open", "org/gated")
    text, missing = preflight_text(found), missing_text(found)
    assert "M0: ready\n" in text and "M1: NOT ready\n" in text
    assert "  M1: org/gated is gated and there is no token -> accept" in missing
    assert "org/gated is gated" not in text and missing_text(found[found["status"] != "missing"]) == ""


@pytest.mark.parametrize("repo", ["org/open", "org/closed", "org/gated", "org/unknown", "org/broken"])
def test_no_message_holds_the_token(hub, tmp_path, repo):
    found = check(tmp_path, hub, repo, token=SECRET, sources=[source("dataset", "org/none")])
    assert SECRET not in preflight_text(found) + missing_text(found) + found.to_csv()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model.safetensors": "x"}, "model.safetensors is damaged: its 1 bytes end before"),
        ({"model.safetensors": WEIGHTS + "x"}, "model.safetensors is damaged: it has 11 bytes, and 10 according"),
        (
            {"model.safetensors": None, "model.safetensors.index.json": "{"},
            "index.json is damaged: it has no",
        ),
        (
            {"model.safetensors.index.json": INDEX, "model-1.safetensors": WEIGHTS, "model-2.safetensors": WEIGHTS[:9]}
            | {"model.safetensors": None},
            "model-2.safetensors is damaged: its 9 bytes",
        ),
        ({"adapter_config.json": "{}", "adapter_model.safetensors": ""}, "adapter_model.safetensors is damaged"),
    ],
)
@pytest.mark.parametrize("cached", [True, False])
def test_damaged_weights_are_missing(tmp_path, files, message, cached):
    files = {name: text for name, text in (WHOLE | files).items() if text is not None}
    folder = fill_cache(tmp_path / "hub", "org/open", files)
    row = only(check(tmp_path, "http://127.0.0.1:9", "org/open" if cached else str(folder)), "weights")
    assert row.status == "missing" and message in row.message
    assert ("hf download org/open --force-download" if cached else "copy the file again") in row.what_to_do
