"""Write all output of a rule (prints, warnings, log records, tracebacks) to its log and to the terminal.

Output that bypasses Python's streams (of a child process, or of a library in C or Rust) goes to the log only.
"""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from falserefusal.common.errors import InputError, Terminated, file_problem
from falserefusal.common.hashes import check_unchanged


class _Tee:
    """A stream that writes to a terminal and a file; the terminal gets everything even if the file's disk is full."""

    def __init__(self, terminal: TextIO, file: TextIO):
        self.terminal, self.file = terminal, file

    def write(self, text: str) -> int:
        self.terminal.write(text)
        with contextlib.suppress(OSError):
            self.file.write(text)
        return len(text)

    def flush(self) -> None:
        self.terminal.flush()
        with contextlib.suppress(OSError):
            self.file.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.terminal.fileno()


@contextlib.contextmanager
def _descriptors_to(file: TextIO) -> Iterator[list[TextIO]]:
    """Redirect descriptors 1 and 2 to `file` for the block; yield two streams to where they pointed before.

    The two escape what the terminal's encoding cannot write. The terminal gets no copy: that would take a pipe, and a
    process that is killed or crashes in C code would lose its last output in it.
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
def _logging_to(stream: _Tee) -> Iterator[None]:
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
    """Tee stdout, stderr and logging into `path` for the block.

    At its end, the files that `params` of the job name as `read` must be as they were when the workflow started.

    An InputError ends the process with its message only, any other exception with its traceback. Both are also in
    the log file, because a cluster shows little else of a failed job.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            _end(file_problem(error, path) or str(error))
        stack.callback(_close, file)
        out, err = (_Tee(terminal, file) for terminal in stack.enter_context(_descriptors_to(file)))
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
                with contextlib.suppress(OSError):
                    traceback.print_exc(file=file)  # Python itself prints it to the terminal
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
