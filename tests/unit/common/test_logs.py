"""What a rule says reaches its log, whoever says it; what Python says reaches the terminal too, disk full or not."""

import subprocess
import sys

import pytest

START = """
import ctypes, logging, os, subprocess, sys, warnings
from tqdm import tqdm
from falserefusal.common.errors import InputError
from falserefusal.common.logs import log_to
"""


LAST_WORDS = """print("said")
logging.getLogger("falserefusal").info("logged")
"""


def run(root, log, body, end=""):
    """A process that runs `body` under `log_to`, then `end`."""
    inside = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"{START}with log_to(sys.argv[1]):\n{inside}{end}"
    command = [sys.executable, "-c", code, str(log)]
    return subprocess.run(command, env={"PYTHONPATH": str(root / "workflow")}, capture_output=True, text=True)


def test_native_output_reaches_the_log(root, tmp_path):
    log = tmp_path / "x.log"
    body = """print("python before")
os.system("echo a child; echo a child complains >&2")
os.write(2, b"raw bytes\\n")
ctypes.CDLL(None).puts(b"the C library")
print("python after")"""
    done = run(root, log, body, 'print("afterwards")')
    assert done.returncode == 0, done.stderr
    said = log.read_text().splitlines()
    assert [line for line in said if line != "the C library"] == [
        "python before",
        "a child",
        "a child complains",
        "raw bytes",
        "python after",
    ]
    assert "the C library" in said, "though it waits in a buffer until the block ends"
    assert done.stdout.splitlines() == ["python before", "python after", "afterwards"]


def test_what_python_says_reaches_the_terminal_too(root, tmp_path):
    log = tmp_path / "x.log"
    body = """print("printed")
warnings.warn("warned")
logging.getLogger("falserefusal.x").info("recorded")
for _ in tqdm(range(3), desc="bar"): pass"""
    done = run(root, log, body)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "printed\n"
    for word in ("warned", "recorded", "bar: 100%"):
        assert word in done.stderr and word in log.read_text()


def test_words_of_a_process_that_dies_in_native_code_are_in_the_log(root, tmp_path):
    log = tmp_path / "x.log"
    assert run(root, log, 'os.write(2, b"terminate called\\n")\nos.abort()').returncode < 0
    assert log.read_text() == "terminate called\n"


def test_errors_are_told_once_to_each(root, tmp_path):
    log = tmp_path / "x.log"
    mistake = run(root, log, 'raise InputError("your mistake")')
    assert mistake.returncode == 1
    assert mistake.stderr == log.read_text() == "Error: your mistake\n"
    ours = run(root, log, "1 / 0")
    assert ours.returncode == 1
    assert ours.stderr.count("ZeroDivisionError") == log.read_text().count("ZeroDivisionError") == 1


@pytest.mark.parametrize("log", ["log.txt", "/dev/full"], ids=["a sound disk", "a full disk"])
def test_a_users_mistake_is_one_line_also_where_the_log_cannot_be_written(root, tmp_path, log):
    done = run(root, tmp_path / log, LAST_WORDS + "raise InputError('mend this')")
    assert done.returncode == 1 and done.stdout == "said\n"
    assert done.stderr == "INFO falserefusal: logged\nError: mend this\n"
    if log == "log.txt":
        assert (tmp_path / log).read_text() == f"said\n{done.stderr}"


@pytest.mark.parametrize("log", ["log.txt", "/dev/full"], ids=["a sound disk", "a full disk"])
def test_a_bug_is_one_traceback_also_where_the_log_cannot_be_written(root, tmp_path, log):
    done = run(root, tmp_path / log, LAST_WORDS + "raise ZeroDivisionError")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1 and done.stderr.endswith("\nZeroDivisionError\n")
    if log == "log.txt":
        assert (tmp_path / log).read_text().count("Traceback") == 1
