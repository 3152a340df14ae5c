"""Make a study's design: from texts, personas and templates to one row per prompt."""

from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import ALL, BASELINE
from falserefusal.design.blocked import blocked_picks, check_blocks, group_size, number_of_blocks
from falserefusal.design.nested import check_draws, nested_picks

COLUMNS = [
    "prompt_id",
    "task",
    "row_id",
    "text_id",
    "persona",
    "template",
    "format",
    "draw",
    "interim_look",
    "block",
    "model",
    "sample",
]


def make_design(
    texts: dict[str, pd.DataFrame],
    personas: list[str],
    templates: pd.DataFrame,
    config: Mapping[str, Any],
    models: list[str],
    seed: int,
    samples: int | None = None,
) -> pd.DataFrame:
    """Draw the study's prompts.

    The result depends on `seed` and on the names, not on the order of the inputs.

    Parameters
    ----------
    texts : for each task, a frame with row_id and text_id.
    personas : names of the personas.
    templates : frame with task, template, format.
    config : all settings of the design (`study.config.Design`, as a mapping).
    models : names of the models; used only where models do not share prompts.
    seed : the study's seed.
    samples : independent samples of each draw (`Inference.independent_samples`); None where a prompt has one response.

    Returns
    -------
    DataFrame with one row per prompt and the columns of `schemas.DESIGN`, sorted by task, then by text (nested) or
    block (blocked). A baseline prompt has persona "baseline" and draw -1: one for each (row_id, template) drawn
    (nested), or one in each block (blocked). `block` is the cluster of the analysis: the text (nested) or the block
    (blocked). `model` is "*" unless models have their own prompts. `sample` numbers the independent samples of the same
    prompt from 0; without such samples it is 0, also for a prompt that is drawn twice.

    Raises
    ------
    InputError
        If there are too few texts, templates or personas for the design.
    """
    _check(texts, personas, templates)
    frames = []
    for task, rows in texts.items():
        own = templates[templates["task"] == task]
        args = (task, rows, personas, own)
        if config["kind"] == "nested":
            picks = nested_picks(task, rows["row_id"], personas, own["template"].tolist(), config, seed)
            frames.append(_name(*args, _sampled(picks, samples)))
            continue
        for model in [ALL] if config["share_prompts"] else models:
            picks = blocked_picks(task, rows["row_id"], len(personas), len(own), config, seed, model)
            frames.append(_name(*args, _sampled(picks, samples), model))
    return pd.concat(frames, ignore_index=True)


def design_size(
    config: Mapping[str, Any],
    rows: Mapping[str, float],
    personas: int,
    templates: Mapping[str, int],
    samples: int | None = None,
) -> pd.DataFrame:
    """Number of prompts per model and task, known before any text is read.

    Parameters
    ----------
    config : all settings of the design (`study.config.Design`, as a mapping).
    rows : number of texts of each task.
    personas : number of personas.
    templates : number of templates of each task.
    samples : as in `make_design`.

    Returns
    -------
    DataFrame with task, rows, persona_prompts, baseline_prompts. Baseline prompts of the nested design are an
    expectation (how many different templates a text draws); all other numbers are exact.

    Raises
    ------
    InputError
        If `make_design` would, for these numbers.
    """
    sizes = []
    for task, n in rows.items():
        if config["kind"] == "nested":
            check_draws(task, personas * templates[task], config)
            baseline = n * _distinct_templates(config, personas, templates[task]) if config["baseline"] else 0.0
            sizes.append((task, n, n * config["draws_per_row"], baseline))
        else:
            blocks = number_of_blocks(config, personas)
            check_blocks(task, blocks, n, templates[task])
            sizes.append((task, n, blocks * group_size(personas), float(blocks)))
    table = pd.DataFrame(sizes, columns=["task", "rows", "persona_prompts", "baseline_prompts"])
    table[["persona_prompts", "baseline_prompts"]] *= samples or 1
    return table


def _distinct_templates(config: Mapping[str, Any], personas: int, templates: int) -> float:
    """Expected number of different templates among a text's draws."""
    draws, pairs = config["draws_per_row"], personas * templates
    if config["balance"] == "balanced":
        return float(min(draws, templates))
    if config["replacement"]:
        missed = (1 - 1 / templates) ** draws
    else:
        missed = comb(pairs - personas, draws) / comb(pairs, draws)
    return float(templates * (1 - missed))


def _check(texts: dict[str, pd.DataFrame], personas: list[str], templates: pd.DataFrame) -> None:
    if not personas or len(set(personas)) < len(personas) or BASELINE in personas:
        raise InputError(f"design: need at least one persona, all with different names, and none named '{BASELINE}'")
    row_ids = pd.concat([rows["row_id"] for rows in texts.values()])
    if row_ids.duplicated().any():  # they are the clusters of the analysis, also across tasks
        raise InputError(f"design: row_id '{row_ids[row_ids.duplicated()].iloc[0]}' occurs twice among the texts")
    for task, rows in texts.items():
        if rows.empty:
            raise InputError(f"design: no texts for task '{task}'")
        if not (templates["task"] == task).any():
            raise InputError(f"design: no templates for task '{task}'")


def _sampled(picks: pd.DataFrame, samples: int | None) -> pd.DataFrame:
    """Repeat each pick for its samples, and number the picks of the same prompt (again) and its samples (sample)."""
    picks = picks.loc[picks.index.repeat(samples or 1)].reset_index(drop=True)
    again = picks.groupby(["row", "template", "persona"]).cumcount()
    return picks.assign(again=again, sample=again if samples else 0)


def _name(
    task: str, rows: pd.DataFrame, personas: list[str], templates: pd.DataFrame, picks: pd.DataFrame, model: str = ALL
) -> pd.DataFrame:
    """Turn positions into names. A prompt_id consists of names, so changes elsewhere in the design leave it alone."""
    row_id = rows["row_id"].to_numpy(object)[picks["row"]]
    template = templates["template"].to_numpy(object)[picks["template"]]
    persona = np.array([*personas, BASELINE], dtype=object)[picks["persona"]]  # -1 is the last
    prompt_id = row_id + ":" + template + ":" + persona
    if model != ALL:
        prompt_id = prompt_id + ":" + model
    again = picks["again"].to_numpy()
    prompt_id = np.where(again > 0, prompt_id + "#" + (again + 1).astype(str).astype(object), prompt_id)
    if "block" in picks:
        prefix = task if model == ALL else f"{task}:{model}"
        block = [f"{prefix}:{number:05d}" for number in picks["block"]]
    else:
        block = row_id
    named = {
        "prompt_id": prompt_id,
        "task": task,
        "row_id": row_id,
        "text_id": rows["text_id"].to_numpy(object)[picks["row"]],
        "persona": persona,
        "template": template,
        "format": templates["format"].to_numpy(object)[picks["template"]],
        "draw": picks["draw"].to_numpy("int64"),
        "interim_look": picks["interim_look"].to_numpy("int64"),
        "block": block,
        "model": model,
        "sample": picks["sample"].to_numpy("int64"),
    }
    words = {name: "str" for name in COLUMNS if name not in ("draw", "interim_look", "sample")}
    return pd.DataFrame(named)[COLUMNS].astype(words)
