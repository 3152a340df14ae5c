"""Write all output of a rule (prints, warnings, log records, tracebacks) to its log and to the terminal.

Output that bypasses Python's streams (of a child process, or of a library in C or Rust) goes to the log only.
"""

import contextlib
import ctypes
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from falserefusal.common.errors import InputError
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
def log_to(path: str | Path, params: Any = None) -> Iterator[None]:
    """Tee stdout, stderr and logging into `path` for the block.

    At its end, the files that `params` of the job name as `read` must be as they were when the workflow started.

    An InputError ends the process with its message only, any other exception with its traceback. Both are also in
    the log file, because a cluster shows little else of a failed job.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        file = path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        stack.callback(_close, file)
        out, err = (_Tee(terminal, file) for terminal in stack.enter_context(_descriptors_to(file)))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            logging.basicConfig(
                level=logging.WARNING, stream=err, format="%(levelname)s %(name)s: %(message)s", force=True
            )
            logging.getLogger("falserefusal").setLevel(logging.INFO)  # other libraries: warnings only
            logging.captureWarnings(True)
            warnings.simplefilter("default", UserWarning)
            try:
                yield
                check_unchanged(params.get("read", {}) if hasattr(params, "get") else {})
            except InputError as error:
                print(f"Error: {error}", file=sys.stderr)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(1)  # Snakemake would wrap SystemExit in a traceback that hides the message
            except BaseException:
                with contextlib.suppress(OSError):
                    traceback.print_exc(file=file)  # Python itself prints it to the terminal
                raise


def _close(file: TextIO) -> None:
    with contextlib.suppress(OSError):  # a full disk
        file.close()
