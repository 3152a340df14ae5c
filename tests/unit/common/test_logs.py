"""All output of a rule reaches its log; the terminal gets what is told, and all if the log cannot be written."""

import subprocess
import sys

import pytest

from falserefusal.common.logs import last_error

START = """
import ctypes, logging, os, subprocess, sys, warnings
from tqdm import tqdm
from falserefusal.common.errors import InputError
from falserefusal.common.logs import log_to, tell
"""


LAST_OUTPUT = """print("printed")
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
    lines = log.read_text().splitlines()
    assert [line for line in lines if line != "the C library"] == [
        "python before",
        "a child",
        "a child complains",
        "raw bytes",
        "python after",
    ]
    assert "the C library" in lines, "although it is buffered until the block ends"
    assert done.stdout.splitlines() == ["afterwards"]


def test_only_what_is_told_reaches_the_terminal(root, tmp_path):
    log = tmp_path / "x.log"
    body = """print("printed")
tell("told")
warnings.warn("warned")
logging.getLogger("falserefusal.x").info("recorded")
for _ in tqdm(range(3), desc="bar"): pass"""
    done = run(root, log, body)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "told\n" and done.stderr == ""
    for word in ("printed", "told", "warned", "recorded", "bar: 100%"):
        assert word in log.read_text()


def test_the_last_output_of_a_process_that_crashes_in_native_code_is_in_the_log(root, tmp_path):
    log = tmp_path / "x.log"
    assert run(root, log, 'os.write(2, b"terminate called\\n")\nos.abort()').returncode < 0
    assert log.read_text() == "terminate called\n"


def test_errors_appear_once_in_the_log(root, tmp_path):
    log = tmp_path / "x.log"
    mistake = run(root, log, 'raise InputError("your mistake")')
    assert mistake.returncode == 1
    assert mistake.stderr == "" and log.read_text() == "Error: your mistake\n"
    assert last_error([log]) == "Error: your mistake"
    ours = run(root, log, "1 / 0")
    assert ours.returncode == 1
    assert ours.stderr == "" and log.read_text().count("ZeroDivisionError") == 1
    assert last_error([log]) == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("log", ["log.txt", "/dev/full"], ids=["a working disk", "a full disk"])
def test_an_input_error_is_one_line_even_if_the_log_cannot_be_written(root, tmp_path, log):
    done = run(root, tmp_path / log, LAST_OUTPUT + "raise InputError('fix this')")
    assert done.returncode == 1
    if log == "log.txt":
        assert (tmp_path / log).read_text() == "printed\nINFO falserefusal: logged\nError: fix this\n"
        assert done.stdout == done.stderr == ""
    else:
        assert done.stdout == "printed\n" and done.stderr == "INFO falserefusal: logged\nError: fix this\n"


@pytest.mark.parametrize("log", ["log.txt", "/dev/full"], ids=["a working disk", "a full disk"])
def test_a_bug_is_one_traceback_even_if_the_log_cannot_be_written(root, tmp_path, log):
    done = run(root, tmp_path / log, LAST_OUTPUT + "raise ZeroDivisionError")
    assert done.returncode == 1
    shown = (tmp_path / log).read_text() if log == "log.txt" else done.stderr
    assert shown.count("Traceback") == 1 and shown.endswith("\nZeroDivisionError\n")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("with open('/dev/full', 'w') as file: file.write('x')", "could not be written (no space left on device)"),
        ("open('/proc/version/x')", "/proc/version/x: a part of this path is a file"),
        ("open('/tmp', 'w')", "/tmp: is a folder, not a file"),
    ],
)
def test_a_fault_of_disk_or_files_is_one_line(root, tmp_path, body, says):
    log = tmp_path / "x.log"
    done = run(root, log, body)
    assert done.returncode == 1
    text = log.read_text()
    assert text.startswith("Error: ") and says in text and len(text.splitlines()) == 1


def test_a_log_that_cannot_be_written_is_one_line(root, tmp_path):
    (tmp_path / "logs").write_text("a file")
    done = run(root, tmp_path / "logs" / "x.log", "pass")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: ") and "a part of this path is a file, not a folder" in done.stderr


def test_logging_is_afterwards_as_it_was_before(root, tmp_path):
    before = """
root, ours = logging.getLogger(), logging.getLogger("falserefusal")
handler = logging.NullHandler()
root.handlers, root.level = [handler], 37
with log_to(sys.argv[1]): logging.getLogger("falserefusal").info("inside")
ours.info("outside"); root.warning("outside")
assert root.handlers == [handler] and root.level == 37 and ours.level == logging.NOTSET
"""
    done = subprocess.run(
        [sys.executable, "-c", START + before, str(tmp_path / "x.log")],
        env={"PYTHONPATH": str(root / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "x.log").read_text()
    assert "inside" in text and "outside" not in text + done.stderr
