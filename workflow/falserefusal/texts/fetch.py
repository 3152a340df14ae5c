"""Bring a task's file to this machine, checked against its checksum where one is known."""

import hashlib
import logging
import os
import shutil
from pathlib import Path

from falserefusal.common.files import InputError, atomic
from falserefusal.texts.sources import Source, resolve

RETRIES = 3
TIMEOUT = 60  # seconds without a byte before a download counts as failed

log = logging.getLogger(__name__)


def raw_path(source: dict, task: str, folder: str | Path) -> Path:
    """Where the file of `source` is once fetched: in `folder`/<task>, or in its own place if it needs no fetching."""
    spec = resolve(source, task)
    return Path(spec.path) if spec.path is not None else Path(folder) / task / spec.file


def fetch(source: dict, task: str, folder: str | Path) -> tuple[Path, str]:
    """Fetch the file of `source` unless it is there, and return its path and SHA-256.

    Nothing is downloaded where HF_HUB_OFFLINE is set. Raises InputError, naming the address and the way out, if the
    file can't be had or is not the one whose checksum the config gives.
    """
    spec, path = resolve(source, task), raw_path(source, task, folder)
    if spec.path is not None and not path.is_file():
        raise InputError(f"task '{task}': {path}: no such file; correct the path of the task's source")
    if path.is_file() and (spec.path is not None or _fits(path, spec)):
        log.info("task %s: %s is already there", task, path)
    elif spec.url is not None:
        _from_url(spec, task, path)
    else:
        _from_hub(spec, task, path)
    if not _fits(path, spec):
        raise InputError(_mismatch(spec, task, f"the file {path} has {_sha256(path)}"))
    log.info("task %s: %s from %s, sha256 %s", task, path, spec.origin, _sha256(path))
    return path, _sha256(path)


def record(source: dict, task: str, path: str | Path) -> dict:
    """What provenance needs to know of a task's file: origin, name, size in bytes, SHA-256, and the one expected."""
    spec = resolve(source, task)
    return {
        "task": task,
        "kind": source["kind"],
        "origin": spec.origin,
        "file": Path(path).name,
        "bytes": Path(path).stat().st_size,
        "sha256": _sha256(path),
        "sha256_expected": spec.sha256,
    }


def _from_url(spec: Source, task: str, path: Path) -> None:
    import pooch

    if _offline():
        raise InputError(_unavailable(spec, task, "HF_HUB_OFFLINE is set"))
    files = pooch.create(
        path.parent, base_url="", registry={path.name: spec.sha256}, urls={path.name: spec.url}, retry_if_failed=RETRIES
    )
    try:
        files.fetch(path.name, downloader=pooch.HTTPDownloader(timeout=TIMEOUT))
    except OSError as error:  # every exception of requests is one
        raise InputError(_unavailable(spec, task, str(error))) from None
    except ValueError as error:  # how pooch says that the checksum is another
        raise InputError(_mismatch(spec, task, str(error))) from None


def _from_hub(spec: Source, task: str, path: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # of whichever HTTP library this version of the client uses

    repo, revision, file = spec.hub
    try:
        cached = huggingface_hub.hf_hub_download(repo, file, repo_type="dataset", revision=revision)
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(_unavailable(spec, task, " ".join(str(error).split()))) from None
    with atomic(path) as part:
        shutil.copyfile(cached, part)


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _unavailable(spec: Source, task: str, reason: str) -> str:
    return (
        f"task '{task}': could not fetch {spec.origin} ({reason}). Try again with a network connection, or get the "
        "file elsewhere and add its place to the task's source as `path: <file>`; texts of your own come in with "
        "`kind: file`"
    )


def _mismatch(spec: Source, task: str, found: str) -> str:
    return (
        f"task '{task}': {spec.origin} is not the file that the config's sha256 {spec.sha256} names: {found}. Either "
        "it was changed where it is published, or the checksum in the config is wrong"
    )


def _fits(path: Path, spec: Source) -> bool:
    return spec.sha256 is None or _sha256(path) == spec.sha256


def _sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
