"""The benchmark of the stages after inference gives every script the inputs that its rule gives."""

import importlib.util

import pytest


@pytest.fixture
def scale(root, monkeypatch):
    spec = importlib.util.spec_from_file_location("scale", root / "benchmarks/scale.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROWS", {"nli": 12, "politeness": 12, "offensiveness": 12})
    return module


def test_every_stage_runs_on_a_small_study(scale, tmp_path):
    names = scale.write_study(tmp_path, grow="texts", times=1)
    given = scale.jobs(tmp_path, names)
    for stage, parts in given.items():
        measured = scale.run(stage, parts, tmp_path)
        assert measured["seconds"] > 0 and measured["peak_mib"] > 10
        written = parts["output"].values()
        assert all(scale.Path(file).stat().st_size > 0 for file in written), f"{stage} does not write all its outputs"
