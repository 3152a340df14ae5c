"""Checksums of files; those of big files are kept, and computed again when a file may have changed."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError, using

KEPT = Path("results/checksums.json")  # path: [size, mtime_ns, ctime_ns, inode, checksum]
BIG = 2**20  # bytes; smaller files are read each time
SETTLED = 2 * 10**9  # ns; a file changed within the resolution of its time stamps looks unchanged

Read = Mapping[str, dict[str, str | int]]  # files by path or name: `identified`

_known: dict[str, list[Any]] = {}


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits.

    The checksum of a big file is kept in `KEPT`, and the file is read again when its size, a time stamp or its inode
    differs. A program cannot set ctime_ns, so an edit that restores the other time stamp is found, too.

    Raises
    ------
    InputError
        The file changed while it was read.
    """
    path = Path(path)
    before = _state(path)
    if before[0] < BIG:
        return _read(path)
    name = os.path.relpath(path.resolve())
    for known in (_known, _kept()):
        if known.get(name, [])[:-1] == before:
            return str(known[name][-1])
    checksum = _read(path)
    if _state(path) != before:
        raise InputError(f"{path}: changed while it was read; run again when it is complete")
    if time.time_ns() - max(before[1:3]) > SETTLED:
        _known[name] = [*before, checksum]
        _keep(name, _known[name])
    return checksum


def identified(path: str | Path) -> dict[str, str | int]:
    """The entry of a file in a record of what was read: its SHA-256 and its size in bytes."""
    return {"sha256": sha256_of(path), "bytes": Path(path).stat().st_size}


def check_unchanged(read: Read) -> None:
    """Raise InputError if a file is no longer as it was when the workflow started: a job may have read either."""
    for path, known in read.items():
        if not Path(path).is_file() or sha256_of(path) != known["sha256"]:
            raise InputError(f"{path}: edited while the workflow ran; run again, so that all jobs read the same file")


def merged(records: Mapping[str, Read]) -> Read:
    """What several results were made from together.

    Parameters
    ----------
    records : mapping
        For each result (in words) the entries of the files that it was made from.

    Raises
    ------
    InputError
        Two results were made from different versions of a file.
    """
    found: dict[str, dict[str, str | int]] = {}
    first: dict[str, str] = {}
    for result, read in records.items():
        for name, entry in read.items():
            if found.setdefault(name, entry) != entry:
                raise InputError(
                    f"{name}: {first[name]} and {result} were made from different versions of this file; "
                    "remove one of the two results and run again"
                )
            first.setdefault(name, result)
    return found


def portable(path: str | Path) -> str:
    """A path below the working folder, which is the same on every machine; of other paths the last part alone."""
    below = os.path.relpath(Path(path).expanduser())
    return Path(below).name if below.startswith("..") else below


def _read(path: Path) -> str:
    with using(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _kept() -> dict[str, list[Any]]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(KEPT.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _keep(name: str, entry: list[Any]) -> None:
    """Add an entry. Of two jobs that write at once, one loses its entry, and a later job reads that file again."""
    from falserefusal.common.files import atomic  # imports pandas, which the start of the workflow can do without

    if KEPT.parent.is_dir():  # not in a folder that is no checkout
        with contextlib.suppress(OSError, InputError), atomic(KEPT) as part:
            part.write_text(json.dumps(_kept() | {name: entry}, indent=1, sort_keys=True), encoding="utf-8")
