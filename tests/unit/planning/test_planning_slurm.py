"""The check of jobs and profile against a cluster, whose commands are small scripts on PATH."""

from dataclasses import replace

import pytest

from falserefusal.common.errors import InputError
from falserefusal.planning.slurm import (
    Settings,
    check_cluster,
    gpus_of,
    profile_settings,
    read_partitions,
    slurm_minutes,
)

NODES = """\
cpu*|1-00:00:00|64000|32|(null)|(null)
gpu|8:00:00|256000|32|gpu:a100:4(S:0-1)|a100,nvlink
gpu|8:00:00|128000|16|gpu:v100:2|v100
"""
FILE = """
partitions:
  cpu: {max_runtime: 1d, max_mem_mb: 64000, max_threads: 32}
  gpu: {max_runtime: 8h, max_mem_mb: 256000, max_threads: 32, max_gpu: 4}
"""
CPU = {"gpu": 0, "mem_mb": 3000, "runtime": 30, "threads": 1}
GPU = {"gpu": 2, "mem_mb": 80_000, "runtime": 400, "threads": 4, "gpu_model": "a100"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A function that puts commands on PATH, by name, each with what it prints (None: it fails)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    (tmp_path / "partitions.yaml").write_text(FILE)

    def install(**printed):
        for name, text in printed.items():
            (folder / f"{name}.txt").write_text(text or "")
            end = f"cat {folder}/{name}.txt" if text is not None else "echo no controller >&2; exit 1"
            (folder / name).write_text(f"#!/bin/sh\n{end}\n")
            (folder / name).chmod(0o755)

    return install


def check(jobs, used=True, **settings):
    return check_cluster(jobs, Settings(**{"file": "partitions.yaml"} | settings), used)


def problems(rows):
    return [(row[0], row[1], row[3]) for row in rows if row[2] == "missing"]


def test_without_slurm_nothing_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check({"m": GPU}) == []


def test_jobs_that_fit_are_one_row(cluster):
    cluster(sinfo=NODES)
    assert check({"m": GPU, "n": CPU}) == [
        ("Slurm", "jobs", "ok", "every job can run in one of the partitions cpu, gpu", "")
    ]


def test_an_unknown_partition_is_named_with_those_there_are(cluster, tmp_path):
    cluster(sinfo=NODES)
    (tmp_path / "partitions.yaml").write_text(FILE.replace("gpu:", "gpus:", 1))
    rows = check({"m": CPU})
    assert problems(rows) == [
        ("Slurm", "partition gpus", "partitions.yaml: the cluster has no partition 'gpus'; it has cpu, gpu")
    ]
    assert "generate-slurm-partition-config" in rows[0][4]
    [found] = problems(check({"m": CPU}, partition="cpu,fast"))
    assert found[2] == "slurm_partition in the profile: the cluster has no partition 'fast'; it has cpu, gpu"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"runtime": 481}, "gpu: max_runtime is 8h in partitions.yaml"),
        ({"gpu": 8}, "gpu: max_gpu is 4 in partitions.yaml"),
        ({"mem_mb": 300_000}, "gpu: max_mem_mb is 256000 in partitions.yaml"),
        ({"gpu_model": "h100"}, "gpu: at most 0 GPUs of type h100 on a node"),
        ({"gpu_model": "v100", "gpu": 3}, "gpu: at most 2 GPUs of type v100 on a node"),
        ({"gpu_model": "v100", "mem_mb": 130_000}, "gpu: at most 128000 MB on a node"),  # the other nodes have more
        ({"gpu_model": "v100", "threads": 20}, "gpu: at most 16 cores on a node"),
        ({"gpu_model": "", "constraint": "h100"}, "gpu: no node has the feature h100"),
        ({"constraint": "a100&v100"}, "gpu: no node has the feature a100&v100"),
    ],
)
def test_a_job_that_no_partition_takes_is_reported_with_the_reason(cluster, change, reason):
    cluster(sinfo=NODES)
    [(subject, item, message)] = problems(check({"large": GPU | change, "small": CPU}))
    assert (subject, item) == ("large", "Slurm")
    assert reason in message and message.startswith("no partition takes its job (") and "cpu: it has no GPUs" in message


def test_the_clusters_own_limits_count_where_the_file_promises_more(cluster, tmp_path):
    cluster(sinfo=NODES)
    (tmp_path / "partitions.yaml").write_text(FILE.replace("8h", "2d").replace("max_gpu: 4", "max_gpu: 8"))
    rows = check({"long": GPU | {"runtime": 1000}, "m": GPU})
    assert [row[0] for row in problems(rows)] == ["long"] and "gpu: time limit 480 min" in problems(rows)[0][2]
    warned = [(row[1], row[3], row[4]) for row in rows if row[2] == "warn"]
    assert [(item, what) for item, _, what in warned] == [
        ("partition gpu", "set max_gpu to 4"),
        ("partition gpu", "set max_runtime to 480"),
    ]
    assert warned[1][1].startswith("partitions.yaml: max_runtime 2d is above the cluster's 480")


def test_jobs_that_could_get_any_gpu_are_a_warning(cluster):
    cluster(sinfo=NODES)
    unnamed = GPU | {"gpu_model": ""}
    [warning] = [row for row in check({"m": unnamed}) if row[2] == "warn"]
    assert warning[1] == "GPU type" and "a100, v100" in warning[3] and "column gpu_model" in warning[4]
    assert not [row for row in check({"m": unnamed | {"constraint": "nvlink"}}) if row[2] == "warn"]
    cluster(sinfo=NODES.replace("v100", "a100"))
    assert not [row for row in check({"m": unnamed}) if row[2] == "warn"]


