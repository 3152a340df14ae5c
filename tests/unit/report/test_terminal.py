"""What a run shows on the terminal, from the records that Snakemake logs."""

import io
import logging
from types import SimpleNamespace

import pytest

from falserefusal.inference.progress import Progress
from falserefusal.report.terminal import SNAKEMAKE, Terminal, duration, replace_output


class Run:
    """A terminal, and Snakemake's records as it would send them."""

    def __init__(self, tty=False, **options):
        self.stream = io.StringIO()
        self.stream.isatty = lambda: tty
        self.terminal = Terminal(self.stream, seconds=3600, **options)
        self.send("workflow_started")

    def send(self, event=None, message="", level=logging.INFO, **fields):
        record = logging.LogRecord(SNAKEMAKE, level, "", 0, message, None, None)
        record.__dict__.update(fields, event=event)
        self.terminal.handle(record)

    def start(self, number, rule, title, log=(), reason=""):
        self.send("job_info", jobid=number, rule_name=rule, rule_msg=title, log=list(log), reason=reason)

    def finish(self, number):
        self.send("job_finished", job_id=number)

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    made = Run()
    made.send("run_info", stats={"texts": 2, "cells": 1, "all": 1, "total": 4})
    made.stream.truncate(0)
    made.stream.seek(0)
    return made


def test_jobs_of_a_rule_are_one_line_and_targets_none(run):
    run.start(1, "texts", "Sample the texts: nli")
    run.start(2, "texts", "Sample the texts: politeness")
    run.finish(1)
    assert run.lines == []
    run.finish(2)
    run.start(3, "cells", "Count refusals: small")
    run.finish(3)
    run.start(0, "all", None)
    run.finish(0)
    assert run.lines == ["2/4  Sample the texts: nli, politeness (0 s)", "3/4  Count refusals: small (0 s)"]


