"""Responses of a study as compressed data for the page, where a reader filters and searches them.

All responses are stored, or a random sample if they are too large. A text that occurs often (a response, a question, a
text of a data set) is stored once.
"""

import base64
import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_json
from falserefusal.common.queries import query, rows_of_prompts
from falserefusal.common.templates import WHOLE
from falserefusal.common.verdicts import MISSING
from falserefusal.prompts.rendering import bodies
from falserefusal.report.glossary import CATEGORIES
from falserefusal.report.present import harmless, marked

HERE = Path(__file__).parent
LIMIT = 2_000_000  # bytes of the compressed data; as base64 on the page they take 4/3 of it
MOST, MOST_CHARACTERS = 40_000, 30_000_000  # responses, and characters of responses, that are read at most
CELL = ("model", "task", "persona", "verdict")  # the sample has about as many responses of each


@dataclass(frozen=True)
class Files:
    """The files that responses are shown from.

    Attributes
    ----------
    responses, verdicts : RESPONSES and VERDICTS of each model, by its name
    prompts, texts : PROMPTS and TEXTS of each task, by its name
    design : DESIGN of the study
    """

    responses: Mapping[str, str | Path]
    verdicts: Mapping[str, str | Path]
    prompts: Mapping[str, str | Path]
    texts: Mapping[str, str | Path]
    design: str | Path


def explorer_data(
    files: Files,
    labellers: Sequence[str],
    layouts: Mapping[str, str],
    shared: Collection[str],
    seed: int,
    limit: int = LIMIT,
    own: Collection[str] = (),
) -> dict[str, Any]:
    """Return the responses of a study, or a random sample of them, as data of the page.

    The sample takes one response of each cell (model, task, persona, verdict of the first labeller) in random order,
    then a second of each cell that has one, and so on until the limit.

    Parameters
    ----------
    files : where the responses are.
    labellers : the study's labellers, the headline labeller first.
    layouts : how the text follows the question in the prompts of each task.
    shared : tasks whose texts may be passed on; of the others, only the ids of texts are stored.
    seed : seed of the sample.
    limit : largest size of the compressed data in bytes.
    own : tasks of `shared` whose texts are from a file of the user's, which the page says.

    Returns
    -------
    dict
        data (JSON compressed by zlib, in base64), bytes (its compressed size), shown and total (numbers of responses),
        most (responses of a cell at most; None if all are shown), headline (the labeller whose verdict makes the
        cells), withheld (tasks without texts), own and seed.

    Raises
    ------
    InputError
        If a prompt does not end with its text.
    """
    chosen, total = sample(files, labellers[0], seed)
    rows, verdicts = _rows(files, chosen, layouts), _verdicts(files, chosen)
    packed = _packed(rows, verdicts, labellers, shared)
    while len(packed) > limit and len(rows) > 1:
        most = int(len(rows) * min(0.98, 0.98 * limit / len(packed)))
        rows = rows[rows["place"] < max(most, 1)]
        packed = _packed(rows, verdicts, labellers, shared)
    return {
        "data": base64.b64encode(packed).decode("ascii"),
        "bytes": len(packed),
        "shown": len(rows),
        "total": total,
        "most": int(rows["turn"].max()) if 0 < len(rows) < total else None,
        "headline": labellers[0],
        "withheld": [task for task in files.texts if task not in shared],
        "own": list(own),
        "seed": seed,
    }


