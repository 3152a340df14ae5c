"""Compute the prompts and tokens of a study per model from its config alone; cluster jobs are sized by them."""

from pathlib import Path

from falserefusal.design.monte_carlo import design_size
from falserefusal.planning.estimate import ASSUMPTIONS, tokens
from falserefusal.planning.plan import expected_rows, expected_workload
from falserefusal.prompts.rendering import question_characters
from falserefusal.study.materials import load_personas, load_templates
from falserefusal.texts.read import read
from falserefusal.texts.sample import sample
from falserefusal.texts.sources import resolve


def expected_load(study: dict, assume: dict, root: str | Path = ".") -> dict:
    """Number of prompts, prompt tokens and new tokens of one model of `study` (a loaded config).

    Texts whose file the config names are counted. For downloaded texts, the counts are those that `plan` has for their
    sources, also after the download: see `planning.jobs` for the reason. assume: overrides of `ASSUMPTIONS`.
    """
    root, tasks, materials = Path(root), study["tasks"], study["materials"]
    personas = load_personas(root / materials["personas"], keep=study["personas"])
    templates = load_templates(root / materials["templates"], list(tasks), keep=study["templates"])
    own = {task: templates[templates["task"] == task] for task in tasks}
    rows, characters, around = {}, {}, {}
    for task, settings in tasks.items():
        source, most = resolve(settings["source"], task), settings["rows_per_gold_label"]
        if source.path is not None:
            texts = sample(read(settings["source"], source.path, task)[0], most, study["seed"])
            rows[task] = len(texts)
            parts = [texts[part].dropna().str.len().sum() for part in ("text", "premise", "hypothesis")]
            characters[task] = sum(parts) / max(len(texts), 1)
        else:
            rows[task] = expected_rows(source.name, task, most)
        options, layout = settings["options"], settings["layout"]
        around[task] = question_characters(personas, own[task], options, layout, **study["prompts"])
    sizes = design_size(study["design"], rows, len(personas), {task: len(frame) for task, frame in own.items()})
    work = expected_workload(sizes, around, characters)
    each = [tokens(row.prompts, row.characters, ASSUMPTIONS | assume) for row in work.itertuples()]
    return {name: sum(part[name] for part in each) for name in ("prompts", "prompt_tokens", "new_tokens")}
