"""On a machine without a scheduler: which GPUs a job uses, so that jobs side by side never share one.

Snakemake counts GPUs but does not say which (snakemake issue 281); Slurm does, by CUDA_VISIBLE_DEVICES.
"""

import fcntl
import logging
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

log = logging.getLogger(__name__)

_held: dict[str, int] = {}  # open for as long as this process lives: what ends it, also kill -9, gives its GPUs back


def claim_gpus(wanted: int) -> list[str]:
    """Hold `wanted` of this machine's GPUs until this process ends, and hide the others from what is imported later.

    Waits until as many are free of other jobs of this user. Returns their ids. Does nothing where CUDA_VISIBLE_DEVICES
    is set (a scheduler or a person has decided), where none is wanted, or where there is none.
    """
    here = _gpus() if wanted > 0 and "CUDA_VISIBLE_DEVICES" not in os.environ else []
    wanted = min(wanted, len(here))
    while len(_held) < wanted:
        for gpu in here:
            if len(_held) < wanted:
                _lock(gpu)
        if len(_held) < wanted:  # all or none, so that two jobs never wait for each other's
            while _held:
                os.close(_held.popitem()[1])
            time.sleep(random.uniform(0.5, 1.5))
    if wanted:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(_held)
        log.info("using %d of %d GPUs: %s", wanted, len(here), ", ".join(_held))
    return list(_held)


def _gpus() -> list[str]:
    """Ids of the GPUs of this machine, as nvidia-smi says."""
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip()]


def _lock(gpu: str) -> None:
    """Take a GPU's lock, if nobody has it."""
    folder = Path(tempfile.gettempdir(), f"falserefusal-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / gpu, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
    else:
        _held[gpu] = file
