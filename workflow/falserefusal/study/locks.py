"""Remove the locks that a killed Snakemake left in this folder. `make` runs this before each start.

Snakemake locks the files of a run, and a run that was killed leaves its locks. Nothing in them says whose they are, so
the Snakefile keeps the name of the machine on which the last run started.
"""

import contextlib
import os
import platform
from pathlib import Path

HOST = Path(".snakemake/host")  # the machine of the last run that got the locks
LOCKS = ".snakemake/locks"


def keep_host() -> None:
    """Keep the name of this machine; called when a run has its locks."""
    HOST.write_text(platform.node(), encoding="utf-8")


def remove_stale(folder: str | Path = ".") -> list[Path]:
    """Remove the locks in `folder` if their run is gone, and return them.

    They stay if the last run started on another machine, or if a Snakemake or one of its jobs works in the folder.
    """
    folder = Path(folder)
    locks, host = sorted((folder / LOCKS).glob("*.lock")), folder / HOST
    here = host.is_file() and host.read_text(encoding="utf-8") == platform.node()
    if not locks or not here or _at_work(folder):
        return []
    for lock in locks:
        lock.unlink(missing_ok=True)
    return locks


def _at_work(folder: Path) -> bool:
    """Whether a process of Snakemake works in `folder`; one whose folder may not be read counts as if it did."""
    import psutil  # comes with Snakemake; the environments of jobs need it not

    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if process.pid == os.getpid() or not any(
            "snakemake" in Path(part).parts[-1:] or ".snakemake/scripts" in part for part in command
        ):
            continue
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).samefile(folder):
                    return True
            except (psutil.AccessDenied, PermissionError):
                return True
    return False


if __name__ == "__main__":
    if remove_stale():
        print("Removed the locks of a run that was killed.")
