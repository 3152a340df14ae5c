"""A full disk, a missing permission, a folder in place of a file: one message that names the place and the remedy."""

import errno
import resource
import signal

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from falserefusal.common.errors import InputError, file_problem, using
from falserefusal.common.files import atomic, read_csv, write_csv, write_parquet
from falserefusal.common.hashes import sha256_of
from permissions import bound_by_permissions, open_folder


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "full"), "here: could not be written (no space left on device); free some space"),
        (OSError(errno.EDQUOT, "quota", "/there/x"), "/there/x: could not be written (disk quota exceeded); free"),
        (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), "here: could not be"),
        (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left"), "here: could not be"),
        (PermissionError(errno.EACCES, "denied", "x.csv"), "x.csv: may not be read or written (permission denied)"),
        (OSError(errno.EROFS, "read-only"), "here: may not be read or written (read-only file system)"),
        (IsADirectoryError(errno.EISDIR, "folder", "x.csv"), "x.csv: is a folder, not a file"),
        (NotADirectoryError(errno.ENOTDIR, "file", "x/y"), "x/y: a part of this path is a file"),
        (OSError(errno.ECONNRESET, "reset"), None),
        (ValueError("another mistake"), None),
    ],
)
def test_a_problem_of_files_has_place_and_remedy(error, says):
    found = file_problem(error, "here")
    assert found is None if says is None else found.startswith(says)


@pytest.fixture
def small_files(monkeypatch):
    """No file of this process may be larger than 4 kB, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


BIG = pd.DataFrame({"x": np.random.default_rng(1).random(20_000)})
WRITERS = {
    "x.csv": lambda path: write_csv(BIG, path),
    "x.parquet": lambda path: write_parquet(BIG, path),
    "x.safetensors": lambda path: _save(path),
}


def _save(path):
    with using(path):
        save_file({"x": BIG["x"].to_numpy()}, path)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_does_not_fit_is_one_message(tmp_path, small_files, name):
    with pytest.raises(InputError, match=rf"{name}: could not be written \(file too large\); free some space"):
        WRITERS[name](tmp_path / name)
    assert [file for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_missing_permission_is_one_message():
    with open_folder() as folder:
        (folder / "x.csv").write_text("a\n1\n")
        (folder / "x.csv").chmod(0)
        folder.chmod(0o555)
        with bound_by_permissions():
            for use in (read_csv, sha256_of):
                with pytest.raises(InputError, match=r"x\.csv: may not be read or written \(permission denied\)"):
                    use(folder / "x.csv")
            for path in ("y.csv", "new/y.csv"):
                with pytest.raises(InputError, match="may not be read or written"), atomic(folder / path):
                    pass
        folder.chmod(0o755)


def test_a_folder_in_place_of_a_file_is_one_message(tmp_path):
    (tmp_path / "x.csv").mkdir()
    for use in (read_csv, sha256_of, lambda path: write_csv(BIG, path)):
        with pytest.raises(InputError, match=r"x\.csv: is a folder, not a file"):
            use(tmp_path / "x.csv")
