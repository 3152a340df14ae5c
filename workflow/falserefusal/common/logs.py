"""Send everything a rule says (prints, warnings, log records, tracebacks) to the rule's log and to the terminal.

What says it past Python's streams (a child process, a library in C or Rust) reaches the log alone.
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
from typing import TextIO

from falserefusal.common.errors import InputError


class _Tee:
    """Writes to a terminal and a file; where the file's disk is full, the terminal still gets everything."""

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
    """Point descriptors 1 and 2 at `file` for the block; yield two streams that lead where these led before.

    No copy for the terminal: it would need a pipe and somebody to empty it, and the last words of a process that is
    killed, or dies in its C code, would be lost in it.
    """
    terminal = []
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        terminal.append(os.fdopen(os.dup(number), "w", 1, encoding=stream.encoding, errors=stream.errors))
        os.dup2(file.fileno(), number)
    try:
        yield terminal
    finally:
        ctypes.CDLL(None).fflush(None)  # what C code printed waits in a buffer for whatever descriptor 1 is by then
        for number, stream in enumerate(terminal, start=1):
            os.dup2(stream.fileno(), number)
            stream.close()


@contextlib.contextmanager
def log_to(path: str | Path) -> Iterator[None]:
    """Tee stdout, stderr and logging into `path` for the block.

    A user's mistake (InputError) ends the process with its message alone, anything else with its traceback;
    both are in the log file first, because a cluster shows little else of a job that failed.
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
            logging.getLogger("falserefusal").setLevel(logging.INFO)  # libraries speak only when something is wrong
            logging.captureWarnings(True)
            warnings.simplefilter("default", UserWarning)
            try:
                yield
            except InputError as error:
                print(f"Error: {error}", file=sys.stderr)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(1)  # Snakemake wraps SystemExit in a traceback that hides the one line that helps
            except BaseException:
                with contextlib.suppress(OSError):
                    traceback.print_exc(file=file)  # the terminal gets it from Python itself
                raise


def _close(file: TextIO) -> None:
    with contextlib.suppress(OSError):  # what a full disk did not take
        file.close()
