"""Checksums of files and versions of packages."""

import hashlib
import json
import os
import platform
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from falserefusal.common import hashes
from falserefusal.common.errors import InputError
from falserefusal.common.files import made_from, read_parquet, write_parquet
from falserefusal.common.hashes import check_unchanged, identified, merged, portable, sha256_of
from falserefusal.common.versions import package_versions


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """A checkout in which every file counts as big and settled, and the list of files that were read."""
    read = hashes._read
    paths = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashes, "BIG", 0)
    monkeypatch.setattr(hashes, "SETTLED", 0)
    monkeypatch.setattr(hashes, "_known", {})
    monkeypatch.setattr(hashes, "_read", lambda path: paths.append(path.name) or read(path))
    (tmp_path / "results").mkdir()
    return paths


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_the_checksum_is_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == digest(b"abc")


def test_a_big_file_is_read_once_by_all_jobs(tmp_path, reads, monkeypatch):
    (tmp_path / "x").write_bytes(b"abc")
    for _ in range(2):
        assert sha256_of(tmp_path / "x") == digest(b"abc")
        monkeypatch.setattr(hashes, "_known", {})  # as in another process
    assert reads == ["x"]
    assert list(json.loads((tmp_path / "results/checksums.json").read_text())) == ["x"], "no folder of this machine"


@pytest.mark.parametrize("how", ["in place", "replaced", "by a link"])
def test_other_bytes_of_the_same_size_and_time_are_read_again(tmp_path, reads, how):
    path = tmp_path / "x"
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abd")
    path.symlink_to("a") if how == "by a link" else path.write_bytes(b"abc")
    before = path.stat()
    assert sha256_of(path) == digest(b"abc")
    if how == "in place":
        path.write_bytes(b"abd")
    elif how == "replaced":
        (tmp_path / "b").replace(path)
    else:
        path.unlink()
        path.symlink_to("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    assert sha256_of(path) == digest(b"abd")


def test_a_file_that_was_just_written_is_not_kept(tmp_path, reads, monkeypatch):
    """An edit within the resolution of time stamps would not be seen."""
    monkeypatch.setattr(hashes, "SETTLED", 10**12)
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == sha256_of(tmp_path / "x")
    assert reads == ["x", "x"]


def test_a_file_that_grows_while_it_is_read_has_no_checksum(tmp_path, reads, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    read = hashes._read
    monkeypatch.setattr(hashes, "_read", lambda file: (read(file), path.write_bytes(b"abcd"))[0])
    with pytest.raises(InputError, match="changed while it was read"):
        sha256_of(path)


def test_a_damaged_list_of_checksums_and_jobs_at_once_do_no_harm(tmp_path, reads):
    (tmp_path / "results/checksums.json").write_text("[tor")
    for name in "abcdefgh":
        (tmp_path / name).write_text(name)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: sha256_of(tmp_path / name), "abcdefgh"))
    assert found == [digest(name.encode()) for name in "abcdefgh"]
    kept = json.loads((tmp_path / "results/checksums.json").read_text())
    assert kept and all(entry[-1] == digest(name.encode()) for name, entry in kept.items())


def test_outside_a_checkout_nothing_is_written(tmp_path, reads):
    (tmp_path / "results").rmdir()
    (tmp_path / "x").write_bytes(b"abc")
    sha256_of(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_records_name_no_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert portable(tmp_path / "config/x.csv") == portable("config/x.csv") == "config/x.csv"
    assert portable("/data/of/someone/x.csv") == portable("../x.csv") == "x.csv"


def test_a_result_says_what_it_was_made_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phrases.txt").write_text("no\n")
    read = {str(tmp_path / "phrases.txt"): identified("phrases.txt")}
    write_parquet(pd.DataFrame({"a": [1]}), "x.parquet", read=read)
    assert made_from("x.parquet") == {"phrases.txt": {"sha256": digest(b"no\n"), "bytes": 3}}
    assert read_parquet("x.parquet")["a"].tolist() == [1]
    write_parquet(pd.DataFrame({"a": [1]}), "y.parquet")
    assert made_from("y.parquet") == {}


def test_results_of_different_versions_of_a_file_are_not_joined():
    one, other = {"sha256": "1", "bytes": 3}, {"sha256": "2", "bytes": 3}
    records = {"A": {"phrases.txt": one, "x": one}, "B": {"phrases.txt": one}}
    assert merged(records) == {"phrases.txt": one, "x": one}
    with pytest.raises(InputError, match=r"phrases.txt: A and C were made from different versions"):
        merged(records | {"C": {"phrases.txt": other}})


def test_a_job_stops_if_a_file_was_edited_since_the_workflow_started(tmp_path):
    path = tmp_path / "phrases.txt"
    path.write_text("no\n")
    read = {str(path): identified(path)}
    check_unchanged(read)
    path.write_text("na\n")
    with pytest.raises(InputError, match="edited while the workflow ran"):
        check_unchanged(read)
    path.unlink()
    with pytest.raises(InputError, match="edited while the workflow ran"):
        check_unchanged(read)


def test_packages_that_are_not_installed_are_left_out():
    versions = package_versions(["pandas", "no-such-package"])
    assert versions == {"python": platform.python_version(), "pandas": pd.__version__}
