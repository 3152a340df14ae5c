"""The benchmark of inference computes its table from the raw numbers, and gives llama.cpp the model that others get."""

import sys
from dataclasses import replace

import pytest


@pytest.fixture(scope="module")
def benchmark(root):
    folder = str(root / "benchmarks/inference")
    sys.path.insert(0, folder)
    import run

    yield run
    sys.path.remove(folder)


@pytest.fixture
def runs(benchmark):
    """Two rounds, in the second of which everything takes three times as long."""
    seconds = {"one by one": 50.0, "lm-eval": 20.0, "transformers": 10.0, "vllm": 5.25, "LLM.chat": 5.0}
    empty = benchmark.Run("pilot", "float32", "", 0, 100, 0.0, 0.0, 900, 0, 100, "torch 1.0")
    return [
        replace(empty, system=system, repeat=repeat, cpu_s=cpu * scale, same=100 - repeat)
        for repeat, scale in ((1, 1.0), (2, 3.0))
        for system, cpu in seconds.items()
    ]


def test_speeds_are_medians_and_ratios_are_taken_within_a_round(benchmark, runs):
    row = next(line for line in benchmark.table(runs) if "our engine `transformers` |" in line)
    assert "| 20.0 (10.0 to 30.0) | 5.0 | 2.0 | 900 | 98 to 99 of 100 |" in row
    assert benchmark.ratios(*([r for r in runs if r.system == name] for name in ("vllm", "LLM.chat"))) == [1.05, 1.05]


def test_raw_numbers_are_read_as_they_were_written(benchmark, runs, tmp_path):
    benchmark.write_runs(runs, tmp_path / "runs.csv")
    assert benchmark.read_runs(tmp_path / "runs.csv") == runs
    assert benchmark.read_runs(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("system", "text", "expected"),
    [
        ("generate", " Polite", True),
        ("generate", "Pol", False),
        ("generate", "", False),
        ("vllm, early", "Pol", True),
        ("vllm, early", "Polite \ufffd", True),
        ("vllm, early", "pol", False),
    ],
)
def test_an_early_decision_must_be_the_beginning_of_the_response(benchmark, system, text, expected):
    assert benchmark.same(system, text, "Polite") is expected


def test_every_system_has_a_function_and_a_name(benchmark, root):
    import systems

    planned = {system for system, _ in benchmark.plan({"float32": ""})} | {benchmark.REFERENCE[0]}
    assert planned == set(systems.SYSTEMS) == set(benchmark.NAMES)
