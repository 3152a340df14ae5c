"""A study that is killed again and again, and resumed, ends with the tables of one that was never disturbed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml

from falserefusal.study import locks

KILLS = 3


def tiny(root):
    """The rehearsal with one model and one task, as the text of a config file."""
    config = yaml.safe_load((root / "config/rehearsal.yaml").read_text())
    config |= {"study": "tiny", "models": ["Gemma2-2B"], "estimation": {"bootstrap": 100, "permutations": 99}}
    config["tasks"] = {"offensiveness": config["tasks"]["offensiveness"] | {"rows_per_gold_label": 4}}
    return yaml.safe_dump(config)


def kill_after(workflow, arguments, jobs, seconds):
    """Start Snakemake, and kill it with all its jobs some time after a number of jobs; return whether it still ran."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=workflow.folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        for line in process.stdout:
            jobs -= line.startswith("Finished jobid")
            if not jobs:
                break
        time.sleep(seconds)
        ran = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    return ran


@pytest.mark.slow
def test_tables_are_the_same_after_kills_at_random_moments(checkout, root):
    arguments = ("tables", "--configfile", "config/tiny.yaml")
    calm, killed = checkout(), checkout()
    for workflow in (calm, killed):
        workflow.path("config/tiny.yaml").write_text(tiny(root))
    calm.run(*arguments)
    chance = random.Random(1)
    for _ in range(KILLS):
        assert kill_after(killed, arguments, jobs=chance.randint(1, 6), seconds=chance.uniform(0, 3))
        assert locks.remove_stale(killed.folder), "a killed run leaves locks"
    killed.run(*arguments)
    tables = {file.name: file.read_bytes() for file in calm.path("results/tiny/tables").iterdir()}
    assert len(tables) > 15
    assert {file.name: file.read_bytes() for file in killed.path("results/tiny/tables").iterdir()} == tables
