"""Locks of a Snakemake that is gone are removed; those of one that may be at work stay."""

import platform
import subprocess
import sys

import pytest

from falserefusal.study import locks

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def locked(tmp_path):
    folder = tmp_path / "a study"
    (folder / locks.LOCKS).mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (folder / locks.LOCKS / name).write_text("results/x.csv\n")
    (folder / locks.HOST).write_text(platform.node())
    return folder


def test_locks_of_a_run_that_is_gone_are_removed(locked):
    assert len(locks.remove_stale(locked)) == 2
    assert not list((locked / locks.LOCKS).iterdir())
    assert locks.remove_stale(locked) == []


@pytest.mark.parametrize("script", ["snakemake", ".snakemake/scripts/tmp1.responses.py"])
def test_locks_stay_while_snakemake_or_a_job_works_in_the_folder(locked, tmp_path, script):
    for folder, removed in ((locked, 0), (tmp_path, 2)):
        path = folder / script
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SLEEP)
        process = subprocess.Popen([sys.executable, script], cwd=folder, stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            assert len(locks.remove_stale(locked)) == removed
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("host", [None, "another-machine"])
def test_locks_stay_if_their_run_may_be_on_another_machine(locked, host):
    (locked / locks.HOST).unlink()
    if host:
        (locked / locks.HOST).write_text(host)
    assert locks.remove_stale(locked) == []
    assert len(list((locked / locks.LOCKS).iterdir())) == 2


def test_a_folder_in_which_nothing_ran_has_no_locks(tmp_path):
    assert locks.remove_stale(tmp_path) == []
