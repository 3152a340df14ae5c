"""Report progress in tokens, because prompts differ in length: a bar on a terminal, a line every 15 s in a log.

The terminal of a run shows the last line of the log (common/logs.py: PROGRESS).
"""

import sys
import time

from tqdm import tqdm


class Progress:
    """Count processed prompt tokens out of `total`; `seconds` between two lines of a log."""

    def __init__(self, total: int, name: str, show: bool = True, seconds: float = 15.0):
        self.show, self.name, self.seconds, self.total = show, name, seconds, total
        self.done = self.rows = 0
        self.start = self.last = time.monotonic()
        terminal = show and sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=name, unit="tok", unit_scale=True, file=sys.stderr) if terminal else None

    def add(self, tokens: int, rows: int) -> None:
        self.done += tokens
        self.rows += rows
        if self.bar is not None:
            self.bar.update(tokens)
        elif self.show and time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        taken = time.monotonic() - self.start
        left = taken / self.done * (self.total - self.done) if self.done else 0.0
        return (
            f"{self.name}: {self.done / max(self.total, 1):.0%} of prompt tokens, {self.rows} responses, "
            f"{self.done / max(taken, 1e-9):.0f} tokens/s, {tqdm.format_interval(left)} left"
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.show and self.rows:
            print(self.line(), file=sys.stderr, flush=True)
