"""Check the jobs of a study, and the Slurm profile, against the cluster: partitions, GPUs, account and QOS.

The executor plugin chooses a job's partition by the limits in partitions.yaml, without asking Slurm. Where they are
wrong, Slurm rejects a job or never starts it, perhaps hours after the first one began. All is read with `sinfo`,
`scontrol` and `sacctmgr`; what they do not answer is not checked.
"""

import getpass
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import yaml

from falserefusal.common.errors import InputError

PROFILE = "profiles/slurm/profile.yaml"
# Keys of a partition in partitions.yaml that hold the same as a resource of a job.
LIMITS = {"max_gpu": "gpu", "max_runtime": "runtime", "max_mem_mb": "mem_mb", "max_threads": "threads"}
UNITS = {"d": 1440, "h": 60, "m": 1, "s": 1 / 60}
TIMEOUT = 60  # seconds for one command of Slurm

Row = tuple[str, str, str, str, str]  # subject, item, status, message, what to do
Job = Mapping[str, Any]  # gpu, mem_mb, runtime, threads, and where they are known gpu_model, constraint


@dataclass(frozen=True)
class Settings:
    """What the profile says about the cluster.

    file: partitions.yaml; partition, account, qos: of every job, from default-resources. "" where it says nothing.
    """

    file: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""


@dataclass(frozen=True)
class Nodes:
    """Nodes of a partition that are alike: memory in MB, cores, GPUs by type ("": without a type), features."""

    mem_mb: int
    threads: int
    gpus: Mapping[str, int]
    features: frozenset[str]

    def gpu(self, model: str = "") -> int:
        """GPUs of a type on each node; of any if `model` is empty."""
        return self.gpus.get(model, 0) if model else sum(self.gpus.values())


@dataclass(frozen=True)
class Partition:
    """A partition as Slurm has it: time limit in minutes, nodes, and whether it is the default."""

    runtime: float
    nodes: tuple[Nodes, ...]
    default: bool

    def most(self, resource: str) -> float:
        """The largest request of a resource that a job of one node can make."""
        if resource == "runtime":
            return self.runtime
        return max((node.gpu() if resource == "gpu" else getattr(node, resource) for node in self.nodes), default=0)


def profile_settings(path: str | Path = PROFILE) -> Settings:
    """Read the settings of a profile that this run does not use."""
    profile = _mapping(path)
    resources = profile.get("default-resources") or {}
    if isinstance(resources, list):
        resources = dict(str(resource).split("=", 1) for resource in resources)
    qos = profile.get("slurm-qos") or resources.get("qos")
    named = (
        profile.get("slurm-partition-config"),
        resources.get("slurm_partition"),
        resources.get("slurm_account"),
        qos,
    )
    return Settings(*(str(value or "") for value in named))


def check_cluster(jobs: Mapping[str, Job], settings: Settings | None, used: bool = True) -> list[Row]:
    """Check every job of a study against the partitions that it can be sent to.

    Parameters
    ----------
    jobs : mapping
        What the largest job of each model asks for.
    settings : Settings, optional
        Of the profile; None: those of profiles/slurm.
    used : bool
        Whether jobs of this run go to Slurm. If not, problems are warnings, and without Slurm nothing is checked.

    Returns
    -------
    list of rows
        Rows of preflight's table; empty where Slurm's commands are absent.
    """
    if shutil.which("sinfo") is None:
        return []
    problem = "missing" if used else "warn"
    if settings is None and not Path(PROFILE).is_file():
        return []
    settings = settings or profile_settings()
    listed, failure = _ask("sinfo", "--all", "--noheader", "--exact", "--format=%P|%l|%m|%c|%G|%f")
    if failure and not used:  # Slurm's commands are here, but perhaps no cluster
        return []
    if failure:
        what = "load the module or set SLURM_CONF, so that `sinfo` lists the partitions"
        return [("Slurm", "sinfo", problem, f"sinfo failed: {failure}", what)]
    partitions = read_partitions(listed)
    chosen, rows = _chosen(settings, partitions)
    rows += _access(settings, list(chosen))
    known = {name: limits for name, limits in chosen.items() if name in partitions}
    for name, limits in known.items():
        rows += _limits(name, limits, partitions[name], settings.file)
    for subject, job in jobs.items():
        if known and (reasons := _refused(job, known, partitions)):
            message = f"no partition takes its job ({_request(job)}): {'; '.join(reasons)}"
            rows.append((subject, "Slurm", problem, message, _remedy(job, settings)))
    rows += _types(jobs, [partitions[name] for name in known])
    rows = [(*row[:2], problem if row[2] == "missing" else row[2], *row[3:]) for row in rows]
    if known and not any(row[2] == problem for row in rows):
        rows.append(("Slurm", "jobs", "ok", f"every job can run in one of the partitions {', '.join(known)}", ""))
    return rows


