"""The results file of Anthropic's Message Batches API."""

from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.exchange.formats.format import Written, json_lines, need, one_model, response_format

COLUMNS = ["prompt_id", "model", "response", "finish_reason"]
WHAT = "the results of an Anthropic message batch"


# Written for MessageBatchIndividualResponse of the API version 2023-06-01: custom_id and result, whose type is
# succeeded (with message), errored, canceled or expired.
@response_format("anthropic_batch")
def anthropic_batch(path: Path, written: Written) -> pd.DataFrame:
    """A row for each request; prompt_id is the custom_id. A request that failed is a response with the reason error."""
    rows: list[dict[str, Any]] = []
    for number, row in json_lines(path, written):
        prompt_id = str(need(row, "custom_id", path, number, WHAT))
        message = need(row, "result", path, number, WHAT).get("message") or {}
        text = "".join(part.get("text", "") for part in message.get("content", []) if part.get("type") == "text")
        reason = message.get("stop_reason") if message else "error"
        rows.append({"prompt_id": prompt_id, "model": message.get("model"), "response": text, "finish_reason": reason})
    return one_model(pd.DataFrame(rows, columns=COLUMNS))
