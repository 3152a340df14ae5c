"""What a study asks of each model, known from its config and materials: checks, and the size of its jobs, need it."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from falserefusal.common.errors import InputError
from falserefusal.study.config import Config, Task

# Annotation rows of each gold label of the sources that must be downloaded: counted in the files of XNLI's test split
# and POPQUORN's offensiveness; the other XNLI splits by their published totals; politeness as its published total of
# 25,042 spread evenly.
GOLD_LABEL_ROWS = {
    ("xnli/test", "nli"): [1670] * 3,
    ("xnli/validation", "nli"): [830] * 3,
    ("xnli/train", "nli"): [130_900] * 3,
    ("popquorn", "politeness"): [5008] * 5,
    ("popquorn", "offensiveness"): [7516, 2190, 1590, 1039, 701],
}
# Mean characters of a text before any is there, over all rows of the sources: XNLI English test (premise 106.5 and
# hypothesis 52.1), POPQUORN's 3,718 e-mails and its 13,036 offensiveness rows.
TEXT_CHARACTERS = {"nli": 159.0, "politeness": 198.0, "offensiveness": 169.0}
OTHER_TEXT_CHARACTERS = 200.0  # of any other task
SMALL_FILE = 2_000_000  # bytes of a file of texts that is read before the first job, to find its mistakes


class Texts(NamedTuple):
    """How many texts a task has (infinite: not known), and their mean length in characters."""

    rows: Any
    characters: float


class Asked(NamedTuple):
    """What one model is asked: prompts of a task, and their mean length in characters."""

    prompts: float
    characters: float


def texts_of(task: str, settings: Task, seed: int, root: Path) -> Texts:
    """The texts of a task: counted in a file that the config names or that comes with the workflow, else expected.

    The counts of a source that is fetched stand in also once its file is here, so that jobs keep their size from the
    first start of a study to the last.
    """
    from falserefusal.texts.read import read
    from falserefusal.texts.sample import sample
    from falserefusal.texts.sources import resolve

    keys, most = settings.source.model_dump(), settings.rows_per_gold_label
    source = resolve(keys, task)
    if source.path is None:
        if (source.name, task) not in GOLD_LABEL_ROWS:
            raise InputError(f"tasks.{task}.source: how many rows {source.name} has for this task is not known")
        rows = sum(min(rows, most) for rows in GOLD_LABEL_ROWS[source.name, task])
        return Texts(rows, TEXT_CHARACTERS.get(task, OTHER_TEXT_CHARACTERS))
    path = Path(source.path) if settings.source.kind == "embedded" else root / source.path
    texts = sample(read(keys, path, task)[0], most, seed)
    parts = [texts[part].dropna().str.len().sum() for part in ("text", "premise", "hypothesis")]
    return Texts(len(texts), sum(parts) / max(len(texts), 1))


def most_texts(task: str, settings: Task, seed: int, root: Path) -> float:
    """The most texts a task can have; infinite where only a large file or a published one can say, which is not read.

    Raises
    ------
    InputError
        where a small file of the user's cannot be read as its source says.
    """
    if settings.source.kind == "file":
        small = (root / Path(settings.source.path).expanduser()).stat().st_size <= SMALL_FILE
        return float(texts_of(task, settings, seed, root).rows) if small else inf
    if settings.source.kind != "embedded" and settings.source.path is not None:
        return inf
    try:
        rows: float = texts_of(task, settings, seed, root).rows
    except InputError:
        return inf
    return rows


def asked_of_one_model(config: Config, texts: Mapping[str, Texts], root: Path) -> dict[str, Asked]:
    """Prompts of each task that one model is asked, and their mean characters.

    Raises
    ------
    InputError
        where templates, options or layout do not fit together, or the texts, templates and personas cannot carry the
        design.
    """
    from falserefusal.design.monte_carlo import design_size
    from falserefusal.prompts.rendering import Wording, question_characters
    from falserefusal.study.materials import load_personas, load_templates

    tasks = list(config.tasks)
    personas = load_personas(root / config.materials.personas, _kept(config.personas))
    templates = load_templates(root / config.materials.templates, tasks, _kept(config.templates))
    own = {task: templates[templates["task"] == task] for task in tasks}
    for task in tasks:
        if own[task].empty:
            raise InputError(f"templates: none of {', '.join(config.templates)} is for task '{task}'")
    common = config.prompts
    around = {}
    for task, settings in config.tasks.items():
        wording = Wording(settings.options, settings.layout, common.article, common.system)
        try:
            around[task] = question_characters(personas, own[task], wording)
        except InputError as error:
            message = str(error).removeprefix("prompts: ")
            raise InputError(f"{config.materials.templates}: {message}") from None
    rows = {task: texts[task].rows for task in tasks}
    numbers = {task: len(own[task]) for task in tasks}
    samples = config.inference.independent_samples
    sizes = design_size(config.design.model_dump(), rows, len(personas), numbers, samples)
    asked = {}
    for task, _, with_persona, baseline in sizes.itertuples(index=False):
        prompts = float(with_persona + baseline)
        mean = (around[task][0] * with_persona + around[task][1] * baseline) / prompts
        asked[task] = Asked(prompts, texts[task].characters + mean)
    return asked


def expected_load(config: Config, assume: dict[str, Any], root: Path) -> dict[str, float]:
    """Prompts, prompt_tokens and new_tokens that one model is asked in all; `assume` as in `roofline.ASSUMPTIONS`."""
    from falserefusal.common.roofline import tokens

    texts = {task: texts_of(task, settings, config.seed, root) for task, settings in config.tasks.items()}
    each = [tokens(*asked, assume) for asked in asked_of_one_model(config, texts, root).values()]
    return {name: sum(part[name] for part in each) for name in ("prompts", "prompt_tokens", "new_tokens")}


def _kept(names: str | tuple[str, ...]) -> tuple[str, ...] | None:
    return None if isinstance(names, str) else names
