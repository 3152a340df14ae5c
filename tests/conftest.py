"""Fixtures shared by all tests, such as copies of the working tree in which whole workflows run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data (SHARED_DIR, or `shared` next to the repository); skips the test if there is none."""
    folder = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of real data: set SHARED_DIR to run this test")
    return folder


def copy_tree(root: Path, target: Path) -> Path:
    """Copy the files that git would commit from `root` to `target`; without git, all but results and environments."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        for name in filter(None, listed.stdout.split("\0")):
            if (root / name).is_file():  # deleted files are still listed
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, target / name)
    else:
        shutil.copytree(root, target, ignore=shutil.ignore_patterns(".venv*", ".snakemake", "results", "resources"))
    return target


class Workflow:
    """A checkout, and Snakemake in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *arguments: str, check: bool = True, **env: str) -> str:
        """Run Snakemake and return all it printed; fail the test with that text if it fails and `check`."""
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": "", **env},
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"snakemake {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def dry_run(self, *arguments: str) -> dict[str, int]:
        """The jobs of a dry run: rule name to number of jobs."""
        text = self.run(*arguments, "--dry-run", "--quiet", "host")
        jobs: dict[str, int] = {}
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("job ") and line.split()[-1] == "count":
                next(lines)
                for row in lines:
                    if not row.strip() or row.startswith("total"):
                        break
                    name, count = row.split()
                    jobs[name] = int(count)
                break
        return jobs

    def path(self, name: str) -> Path:
        """A path in the checkout."""
        return self.folder / name


@pytest.fixture(scope="session")
def checkout(root, tmp_path_factory) -> Callable[[], Workflow]:
    """A function that makes a fresh copy of the working tree."""

    def make() -> Workflow:
        return Workflow(copy_tree(root, tmp_path_factory.mktemp("check out") / "study"))  # a blank in the path

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that no worker waits for one at the end: Slurm, then whole workflows."""
    first = ["tests/cluster", "tests/workflow"]
    folders = [str(ROOT / folder) for folder in first]
    items.sort(key=lambda item: [not str(item.path).startswith(folder) for folder in folders])