def read_partitions(listed: str) -> dict[str, Partition]:
    """Read what `sinfo` lists: a line for each partition and kind of nodes."""
    found: dict[str, Partition] = {}
    for line in filter(None, map(str.strip, listed.splitlines())):
        name, time, memory, cores, gres, features = line.split("|")
        node = Nodes(_whole(memory), _whole(cores), gpus_of(gres), frozenset(features.split(",")))
        before = found.get(name.rstrip("*"))
        nodes = (*before.nodes, node) if before else (node,)
        found[name.rstrip("*")] = Partition(slurm_minutes(time), nodes, name.endswith("*"))
    return found


def _whole(text: str) -> int:
    return int(re.sub(r"\D.*", "", text) or 0)


def gpus_of(gres: str) -> dict[str, int]:
    """GPUs by type in Slurm's list of generic resources, such as gpu:a100:4(S:0-1),gpu:2; without a type: ""."""
    found: dict[str, int] = {}
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *more = entry.split(":")
        if name == "gpu":
            number = int(more.pop()) if more and more[-1].isdigit() else 1
            model = more[0] if more else ""
            found[model] = found.get(model, 0) + number
    return found


def slurm_minutes(text: str) -> float:
    """A time of Slurm in minutes: 1-12:00:00, 8:00:00, 30:00 (minutes and seconds), 2-0, 90; infinite."""
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return inf  # infinite, UNLIMITED, n/a
    numbers = [int(part) for part in parts]
    if dash:  # from hours on
        numbers = [*numbers, 0, 0][:3]
    elif len(numbers) < 3:  # from minutes on
        numbers = [0, *numbers, 0][:3]
    return int(days or 0) * 1440 + numbers[0] * 60 + numbers[1] + numbers[2] / 60


def _limit(key: str, value: Any) -> float:
    """A limit of partitions.yaml as a number, in minutes if it is a time."""
    if isinstance(value, int | float):
        return value
    text = str(value).strip().lower()
    if key != "max_runtime":
        return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else inf
    if parts := re.fullmatch(r"(?:\d+(?:\.\d+)?\s*[dhms]\s*)+", text):
        return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)\s*([dhms])", parts[0]))
    # the executor plugin reads 12:30 as hours and minutes
    return slurm_minutes(f"{text}:00" if text.count(":") == 1 and "-" not in text else text)


