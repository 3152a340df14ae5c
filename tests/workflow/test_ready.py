"""The check before inference: a missing model stops the run, or with --keep-going only its own jobs."""

import os
import subprocess
import sys

import pytest

HEADER = "model,family,generation,size_b,hub_id,revision,gated"
HEADER += ",params_b,layers,kv_heads,head_dim,hidden,vocab,context,capability\n"
ROWS = """Here,Tiny,Tiny1,{size},~/tiny,,false,,,,,,,,
Gone,Tiny,Tiny2,1,./nowhere,,false,,,,,,,,
"""
CONFIG = """
study: small
materials: {models: own.csv}
models: [%s]
checkpoints: {kind: hub}
tasks:
  offensiveness:
    source: {kind: file, path: ~/own.csv, columns: {id: id, text: text, gold_label: gold_label}}
    rows_per_gold_label: 2
    options: [offensive, not offensive]
design: {draws_per_row: 1, baseline: false}
inference: {max_new_tokens: 2}
planning: {gpu: L4-24GB}
classifiers: {c: {hub_id: ~/classifier, categories: {LABEL_1: refused, LABEL_0: not_refused}}}
"""
SAVE = """
import sys
import tiny_checkpoints
import transformers
tiny_checkpoints.save(sys.argv[1] + "/tiny", "chatml", seed=1)
tiny_checkpoints.tokenizer("chatml").save_pretrained(sys.argv[1] + "/classifier")
config = transformers.LlamaConfig.from_pretrained(sys.argv[1] + "/tiny")
transformers.LlamaForSequenceClassification(config).save_pretrained(sys.argv[1] + "/classifier")
"""
VERDICTS = "results/small/verdicts/{}.parquet".format


@pytest.fixture(scope="module")
def copy(checkout, root, tmp_path_factory):
    """A checkout, with a function that runs a study of small models in the home folder of its own."""
    copy, home = checkout(), tmp_path_factory.mktemp("home")
    env = {**os.environ, "PYTHONPATH": f"{root}/tests/support"}
    subprocess.run([sys.executable, "-c", SAVE, str(home)], env=env, check=True)
    corpus = (root / "config/corpus/offensiveness.csv").read_text().splitlines()
    (home / "own.csv").write_text("\n".join(corpus) + "\n")

    def ask(*arguments, models="Here", size=1, check=True):
        copy.path("own.csv").write_text(HEADER + ROWS.format(size=size))
        copy.path("own.yaml").write_text(CONFIG % models)
        arguments = [*map(VERDICTS, models.split(", ")), *arguments, "--configfile", "own.yaml"]
        return copy.run(*arguments, check=check, HOME=str(home), CUDA_VISIBLE_DEVICES="")

    copy.ask = ask
    return copy


def test_no_model_runs_while_one_is_missing_unless_the_run_keeps_going(copy):
    output = copy.ask(models="Here, Gone", check=False)
    assert "nowhere" in output and "Ask " not in output  # from the check, or from the download before it
    output = copy.ask("--keep-going", models="Here, Gone", check=False)
    assert "Models with nothing missing run anyway" in output
    assert "Ask Here" in output and "Ask Gone" not in output
    assert copy.path(VERDICTS("Here")).exists() and not copy.path(VERDICTS("Gone")).exists()


def test_a_model_that_needs_more_gpus_than_the_run_may_use(copy):
    copy.path("results/small/responses/Here.parquet").unlink(missing_ok=True)
    copy.path(VERDICTS("Here")).unlink(missing_ok=True)
    output = copy.ask(size=40, check=False)
    assert "GPUs according to the cost estimate, but a job of this run may use 1 -> add --resources gpu=4" in output
    assert "Ask " not in output
    assert "GPUs 4" in copy.ask("--resources", "gpu=4", "--quiet", "host", size=40)


def test_another_gpu_or_another_check_runs_no_model_again(copy):
    copy.ask("--resources", "gpu=4", size=40)
    text = copy.path("own.yaml").read_text()
    copy.path("own.yaml").write_text(text.replace("L4-24GB", "H200-141GB"))
    output = copy.run(VERDICTS("Here"), "--configfile", "own.yaml", "--dry-run", check=False)
    assert "Ask " not in output
