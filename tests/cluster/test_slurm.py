"""A small rehearsal on a real Slurm with the shipped profile; interrupted jobs give the tables of a local run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
from one_node import missing, one_node_slurm

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(missing() is not None, reason=f"a Slurm {missing()}")]

CONFIG = """
study: small
seed: 7
models: [Llama2-7B, Llama3.2-1B, Gemma2-2B]
checkpoints: {kind: standins}
tasks:
  nli:
    source: {kind: embedded}
    rows_per_gold_label: 10
    options: [entailment, contradiction, neutral]
    layout: "\\n\\nPremise: {premise}\\nHypothesis: {hypothesis}"
  offensiveness:
    source: {kind: embedded}
    rows_per_gold_label: 8
    options: [offensive, not offensive]
design: {draws_per_row: 5}
inference: {batch_tokens: 64, shards: {Llama2-7B: 2}}
estimation: {bootstrap: 100, permutations: 99}
"""
ARGUMENTS = [sys.executable, "-m", "snakemake", "tables", "--configfile", "small.yaml"]
SLURM = ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "5"]
SLURM += ["--set-resources", "responses:gpu=1", "responses_shard:gpu=1"]  # stand-ins need none
VICTIMS = {"Llama2-7B_1-of-2": "scancel", "Llama2-7B_2-of-2": "requeue", "Llama3.2-1B": "kill", "Gemma2-2B": "limit"}
ENDED = ["CANCELLED", "FAILED", "TIMEOUT"]  # Slurm's states; the requeued job completes
ENOUGH = 60  # responses that a job has stored when it is interrupted


def job_of(victim: str, env: dict) -> str | None:
    """The running Slurm job of a model or a shard, found by the rule and wildcards in its comment."""
    jobs = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i %k"], env=env, capture_output=True, text=True).stdout
    return next((job.split()[0] for job in jobs.splitlines() if "responses" in job and victim in job), None)


def script_of(job: str) -> int | None:
    """The process that runs the rule's script in a job."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = f"SLURM_JOB_ID={job}\0" in (process / "environ").read_text()
            command = (process / "cmdline").read_text()
        except (OSError, UnicodeDecodeError):  # it has ended, or belongs to another user
            continue
        if here and ".snakemake/scripts/" in command and not command.startswith("/bin/bash"):
            return int(process.name)
    return None


def command_of(process: Path) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return (process / "cmdline").read_text().replace("\0", " ")
    except (OSError, UnicodeDecodeError):
        return ""


def stored(store: Path, writer: int | str = "*", model: str = "*") -> list[str]:
    """The records in a store, of one process or model, without their checksums; incomplete ones do not count."""
    segments = sorted(store.glob(f"{model}/*-{writer}-*.jsonl"))
    return [line.split(" ", 1)[1] for file in segments for line in file.read_text().split("\n")[:-1]]


def strike(victim: str, store: Path, env: dict) -> int:
    """Interrupt a job as a user, a preemption or a fault would, once it has stored ENOUGH; return that number or 0."""
    job = job_of(victim, env)
    script = script_of(job) if job else None
    records = len(stored(store, script)) if script else 0
    if records < ENOUGH:
        return 0
    if VICTIMS[victim] == "kill":
        os.kill(script, signal.SIGKILL)
    elif VICTIMS[victim] == "limit":  # a minute is Slurm's shortest; held still, the job does not end before it
        os.kill(script, signal.SIGSTOP)
        subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=1"], env=env, check=True)
    else:
        command = {"scancel": ["scancel", job], "requeue": ["scontrol", "requeue", job]}[VICTIMS[victim]]
        subprocess.run(command, env=env, check=True)
    return records