def _mapping(path: str | Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold keys with values")
    return found


def _ask(*command: str) -> tuple[str, str]:
    """The output of a command, and why there is none ("": there is)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    except subprocess.CalledProcessError as error:
        return "", " ".join(error.stderr.split()) or f"exit status {error.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    return done.stdout, ""


def _chosen(settings: Settings, partitions: Mapping[str, Partition]) -> tuple[dict[str, dict[str, Any]], list[Row]]:
    """The partitions that jobs can be sent to, each with the limits of partitions.yaml; and rows about unknown ones."""
    if settings.partition:
        chosen: dict[str, dict[str, Any]] = {name: {} for name in settings.partition.split(",")}
        where = "slurm_partition in the profile"
    elif settings.file:
        entries = _mapping(settings.file).get("partitions")
        if not isinstance(entries, dict) or not all(isinstance(limits, dict) for limits in entries.values()):
            raise InputError(f"{settings.file}: 'partitions' must hold partitions by name, each with its limits")
        elsewhere = {"slurm_cluster", "cluster", "clusters"}
        chosen = {str(name): {"max_gpu": 0} | own for name, own in entries.items() if not elsewhere & set(own)}
        where = settings.file
    else:
        default: dict[str, dict[str, Any]] = {name: {} for name, found in partitions.items() if found.default}
        what = "set slurm-partition-config in the profile"
        none = ("Slurm", "partition", "missing", "the profile names no partition, and the cluster has no default", what)
        return default, [] if default else [none]
    has = ", ".join(partitions) or "none"
    what = f"correct {where}"
    if not settings.partition:
        what += " (`generate-slurm-partition-config` writes a draft of it)"
    return chosen, [
        ("Slurm", f"partition {name}", "missing", f"{where}: the cluster has no partition '{name}'; it has {has}", what)
        for name in chosen
        if name not in partitions
    ]


def _limits(name: str, limits: Mapping[str, Any], partition: Partition, file: str) -> list[Row]:
    """A row for each limit of partitions.yaml that is above the cluster's."""
    rows = []
    for key, resource in LIMITS.items():
        most = partition.most(resource)
        if key in limits and _limit(key, limits[key]) > most:
            message = f"{file}: {key} {limits[key]} is above the cluster's {most:.0f}, so larger jobs would be rejected"
            rows.append(("Slurm", f"partition {name}", "warn", message, f"set {key} to {most:.0f}"))
    return rows


def _refused(job: Job, known: Mapping[str, Mapping[str, Any]], partitions: Mapping[str, Partition]) -> list[str] | None:
    """Why no partition takes a job, a reason for each; None if one does."""
    reasons = []
    for name, limits in known.items():
        reason = _beyond(job, limits) or _lacking(job, partitions[name])
        if reason is None:
            return None
        reasons.append(f"{name}: {reason}")
    return reasons


def _beyond(job: Job, limits: Mapping[str, Any]) -> str | None:
    """The first limit of partitions.yaml that keeps a job out of a partition."""
    for key, resource in LIMITS.items():
        if key in limits and job[resource] > _limit(key, limits[key]):
            return f"{key} is {limits[key]} in partitions.yaml" if limits[key] else "it has no GPUs in partitions.yaml"
    models, constraints = limits.get("available_gpu_models"), limits.get("available_constraints")
    if job["gpu"] and models and job.get("gpu_model") and job["gpu_model"] not in models:
        return f"available_gpu_models has no {job['gpu_model']} in partitions.yaml"
    if constraints and job.get("constraint") and not set(job["constraint"].split(",")) <= set(constraints):
        return f"available_constraints has no {job['constraint']} in partitions.yaml"
    return None


def _lacking(job: Job, partition: Partition) -> str | None:
    """What a partition lacks for a job; None if the job can run there. All of it must be on one node."""
    if job["runtime"] > partition.runtime:
        return f"time limit {partition.runtime:.0f} min"
    model, constraint = job.get("gpu_model") or "", job.get("constraint") or ""
    wanted = set(constraint.split("&")) if re.fullmatch(r"[\w.&-]+", constraint) else set()  # not an expression
    kind = f" of type {model}" if model else ""
    tests: list[tuple[Callable[[Nodes], bool], Callable[[Sequence[Nodes]], str]]] = [
        (lambda node: wanted <= node.features, lambda nodes: f"no node has the feature {constraint}"),
        (
            lambda node: node.gpu(model) >= job["gpu"],
            lambda nodes: f"at most {max(node.gpu(model) for node in nodes)} GPUs{kind} on a node",
        ),
        (
            lambda node: node.mem_mb >= job["mem_mb"],
            lambda nodes: f"at most {max(node.mem_mb for node in nodes)} MB on a node",
        ),
        (
            lambda node: node.threads >= job["threads"],
            lambda nodes: f"at most {max(node.threads for node in nodes)} cores on a node",
        ),
    ]
    nodes: Sequence[Nodes] = partition.nodes
    for fits, reason in tests:
        left = [node for node in nodes if fits(node)]
        if not left:
            return reason(nodes) if nodes else "it has no nodes"
        nodes = left
    return None


def _request(job: Job) -> str:
    gpus = " ".join(filter(None, (str(job["gpu"]), job.get("gpu_model"), job.get("constraint"))))
    gpus = f"GPUs {gpus}, " if job["gpu"] else ""
    return f"{gpus}memory {job['mem_mb']} MB, at most {job['runtime']} min, {job['threads']} cores"


def _remedy(job: Job, settings: Settings) -> str:
    where = f"correct {settings.file or 'slurm_partition in the profile'}"
    if job["gpu"]:
        where += ", set planning.gpu to a GPU of the cluster (its names there are in config/gpus.csv)"
    return f"{where}, set planning.hours_per_shard to half the time limit, or leave the model out"


def _types(jobs: Mapping[str, Job], partitions: Sequence[Partition]) -> list[Row]:
    """A row if jobs with GPUs do not say which type, and could get several."""
    types = sorted({model for partition in partitions for node in partition.nodes for model in node.gpus if model})
    unnamed = any(job["gpu"] and not job.get("gpu_model") and not job.get("constraint") for job in jobs.values())
    if not unnamed or len(types) < 2:
        return []
    message = f"jobs can get any GPU of the partitions, which have {', '.join(types)}"
    what = "write the type of planning.gpu into the column gpu_model (or a feature into constraint) of config/gpus.csv"
    return [("Slurm", "GPU type", "warn", message, what)]


def _access(settings: Settings, names: Sequence[str]) -> list[Row]:
    """Rows about an account or QOS that the user does not have, or that a partition does not allow."""
    rows = []
    user = getpass.getuser()
    fields = "format=account,qos"
    listed, _ = _ask("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", fields)
    own = [line.split("|") for line in listed.split() if "|" in line]
    accounts = {account.lower() for account, _ in own}
    wanted = {name.lower() for name in re.split(r"[,\s]+", settings.account) if name}
    qos = {name for account, names_ in own for name in names_.split(",") if not wanted or account.lower() in wanted}
    for key, name, known in (("slurm_account", settings.account, accounts), ("qos", settings.qos, qos - {""})):
        asked = wanted if key == "slurm_account" else {name}
        if name and known and not asked <= known:
            message = f"{key} '{name}' is not one that Slurm has for {user}: {', '.join(sorted(known))}"
            rows.append(("Slurm", key, "missing", message, f"correct {key} in the profile"))
    described, _ = _ask("scontrol", "show", "partition", "--oneliner")
    for line in described.splitlines():
        fact = dict(re.findall(r"(\w+)=(\S+)", line))
        for key, allowed, own_ in (
            ("slurm_account", "AllowAccounts", settings.account),
            ("qos", "AllowQos", settings.qos),
        ):
            open_to = fact.get(allowed, "ALL")
            if fact.get("PartitionName") in names and own_ and open_to != "ALL" and own_ not in open_to.split(","):
                message = f"{key} '{own_}' is not allowed there; allowed: {open_to}"
                what = f"correct {key} in the profile, or take the partition out of it"
                rows.append(("Slurm", f"partition {fact['PartitionName']}", "missing", message, what))
    return rows
