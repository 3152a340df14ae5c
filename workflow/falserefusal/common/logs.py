"""Write all output of a rule (prints, warnings, log records, tracebacks) to its log.

Snakemake's main process reads the logs and shows progress, warnings and errors (report/terminal.py), also of jobs on a
cluster. Only what `tell` prints goes straight to the terminal.
"""

import contextlib
import ctypes
import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from falserefusal.common.errors import InputError, Terminated, file_problem
from falserefusal.common.hashes import check_unchanged

MOST = 12  # lines of an error on the terminal
# Of `Progress.line` in inference/progress.py
PROGRESS = re.compile(r"^.+: \d+% of prompt tokens, .+ left$", re.MULTILINE)


class _Log:
    """A stream into a log, by lines; what cannot be written there, as on a full disk, goes to the terminal."""

    def __init__(self, terminal: TextIO, file: TextIO):
        self.terminal, self.file, self.line = terminal, file, ""

    def write(self, text: str) -> int:
        self.line += text
        if "\n" in text:
            self.flush()
        return len(text)

    def flush(self) -> None:
        line, self.line = self.line, ""
        try:
            self.file.write(line)
            self.file.flush()
        except OSError:
            self.terminal.write(line)
            self.terminal.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.file.fileno()


def tell(text: str) -> None:
    """Print `text` to the log of the job and to the terminal: what a user has asked for, such as a cost estimate."""
    print(text)
    if isinstance(sys.stdout, _Log):
        print(text, file=sys.stdout.terminal, flush=True)


def last_error(logs: Iterable[str | Path]) -> str:
    """The error at the end of a job's logs, without the traceback; empty if there is none."""
    for log in logs:
        try:
            text = Path(log).read_text(encoding="utf-8", errors="replace").rstrip()
        except OSError:
            continue
        if text:
            start = text.rfind("\nError: ") + 1 if "\nError: " in text or not text.startswith("Error: ") else 0
            error = text[start:] if text.startswith("Error: ", start) else text.splitlines()[-1]
            lines = error.splitlines()
            more = [f"... and {len(lines) - MOST} more lines"] if len(lines) > MOST else []
            return "\n  ".join(lines[:MOST] + more)
    return ""


@contextlib.contextmanager
def _descriptors_to(file: TextIO) -> Iterator[list[TextIO]]:
    """Redirect descriptors 1 and 2 to `file` for the block; yield two streams to where they pointed before.

    The two escape what the terminal's encoding cannot write.
    """
    terminal: list[TextIO] = []
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        terminal.append(os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors="backslashreplace"))
        os.dup2(file.fileno(), number)
    try:
        yield terminal
    finally:
        ctypes.CDLL(None).fflush(None)  # else C code's buffered output would go to the terminal
        for number, stream in enumerate(terminal, start=1):
            os.dup2(stream.fileno(), number)
            stream.close()


@contextlib.contextmanager
def _logging_to(stream: _Log) -> Iterator[None]:
    """Send log records and warnings to `stream` for the block; what was set before holds again after it."""
    root, ours = logging.getLogger(), logging.getLogger("falserefusal")
    before = root.handlers[:], root.level, ours.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.INFO)  # other libraries: warnings only
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            yield
    finally:
        logging.captureWarnings(False)
        root.handlers[:], level, own = before
        root.setLevel(level)
        ours.setLevel(own)


@contextlib.contextmanager
def log_to(path: str | Path, params: Any = None) -> Iterator[None]:
    """Write stdout, stderr and logging into `path` for the block.

    At its end, the files that `params` of the job name as `read` must be as they were when the workflow started.

    An InputError ends the process with its message only, any other exception with its traceback, both in the log.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            _end(file_problem(error, path) or str(error))
        stack.callback(_close, file)
        out, err = (_Log(terminal, file) for terminal in stack.enter_context(_descriptors_to(file)))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _logging_to(err):
            try:
                yield
                check_unchanged(params.get("read", {}) if hasattr(params, "get") else {})
            except InputError as error:
                _end(str(error))
            except Terminated:
                print("Stopped: the job was told to end. Finished responses are stored.", file=sys.stderr)
                sys.stderr.flush()
                os._exit(128 + signal.SIGTERM)  # at once: a request that is still in progress would be waited for
            except BaseException as error:
                if problem := file_problem(error, "the files of this job"):
                    _end(problem)
                traceback.print_exc(file=err)
                sys.excepthook = lambda *_: None  # else Python would print it to the terminal
                raise


def _end(message: str) -> NoReturn:
    """End the process with a message; Snakemake would wrap SystemExit in a traceback that hides it."""
    print(f"Error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _close(file: TextIO) -> None:
    with contextlib.suppress(OSError):  # a full disk
        file.close()
