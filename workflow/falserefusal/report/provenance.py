"""What a study was made of, so that anyone can tell whether they hold the same one."""

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from falserefusal.common.files import read_json
from falserefusal.texts import record as text_record
from falserefusal.texts import resolve

PACKAGES = ("snakemake", "numpy", "pandas", "pyarrow", "scipy", "statsmodels", "matplotlib", "torch", "transformers")


def provenance(config: dict, data: list[str], responses: list[str], texts: dict[str, str] | None = None) -> dict:
    """Config as used, checksums of the data files, versions, state of the code, and the record of each model's answers.

    `responses` are the provenance files that inference wrote, one per model; `texts` has for each task of the config
    the file that its texts came from, or the record of its download: origin and checksum of either are kept. Nothing in
    the record depends on the time or the user, so that the same study gives the same; no secret is ever in a config.
    """
    record = {
        "config": config,
        "code": code_state(),
        "data": {path: _sha256(path) for path in sorted(data)},
        "versions": {"python": platform.python_version()} | _versions(),
    }
    if texts:
        record["texts"] = {task: _origin(config["tasks"][task]["source"], task, path) for task, path in texts.items()}
    if responses:
        record["models"] = {about["model"]: about for about in map(read_json, responses)}
    return record


def _origin(source: dict, task: str, path: str) -> dict:
    return read_json(path) if resolve(source, task).path is None else text_record(source, task, path)


def code_state(folder: str | Path = ".") -> dict:
    """The commit that is checked out in `folder`, and whether tracked files differ from it."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = git("rev-parse", "HEAD")
    except FileNotFoundError:
        commit = None
    if commit is None:
        return {"commit": "unknown: not a git checkout"}
    return {"commit": commit, "edited": bool(git("status", "--porcelain", "--untracked-files=no"))}


def _sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an environment for analysis has no torch
            continue
    return found
