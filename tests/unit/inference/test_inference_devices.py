"""Reservation of GPUs on one machine: never one for two jobs, and released however a job ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from falserefusal.inference import devices

CLAIM = """
import os, sys, time
from falserefusal.inference.devices import claim_gpus
print(claim_gpus(int(sys.argv[1])), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(float(sys.argv[2]))
"""
THREE = 'printf "GPU-a\\nGPU-b\\nGPU-c\\n"'


@pytest.fixture
def job(root, tmp_path):
    """A function that starts a process that claims GPUs on a machine with three of them."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/nvidia-smi"
    program.write_text(f"#!/bin/sh\n{THREE}\n")
    program.chmod(0o755)
    started = []

    def start(wanted, seconds=60, **env):
        here = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        here |= {
            "PATH": f"{tmp_path}/bin:{here['PATH']}",
            "TMPDIR": str(tmp_path),
            "PYTHONPATH": str(root / "workflow"),
        }
        command = [sys.executable, "-c", CLAIM, str(wanted), str(seconds)]
        started.append(subprocess.Popen(command, env=here | env, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def printed(process):
    return process.stdout.readline().strip()


def test_jobs_side_by_side_get_different_gpus(job):
    first, second = job(2), job(1)
    ids = [printed(process).rsplit(" ", 1)[1] for process in (first, second)]
    assert sorted(",".join(ids).split(",")) == ["GPU-a", "GPU-b", "GPU-c"]
    assert sorted(len(own.split(",")) for own in ids) == [1, 2]


def test_a_job_waits_for_a_gpu_that_a_killed_one_gives_back(job):
    first = job(2)
    assert "GPU-a,GPU-b" in printed(first)
    second = job(2)
    time.sleep(1)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert printed(second).endswith("GPU-a,GPU-b")


@pytest.mark.parametrize(
    ("wanted", "env", "expected"),
    [
        (0, {}, "[] None"),
        (5, {}, "['GPU-a', 'GPU-b', 'GPU-c'] GPU-a,GPU-b,GPU-c"),
        (1, {"CUDA_VISIBLE_DEVICES": "7"}, "[] 7"),
        (1, {"PATH": "/nowhere"}, "[] None"),
    ],
    ids=["none requested", "more than there are", "a scheduler has chosen", "no GPU here"],
)
def test_when_there_is_nothing_to_deal_out(job, wanted, env, expected):
    assert printed(job(wanted, 0, **env)) == expected


@pytest.mark.parametrize(("flags", "has"), [("sse avx512_bf16 vnni", True), ("amx_bf16", True), ("avx2 f16c", False)])
def test_processors_that_compute_bfloat16(tmp_path, flags, has):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    assert devices.cpu_has_bfloat16(tmp_path / "cpuinfo") is has
    assert not devices.cpu_has_bfloat16(tmp_path / "none")