@pytest.fixture(scope="module")
def runs(checkout):
    """Run the study here, and on Slurm with one job of every model interrupted; also what was stored at that time."""
    copies = [checkout(), checkout()]
    for copy in copies:
        copy.path("small.yaml").write_text(CONFIG)
    local, cluster = (copy.folder for copy in copies)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    done = subprocess.run([*ARGUMENTS, "--cores", "2"], cwd=local, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]

    base = Path(tempfile.mkdtemp(prefix="slurm"))  # a socket's path must be short
    at_strike = {}
    with one_node_slurm(base) as env_slurm, (cluster / "output.txt").open("w") as output:
        env |= env_slurm
        checked = [*ARGUMENTS[:3], "preflight", *ARGUMENTS[4:], "--workflow-profile", "profiles/slurm"]
        subprocess.run(checked, cwd=cluster, env=env, stdout=output, stderr=output, check=True)
        run = subprocess.Popen([*ARGUMENTS, *SLURM], cwd=cluster, env=env, stdout=output, stderr=output)
        while run.poll() is None:
            for victim in VICTIMS.keys() - at_strike.keys():
                if records := strike(victim, cluster / "results/store", env):
                    at_strike[victim] = records
            time.sleep(0.05)
        known = subprocess.run(
            ["scontrol", "show", "job", "--oneliner"], env=env, capture_output=True, text=True
        ).stdout
        jobs = [dict(re.findall(r"(\w+)=(\S+)", job)) for job in known.splitlines()]
    shutil.rmtree(base)
    left = [pid for pid in Path("/proc").glob("[0-9]*") if str(cluster) in command_of(pid)]
    assert [command_of(pid) for pid in left] == []  # a requeued job leaves no process of its first start
    assert run.returncode == 0, (cluster / "output.txt").read_text()[-6000:]
    return local, cluster, at_strike, jobs


def test_the_tables_are_those_of_a_local_run_byte_for_byte(runs):
    local, cluster, *_ = runs
    tables = [
        {file.name: file.read_bytes() for file in (folder / "results/small/tables").iterdir()}
        for folder in (local, cluster)
    ]
    assert len(tables[0]) > 15 and tables[0].keys() == tables[1].keys()
    assert [name for name in tables[0] if tables[0][name] != tables[1][name]] == []


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_job_costs_at_most_a_batch(runs, victim):
    _, cluster, at_strike, _ = runs
    model, _, shard = victim.partition("_")
    file = f"shards/{model}/{shard}" if shard else f"responses/{model}"
    responses = json.loads((cluster / f"results/small/{file}.provenance.json").read_text())["responses"]
    assert ENOUGH <= at_strike[victim] < responses["distinct"]  # it was interrupted before the end
    assert responses["reused"] > at_strike[victim] - 64  # in bfloat16 the interrupted window is computed again
    assert responses["reused"] + responses["generated"] == responses["distinct"]


def test_the_store_has_hardly_more_than_every_response_once(runs):
    _, cluster, *_ = runs
    store = cluster / "results/store"
    models = sorted(folder.name for folder in store.iterdir())
    records = {model: [record.split(" ", 2) for record in stored(store, model=model)] for model in models}
    # in bfloat16, responses depend on their batch, so an interrupted batch is computed again as a whole
    batches = [int(batch.partition("/")[2] or 0) for own in records.values() for _, batch, _ in own]
    repeated = {model: len(own) - len({key for key, *_ in own}) for model, own in records.items()}
    assert len(repeated) == 3 and max(repeated.values()) <= max(batches)


def test_preflight_compares_the_profile_with_the_cluster(runs):
    _, cluster, *_ = runs
    found = pd.read_csv(cluster / "results/small/plan/preflight.csv").query("subject == 'Slurm'")
    rows = found[["item", "status", "what_to_do"]].fillna("").to_records(index=False).tolist()
    assert rows == [  # the node has 4 cores, 16,000 MB and 2 GPUs
        ("partition cpu", "warn", "set max_mem_mb to 16000"),
        ("partition cpu", "warn", "set max_threads to 4"),
        ("partition gpu", "warn", "set max_gpu to 2"),
        ("partition gpu", "warn", "set max_mem_mb to 16000"),
        ("partition gpu", "warn", "set max_threads to 4"),
        ("jobs", "ok", ""),
    ]


def test_jobs_went_where_their_resources_belong(runs):
    *_, jobs = runs
    assert {job["Partition"] for job in jobs if "gpu:1" in job.get("TresPerJob", "")} == {"gpu"}
    assert {job["Partition"] for job in jobs if "TresPerJob" not in job} == {"cpu"}
    assert {job["NumNodes"] for job in jobs} <= {"1", "1-1"}
    assert sorted(job["JobState"] for job in jobs if job["JobState"] != "COMPLETED") == ENDED
    assert [job["Restarts"] for job in jobs if job["Restarts"] != "0"] == ["1"]  # the requeued one
    asked = [job for job in jobs if job["Partition"] == "gpu"]
    # the limit of a stand-in, except for the one cut short; restarted jobs request twice the time
    assert sorted(job["TimeLimit"] for job in asked) == ["00:01:00"] + ["00:30:00"] * 3 + ["01:00:00"] * 3
