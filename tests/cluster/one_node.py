"""A real Slurm on this machine alone: munged, slurmctld and slurmd on loopback, everything below one folder.

Needs root and Debian's packages slurm-wlm and munge. The GPUs are simulated: Slurm grants and counts them, a job
sees CUDA_VISIBLE_DEVICES, but nothing can be computed on them.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
SETTINGS = """
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
# no control groups, no database: this must run in a container
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
# a finished job stays known; cred_expire above: a job that is put back waits so many seconds, not two minutes
MinJobAge=3600
KillWait=2
ReturnToService=2
# a node may be said to have more than it has
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES State=UP
PartitionName=gpu Nodes={node} State=UP
"""
# A job step drops SLURM_CONF from its environment before it calls srun, which then looks for a cluster by DNS.
SRUN = '#!/bin/sh\nSLURM_CONF={base}/slurm.conf exec {srun} "$@"\n'


def missing() -> str | None:
    """The reason why Slurm cannot be started here; None if it can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [program for program in (*DAEMONS, "mungekey", "sbatch") if shutil.which(program) is None]
    return f"needs {', '.join(absent)} (apt-get install slurm-wlm munge)" if absent else None


@contextlib.contextmanager
def one_node_slurm(base: Path, cpus: int = 4, memory: int = 16000, gpus: int = 2) -> Iterator[dict[str, str]]:
    """Run Slurm in the folder `base` with partitions cpu and gpu; yields the environment for its commands."""
    for folder in ("state", "spool", "bin"):
        (base / folder).mkdir()
    ports = _free_ports(2)
    settings = {"base": base, "host": socket.gethostname().partition(".")[0], "node": "node1", "gpus": gpus}
    settings |= {"cpus": cpus, "memory": memory, "controller_port": ports[0], "node_port": ports[1]}
    (base / "slurm.conf").write_text(SETTINGS.format(**settings))
    devices = [base / f"gpu{number}" for number in range(gpus)]
    for device in devices:  # Slurm insists on character devices: these are further names of /dev/null
        os.mknod(device, 0o020666, os.makedev(1, 3))
    (base / "gres.conf").write_text("".join(f"NodeName=node1 Name=gpu File={device}\n" for device in devices))
    shim = base / "bin/srun"
    shim.write_text(SRUN.format(base=base, srun=shutil.which("srun")))
    shim.chmod(0o755)
    env = {**os.environ, "SLURM_CONF": str(base / "slurm.conf"), "PATH": f"{base}/bin:{os.environ['PATH']}"}

    subprocess.run(["mungekey", "--create", f"--keyfile={base}/munge.key"], check=True)
    munge = [f"--{name}-file={base}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    commands = {
        "munged": ["munged", "--foreground", "--force", f"--socket={base}/munge.socket", *munge],
        "slurmctld": ["slurmctld", "-D", "-c"],
        "slurmd": ["slurmd", "-D", "-N", "node1"],
    }
    with contextlib.ExitStack() as running:
        for name, command in commands.items():
            log = running.enter_context((base / f"{name}.log").open("w"))
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
            running.callback(_end, process)
            _wait(_READY[name], base, env, process)
        running.callback(_end_jobs, env)
        yield env


def _end_jobs(env: dict[str, str]) -> None:
    subprocess.run(["scancel", "--user=root"], env=env, capture_output=True, check=False)
    for _ in range(100):
        left = subprocess.run(["squeue", "--noheader"], env=env, capture_output=True, text=True, check=False).stdout
        if not left.strip():
            return
        time.sleep(0.1)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_READY = {
    "munged": "test -S munge.socket",
    "slurmctld": "scontrol ping | grep -q UP",
    "slurmd": "sinfo --noheader --format=%T | grep -q idle",
}


def _wait(check: str, base: Path, env: dict[str, str], process: subprocess.Popen) -> None:
    for _ in range(300):
        if subprocess.run(check, shell=True, cwd=base, env=env, capture_output=True, check=False).returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(base.glob("*.log")))
    raise RuntimeError(f"{process.args[0]} is not ready ({check})\n{logs}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
