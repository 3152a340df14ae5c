"""Small studies with known rates, for the tests of estimation: designs and outcomes as the workflow's frames."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from falserefusal.common.schemas import BASELINE, FORMATS, TASKS

TEMPLATES = [f"p{k}" for k in range(1, 10)]
TASK_SHIFT = np.array([-1.2, 0.2, 1.0])


def nested(rows, texts, personas, seed, draws=10, tasks=TASKS, baseline=True):
    """Draw a nested design: `rows` rows per task over `texts` texts, each with `draws` distinct (template, persona)."""
    rng = np.random.default_rng(seed)
    grid = len(personas) * len(TEMPLATES)
    parts = []
    for task in tasks:
        text = rng.permutation(np.resize(np.arange(texts), rows))
        pair = np.argsort(rng.random((rows, grid)), axis=1)[:, :draws].ravel()
        row = np.repeat(np.arange(rows), draws)
        part = pd.DataFrame({"task": task, "row": row, "persona": 1 + pair % len(personas)})
        part["template"], part["draw"] = pair // len(personas), np.tile(np.arange(draws), rows)
        if baseline:
            prompts = part[["task", "row", "template"]].drop_duplicates().assign(persona=0, draw=-1)
            part = pd.concat([part, prompts], ignore_index=True)
        part["text"] = text[part["row"]]
        part["block"] = part["row"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def blocked(blocks, personas, seed, size=3, tasks=TASKS):
    """Draw a blocked design: every prompt (its own text and a template) without a persona and with `size` of them."""
    rng = np.random.default_rng(seed)
    parts = []
    for task in tasks:
        group = np.array([1 + rng.choice(len(personas), size, replace=False) for _ in range(blocks)])
        persona = np.column_stack([np.zeros(blocks, int), group])
        block = np.repeat(np.arange(blocks), size + 1)
        template = np.resize(np.arange(len(TEMPLATES)), blocks)[block]
        part = pd.DataFrame({"task": task, "row": block, "persona": persona.ravel(), "template": template})
        parts.append(part.assign(draw=np.tile([-1, *range(size)], blocks), text=block, block=block))
    return pd.concat(parts, ignore_index=True)


def judge(design, models, personas, rates, seed, effect=None, sd_text=1.0, sd_own=1.0, noise=1.0):
    """Draw the outcomes of a design, by a probit model with mean `rates` and effects of text, text x model and prompt.

    `effect`: (models, 1 + personas) shift of the latent scale, baseline first. Returns outcomes and the true rates
    (models, tasks, 1 + personas). `noise` is the standard deviation of what repeated responses do not share.
    """
    rng = np.random.default_rng(seed)
    tasks = list(dict.fromkeys(design["task"]))
    task = design["task"].map({name: k for k, name in enumerate(tasks)}).to_numpy()
    text, _ = pd.factorize(design["task"] + design["text"].astype(str))
    prompt, _ = pd.factorize(design["task"] + design["row"].astype(str) + "p" + design["template"].astype(str))
    effect = np.zeros((len(models), len(personas) + 1)) if effect is None else np.asarray(effect, float)
    shared = rng.normal(0, sd_text, text.max() + 1)
    total = np.sqrt(sd_text**2 + sd_own**2 + 0.8**2 + noise**2)
    refusal, true_rates = [], []
    for model, rate in enumerate(rates):
        base = total * norm.ppf(rate) + TASK_SHIFT[: len(tasks)]
        latent = base[task] + effect[model][design["persona"].to_numpy()] + shared[text]
        latent += rng.normal(0, sd_own, text.max() + 1)[text] + rng.normal(0, 0.8, prompt.max() + 1)[prompt]
        refusal.append(latent + rng.normal(0, noise, len(design)) > 0)
        true_rates.append(norm.cdf((base[:, None] + effect[model][None, :]) / total))
    return frame(design, models, personas, np.array(refusal)), np.array(true_rates)


def frame(design, models, personas, refusal):
    """The outcomes frame of a design with the verdicts `refusal` (models, draws)."""
    copies = len(models)
    names = [BASELINE, *personas]

    def column(values, categories):
        return pd.Categorical(np.tile(np.asarray(values, object), copies), categories=categories)

    row = design["task"].str[:3] + "-" + design["row"].astype(str)
    block = design["task"].str[:3] + "-" + design["block"].astype(str)
    text = design["task"].str[:3] + "-t" + design["text"].astype(str)
    return pd.DataFrame(
        {
            "model": pd.Categorical.from_codes(np.repeat(np.arange(copies), len(design)), models),
            "task": column(design["task"], list(dict.fromkeys(design["task"]))),
            "row_id": column(row, sorted(set(row))),
            "text_id": column(text, sorted(set(text))),
            "block": column(block, sorted(set(block))),
            "persona": column([names[k] for k in design["persona"]], names),
            "template": column([TEMPLATES[k] for k in design["template"]], TEMPLATES),
            "format": column([FORMATS[k // 3] for k in design["template"]], list(FORMATS)),
            "draw": np.tile(design["draw"].to_numpy(np.int16), copies),
            "interim_look": np.zeros(copies * len(design), np.int16),
            "labeller": pd.Categorical(["phrase_list"] * (copies * len(design))),
            "refusal": np.asarray(refusal, bool).ravel(),
        }
    )


def cells_of(outcomes):
    """Cells of counts of an outcomes frame, as the workflow writes them."""
    key = ["model", "task", "persona", "template", "format", "labeller"]
    grouped = outcomes.groupby(key, observed=True)["refusal"].agg(["size", "sum"]).reset_index()
    grouped = grouped.rename(columns={"size": "n", "sum": "refusals"})
    return grouped.astype(dict.fromkeys(key, str))
