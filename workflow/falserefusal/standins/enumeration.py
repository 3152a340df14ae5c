"""Planted rates by enumeration: a stand-in's response to each prompt, and its refusal rates in each cell of a study."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.standins.chat import STYLES, System, render
from falserefusal.standins.planted import Planted, load
from falserefusal.standins.questions import fill, option_words, question
from falserefusal.standins.rates import UNLISTED
from falserefusal.standins.reading import Reader
from falserefusal.standins.sentences import grammar, is_refusal, say
from falserefusal.standins.write import bodies_of, messages


@dataclass(frozen=True)
class Asked:
    """What a study may ask, and in which words.

    texts, personas, templates: as in the study; tasks: options and layout of each; article, system: as the study sets
    them.
    """

    texts: pd.DataFrame
    personas: pd.DataFrame
    templates: pd.DataFrame
    tasks: dict[str, dict]
    article: str
    system: System


def open_standin(folder: str | Path) -> tuple[Planted, Reader]:
    """Load what is planted in the stand-in at `folder`, and a reader of its prompts."""
    from tokenizers import Tokenizer

    planted = load(folder)
    return planted, Reader(planted, Tokenizer.from_file(str(Path(folder, "tokenizer.json"))))


def planted_prompts(
    folder: str | Path,
    prompts: pd.DataFrame,
    design: pd.DataFrame,
    phrases: list[str],
    system_role: str,
) -> pd.DataFrame:
    """Compute the response of a stand-in to each prompt under greedy decoding, without running the model.

    Parameters
    ----------
    folder : folder of the stand-in.
    prompts : frame with prompt_id, messages.
    design : frame with prompt_id, task, persona, template.
    phrases : the paper's phrase list.
    system_role : how a system message is sent; see `chat.render`.

    Returns
    -------
    DataFrame with prompt_id, task, persona, template, format, phrase_list_refusal (verdict of the phrase list), refusal
    (verdict of a person), category, sentence (its name in the sentences file), text (the response), new_tokens (the end
    included), p_caught (see `Planted.decide`). A prompt whose question the stand-in does not know has its complaint as
    text and the category "complaint".

    Raises
    ------
    InputError
        If a prompt asks a question that is not the design's.
    """
    planted, reader = open_standin(folder)
    design = prompts[["prompt_id"]].merge(design, on="prompt_id", how="left", validate="one_to_one")
    style = STYLES[planted.style]
    cell, levels, complaint = reader.read([render(style, turns, system_role) for turns in prompts["messages"]])
    asked = planted.cells.iloc[cell.clip(0)].reset_index(drop=True)
    _check_asked(asked, design, cell >= 0)
    decided = planted.decide(cell.clip(0), levels)
    said = planted.sentences.iloc[decided["sentence"]].reset_index(drop=True)
    text = [
        say(form, planted.personas[persona], planted.options[task][pick])
        for form, persona, task, pick in zip(
            said["text"], asked["persona"], asked["task"], decided["pick"], strict=True
        )
    ]
    lengths = np.array(grammar(list(planted.sentences["text"])).lengths)
    responses = design[["prompt_id", "task", "persona", "template"]].assign(
        format=asked["format"],
        phrase_list_refusal=listed(text, phrases),
        refusal=is_refusal(said["category"]),
        category=said["category"],
        sentence=said["sentence"],
        text=text,
        new_tokens=lengths[decided["sentence"]],
        p_caught=decided["p_caught"],
    )
    lost = complaint != ""
    responses.loc[lost, ["category", "sentence", "text"]] = "complaint"
    responses.loc[lost, "text"] = complaint[lost]
    responses.loc[lost, ["phrase_list_refusal", "refusal"]] = False
    responses.loc[lost, "new_tokens"] = 2
    return responses


def _check_asked(asked: pd.DataFrame, design: pd.DataFrame, known: np.ndarray) -> None:
    """Raise InputError for a prompt that asks another question than the design; `known`: rows with a question."""
    other = (asked["task"] != design["task"]) | (asked["template"] != design["template"])
    other |= (asked["persona"] != design["persona"]) & (asked["persona"] != UNLISTED)
    other &= known
    if other.any():
        row = int(np.argmax(other))
        found = " / ".join(asked.loc[row, ["task", "persona", "template"]])
        expected = " / ".join(design.loc[row, ["task", "persona", "template"]].astype(str))
        raise InputError(f"prompt {design['prompt_id'][row]}: asks {found}, but the design has {expected}")


def planted_cells(folder: str | Path, study: Asked, phrases: list[str]) -> pd.DataFrame:
    """Compute the refusal rates of a stand-in over all rows of a study in each cell, drawn by the design or not.

    Parameters
    ----------
    folder : folder of the stand-in.
    study : what may be asked.
    phrases : the paper's phrase list.

    Returns
    -------
    DataFrame with model, task, persona, template, format, known (whether the stand-in has rates for this wording of the
    persona), target (the rate to plant), rows, rate (share of rows that the phrase list calls a refusal), refusal_rate
    (share that a person would call a refusal), both_rate (share where both hold). The sensitivity of the phrase list is
    both_rate / refusal_rate.
    """
    planted, reader = open_standin(folder)
    bodies, style = bodies_of(study.texts, study.tasks), STYLES[planted.style]
    parts = []
    for task in study.tasks:
        here = bodies[bodies["task"] == task]
        asked = _asked(planted, study, task)
        # a known question does not change the levels of a text; another wording of a persona does
        for _, cells in asked.groupby(asked["persona"].where(~asked["known"], ""), sort=False):
            first = cells["question"].iloc[0]
            turns = [messages(first, content, study.system.message) for content in here["content"]]
            levels = reader.read([render(style, turn, study.system.role) for turn in turns])[1]
            shares = _shares(planted, cells["cell"].to_numpy(), levels, here["rows"].to_numpy(), phrases)
            kept = cells[["persona", "known"]].reset_index(drop=True)
            parts.append(pd.concat([kept, shares], axis=1).assign(task=task, rows=here["rows"].sum()))
    table = pd.concat(parts, ignore_index=True).assign(model=planted.model["model"])
    columns = ["model", "task", "persona", "template", "format", "known", "target", "rows"]
    return table[[*columns, "rate", "refusal_rate", "both_rate"]]


def persona_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """Average the planted rates of `cells` over templates: the phrase list's rate per model, task and persona."""
    key = ["model", "task", "persona"]
    return cells.groupby(key, sort=False, as_index=False)["rate"].mean().rename(columns={"rate": "planted"})


