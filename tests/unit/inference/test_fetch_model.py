"""Fetching weights: what is recorded, and that a study's commit stays when the hub's newest moves on."""

import json
import os
import subprocess
import sys

import pytest

import tiny_checkpoints
from loopback_hub import hub_of

RUN = """
import runpy, sys
from types import SimpleNamespace
model, record, log, folder = sys.argv[1:]
files = {"input": {"folder": folder}, "output": SimpleNamespace(record=record), "log": [log]}
class Params(dict):
    __getattr__ = dict.__getitem__
job = SimpleNamespace(params=Params(model=eval(model)), **files)
runpy.run_path("workflow/scripts/fetch_model.py", init_globals={"snakemake": job})
"""


def fetch(root, tmp_path, model, cache=None, folder=""):
    """Run the script as Snakemake does, without a network; the record, or the log where there is none."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(root / "workflow"), "HF_HUB_CACHE": str(cache)}
    record, log = tmp_path / "record.json", tmp_path / "log.txt"
    command = [sys.executable, "-c", RUN, repr(model), str(record), str(log), str(folder)]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    return json.loads(record.read_text()) if done.returncode == 0 else log.read_text()


def cached(tmp_path, commits, newest):
    """A hub cache with a model in several commits."""
    folder = tmp_path / "hub/models--org--tiny"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(newest)
    for commit in commits:
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for file in tiny_checkpoints.save(tmp_path / commit, seed=1).iterdir():
            (snapshot / file.name).write_bytes(file.read_bytes())
    return tmp_path / "hub"


def test_the_commit_once_recorded_stays(root, tmp_path):
    first, second = "a" * 40, "b" * 40
    cache = cached(tmp_path, [first, second], newest=first)
    model = {"model": "tiny", "hub_id": "org/tiny"}
    record = fetch(root, tmp_path, model, cache)
    assert record["revision"] == first and record["asked"] == model
    assert record["files"]["model.safetensors"] > 1000 and "config.json" in record["files"]
    (cache / "models--org--tiny/refs/main").write_text(second)
    assert fetch(root, tmp_path, model, cache)["revision"] == first
    model["system_prompt"] = "Be kind."
    assert fetch(root, tmp_path, model, cache)["revision"] == first, "another prompt is not another checkpoint"
    assert fetch(root, tmp_path, model | {"revision": second}, cache)["revision"] == second


def test_a_local_folder_is_known_by_its_content(root, tmp_path):
    folder = tiny_checkpoints.save(tmp_path / "here", seed=1)
    model = {"model": "tiny", "hub_id": str(folder)}
    first = fetch(root, tmp_path, model)
    assert first["revision"].startswith("sha256:")
    tiny_checkpoints.save(folder, seed=2)
    assert fetch(root, tmp_path, model)["revision"] != first["revision"]


def test_what_cannot_be_fetched_says_where_to_fetch_it(root, tmp_path):
    output = fetch(root, tmp_path, {"model": "tiny", "hub_id": "org/tiny"}, tmp_path / "empty")
    assert "model tiny (org/tiny): not in the hub's cache" in output


RUN_WEIGHTS = """
import runpy, sys
from types import SimpleNamespace
model, record, log, folder = sys.argv[1:]
params = SimpleNamespace(source=eval(model), record=record)
job = SimpleNamespace(params=params, output=SimpleNamespace(folder=folder), log=[log])
runpy.run_path("workflow/scripts/fetch_weights.py", init_globals={"snakemake": job})
"""


@pytest.mark.parametrize("interrupted", [False, True])
def test_weights_for_one_use_are_of_the_recorded_commit_and_in_a_folder_of_their_own(root, tmp_path, interrupted):
    folder, record = tmp_path / "in use/models/tiny", tmp_path / "record.json"
    folder.parent.mkdir(parents=True)
    if interrupted:  # the part that an earlier attempt downloaded
        (tmp_path / "in use/models/tiny.partial/models--org--tiny/blobs").mkdir(parents=True)
    model = {"model": "tiny", "hub_id": "org/tiny"}
    record.write_text(json.dumps({"asked": model, "revision": "c" * 40}))
    with hub_of({"org/tiny": tiny_checkpoints.save(tmp_path / "saved", seed=1)}) as hub:
        env = {**os.environ, "PYTHONPATH": str(root / "workflow"), "HF_HOME": str(tmp_path / "home")}
        env |= {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", RUN_WEIGHTS, repr(model), str(record), str(tmp_path / "log.txt"), str(folder)]
        subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)
        assert {commit for _, commit, _ in hub.downloads} == {"c" * 40}
    record.unlink()  # as of another row of the same checkpoint
    assert fetch(root, tmp_path, model, folder=folder)["revision"] == "c" * 40
    (weights,) = folder.glob("models--org--tiny/snapshots/*/model.safetensors")
    assert weights.stat().st_size == (tmp_path / "saved/model.safetensors").stat().st_size
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert not list((tmp_path / "home").rglob("*.safetensors"))
