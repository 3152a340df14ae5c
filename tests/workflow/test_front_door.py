"""The first steps of a new user: a clear message where Python is too old; and the code style."""

import subprocess
import sys

import pytest


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_named(checkout, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = "-V" ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    workflow = checkout()
    done = run("make", "test", f"PYTHON={old}", cwd=workflow.folder)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr and "Python 3.9.2" in done.stderr
    assert not workflow.path(".venv").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "workflow/rules"),
        ("snakemake", "--lint"),
    ],
    ids=" ".join,
)
def test_the_code_is_in_the_house_style(root, command):
    done = run(sys.executable, "-m", *command, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
