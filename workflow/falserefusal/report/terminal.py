"""What a run shows on the terminal: a line per finished rule, progress of model jobs, failures, findings and links.

Snakemake's own handler of the terminal is replaced; its log file in .snakemake/log still gets everything. With
--verbose, --quiet, --printshellcmds, --debug-dag or --logger, Snakemake's own output is shown instead.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from falserefusal.common.logs import PROGRESS, last_error
from falserefusal.report.overview import read_summary, summary_text
from falserefusal.study.files import Files

SNAKEMAKE = "snakemake.logging"  # the name of its logger
RED, YELLOW, DIM = "31", "33", "2"
TAIL = 4096  # bytes of a log in which the last progress is looked for
UNSHOWN = ("Assuming ", "Building DAG", "Loading script code")  # when nothing runs, as with --list or --report
# Messages of Snakemake that have no event, but that a user waits for.
SHOWN = ("Nothing to be done", "Terminating processes", "Will exit", "Shutting down")
ENDED = "Exiting because a job execution failed"  # said better at the end
# Errors that only repeat the failure of a job, which is reported by itself.
REPEATED = ("RuleException", "CalledProcessError", "SpawnedJobError")
CONFIG_ERROR = re.compile(r'WorkflowError in file ".*", line \d+:\n([\s\S]*?)(\n  File ".*", line .*)*$')
ASKED_WRONGLY = re.compile(r"InputFunctionException [\s\S]*?\n  InputError: ([\s\S]*?)\nWildcards:")
FAILED = "At least one job did not complete successfully."


@dataclass
class Job:
    """A job that runs.

    Attributes
    ----------
    title : the message of its rule; empty for a rule without one, which only names targets
    shown : when its progress was last printed, in seconds of time.monotonic
    taken : seconds from its start to its end; 0 while it runs
    """

    rule: str
    title: str
    logs: list[str]
    start: float
    shown: float
    taken: float = 0.0


def replace_output(settings: Any) -> Terminal | None:
    """Show a run by `Terminal` in place of Snakemake's own handler; None where the user asks for Snakemake's output.

    Parameters
    ----------
    settings : Snakemake's output settings
    """
    own = settings.verbose or settings.quiet or settings.printshellcmds or settings.debug_dag
    logger = logging.getLogger(SNAKEMAKE)
    for handler in [] if own else logger.handlers[:]:
        if handler.name == "DefaultStreamHandler" and isinstance(handler, logging.StreamHandler):
            logger.removeHandler(handler)
            terminal = Terminal(handler.stream, plain=settings.nocolor, dry=settings.dryrun)
            logger.addHandler(terminal)
            return terminal
    return None


class Terminal(logging.Handler):
    """Write what a user needs of Snakemake's log records to `stream`.

    Parameters
    ----------
    plain : no colour; there is also none if `stream` is no terminal, or NO_COLOR is set
    dry : a dry run, which is summarized by rule
    seconds : between two looks at the logs of running jobs
    """

    def __init__(self, stream: TextIO, plain: bool = False, dry: bool = False, seconds: float = 2.0):
        super().__init__()
        self.stream, self.dry, self.seconds = stream, dry, seconds
        self.live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and not plain and not os.environ.get("NO_COLOR")
        self.total = self.done = self.failures = 0
        self.expected: dict[str, int] = {}  # jobs by rule
        self.finished: Counter[str] = Counter()
        self.jobs: dict[int, Job] = {}
        self.waiting: dict[str, list[Job]] = {}  # finished jobs of rules of which others have not finished
        self.planned: dict[str, list[tuple[str, str]]] = {}  # of a dry run: title and reason of each job, by rule
        self.warned: set[str] = set()
        self.running, self.ended = False, threading.Event()
        self.started = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event = str(getattr(record, "event", None))
            show = getattr(self, f"on_{event}", None)
            if show is not None:
                show(record)
            elif record.levelno >= logging.WARNING and not record.getMessage().startswith(ENDED):
                self.write(record.getMessage().rstrip(), RED if record.levelno >= logging.ERROR else YELLOW)
            elif event == "None":
                self.on_message(record.getMessage())
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self.ended.set()
        super().close()

    # One method per event of Snakemake (snakemake_interface_logger_plugins.common.LogEvent).

    def on_message(self, text: str) -> None:
        if text.startswith("Trying to restart job"):
            self.write("  It is tried again.")
        elif text.startswith(SHOWN) or (not self.running and not text.startswith(UNSHOWN)):
            self.write(text)

    def on_workflow_started(self, record: logging.LogRecord) -> None:
        self.running = True
        if not self.dry:
            threading.Thread(target=self._watch, daemon=True).start()

    def on_run_info(self, record: logging.LogRecord) -> None:
        stats = dict(getattr(record, "stats", None) or {})
        self.total = int(stats.pop("total", 0)) or sum(stats.values())
        self.expected = stats
        if self.dry and self.planned:
            self._summarize()
        elif not self.dry:
            self.write(f"{self.total} job{'s' * (self.total != 1)} to run. Their output is in results/logs.")

    def on_job_info(self, record: logging.LogRecord) -> None:
        known: Any = record
        title = known.rule_msg or ""
        if self.dry:
            self.planned.setdefault(known.rule_name, []).append((title, known.reason))
            return
        now = time.monotonic()
        self.jobs[known.jobid] = Job(known.rule_name, title, [str(log) for log in known.log], now, now)

    def on_job_finished(self, record: logging.LogRecord) -> None:
        number: Any = record.__dict__.get("job_id", record.__dict__.get("jobid"))
        self.done += 1
        job = self.jobs.pop(number, None)
        if job is None:
            return
        job.taken = time.monotonic() - job.start
        self.finished[job.rule] += 1
        self.waiting.setdefault(job.rule, []).append(job)
        if self.finished[job.rule] >= self.expected.get(job.rule, 1) or ": " not in job.title:
            self._report(self.waiting.pop(job.rule))
        self._warn(job)

    def on_progress(self, record: logging.LogRecord) -> None:
        self.total = int(record.__dict__["total"])  # after a checkpoint there are more jobs

    def on_job_error(self, record: logging.LogRecord) -> None:
        known: Any = record
        job = self.jobs.pop(known.jobid, None)
        logs = [str(log) for log in known.log]
        self.failures += 1
        self.write(f"Failed: {job.title if job and job.title else f'rule {known.rule_name}'}", RED)
        self.write(f"  {last_error(logs) or known.rule_msg or 'no message'}")
        self.write(f"  Log: {', '.join(log for log in logs if Path(log).exists()) or 'none was written'}")

    def on_group_error(self, record: logging.LogRecord) -> None:
        known: Any = record
        logs = [*map(str, known.aux_logs), *(str(log) for job in known.job_error_info for log in job["log"])]
        self.failures += 1
        self.write(f"Failed: group of {len(known.job_error_info)} jobs", RED)
        self.write(f"  {last_error(logs) or known.msg or 'no message'}\n  Log: {', '.join(logs)}")

    def on_error(self, record: logging.LogRecord) -> None:
        text = record.getMessage().strip()
        if FAILED in text:
            for rule in list(self.waiting):
                self._report(self.waiting.pop(rule))
            self.write(f"{self.failures or 'Some'} failed, {self.done} of {self.total} jobs done.", RED)
            self.write("Run the same command again after the correction: what is finished is kept.")
        elif self.running and record.__dict__.get("exception") in REPEATED:
            return
        else:
            if mistake := CONFIG_ERROR.match(text) or ASKED_WRONGLY.match(text):
                text = f"Error: {mistake[1]}"  # an InputError while the workflow was read
            self.write(text, RED)

    def on_job_started(self, record: logging.LogRecord) -> None: ...

    on_group_info = on_shellcmd = on_resources_info = on_debug_dag = on_rulegraph = on_job_started

    def show_results(self, studies: list[Files], index: Path | None, others: list[str]) -> None:
        """Show the findings of the studies that this run reported, and where its results are; others: further files."""
        shown = [study for study in studies if _newer(study.summary, self.started)]
        for study in shown:
            if summary := read_summary(study.summary):
                self.write(f"\n{summary_text(summary)}")
                self.write(f"  Page: {study.page}   Tables: {study.home}/tables   Logs: results/logs/{study.study}")
        for path in others:
            if _newer(path, self.started):
                self.write(f"File: {path}")
        if shown and index:
            self.write(f"\nAll studies: {index}")

    def write(self, text: str, colour: str = "") -> None:
        """Write lines; on a terminal, the line with the progress is removed first."""
        start = "\r\033[K" if self.live else ""
        coloured = f"\033[{colour}m{text}\033[0m" if self.colour and colour else text
        self.stream.write(f"{start}{coloured}\n")
        self.stream.flush()

    def _report(self, jobs: list[Job]) -> None:
        """One line about the finished jobs of a rule, with the time of the longest."""
        titles = [job.title.split(" (GPUs")[0] for job in jobs if job.title]
        if not titles:
            return
        what, found, _ = titles[0].partition(": ")
        about = list(dict.fromkeys(title.removeprefix(f"{what}: ") for title in titles))
        line = titles[0] if len(titles) == 1 or not found else f"{what}: {_some(about)}"
        width = len(str(self.total))
        self.write(f"{self.done:{width}}/{self.total}  {line} ({duration(max(job.taken for job in jobs))})")

    def _warn(self, job: Job) -> None:
        """Show the warnings in a job's log, each once."""
        for log in job.logs:
            for line in _text(log).splitlines():
                found = re.match(r"WARNING falserefusal[\w.]*: (.+)", line)
                if found and found[1] not in self.warned:
                    self.warned.add(found[1])
                    self.write(f"  Warning: {found[1]}", YELLOW)

    def _watch(self) -> None:
        """Show the progress of model jobs, which they write to their logs, on this machine or another."""
        while not self.ended.wait(self.seconds):
            with self.lock or threading.RLock():
                self.show_progress(time.monotonic())

    def show_progress(self, now: float) -> None:
        """Show the last progress in the logs of running jobs.

        On a terminal in one line that is written over; elsewhere a line after a minute, and then the less often the
        longer a job runs.
        """
        found = [(job, _progress(job.logs)) for job in list(self.jobs.values())]
        if self.live:
            running = [re.sub(r" of prompt tokens, .*, ", ", ", progress) or job.title for job, progress in found]
            line = f"{self.done}/{self.total}  {'; '.join(filter(None, running))}"
            self.stream.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")
            self.stream.flush()
            return
        for job, progress in found:
            if progress and now - job.shown >= max(60.0, (now - job.start) / 4):
                job.shown = now
                self.write(f"  {progress}", DIM)

    def _summarize(self) -> None:
        """List the jobs of a dry run by rule, with the reason that is no consequence of another job."""
        self.write(f"Dry run: {self.total} jobs would run; nothing is changed.")
        for rule, jobs in self.planned.items():
            about = [title.partition(": ")[0] for title, _ in jobs if title]
            if not about:
                continue
            names = [title.partition(": ")[2] or title for title, _ in jobs]
            if len(names) > 1:
                names = sorted({name.split(" (GPUs")[0] for name in names})
            reasons = [part for _, reason in jobs for part in _reasons(reason)]
            why = f" [{', '.join(dict.fromkeys(reasons))}]" if reasons else ""
            what = _some(names) if ": " not in jobs[0][0] else f"{about[0]}: {_some(names)}"
            self.write(f"{len(jobs):5}  {rule:20} {what}{why}")
        self.write("Snakemake's own list, with files and all reasons: add --quiet host")
        self.planned = {}


def duration(seconds: float) -> str:
    """A time in words: 12 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _reasons(text: str) -> list[str]:
    """The reasons of a job in a dry run that say more than that it is new or comes after another job."""
    parts = [part.split(":")[0].strip().lower() for part in text.split(";")]
    return [part for part in parts if part and not part.startswith(("missing output", "input files updated by"))]


def _progress(logs: list[str]) -> str:
    """The last line of progress in the logs of a job; empty if there is none."""
    for log in logs:
        if found := PROGRESS.findall(_text(log, TAIL)):
            return str(found[-1])
    return ""


def _newer(path: str, start: float) -> bool:
    try:
        return Path(path).stat().st_mtime >= start - 1  # a file system may keep whole seconds
    except OSError:
        return False


def _text(log: str, tail: int = 1_000_000) -> str:
    """The end of a log; empty if it cannot be read."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - tail))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
