"""An edited file re-runs what was made from it, whatever its time stamp says; a copied checkout asks nothing."""

import json
import os
import shutil
import subprocess
import sys

import pytest

CONFIG = """
study: small
materials: {models: own.csv}
models: [Here]
personas: [black, man]
checkpoints: {kind: hub}
tasks:
  offensiveness:
    source: {kind: file, path: texts.csv, columns: {id: id, text: text, gold_label: gold_label}}
    rows_per_gold_label: 2
    options: [offensive, not offensive]
design: {draws_per_row: 2, baseline: false}
inference: {max_new_tokens: 2, unrecognised: go_on}
planning: {compute_here: false}
"""
ROW = "model,family,generation,size_b,hub_id,revision,gated\nHere,Tiny,Tiny1,0.001,./weights,,false\n"
SAVE = "import sys, tiny_checkpoints; tiny_checkpoints.save('weights', 'chatml', seed=int(sys.argv[1]))"
VERDICTS = ("results/small/verdicts/Here.parquet", "--configfile", "own.yaml")


class Copy:
    """A checkout with a study of one small model, run as far as its verdicts."""

    def __init__(self, checkout, root):
        self.workflow, self.root = checkout, root
        self.path = checkout.path
        self.save(1)
        self.path("own.yaml").write_text(CONFIG)
        self.path("own.csv").write_text(ROW)
        shutil.copy(self.path("config/corpus/offensiveness.csv"), self.path("texts.csv"))
        checkout.run(*VERDICTS)

    def save(self, seed):
        env = {**os.environ, "PYTHONPATH": f"{self.root}/tests/support"}
        subprocess.run([sys.executable, "-c", SAVE, str(seed)], cwd=self.workflow.folder, env=env, check=True)

    def jobs(self):
        return set(self.workflow.dry_run(*VERDICTS)) - {"ready"}

    def record(self):
        return json.loads(self.path("results/small/responses/Here.provenance.json").read_text())


@pytest.fixture(scope="module")
def copy(checkout, root):
    return Copy(checkout(), root)


def test_without_an_edit_nothing_runs(copy):
    assert not copy.jobs()


@pytest.mark.parametrize(
    ("file", "old", "new", "first"),
    [
        ("workflow/falserefusal/labelling/languages/en/refusal_phrases.txt", "i'm sorry", "i'm sorri", "verdicts"),
        ("workflow/falserefusal/labelling/languages/en/patterns.yaml", "\n#", "\n##", "verdicts"),
        ("config/personas.csv", "A man,man", "A man,mam", "prompts"),
        ("config/templates.csv", "would a {persona}", "would one {persona}", "design"),
        ("texts.csv", "you", "yuu", "texts"),
        ("workflow/falserefusal/labelling/cues.py", '"""', '""" ', "responses"),
        ("weights/tokenizer_config.json", "{", "{ ", "fetch_model"),
        ("weights/chat_template.jinja", "helpful", "helpfil", "fetch_model"),
    ],
)
def test_an_edit_with_an_old_time_stamp_is_found(copy, file, old, new, first):
    path = copy.path(file)
    kept, before = path.read_text(), path.stat()
    assert old in kept
    path.write_text(kept.replace(old, new))
    os.utime(path, (0, 0))
    try:
        jobs = copy.jobs()
    finally:
        path.write_text(kept)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    order = ["texts", "design", "prompts", "fetch_model", "responses", "verdicts"]
    assert {first, "verdicts"} <= jobs
    assert not jobs & set(order[: order.index(first)])
    assert not copy.jobs(), "the edit was undone"


def test_an_adapter_next_to_the_weights_is_found(copy):
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        copy.path(f"weights/{name}").write_text("{}")
    try:
        assert "fetch_model" in copy.jobs()
    finally:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            copy.path(f"weights/{name}").unlink()


def test_replaced_weights_are_asked_again_and_a_copy_of_the_checkout_is_not(copy, tmp_path):
    first, path = copy.record(), copy.path("weights/model.safetensors")
    assert first["folder"] == "weights" and str(copy.workflow.folder) not in json.dumps(first)
    before = path.stat()
    copy.save(2)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    log = copy.workflow.run(*VERDICTS)
    second = copy.record()
    assert second["responses"]["generated"] == second["responses"]["distinct"] == first["responses"]["distinct"]
    assert second["revision"] != first["revision"] and "revision changed since the last run" in log
    shutil.copytree(copy.workflow.folder, tmp_path / "copy", copy_function=shutil.copyfile)  # all time stamps are new
    other = type(copy.workflow)(tmp_path / "copy")
    other.run(*VERDICTS)
    record = json.loads(other.path("results/small/responses/Here.provenance.json").read_text())
    assert record["responses"] == second["responses"] | {"generated": 0, "reused": second["responses"]["distinct"]}
    assert record["revision"] == second["revision"]
