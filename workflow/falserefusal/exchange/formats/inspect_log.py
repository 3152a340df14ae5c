"""The .eval and .json logs of Inspect, read by inspect_ai's own reader."""

from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.exchange.formats.format import flat, response_format


# Written for inspect_ai 0.3.285 (read_eval_log; log.eval.model, log.samples with id, epoch, input, metadata, output).
@response_format("inspect", endings=(".eval", ".json"))
def inspect(path: Path) -> pd.DataFrame:
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
        raise InputError(f"{path}: inspect_ai cannot read it ({str(error).splitlines()[0]})") from None
    if log.status != "success":
        raise InputError(f"{path}: the run ended with status '{log.status}'; finish it (inspect eval-retry) and import")
    rows = []
    for sample in log.samples or []:
        one: dict[str, Any] = {"model": log.eval.model, "task": log.eval.task, "id": str(sample.id)}
        one |= {"sample": sample.epoch - 1, "prompt": _prompt(sample.input), "response": sample.output.completion}
        one |= {"finish_reason": "error" if sample.error else sample.output.stop_reason}
        rows.append(one | flat(sample.metadata or {}, "metadata"))
    return pd.DataFrame(rows)


def _prompt(given: Any) -> Any:
    return given if isinstance(given, str) else [{"role": turn.role, "content": turn.text} for turn in given]