def sample(files: Files, labeller: str, seed: int) -> tuple[pd.DataFrame, int]:
    """Choose the responses that may be shown.

    Reads one model at a time, and of each at most MOST responses into memory.

    Returns
    -------
    DataFrame
        model, prompt_id, turn (1: the first response of its cell, 2: the second, ...) and place (0, 1, ...: the order
        in which responses are chosen). A sample of n responses is those with place < n.
    int
        The number of responses of the study.
    """
    parts, total = [], 0
    for model, path in files.responses.items():
        own = query(
            """SELECT prompt_id, length, key, count(*) OVER () AS total,
                row_number() OVER (PARTITION BY task, persona, verdict ORDER BY key) AS turn
            FROM (
                SELECT r.prompt_id, length(r.response) AS length, d.task, d.persona, coalesce(v.verdict, $missing) AS
                    verdict, md5(concat_ws(' ', $seed, $model, r.prompt_id)) AS key
                FROM read_parquet($responses) r JOIN read_parquet($design) d USING (prompt_id)
                LEFT JOIN (SELECT prompt_id, verdict FROM read_parquet($verdicts) WHERE labeller = $labeller) v
                    USING (prompt_id)
            ) ORDER BY turn, key LIMIT $most""",
            responses=str(path),
            design=str(files.design),
            verdicts=str(files.verdicts[model]),
            labeller=labeller,
            missing=MISSING,
            seed=str(seed),
            model=model,
            most=MOST,
        )
        total += int(own["total"].iloc[0]) if len(own) else 0
        parts.append(own.assign(model=model))
    found = pd.concat(parts, ignore_index=True).sort_values(["turn", "key", "model"], ignore_index=True).head(MOST)
    found = found[found["length"].cumsum() <= MOST_CHARACTERS]
    return found[["model", "prompt_id", "turn"]].assign(place=np.arange(len(found))), total


def _rows(files: Files, chosen: pd.DataFrame, layouts: Mapping[str, str]) -> pd.DataFrame:
    """Add the response and the parts of the prompt to each chosen response; sort them by model and design."""
    asked = rows_of_prompts(files.design, chosen["prompt_id"].unique(), ["task", "row_id", "persona", "template"])
    parts = []
    for task, path in files.prompts.items():
        own = asked[asked["task"] == task].merge(rows_of_prompts(path, asked["prompt_id"], ["messages"]))
        parts.append(_with_parts(own, files.texts[task], layouts[task]))
    prompts = pd.concat(parts, ignore_index=True)
    prompts["asked"] = np.arange(len(prompts))
    found = []
    for model, path in files.responses.items():
        own = chosen[chosen["model"] == model]
        found.append(
            own.merge(rows_of_prompts(path, own["prompt_id"], ["response"])).merge(prompts).sort_values("asked")
        )
    rows = pd.concat(found, ignore_index=True)
    shown = ["response", "system", "question", "body"]
    return rows.assign(**{name: [harmless(text) for text in rows[name]] for name in shown})


def _with_parts(prompts: pd.DataFrame, texts: str | Path, layout: str) -> pd.DataFrame:
    """Split prompts of one task into what comes before the user's turn (system), the question, and the text (body)."""
    used = query(
        """SELECT row_id, text, premise, hypothesis FROM read_parquet($path)
        WHERE row_id IN (SELECT unnest($rows::VARCHAR[]))""",
        path=str(texts),
        rows=sorted(prompts["row_id"].unique()),
    )
    body = dict(zip(used["row_id"], bodies(used, layout)[0], strict=True)) if len(used) else {}
    parts = []
    for prompt_id, row_id, messages in zip(prompts["prompt_id"], prompts["row_id"], prompts["messages"], strict=True):
        *before, turn = [message["content"] for message in messages]
        if layout == WHOLE and row_id in body and not turn.endswith(body[row_id]):  # imported, with the text elsewhere
            parts.append(("\n\n".join(before), "", body[row_id]))
            continue
        if row_id not in body or not turn.endswith(body[row_id]):
            raise InputError(
                f"{texts}: prompt '{prompt_id}' does not end with the text of row '{row_id}', so the two files were "
                "made from different texts; make the prompts again"
            )
        parts.append(("\n\n".join(before), turn.removesuffix(body[row_id]), body[row_id]))
    split = pd.DataFrame(parts, columns=["system", "question", "body"], index=prompts.index)
    return prompts.drop(columns="messages").join(split)


