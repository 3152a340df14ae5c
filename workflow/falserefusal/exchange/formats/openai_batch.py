"""The output file of OpenAI's Batch API, for /v1/chat/completions and /v1/responses."""

from pathlib import Path
from typing import Any

import pandas as pd

from falserefusal.exchange.formats.format import Written, json_lines, need, one_model, response_format

COLUMNS = ["prompt_id", "model", "response", "finish_reason", "sample"]
WHAT = "the output of an OpenAI batch"


# Written for the object BatchRequestOutput of OpenAI's OpenAPI specification 2.3.0: custom_id, response (status_code,
# body) and error; a request that expired has response null.
@response_format("openai_batch")
def openai_batch(path: Path, written: Written) -> pd.DataFrame:
    """A row for each choice; prompt_id is the custom_id. A request that failed is a response with the reason error."""
    rows: list[dict[str, Any]] = []
    for number, row in json_lines(path, written):
        prompt_id = str(need(row, "custom_id", path, number, WHAT))
        reply = need(row, "response", path, number, WHAT) or {}
        body = reply.get("body") or {}
        found = _choices(body) if reply.get("status_code") == 200 else []
        for sample, (text, reason) in enumerate(found or [("", "error")]):
            one = {"prompt_id": prompt_id, "model": body.get("model"), "response": text, "finish_reason": reason}
            rows.append(one | {"sample": sample})
    return one_model(pd.DataFrame(rows, columns=COLUMNS))


def _choices(body: dict[str, Any]) -> list[tuple[str, str]]:
    if "output" in body:  # the Responses API
        parts = [part for item in body["output"] for part in item.get("content") or []]
        text = "".join(part.get("text") or part.get("refusal") or "" for part in parts)
        why = (body.get("incomplete_details") or {}).get("reason", "stop")
        return [(text, why)]
    return [
        (choice["message"].get("content") or choice["message"].get("refusal") or "", choice.get("finish_reason"))
        for choice in body.get("choices", [])
    ]