def test_a_line_has_the_time_of_the_longest_job_and_not_that_between_jobs(run, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("falserefusal.report.terminal.time.monotonic", lambda: now[0])
    for number, (start, end) in enumerate([(0, 3), (400, 407)], 1):
        now[0] = start
        run.start(number, "texts", f"Sample the texts: {number}")
        now[0] = end
        run.finish(number)
    assert run.lines == ["2/4  Sample the texts: 1, 2 (7 s)"]


def test_what_snakemake_says_about_itself_is_not_shown(run):
    for text in ("Select jobs to execute...", "Using shell: /bin/bash", "Complete log(s): x"):
        run.send(None, text)
    run.send("shellcmd", "rm x")
    run.send("resources_info", "Provided cores: 2")
    assert run.lines == []
    run.send(None, "Nothing to be done (all requested files are present and up to date).")
    run.send(None, "the disk is slow", logging.WARNING)
    assert run.lines == ["Nothing to be done (all requested files are present and up to date).", "the disk is slow"]


def test_a_failure_is_three_lines_and_said_once(run, tmp_path):
    log = tmp_path / "cells.log"
    log.write_text("much\nError: verdicts.csv: no rows; label the responses first\n")
    run.start(3, "cells", "Count refusals: small", [log])
    run.send("error", "RuleException:\nCalledProcessError", logging.ERROR, exception="RuleException")
    run.send("job_error", "", logging.ERROR, jobid=3, rule_name="cells", rule_msg=None, log=[log])
    assert run.lines == [
        "Failed: Count refusals: small",
        "  Error: verdicts.csv: no rows; label the responses first",
        f"  Log: {log}",
    ]
    run.send(None, "Exiting because a job execution failed. Look above for error messages", logging.ERROR)
    run.send("error", "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    assert run.lines[3:] == [
        "1 failed, 0 of 4 jobs done.",
        "Run the same command again after the correction: what is finished is kept.",
    ]


def test_a_failure_without_a_log_says_so(run, tmp_path):
    run.send("job_error", "", logging.ERROR, jobid=9, rule_name="cells", rule_msg="killed", log=[tmp_path / "none"])
    assert run.lines == ["Failed: rule cells", "  killed", "  Log: none was written"]


def test_finished_jobs_of_a_rule_that_ended_early_are_shown_at_the_end(run):
    run.start(1, "texts", "Sample the texts: nli")
    run.finish(1)
    run.send("error", "At least one job did not complete successfully.", logging.ERROR)
    assert run.lines[0] == "1/4  Sample the texts: nli (0 s)"


def test_a_mistake_in_the_config_is_one_line(run):
    text = 'WorkflowError in file "/x/common.smk", line 40:\nconfig/a.yaml: no such key\n  File "/x/common.smk", line 4'
    run.send("error", text, logging.ERROR, exception="WorkflowError")
    assert run.lines == ["Error: config/a.yaml: no such key"]


def test_warnings_in_logs_are_shown_once(run, tmp_path):
    for number in (1, 2):
        log = tmp_path / f"{number}.log"
        log.write_text("INFO falserefusal.x: a\nWARNING falserefusal.x: revision changed\nWARNING py.warnings: b\n")
        run.start(number, "texts", f"Sample the texts: {number}", [log])
        run.finish(number)
    assert [line for line in run.lines if "arning" in line] == ["  Warning: revision changed"]


def test_progress_of_a_model_is_shown_ever_more_rarely(run, tmp_path):
    progress = Progress(100, "Llama", show=False)
    progress.add(40, 7)
    log = tmp_path / "model.log"
    log.write_text(f"{progress.line()}\n")
    run.start(1, "texts", "Ask Llama", [log])
    start = run.terminal.jobs[1].start
    for second in range(0, 36_000, 30):
        run.terminal.show_progress(start + second)
    assert "Llama: 40% of prompt tokens, 7 responses" in run.lines[0] and run.lines[0].endswith(" left")
    assert 15 < len(run.lines) < 25, "in ten hours"


def test_a_terminal_has_one_line_that_is_written_over(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    run = Run(tty=True)
    run.start(1, "figures", "Draw the figures: small")
    run.terminal.show_progress(0.0)
    assert run.stream.getvalue() == "\r\033[K0/0  Draw the figures: small"


@pytest.mark.parametrize(("tty", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)])
def test_colour_is_for_terminals_that_want_it(monkeypatch, tty, no_color, coloured):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    run = Run(tty=tty)
    run.send(None, "careful", logging.WARNING)
    assert ("\033[33m" in run.stream.getvalue()) == coloured


def test_a_dry_run_is_summarized_by_rule():
    run = Run(dry=True)
    run.send("run_info", stats={"texts": 2, "all": 1, "total": 3})
    run.start(1, "texts", "Sample the texts: nli", reason="Code has changed since last execution")
    run.start(2, "texts", "Sample the texts: politeness", reason="Missing output files: x")
    run.start(0, "all", None, reason="Input files updated by another job: x")
    run.send("run_info", stats={"texts": 2, "all": 1, "total": 3})
    assert run.lines[0] == "Dry run: 3 jobs would run; nothing is changed."
    assert run.lines[1].split(maxsplit=2) == [
        "2",
        "texts",
        "Sample the texts: nli, politeness [code has changed since last execution]",
    ]
    assert len(run.lines) == 3


def settings(**changes):
    names = ("verbose", "quiet", "printshellcmds", "debug_dag", "nocolor", "dryrun")
    return SimpleNamespace(**dict.fromkeys(names, False) | changes)


@pytest.mark.parametrize("changes", [{"verbose": True}, {"quiet": {"host"}}, {"printshellcmds": True}])
def test_snakemakes_own_output_is_kept_where_it_is_asked_for(monkeypatch, changes):
    logger = logging.getLogger(SNAKEMAKE)
    default, file = logging.StreamHandler(io.StringIO()), logging.NullHandler()
    default.name = "DefaultStreamHandler"
    monkeypatch.setattr(logger, "handlers", [default, file])
    assert replace_output(settings(**changes)) is None and logger.handlers == [default, file]
    terminal = replace_output(settings())
    assert logger.handlers == [file, terminal] and terminal.stream is default.stream


def test_durations_have_one_unit():
    assert [duration(seconds) for seconds in (4.4, 150, 9000)] == ["4 s", "2 min", "2.5 h"]
