"""Send everything a rule says (prints, warnings, log records, tracebacks) to the rule's log and to the terminal."""

import contextlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

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
def log_to(path: str | Path) -> Iterator[None]:
    """Tee stdout, stderr and logging into `path` for the block.

    A user's mistake (InputError) ends the process with its message alone, anything else with its traceback;
    both are in the log file first, because a cluster shows little else of a job that failed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        out, err = _Tee(sys.stdout, file), _Tee(sys.stderr, file)
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
