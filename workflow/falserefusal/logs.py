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

from falserefusal.errors import InputError


class _Tee:
    def __init__(self, *streams):
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.streams[0].fileno()


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
    with (
        path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace") as file,
        _descriptors_to(file) as terminal,
    ):
        out, err = _Tee(terminal[0], file), _Tee(terminal[1], file)
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
                sys.stderr.flush()
                os._exit(1)  # Snakemake wraps SystemExit in a traceback that hides the one line that helps
            except BaseException:
                traceback.print_exc(file=file)  # the terminal gets it from Python itself
                raise