def listed(texts: list[str], phrases: list[str]) -> np.ndarray:
    """Whether each text starts with one of the phrases, in lower case and without leading blanks (section 3.3)."""
    return np.array([text.lower().lstrip().startswith(tuple(phrases)) for text in texts], dtype=bool)


def _asked(planted: Planted, study: Asked, task: str) -> pd.DataFrame:
    """List every question of one task: persona, question, cell (position in planted.cells), known."""
    cell_of = dict(zip(planted.markers["marker"], planted.markers["cell"], strict=True))
    options = study.tasks[task]["options"]
    words = option_words(options)
    rows = []
    for template in study.templates[study.templates["task"] == task].itertuples():
        baseline = fill(template.baseline_text, words)
        unlisted = cell_of[fill(template.text.partition("{persona}")[2], words)]
        texts = [
            (persona.persona, question(template.text, persona, options, study.article))
            for persona in study.personas.itertuples()
        ]
        for name, text in [*texts, (BASELINE, baseline)]:
            rows.append((name, text, cell_of.get(text, unlisted), text in cell_of))
    return pd.DataFrame(rows, columns=["persona", "question", "cell", "known"])


def _shares(planted: Planted, cells: np.ndarray, levels: np.ndarray, rows: np.ndarray, phrases) -> pd.DataFrame:
    """Shares of the rows by kind of response; one row per cell."""
    weight = rows / rows.sum()
    decided = planted.decide(np.repeat(cells, len(levels)), np.tile(levels, (len(cells), 1)))
    own = planted.cells.iloc[cells].reset_index(drop=True)
    sentence, pick = (decided[name].to_numpy().reshape(len(cells), -1) for name in ("sentence", "pick"))
    flags = {}
    for persona, task in own[["persona", "task"]].drop_duplicates().itertuples(index=False):
        said = [
            say(text, planted.personas[persona], word)
            for text in planted.sentences["text"]
            for word in planted.options[task]
        ]
        flags[persona, task] = listed(said, phrases).reshape(len(planted.sentences), -1)
    each = zip(own["persona"], own["task"], sentence, pick, strict=True)
    by_list = np.array([flags[persona, task][spoken, word] for persona, task, spoken, word in each])
    by_person = is_refusal(planted.sentences["category"]).to_numpy()[sentence]
    both = by_list & by_person
    shares = {"rate": by_list @ weight, "refusal_rate": by_person @ weight, "both_rate": both @ weight}
    return own[["template", "format", "target"]].assign(**shares)
