"""Download a task's file and check it against its checksum: the config's, else that of the first download."""

import logging
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from falserefusal.common.files import InputError, atomic, read_json
from falserefusal.common.hashes import identified, sha256_of
from falserefusal.texts.sources import Source, resolve

RETRIES = 3
TIMEOUT = 60  # seconds without a byte before a download counts as failed

log = logging.getLogger(__name__)


def raw_path(source: dict, task: str, folder: str | Path) -> Path:
    """Path of the file of `source`: in `folder`/<task>, or its own path if it is not downloaded."""
    spec = resolve(source, task)
    return Path(spec.path) if spec.path is not None else Path(folder) / task / spec.file


def fetch(source: dict, task: str, folder: str | Path, earlier: str | Path | None = None) -> tuple[Path, str]:
    """Download the file of `source` unless it exists, and return its path and SHA-256.

    Parameters
    ----------
    source : dict
        The task's `source` entry in the config.
    task : str
        The task's name.
    folder : path
        Where downloaded files are kept, in a folder for each task.
    earlier : path, optional
        The record of an earlier download. A source without a checksum must then give the same file again.

    Raises
    ------
    InputError
        The file cannot be downloaded (never if HF_HUB_OFFLINE is set), or its checksum differs from the config's or the
        record's.
    """
    spec, path = resolve(source, task), raw_path(source, task, folder)
    recorded = _recorded(spec, earlier)
    if recorded:
        spec = replace(spec, sha256=recorded)
    try:
        return _fetched(spec, task, path)
    except _OtherFileError as error:
        if not recorded:
            raise InputError(_mismatch(spec, task, str(error))) from None
        raise InputError(_changed(spec, task, str(error), earlier)) from None


class _OtherFileError(Exception):
    """The file has another checksum than expected; the message says what has which."""


def _fetched(spec: Source, task: str, path: Path) -> tuple[Path, str]:
    if spec.path is not None and not path.is_file():
        raise InputError(f"task '{task}': there is no file {path}; correct the path of the task's source")
    if path.is_file() and (spec.path is not None or _fits(path, spec)):
        log.info("task %s: %s exists already", task, path)
    elif spec.url is not None:
        _from_url(spec, task, path)
    else:
        _from_hub(spec, task, path)
    if not _fits(path, spec):
        raise _OtherFileError(f"the file {path} has {sha256_of(path)}")
    log.info("task %s: %s from %s, sha256 %s", task, path, spec.origin, sha256_of(path))
    return path, sha256_of(path)


def record(source: dict, task: str, path: str | Path) -> dict:
    """Provenance of a task's file: origin, name, size in bytes, SHA-256, and the expected SHA-256."""
    spec = resolve(source, task)
    return {
        "task": task,
        "kind": source["kind"],
        "origin": spec.origin,
        "file": Path(path).name,
        "bytes": Path(path).stat().st_size,
        "sha256": sha256_of(path),
        "sha256_expected": spec.sha256,
    }


def check_fetched(source: dict, task: str, folder: str | Path) -> dict[str, dict[str, str | int]]:
    """SHA-256 and size of a task's file, by its path; InputError if it differs from the record of its download."""
    path, record_of_it = raw_path(source, task, folder), Path(folder) / task / "source.json"
    found = identified(path)
    downloaded = resolve(source, task).path is None and record_of_it.is_file()
    if downloaded and read_json(record_of_it)["sha256"] != found["sha256"]:
        raise InputError(
            f"{path}: edited since its download; remove it and {record_of_it} to download it again, or name your own "
            "file by `path` in the task's source"
        )
    return {str(path): found}


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
    except ValueError as error:  # pooch reports another checksum in this way
        found = re.search(r"but got (\w+)", str(error))
        raise _OtherFileError(f"the downloaded file has {found[1]}" if found else str(error)) from None


def _recorded(spec: Source, earlier: str | Path | None) -> str | None:
    """The checksum of an earlier download from the same address; None if the config has one, or nothing is known."""
    if spec.sha256 or spec.path is not None or earlier is None or not Path(earlier).is_file():
        return None
    known = read_json(earlier)
    return known.get("sha256") if known.get("origin") == spec.origin else None


def _from_hub(spec: Source, task: str, path: Path) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # of whichever HTTP library this version of the client uses

    repo, revision, file = spec.hub
    try:
        cached = huggingface_hub.hf_hub_download(repo, file, repo_type="dataset", revision=revision)
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(_unavailable(spec, task, " ".join(str(error).split()))) from None
    if not _fits(Path(cached), spec):
        raise _OtherFileError(f"the file {cached} has {sha256_of(cached)}")
    with atomic(path) as part:
        shutil.copyfile(cached, part)


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _unavailable(spec: Source, task: str, reason: str) -> str:
    return (
        f"task '{task}': could not download {spec.origin} ({reason}). Try again with a network connection, or copy the "
        "file to this machine and add `path: <file>` to the task's source; for texts of your own use `kind: file`"
    )


def _mismatch(spec: Source, task: str, found: str) -> str:
    return (
        f"task '{task}': {spec.origin} does not have the config's sha256 {spec.sha256}: {found}. Either the published "
        "file was changed, or the checksum in the config is wrong"
    )


def _changed(spec: Source, task: str, found: str, earlier: str | Path | None) -> str:
    return (
        f"task '{task}': {spec.origin} does not have the sha256 of its first download, {spec.sha256} ({earlier}): "
        f"{found}. To use the new file, delete {earlier}, or set `sha256` in the task's source"
    )


def _fits(path: Path, spec: Source) -> bool:
    return spec.sha256 is None or sha256_of(path) == spec.sha256
