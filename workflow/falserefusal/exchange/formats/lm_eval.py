"""The samples_*.jsonl files that lm-evaluation-harness writes with --log_samples."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.exchange.formats.format import Written, flat, json_lines, need, one_version, response_format

WHAT = "a samples file of lm-evaluation-harness"
FILE = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl")


# Written for version 0.4.13 (EvaluationTracker.save_results_samples; keys as in lm_eval/evaluator.py).
# Since 0.4.3, arguments is {"gen_args_0": {"arg_0": prompt, "arg_1": settings}}; before, it was [[prompt, settings]].
@response_format("lm_eval")
def lm_eval(path: Path, written: Written) -> pd.DataFrame:
    """A row for each response of each document; columns of the document are `doc.<name>`, its number is `doc_id`.

    The model is the folder's name, as the harness writes it (org__name). Of several filters, the first is read, because
    `resps` is the same in all.
    """
    named = FILE.fullmatch(path.name)
    task = named["task"] if named else path.stem.removeprefix("samples_")
    rows: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    first_filter = None
    for number, row in json_lines(path, written):
        responses = need(row, "resps", path, number, WHAT)
        arguments = need(row, "arguments", path, number, WHAT)
        version = "before 0.4.3" if isinstance(arguments, list) else "0.4.3 or later"
        versions.setdefault(version, f"line {number}")
        first_filter = row.get("filter") if first_filter is None else first_filter
        if row.get("filter") != first_filter:
            continue
        one = {"model": path.parent.name, "task": task, "prompt": _prompt(arguments, path, number)}
        one |= {"doc_id": str(need(row, "doc_id", path, number, WHAT))} | flat(row.get("doc") or {}, "doc")
        if len(responses) != 1 or not all(isinstance(text, str) for text in responses[0]):
            raise InputError(
                f"{path}: line {number}: resps are likelihoods of options, not text; import a task whose output_type "
                "is generate_until"
            )
        rows += [one | {"response": text, "sample": sample} for sample, text in enumerate(responses[0])]
    one_version(versions, path)
    return pd.DataFrame(rows)


def _prompt(arguments: Any, path: Path, number: int) -> str:
    try:
        first = arguments["gen_args_0"]["arg_0"] if isinstance(arguments, dict) else arguments[0][0]
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{path}: line {number}: no prompt in 'arguments'; this is not {WHAT}") from None
    return first if isinstance(first, str) else str(first[0])  # with a chat template, some models keep a JSON string
