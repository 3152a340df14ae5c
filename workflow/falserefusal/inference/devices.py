"""What a job finds out about its machine: GPUs to reserve, the memory that it used, what the processor can do.

Snakemake counts GPUs but does not assign them to jobs (snakemake issue 281), so jobs that run at the same time could
share one. Slurm assigns them by CUDA_VISIBLE_DEVICES.
"""

import fcntl
import logging
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

log = logging.getLogger(__name__)

# lock files of the reserved GPUs: open until this process ends, so that even kill -9 releases them
_held: dict[str, int] = {}


def claim_gpus(count: int) -> list[str]:
    """Reserve `count` GPUs of this machine until this process ends, and hide the others from later imports.

    Waits until other jobs of this user have released enough GPUs. Returns the ids of the reserved ones. Does nothing
    if CUDA_VISIBLE_DEVICES is set (a scheduler or a person has chosen), if `count` is 0, or if there is no GPU.
    """
    here = _gpus() if count > 0 and "CUDA_VISIBLE_DEVICES" not in os.environ else []
    count = min(count, len(here))
    while len(_held) < count:
        for gpu in here:
            if len(_held) < count:
                _lock(gpu)
        if len(_held) < count:  # all or none, so that two jobs never wait for each other
            while _held:
                os.close(_held.popitem()[1])
            time.sleep(random.uniform(0.5, 1.5))
    if count:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(_held)
        log.info("using %d of %d GPUs: %s", count, len(here), ", ".join(_held))
    return list(_held)


def _gpus() -> list[str]:
    """Ids of the GPUs of this machine, from nvidia-smi."""
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def compute_capability() -> tuple[int, int]:
    """CUDA compute capability of this machine's oldest NVIDIA GPU, from nvidia-smi; (0, 0) if there is none.

    Torch is not asked, because that would take memory on a GPU and rule out forking.
    """
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    found = [re.fullmatch(r"(\d+)\.(\d+)", line.strip()) for line in listed.splitlines()]
    return min(((int(match[1]), int(match[2])) for match in found if match), default=(0, 0))


def _lock(gpu: str) -> None:
    """Take a GPU's lock if it is free."""
    folder = Path(tempfile.gettempdir(), f"falserefusal-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / gpu, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
    else:
        _held[gpu] = file


def peak_memory() -> dict:
    """Peak memory of this process in MiB, on the host and on the accelerators."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would include the process that started this one
        kib = re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8", errors="replace"))[1]
    else:
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = {"host_mib": int(kib) // 1024}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        devices = range(torch.cuda.device_count())
        peak["accelerator_mib"] = sum(torch.cuda.max_memory_allocated(i) for i in devices) // 2**20
    return peak


def cpu_has_bfloat16(cpuinfo: str | Path = "/proc/cpuinfo") -> bool:
    """Whether the processor has instructions for bfloat16, as Linux lists them; False where it lists none."""
    try:
        flags = Path(cpuinfo).read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16"))
