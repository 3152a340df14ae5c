"""Write a study's prompts for other programs, so that their responses can be imported.

Every format carries the id of `stages.export_id`, which has a hash of the prompt's name and one of what is asked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from falserefusal.common.files import write_text
from falserefusal.common.schemas import ALL
from falserefusal.common.templates import system_turn
from falserefusal.exchange.stages import export_id

Row = dict[str, Any]
DESCRIBED = ("task", "persona", "template", "text_id", "sample", "model")  # what is said about a prompt
MOST_REQUESTS = 50_000  # of one OpenAI batch


def rows_of(prompts: pd.DataFrame, design: pd.DataFrame) -> list[Row]:
    """One row for each prompt: id, messages, system_text, and what the design says about it."""
    about = design.set_index("prompt_id")[list(DESCRIBED)].to_dict("index")
    rows = []
    for prompt_id, turns, added in zip(prompts["prompt_id"], prompts["messages"], prompts["system_text"], strict=True):
        messages = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
        one = {"id": export_id(prompt_id, messages), "messages": messages, "system_text": added}
        rows.append(one | about[prompt_id])
    return rows


def write_export(rows: Sequence[Row], folder: Path, study: str, models: Mapping[str, Row], decoding: Row) -> list[str]:
    """Write every format into a folder.

    Parameters
    ----------
    rows
        As `rows_of` returns them.
    folder
        Where to; prompts.jsonl, inspect.jsonl, openai_batch/<model>.jsonl and lm_eval/ are written. If each model has
        prompts of its own, inspect/<model>.jsonl and lm_eval/<model>/ are.
    models
        For each model the name that a server knows it by (name), and its own system prompt or None (system_prompt).
    decoding
        max_tokens, temperature, top_p.

    Returns
    -------
    What could not be written, with the reason.
    """
    left_out = []
    _write(folder / "prompts.jsonl", ({key: row[key] for key in ("id", "messages", *DESCRIBED)} for row in rows))
    asked = {model: [row for row in rows if row["model"] in (ALL, model)] for model in models}
    own = any(row["model"] != ALL for row in rows)  # each model has prompts of its own
    # Inspect's json_dataset (0.3.285): input, id and metadata are fields of a Sample.
    for name, part in ({f"inspect/{model}": asked[model] for model in models} if own else {"inspect": rows}).items():
        _write(folder / f"{name}.jsonl", map(_sample, part))
    for model, about in models.items():
        requests = [_request(row, about, decoding) for row in asked[model]]
        parts = range(0, len(requests), MOST_REQUESTS)
        for number, start in enumerate(parts, start=1):
            name = f"{model}.jsonl" if len(parts) == 1 else f"{model}-{number}-of-{len(parts)}.jsonl"
            _write(folder / "openai_batch" / name, iter(requests[start : start + MOST_REQUESTS]))
    if any(len(row["messages"]) > 1 for row in rows) or any(about["system_prompt"] for about in models.values()):
        left_out.append("lm_eval: a task has no system prompt for each prompt; leave system prompts out of the study")
    elif own:
        for model, part in asked.items():
            _lm_eval(part, folder / "lm_eval" / model, f"{study}_{model}", decoding)
    else:
        _lm_eval(rows, folder / "lm_eval", study, decoding)
    return left_out


def _sample(row: Row) -> Row:
    return {"id": row["id"], "input": row["messages"], "metadata": {key: row[key] for key in DESCRIBED}}


def _request(row: Row, about: Row, decoding: Row) -> Row:
    """A line of the input file of an OpenAI batch."""
    turns = row["messages"]
    if about["system_prompt"]:
        turns = [
            *system_turn(about["system_prompt"], row["system_text"]),
            *(turn for turn in turns if turn["role"] != "system"),
        ]
    body = {"model": about["name"], "messages": turns} | decoding
    return {"custom_id": row["id"], "method": "POST", "url": "/v1/chat/completions", "body": body}


def _lm_eval(rows: Sequence[Row], folder: Path, name: str, decoding: Row) -> None:
    """A task of lm-evaluation-harness (0.4.13) without a metric: its samples files are what is wanted."""
    _write(folder / "prompts.jsonl", ({"id": row["id"], "prompt": row["messages"][0]["content"]} for row in rows))
    greedy = not decoding["temperature"]
    settings = {"until": [], "max_gen_toks": decoding["max_tokens"], "do_sample": not greedy}
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "prompts.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "",
        "generation_kwargs": settings | ({} if greedy else {"temperature": decoding["temperature"]}),
        "metric_list": [{"metric": "bypass"}],
    }
    write_text(yaml.safe_dump(task, sort_keys=False), folder / f"{name}.yaml")


def _write(path: Path, rows: Iterator[Row]) -> None:
    write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), path)
