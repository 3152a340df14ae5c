"""Progress in a log: a line per interval, in tokens, with an estimate of the time left."""

from falserefusal.inference import progress


def test_a_log_gets_a_line_per_interval_and_a_last_one(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = progress.Progress(1000, "Llama2-7B", seconds=30)
    for _ in range(100):  # ten tokens a second, a hundred reports
        now[0] += 1
        bar.add(10, 1)
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "30% of prompt tokens, 30 responses, 10 tokens/s, 01:10 left",
        "60% of prompt tokens, 60 responses, 10 tokens/s, 00:40 left",
        "90% of prompt tokens, 90 responses, 10 tokens/s, 00:10 left",
        "100% of prompt tokens, 100 responses, 10 tokens/s, 00:00 left",
    ]


def test_nothing_is_shown_when_not_asked_for_or_nothing_was_done(capsys):
    for bar in (progress.Progress(10, "m", show=False), progress.Progress(10, "m")):
        bar.close()
    assert capsys.readouterr().err == ""
