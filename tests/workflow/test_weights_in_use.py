"""inference.keep_weights: false, on a hub on loopback: one model's weights at a time, and the same responses."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

from loopback_hub import hub_of

MODELS = "model,family,generation,size_b,hub_id,revision,gated,system_prompt\n" + "".join(
    f"{name},Tiny,{name},0.001,org/{hub},,false,{prompt}\n"
    for name, hub, prompt in (("A", "a", ""), ("C", "c", ""), ("B", "b", ""), ("Kind", "a", "Be kind."))
)
CONFIG = """
study: small
materials: {models: own.csv}
models: [A, B, Kind]
checkpoints: {kind: hub}
tasks:
  offensiveness:
    source: {kind: embedded}
    rows_per_gold_label: 2
    options: [offensive, not offensive]
design: {draws_per_row: 1, baseline: false}
inference: {max_new_tokens: 4, shards: {A: 2}, keep_weights: false}
judges: {j: {model: B}}
labellers: [phrase_list]
"""
SAVE = """
import sys
import tiny_checkpoints
for seed, name in enumerate("abc"):
    tiny_checkpoints.save(f"{sys.argv[1]}/{name}", "chatml", seed=seed)
"""
HOME = "resources/weights_in_use/small"


class Study:
    """A checkout whose study asks the models of a hub, and what was seen on disk while it ran."""

    def __init__(self, copy, hub, home):
        self.copy, self.hub, self.home, self.text = copy, hub, home, CONFIG
        self.env = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}

    def change(self, old, new):
        """Edit the config."""
        assert old in self.text
        self.text = self.text.replace(old, new)

    def arguments(self):
        """Write the config; the arguments that make all verdicts."""
        self.copy.path("own.csv").write_text(MODELS)
        self.copy.path("own.yaml").write_text(self.text)
        models = self.text.partition("models: [")[2].partition("]")[0].split(", ")
        return [
            *(f"results/small/verdicts/{model}.parquet" for model in models),
            "--configfile",
            "own.yaml",
            "--quiet",
            "host",
        ]

    def run(self):
        """Run to the end; the output, and the largest number of folders of weights that there were at a time."""
        arguments, seen, done = self.arguments(), [0], threading.Event()
        watcher = threading.Thread(target=self._watch, args=(seen, done))
        watcher.start()
        try:
            output = self.copy.run(*arguments, **self.env)
        finally:
            done.set()
            watcher.join()
        return output, max(seen)

    def kill_at(self, words):
        """Run, and kill every process once the output has `words`."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *self.arguments()]
        env = {**os.environ, **self.env, "PYTHONPATH": ""}
        log = self.copy.path("killed.txt")
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=self.copy.folder, env=env, stdout=output, stderr=output, start_new_session=True
            )
            while words not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.copy.run("--unlock", "--configfile", "own.yaml")

    def _watch(self, seen, done):
        while not done.wait(0.02):
            seen.append(len(self.folders()))

    def folders(self):
        """The folders of weights on disk."""
        return sorted(folder.name for folder in self.copy.path(HOME).glob("*/*"))

    def responses(self):
        """Every response of a model and of the judge."""
        folder = self.copy.path("results/small")
        paths = sorted([*folder.glob("responses/*.parquet"), *folder.glob("judges/j/*.parquet")])
        return {str(path.relative_to(folder)): pd.read_parquet(path) for path in paths}

    def weights(self):
        """The models whose weights were downloaded, in order, and forget them."""
        found = [repo for repo, _, name in self.hub.downloads if name == "model.safetensors"]
        self.hub.downloads.clear()
        return found


@pytest.fixture(scope="module")
def study(checkout, root, tmp_path_factory):
    home = tmp_path_factory.mktemp("hub")
    env = {**os.environ, "PYTHONPATH": f"{root}/tests/support"}
    subprocess.run([sys.executable, "-c", SAVE, str(home)], env=env, check=True)
    with hub_of({f"org/{name}": home / name for name in "abc"}) as hub:
        yield Study(checkout(), hub, tmp_path_factory.mktemp("hf"))


@pytest.mark.slow
@pytest.mark.timeout(3600)  # five runs of a workflow
def test_the_disk_holds_the_weights_of_one_model_at_a_time(study):
    output, most = study.run()
    assert most == 1 and study.folders() == [] and not list(study.home.rglob("*.safetensors"))
    assert study.weights() == ["org/a", "org/b", "org/b"], "models, then the judge"
    assert output.count("Removing temporary output") == 3

    assert "Nothing to be done" in study.run()[0] and study.weights() == []
    study.change("[phrase_list]", "[phrase_list, structured]")
    output, most = study.run()
    assert most == 0 and study.weights() == [] and "Ask " not in output and "Judge " not in output

    study.change("[A, B, Kind]", "[A, C, B, Kind]")
    study.kill_at("Ask C")
    assert study.folders() == ["C"]
    assert study.weights() == ["org/a", "org/c"], "the design is drawn again, which runs the job of A again"
    output, most = study.run()
    assert most == 1 and study.folders() == []
    assert "Ask C" in output and "Ask A" not in output and "Ask B" not in output
    assert study.weights() == ["org/b"], "those of C were there; the judge judges C"

    deleted = study.responses()
    assert len(deleted) == 8
    for folder in ("results", "resources"):
        shutil.rmtree(study.copy.path(folder))
    study.change("keep_weights: false", "keep_weights: true")
    _, most = study.run()
    assert most == 0 and sorted(study.weights()) == ["org/a", "org/b", "org/c"]
    kept = study.responses()
    assert list(kept) == list(deleted)
    for name, frame in kept.items():
        pd.testing.assert_frame_equal(frame, deleted[name])