def _packed(rows: pd.DataFrame, verdicts: pd.DataFrame, labellers: Sequence[str], shared: Collection[str]) -> bytes:
    """Compress the rows: each column as the numbers of its values in a list of distinct values."""
    prompts = rows.drop_duplicates("prompt_id", ignore_index=True)
    text_rows = prompts.drop_duplicates(["task", "row_id"], ignore_index=True)
    place = {key: i for i, key in enumerate(zip(text_rows["task"], text_rows["row_id"], strict=True))}
    withheld = ~text_rows["task"].isin(shared)
    lists: dict[str, Any] = {
        "row": text_rows["row_id"].tolist(),
        "body": [None if hide else body for hide, body in zip(withheld, text_rows["body"], strict=True)],
        "prompt_id": prompts["prompt_id"].tolist(),
        "labeller": list(labellers),
    }
    columns: dict[str, Any] = {
        "row": [place[key] for key in zip(prompts["task"], prompts["row_id"], strict=True)],
        "prompt": pd.Index(prompts["prompt_id"]).get_indexer(rows["prompt_id"]).tolist(),
    }
    for name in ("task", "persona", "template", "system", "question"):
        columns[name], lists[name] = _numbered(prompts[name])
    for name in ("model", "response"):
        columns[name], lists[name] = _numbered(rows[name])
    columns |= _verdict_columns(rows, verdicts, labellers, lists)
    lists["meaning"] = {name: CATEGORIES.get(name, "") for _, name in lists["verdict"]}
    text = json.dumps({"lists": lists, "columns": columns}, ensure_ascii=False, separators=(",", ":"))
    return zlib.compress(text.encode(), 9)


def _numbered(values: pd.Series) -> tuple[list[int], list[str]]:
    """The number of each value in the list of distinct values, and that list."""
    numbers, words = pd.factorize(values)
    return numbers.tolist(), [str(word) for word in words]


def _verdicts(files: Files, chosen: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of all labellers on the chosen responses."""
    parts = []
    for model, path in files.verdicts.items():
        own = chosen["prompt_id"][chosen["model"] == model]
        parts.append(rows_of_prompts(path, own, ["labeller", "verdict", "category", "evidence"]).assign(model=model))
    return pd.concat(parts, ignore_index=True)


def _verdict_columns(
    rows: pd.DataFrame, verdicts: pd.DataFrame, labellers: Sequence[str], lists: dict[str, Any]
) -> dict[str, list]:
    """For each labeller: the number of the verdict on each row (-1: none), and where its evidence is.

    Adds the pairs (verdict, category) to `lists`. Evidence is a list of start, end, start, end, ... in UTF-16 units, in
    which JavaScript counts, or 0.
    """
    pairs: dict[tuple[str, str], int] = {}
    columns: dict[str, list] = {"verdict": [], "evidence": []}
    for labeller in labellers:
        own = rows[["model", "prompt_id", "response"]].merge(
            verdicts[verdicts["labeller"] == labeller], on=["model", "prompt_id"], how="left"
        )
        numbers: list[int] = []
        evidence: list[list[int] | int] = []
        for row in own.itertuples():
            if pd.isna(row.verdict):
                numbers.append(-1)
                evidence.append(0)
                continue
            numbers.append(pairs.setdefault((row.verdict, row.category), len(pairs)))
            words = "" if pd.isna(row.evidence) else harmless(row.evidence)
            evidence.append(_spans(row.response, words) or 0)
        columns["verdict"].append(numbers)
        columns["evidence"].append(evidence)
    lists["verdict"] = list(pairs)
    return columns


def _spans(response: str, evidence: str) -> list[int]:
    """Where the evidence is in a response: start, end, start, end, ... in UTF-16 units."""
    at, spans = 0, []
    for piece, is_evidence in marked(response, evidence):
        end = at + len(piece.encode("utf-16-le")) // 2
        spans += [at, end] if is_evidence else []
        at = end
    return spans


def explorer_section(path: str | Path | None) -> dict[str, Any] | None:
    """Return what the page shows of the file that the rule `explorer` writes; None for a study without responses."""
    stored = read_json(path) if path else {"shown": 0}
    if not stored["shown"]:
        return None
    style, script = ((HERE / f"explorer.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    return {**stored, "style": style, "script": script}


def without_texts(samples: Mapping[str, pd.DataFrame], section: Mapping[str, Any] | None) -> Mapping[str, pd.DataFrame]:
    """Replace the prompts of responses (columns task, prompt_id, prompt) whose texts may not be passed on."""
    withheld = section["withheld"] if section else []
    return {
        name: frame.assign(
            prompt=frame["prompt"].mask(
                frame["task"].isin(withheld), "[prompt " + frame["prompt_id"] + ": its text may not be passed on]"
            )
        )
        for name, frame in samples.items()
    }
