"""Versions of Python and of installed packages."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each of `packages`; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the environment for analysis has no torch
            continue
    return found
