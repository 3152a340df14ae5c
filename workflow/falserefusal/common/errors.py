"""Exceptions that end a job without a traceback, and what to say about disks and permissions."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path


class InputError(ValueError):
    """Something the user supplied is wrong; the message says what is wrong, where, and what to do."""


class Terminated(BaseException):
    """The job was told to end (SIGTERM), and has stored what it finished."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
NUMBER = re.compile(r"\b(?:os error|errno) (\d+)", re.IGNORECASE)  # as libraries in Rust and C++ report it


def file_problem(error: BaseException, place: str | os.PathLike[str]) -> str | None:
    """What is wrong with the disk or with a file, and what to do, if that is what `error` is about.

    `place`: the file or folder to name if the error names none.
    """
    quoted = NUMBER.search(str(error))
    number = getattr(error, "errno", None) or (int(quoted[1]) if quoted else None)
    where, why = os.fspath(place), os.strerror(number or 0).lower()
    named = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if isinstance(named, str) and not Path(named).name.startswith(f".{Path(where).name}."):
        where = named  # but not the temporary name of the place itself
    if number in FULL:
        return f"{where}: could not be written ({why}); free some space, then run again"
    if number in DENIED:
        return f"{where}: may not be read or written ({why}); correct its permissions, then run again"
    if number == errno.EISDIR:
        return f"{where}: is a folder, not a file; remove it, or name a file"
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"{where}: a part of this path is a file, not a folder; remove that file, or correct the path"
    return None


@contextlib.contextmanager
def using(place: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a full disk, a missing permission or a folder in place of a file into an InputError about `place`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if (problem := file_problem(error, place)) is None:
            raise
        raise InputError(problem) from error
