"""Make the stand-ins of a study: prepare what all of them share, then write each one."""

import dataclasses
import logging
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError, using
from falserefusal.common.schemas import BASELINE
from falserefusal.standins import checkpoint, planting, texthash, vocabulary
from falserefusal.standins.chat import STYLES, System, render
from falserefusal.standins.circuit import spoken_tokens
from falserefusal.standins.planted import Planted
from falserefusal.standins.questions import CELL, cells_of, collisions, fill, questions
from falserefusal.standins.rates import UNLISTED
from falserefusal.standins.reading import Reader
from falserefusal.standins.sentences import SLOT_SHARES, SLOTS

log = logging.getLogger(__name__)

MISSED = (0.03, 0.12)  # refusals that the phrase list misses, per refusal that it finds: range over models
SLOT_SPREAD = 0.3  # standard deviation over models of the log of a sentence's share
SPEAK_OF = {BASELINE: "an average reader", UNLISTED: "that person"}


@dataclasses.dataclass(frozen=True)
class Materials:
    """What all stand-ins of a study share.

    markers: marker, cell; cells: see `questions`; options: by task; personas: how sentences name each; bodies: see
    `bodies_of`.
    """

    markers: pd.DataFrame
    cells: pd.DataFrame
    options: dict[str, list[str]]
    personas: dict[str, str]
    sentences: pd.DataFrame
    bodies: pd.DataFrame
    merges: list[tuple[str, str]]
    hash: texthash.TextHash
    system: System
    seed: int


def prepare(
    texts: pd.DataFrame,
    personas: pd.DataFrame,
    templates: pd.DataFrame,
    tasks: dict[str, dict],
    sentences: pd.DataFrame,
    seed: int,
    system: System,
) -> Materials:
    """Prepare what the stand-ins of a study share.

    Parameters
    ----------
    texts : the texts of all tasks.
    personas : frame with persona, surface, article, in the wordings for which rates are known.
    templates : the study's templates.
    tasks : options and layout of each task, as in the config.
    sentences : see `sentences.read_sentences`.
    seed : the study's seed.
    system : the study's system message.

    Raises
    ------
    InputError
        If two cells ask the same question. A text that contains a question is reported in the log.
    """
    options = {task: list(settings["options"]) for task, settings in tasks.items()}
    templates = templates[templates["task"].isin(options)]
    markers = questions(templates, personas, options)
    cells = cells_of(markers)
    bodies = bodies_of(texts, tasks)
    for hit in collisions(markers, bodies).itertuples():
        log.warning("text %s contains the question %r: stand-ins will complain about it", hit.text_id, hit.marker)
    spoken = {row.persona: f"{row.article} {row.surface}" for row in personas.itertuples()} | SPEAK_OF
    merges = vocabulary.learn_merges(list(bodies["content"]))
    known = vocabulary.base_vocabulary(merges)
    tokenizer = vocabulary.base_tokenizer(merges)
    fixed = [*(style.fixed for style in STYLES.values()), "\n", system.message or ""]
    fixed += templates["text"].str.partition("{persona}")[0].drop_duplicates().tolist()
    pieces = [vocabulary.written(token.text) for token in spoken_tokens(list(sentences["text"]), spoken, options)]
    excluded = {token for text in fixed for token in tokenizer.encode(text).ids}
    excluded |= {known[piece] for piece in pieces if piece in known}
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(bodies["content"]))]
    drawn = texthash.draw_hash(ids, len(known), excluded, seed)
    markers = markers.merge(cells[CELL].assign(cell=np.arange(len(cells))), on=CELL)[["marker", "cell"]]
    return Materials(markers, cells, options, spoken, sentences, bodies, merges, drawn, system, seed)


def bodies_of(texts: pd.DataFrame, tasks: dict[str, dict]) -> pd.DataFrame:
    """Fill in what follows the question for each different text: task, text_id, content, rows (annotation rows).

    tasks: the layout of each, by name. Raises InputError for a task without texts.
    """
    missing = [task for task in tasks if task not in set(texts["task"])]
    if missing:
        raise InputError(f"stand-ins: no texts of task {', '.join(missing)} to plant refusals in")
    texts = texts[texts["task"].isin(list(tasks))]
    rows = texts.groupby(["task", "text_id"], sort=False).size()
    bodies = texts.drop_duplicates(["task", "text_id"]).reset_index(drop=True)
    layouts = bodies["task"].map({task: settings["layout"] for task, settings in tasks.items()})
    content = [fill(layout, row) for layout, row in zip(layouts, bodies.to_dict("records"), strict=True)]
    bodies = bodies[["task", "text_id"]].assign(content=content)
    bodies["rows"] = rows.loc[pd.MultiIndex.from_frame(bodies[["task", "text_id"]])].to_numpy()
    return bodies


def messages(question: str, content: str, system: str | None) -> list[dict]:
    """The messages of a prompt."""
    before = [] if system is None else [{"role": "system", "content": system}]
    return [*before, {"role": "user", "content": question + content}]


