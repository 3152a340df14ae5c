"""A small study with its responses, some of them hostile, and what a page stores of it."""

import base64
import json
import zlib
from types import SimpleNamespace

import pandas as pd

from falserefusal.common.files import write_parquet
from falserefusal.common.schemas import DESIGN, PROMPTS, RESPONSES, TEXTS, VERDICTS
from falserefusal.report.explorer import Files, explorer_data

LAYOUT = "\n\nText: {text}"
TASKS, PERSONAS, MODELS = ("politeness", "offensiveness"), ("baseline", "man", "jewish"), ("Model A", "Model-B")
LABELLERS = ["structured", "phrase_list"]
REFUSAL = "\N{GRINNING FACE} As a model, I can't judge."
HOSTILE = {
    "markup": "</script><script>window.harm = 1</script><img src=x onerror='window.harm = 1'>",
    "control": "nul \x00, escape \x1b[2J, \x85",
    "reversed": "\u202egnirts desrever\u2066\u200f <b>\u05e9\u05dc\u05d5\u05dd</b>",
    "long": "x" * 5000,
    "formula": '=HYPERLINK("https://example.org","a, b")',
    "empty": "",
}


def question(persona):
    return f"Would a {persona} call it polite?" if persona != "baseline" else "Is it polite?"


def make_files(folder, respond, texts_per_task=4):
    """Write a small study; `respond` gives (response, verdicts of both labellers) for a row of the design."""
    texts, design, prompts = {}, [], {}
    for task in TASKS:
        rows = [f"{task}-{i}" for i in range(texts_per_task)]
        frame = pd.DataFrame({"row_id": rows, "task": task, "gold_label": "1", "text_id": rows, "source": "x"})
        texts[task] = frame.assign(text=[f"secret of {row}" for row in rows], premise=None, hypothesis=None)
        own = [
            {"prompt_id": f"{row}:p1:{persona}", "task": task, "row_id": row, "text_id": row, "persona": persona}
            for row in rows
            for persona in PERSONAS
        ]
        design += own
        turns = [f"{question(row['persona'])}\n\nText: secret of {row['row_id']}" for row in own]
        prompts[task] = pd.DataFrame({"prompt_id": [row["prompt_id"] for row in own]})
        prompts[task]["messages"] = [
            [{"role": "system", "content": "Be kind."}, {"role": "user", "content": turn}] for turn in turns
        ]
    design = pd.DataFrame(design).assign(template="p1", format="forced", draw=0, interim_look=0, block="b", model="*")
    write_parquet(design, folder / "design.parquet", DESIGN)
    for task in TASKS:
        write_parquet(texts[task], folder / f"texts-{task}.parquet", TEXTS)
        write_parquet(prompts[task], folder / f"prompts-{task}.parquet", PROMPTS)
    for model in MODELS:
        given = [respond(model, row) for row in design.itertuples()]
        own = pd.DataFrame({"prompt_id": design["prompt_id"], "response": [text for text, _ in given]})
        own = own.assign(finish_reason="stop", prompt_tokens=1, new_tokens=1, other_batch_response=None)
        write_parquet(own.assign(other_batch_finish_reason=None), folder / f"responses-{model}.parquet", RESPONSES)
        verdicts = [
            {"prompt_id": prompt_id, "labeller": labeller, "choice": None, **verdict}
            for prompt_id, (_, both) in zip(design["prompt_id"], given, strict=True)
            for labeller, verdict in zip(LABELLERS, both, strict=True)
        ]
        write_parquet(pd.DataFrame(verdicts), folder / f"verdicts-{model}.parquet", VERDICTS)
    return Files(
        responses={model: folder / f"responses-{model}.parquet" for model in MODELS},
        verdicts={model: folder / f"verdicts-{model}.parquet" for model in MODELS},
        prompts={task: folder / f"prompts-{task}.parquet" for task in TASKS},
        texts={task: folder / f"texts-{task}.parquet" for task in TASKS},
        design=folder / "design.parquet",
    )


def answered(text="Polite."):
    found = {"verdict": "answered", "category": "answered", "evidence": text[:6] or None}
    return text, (found, found | {"category": "not_refused", "evidence": None})


def refused(agreed=True):
    found = {"verdict": "refused", "category": "refused_capability", "evidence": "I can't judge"}
    other = {"verdict": "refused", "category": "refused", "evidence": "as a model"} if agreed else answered()[1][1]
    return REFUSAL, (found, other)


def respond(model, row):
    """One refusal of Model-B to a man, on which labellers differ; hostile responses of Model-B about offensiveness."""
    if model == "Model-B" and row.prompt_id == "politeness-1:p1:man":
        return refused(agreed=False)
    if row.prompt_id == "politeness-2:p1:baseline":
        return refused()
    hostile = dict(zip([f"offensiveness-{i}:p1:{p}" for i in (0, 1) for p in PERSONAS], HOSTILE.values(), strict=True))
    return answered(hostile.get(row.prompt_id, "Polite.")) if model == "Model-B" else answered()


def data_of(files, shared=TASKS, seed=1, **limit):
    stored = explorer_data(files, LABELLERS, dict.fromkeys(TASKS, LAYOUT), shared, seed, **limit)
    read = json.loads(zlib.decompress(base64.b64decode(stored["data"])))
    return stored, SimpleNamespace(**read)


def ids(read):
    models = [read.lists["model"][number] for number in read.columns["model"]]
    prompts = [read.lists["prompt_id"][number] for number in read.columns["prompt"]]
    return list(zip(models, prompts, strict=True))
