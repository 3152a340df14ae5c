"""Checksums of files and versions of packages."""

import hashlib
import platform

import pandas as pd

from falserefusal.common.hashes import sha256_of
from falserefusal.common.versions import package_versions


def test_the_checksum_is_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_packages_that_are_not_installed_are_left_out():
    versions = package_versions(["pandas", "no-such-package"])
    assert versions == {"python": platform.python_version(), "pandas": pd.__version__}