def test_an_account_and_a_qos_are_those_that_slurm_has(cluster):
    cluster(sinfo=NODES, sacctmgr="nlp|normal,long\nother|debug\n")
    assert problems(check({"m": CPU}, account="NLP", qos="long")) == []
    [account] = problems(check({"m": CPU}, account="nlpp"))
    assert account[1] == "slurm_account" and "'nlpp' is not one that Slurm has for" in account[2]
    assert account[2].endswith(": nlp, other")
    [qos] = problems(check({"m": CPU}, account="nlp", qos="debug"))  # of another account
    assert qos[1] == "qos" and qos[2].endswith(": long, normal")
    cluster(sacctmgr=None)
    assert problems(check({"m": CPU}, account="nlpp", qos="x")) == []


def test_a_partition_that_does_not_allow_the_account_is_reported(cluster):
    described = "PartitionName={} AllowAccounts={} AllowQos={}\n"
    cluster(sinfo=NODES, scontrol=described.format("cpu", "ALL", "ALL") + described.format("gpu", "vision", "high"))
    assert [row[:2] for row in problems(check({"m": CPU}, account="nlp", qos="low"))] == [
        ("Slurm", "partition gpu")
    ] * 2
    assert problems(check({"m": CPU}, account="vision", qos="high")) == []
    assert problems(check({"m": CPU}, partition="cpu", account="nlp")) == []


def test_without_partitions_in_the_profile_the_default_one_counts(cluster):
    cluster(sinfo=NODES)
    assert [row[0] for row in problems(check({"m": GPU, "n": CPU}, file=""))] == ["m"]
    cluster(sinfo=NODES.replace("*", ""))
    [row] = problems(check({"n": CPU}, file=""))
    assert "names no partition, and the cluster has no default" in row[2]


def test_where_jobs_do_not_go_to_slurm_problems_are_warnings(cluster):
    cluster(sinfo=NODES)
    rows = check({"m": GPU | {"gpu": 5}}, used=False)
    assert [row[2] for row in rows] == ["warn"] and rows[0][0] == "m"


def test_a_slurm_that_does_not_answer_is_one_row(cluster):
    cluster(sinfo=None)
    assert problems(check({"m": GPU})) == [("Slurm", "sinfo", "sinfo failed: no controller")]


def test_a_file_that_is_none_is_an_error(cluster, tmp_path):
    cluster(sinfo=NODES)
    for text in ("partitions: [cpu]", "[", "partitions: {cpu: 3}"):
        (tmp_path / "partitions.yaml").write_text(text)
        with pytest.raises(InputError, match=r"^partitions\.yaml: "):
            check({"m": CPU})
    with pytest.raises(InputError, match=r"none\.yaml"):
        check({"m": CPU}, file="none.yaml")


def test_partitions_of_another_cluster_are_not_checked(cluster, tmp_path):
    cluster(sinfo=NODES)
    (tmp_path / "partitions.yaml").write_text("partitions: {far: {cluster: other}}")
    assert check({"m": CPU}) == []


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("infinite", float("inf")),
        ("UNLIMITED", float("inf")),
        ("1-12:00:00", 2160),
        ("2-0", 2880),
        ("8:30:00", 510),
        ("30:00", 30),
        ("90", 90),
        ("1-02:30", 1590),
    ],
)
def test_times_as_slurm_writes_them(text, minutes):
    assert slurm_minutes(text) == minutes


@pytest.mark.parametrize("limit", ["1-12:00:00", "36h", "1d12h", "36:00", "2160", 2160, "1d 12h"])
def test_times_as_the_executor_plugin_reads_them(cluster, tmp_path, limit):
    cluster(sinfo=NODES.replace("8:00:00", "infinite"))
    (tmp_path / "partitions.yaml").write_text(f"partitions: {{gpu: {{max_runtime: '{limit}', max_gpu: 4}}}}")
    assert problems(check({"m": GPU | {"runtime": 2160}})) == []
    assert len(problems(check({"m": GPU | {"runtime": 2161}}))) == 1


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:2", {"": 2}),
        ("gpu", {"": 1}),
        ("gpu:3090:4", {"3090": 4}),
        ("gpu:a100:4(S:0,1),gpu:v100:2,shard:8", {"a100": 4, "v100": 2}),
        ("lscratch:800,gpu:1g.5gb:7", {"1g.5gb": 7}),
    ],
)
def test_gpus_as_slurm_lists_them(gres, gpus):
    assert gpus_of(gres) == gpus


def test_a_partition_has_all_its_nodes():
    found = read_partitions(NODES)
    assert found["cpu"].default and not found["gpu"].default and len(found["gpu"].nodes) == 2
    assert found["gpu"].most("mem_mb") == 256_000 and found["gpu"].most("gpu") == 4


def test_the_shipped_profile(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    assert profile_settings() == Settings(file="profiles/slurm/partitions.yaml")
    own = tmp_path / "profile.yaml"
    own.write_text("default-resources: [slurm_account=nlp, slurm_partition=gpu]\nslurm-qos: long\n")
    assert profile_settings(own) == replace(Settings(), account="nlp", partition="gpu", qos="long")
