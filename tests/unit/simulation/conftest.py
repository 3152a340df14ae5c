"""The script that draws the designs of simulated studies."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location("run_simulation", root / "benchmarks" / "simulation" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
