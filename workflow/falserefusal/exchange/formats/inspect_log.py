"""The .eval and .json logs of Inspect, read by inspect_ai's own reader."""

import json
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.exchange.formats.format import Written, flat, response_format


# Written for inspect_ai 0.3.285 (read_eval_log; log.eval.model, log.samples with id, epoch, input, metadata, output).
@response_format("inspect", endings=(".eval", ".json"))
def inspect(path: Path, written: Written) -> pd.DataFrame:
    """A row for each sample and epoch; columns of a sample's metadata are `metadata.<name>`, its id is `id`."""
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        raise InputError(
            f"{path}: a log of Inspect is read by its own package; run: .venv/bin/python -m pip install inspect_ai"
        ) from None
    try:
        log = read_eval_log(str(path))
    except Exception as error:  # zip, JSON, schema: the reader has no class of its own for them
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: {_why(path) or f'no log that inspect_ai can read ({first})'}") from None
    if log.status != "success":
        raise InputError(f"{path}: the run ended with status '{log.status}'; finish it (inspect eval-retry) and import")
    rows = []
    for sample in log.samples or []:
        one: dict[str, Any] = {"model": log.eval.model, "task": log.eval.task, "id": str(sample.id)}
        one |= {"sample": sample.epoch - 1, "prompt": _prompt(sample.input), "response": sample.output.completion}
        one |= {"finish_reason": "error" if sample.error else sample.output.stop_reason}
        rows.append(one | flat(sample.metadata or {}, "metadata"))
    return pd.DataFrame(rows)


def _why(path: Path) -> str | None:
    """Why a file is no log, if that can be seen without inspect_ai."""
    if path.suffix != ".json":
        cut = "no log of Inspect, or one that was cut off (not a zip archive); copy it again"
        return None if is_zipfile(path) else cut
    try:
        keys = list(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        return f"not readable as JSON ({error}); if it is a log of Inspect, it was cut off: copy it again"
    if "eval" in keys:
        return None
    return (
        f"no log of Inspect (it has {', '.join(map(str, keys[:5]))}); of lm-evaluation-harness, import "
        "samples_*.jsonl, and save other data as JSONL or as a list of objects"
    )


def _prompt(given: Any) -> Any:
    return given if isinstance(given, str) else [{"role": turn.role, "content": turn.text} for turn in given]