def write_standin(
    folder: str | Path, model: dict, materials: Materials, rates: pd.DataFrame, plant: str, dtype: str | None = None
) -> Planted:
    """Write one stand-in.

    Parameters
    ----------
    folder : where to write it.
    model : a row of the models file (model, family, generation, size_b).
    materials : see `prepare`.
    rates : model, task, persona, template, rate; see `rates`.
    plant : name of the rates, "published" or "null".
    dtype : dtype of the weights. None: bfloat16 up to 2 billion parameters, float32 above, so that a study has both.

    Returns
    -------
    What is planted in it.

    Raises
    ------
    InputError
        For a cell without a rate, and if the folder cannot be written.
    """
    name = model["model"]
    model = {key: model[key] for key in ("model", "family", "generation")} | {
        "plant": plant,
        "dtype": dtype or ("bfloat16" if model["size_b"] <= 2 else "float32"),
    }
    cells = _targets(materials.cells, rates, name)
    model_seed = zlib.crc32(f"{materials.seed} {name}".encode())
    weights = planting.draw_weights(cells, materials.hash.bits.shape[0] * texthash.BITS, materials.seed, model_seed)
    rng = np.random.default_rng([model_seed, 3])
    planted = Planted(
        model=model,
        style=checkpoint.architecture_of(model["family"], model["generation"]).style,
        markers=materials.markers,
        cells=cells,
        weights=weights,
        caught=np.zeros(len(cells), int),
        missed=np.zeros(len(cells), int),
        hash=materials.hash,
        slots=np.zeros((2, texthash.LEVELS + 1), int),
        picks={},
        options=materials.options,
        personas=materials.personas,
        sentences=materials.sentences,
    )
    levels = _levels(planted, materials)
    shares = np.array(SLOT_SHARES) * np.exp(SLOT_SPREAD * rng.standard_normal(SLOTS))
    counts = sorted({len(words) for words in materials.options.values()})
    style, rows = levels[:, texthash.STYLE].T, materials.bodies["rows"].to_numpy()
    planted = dataclasses.replace(
        planted,
        slots=np.array([_allot(head, rows, shares, rng) for head in style]),
        picks={n: np.array([_allot(head, rows, np.ones(n), rng) for head in style]) for n in counts},
    )
    planted = _plant(planted, materials, levels, rng.uniform(*MISSED))
    with using(folder):
        checkpoint.write(folder, planted, materials.merges)
    return planted


def _targets(cells: pd.DataFrame, rates: pd.DataFrame, model: str) -> pd.DataFrame:
    """The cells with the rate to plant in each (target) and which style head picks its wording (variant)."""
    own = rates[rates["model"] == model].drop(columns="model").rename(columns={"rate": "target"})
    cells = cells.merge(own, on=CELL, how="left")
    if cells["target"].isna().any():
        lost = " / ".join(cells.loc[cells["target"].isna(), CELL].iloc[0])
        raise InputError(f"stand-ins: no rate to plant for {model} in {lost}")
    # the sentence depends on text and template, not on the persona, so that labellers err alike for all personas
    return cells.assign(variant=cells.groupby(["task", "template"], sort=False).ngroup() % 2)


def _levels(planted: Planted, materials: Materials) -> np.ndarray:
    """Levels (N x heads) of every text; they are the same for every known question."""
    reader = Reader(planted, checkpoint.tokenizer_of(planted, materials.merges))
    tasks = materials.cells["task"].iloc[materials.markers["cell"]].to_numpy()
    ask = materials.markers.assign(task=tasks).drop_duplicates("task").set_index("task")["marker"]
    style, system = STYLES[planted.style], materials.system
    rendered = [
        render(style, messages(ask[body.task], body.content, system.message), system.role)
        for body in materials.bodies.itertuples()
    ]
    return reader.read(rendered)[1]


def _allot(levels: np.ndarray, rows: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a choice for each level, such that over these rows each choice has about its share."""
    mass = np.bincount(levels, weights=rows, minlength=texthash.LEVELS + 1)
    needed = shares / shares.sum() * mass.sum()
    chosen = np.empty(len(mass), dtype=int)
    for level in rng.permutation(len(mass)):
        chosen[level] = np.argmax(needed) if mass[level] else rng.integers(len(shares))
        needed[chosen[level]] -= mass[level]
    return chosen


def _plant(planted: Planted, materials: Materials, levels: np.ndarray, miss: float) -> Planted:
    """Set the thresholds of all cells: the target share of the rows caught, and `miss` times as many missed."""
    cells, bodies = planted.cells, materials.bodies
    bits = planted.hash.refusal_bits(levels) > 0
    caught, missed = planted.caught.copy(), planted.missed.copy()
    special = cells["persona"].where(cells["persona"].isin([BASELINE, UNLISTED]), "persona")
    # without a persona effect, each persona is rounded alike; with one, rounding errors cancel over all personas
    groups = cells["persona"] if planted.model["plant"] == "null" else special
    for task in planted.options:
        here, mine = (cells["task"] == task).to_numpy(), (bodies["task"] == task).to_numpy()
        scores = bits[mine].astype(int) @ planted.weights[here].T
        rows = bodies["rows"].to_numpy()[mine]
        targets, group = cells["target"].to_numpy()[here], groups.to_numpy()[here]
        caught[here] = planting.thresholds(scores, rows, targets, group)
        more = np.where(targets < 1, np.minimum(targets * (1 + miss), 1 - 1e-9), 1.0)
        missed[here] = np.minimum(planting.thresholds(scores, rows, more, group), caught[here])
    return dataclasses.replace(planted, caught=caught, missed=missed)
