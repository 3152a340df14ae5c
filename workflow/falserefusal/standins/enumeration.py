"""The planted truth, by enumeration: what a stand-in answers to each prompt, and its rates in each cell of a study."""

from pathlib import Path

import numpy as np
import pandas as pd

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.standins import answers as speech
from falserefusal.standins.chat import STYLES, render
from falserefusal.standins.planted import Planted, load
from falserefusal.standins.questions import fill, option_words, question
from falserefusal.standins.rates import UNLISTED
from falserefusal.standins.reading import Reader
from falserefusal.standins.write import bodies_of, messages


def open_standin(folder: str | Path) -> tuple[Planted, Reader]:
    """What is planted in the stand-in at `folder`, and a reader of its prompts."""
    from tokenizers import Tokenizer

    planted = load(folder)
    return planted, Reader(planted, Tokenizer.from_file(str(Path(folder, "tokenizer.json"))))


def truth_of_prompts(
    folder: str | Path,
    prompts: pd.DataFrame,
    design: pd.DataFrame,
    phrases: list[str],
    system_role: str = "native",
) -> pd.DataFrame:
    """What the stand-in at `folder` answers to each prompt under greedy decoding, in full.

    prompts: prompt_id, messages; design: prompt_id, task, persona, template; phrases: the paper's list. Columns:
    prompt_id, task, persona, template, format, phrase_list_refusal (the list's verdict on the answer), refusal (a person's),
    category, answer (its name in the answers file), text (the answer word for word), new_tokens (its end included),
    p_caught (see `Planted.decide`). A prompt whose question it cannot read gets its complaint as text and the category
    "complaint". Raises InputError where a prompt asks another question than the design says.
    """
    planted, reader = open_standin(folder)
    design = prompts[["prompt_id"]].merge(design, on="prompt_id", how="left", validate="one_to_one")
    style = STYLES[planted.style]
    cell, levels, complaint = reader.read([render(style, turns, system_role) for turns in prompts["messages"]])
    asked = planted.cells.iloc[cell.clip(0)].reset_index(drop=True)
    other = (asked["task"] != design["task"]) | (asked["template"] != design["template"])
    other |= (asked["persona"] != design["persona"]) & (asked["persona"] != UNLISTED)
    other &= cell >= 0
    if other.any():
        row = int(np.argmax(other))
        read = " / ".join(asked.loc[row, ["task", "persona", "template"]])
        said = " / ".join(design.loc[row, ["task", "persona", "template"]].astype(str))
        raise InputError(f"prompt {design['prompt_id'][row]}: asks {read}, but the design says {said}")
    decided = planted.decide(cell.clip(0), levels)
    given = planted.answers.iloc[decided["answer"]].reset_index(drop=True)
    text = [
        speech.say(form, planted.personas[persona], planted.options[task][pick])
        for form, persona, task, pick in zip(
            given["text"], asked["persona"], asked["task"], decided["pick"], strict=True
        )
    ]
    lengths = np.array(speech.grammar(list(planted.answers["text"])).lengths)
    truth = design[["prompt_id", "task", "persona", "template"]].assign(
        format=asked["format"],
        phrase_list_refusal=listed(text, phrases),
        refusal=speech.is_refusal(given["category"]),
        category=given["category"],
        answer=given["answer"],
        text=text,
        new_tokens=lengths[decided["answer"]],
        p_caught=decided["p_caught"],
    )
    lost = complaint != ""
    truth.loc[lost, ["category", "answer", "text"]] = "complaint"
    truth.loc[lost, "text"] = complaint[lost]
    truth.loc[lost, ["phrase_list_refusal", "refusal"]] = False
    truth.loc[lost, "new_tokens"] = 2
    return truth


def truth_of_cells(
    folder: str | Path,
    texts: pd.DataFrame,
    personas: pd.DataFrame,
    templates: pd.DataFrame,
    tasks: dict[str, dict],
    phrases: list[str],
    article: str = "printed",
    system: str | None = None,
    system_role: str = "native",
) -> pd.DataFrame:
    """Rates over all rows of a study in each of its cells, whether its design draws them or not.

    Arguments as for `write.prepare`, but personas are the study's own. Columns: model, task, persona, template, format,
    known (whether the persona is asked in words it has rates for), wanted (the rate asked for), rows, rate (share of
    rows whose answer the paper's list calls a refusal), refusal_rate (share whose answer a person would call one),
    both_rate (share of which both hold). Sensitivity of the list is both_rate / refusal_rate.
    """
    planted, reader = open_standin(folder)
    bodies, style = bodies_of(texts, tasks), STYLES[planted.style]
    parts = []
    for task, settings in tasks.items():
        here = bodies[bodies["task"] == task]
        asked = _asked(planted, personas, templates[templates["task"] == task], settings["options"], article)
        # a known question adds nothing to the levels of a text; a persona in other words adds its own
        for _, cells in asked.groupby(asked["persona"].where(~asked["known"], ""), sort=False):
            first = cells["question"].iloc[0]
            turns = [messages(first, content, system) for content in here["content"]]
            levels = reader.read([render(style, turn, system_role) for turn in turns])[1]
            shares = _shares(planted, cells["cell"].to_numpy(), levels, here["rows"].to_numpy(), phrases)
            kept = cells[["persona", "known"]].reset_index(drop=True)
            parts.append(pd.concat([kept, shares], axis=1).assign(task=task, rows=here["rows"].sum()))
    table = pd.concat(parts, ignore_index=True).assign(model=planted.model["model"])
    columns = ["model", "task", "persona", "template", "format", "known", "wanted", "rows"]
    return table[[*columns, "rate", "refusal_rate", "both_rate"]]


def persona_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """The planted rate of each model, task and persona under the paper's list: the mean over templates of `cells`."""
    key = ["model", "task", "persona"]
    return cells.groupby(key, sort=False, as_index=False)["rate"].mean().rename(columns={"rate": "planted"})


def listed(texts: list[str], phrases: list[str]) -> np.ndarray:
    """Whether each answer starts with one of the phrases, in lower case and without leading blanks (section 3.3)."""
    return np.array([text.lower().lstrip().startswith(tuple(phrases)) for text in texts], dtype=bool)


def _asked(planted: Planted, personas, templates, options: list[str], article: str) -> pd.DataFrame:
    """Every question a study asks in one task: persona, question, cell (position in planted.cells), known."""
    cell_of = dict(zip(planted.markers["marker"], planted.markers["cell"], strict=True))
    words = option_words(options)
    rows = []
    for template in templates.itertuples():
        free = fill(template.baseline_text, words)
        unlisted = cell_of[fill(template.text.partition("{persona}")[2], words)]
        texts = [
            (persona.persona, question(template.text, persona, options, article)) for persona in personas.itertuples()
        ]
        for name, text in [*texts, (BASELINE, free)]:
            rows.append((name, text, cell_of.get(text, unlisted), text in cell_of))
    return pd.DataFrame(rows, columns=["persona", "question", "cell", "known"])


def _shares(planted: Planted, cells: np.ndarray, levels: np.ndarray, rows: np.ndarray, phrases) -> pd.DataFrame:
    """One row per cell: shares of the annotation rows by what is answered."""
    weight = rows / rows.sum()
    decided = planted.decide(np.repeat(cells, len(levels)), np.tile(levels, (len(cells), 1)))
    own = planted.cells.iloc[cells].reset_index(drop=True)
    answer, pick = (decided[name].to_numpy().reshape(len(cells), -1) for name in ("answer", "pick"))
    flags = {}
    for persona, task in own[["persona", "task"]].drop_duplicates().itertuples(index=False):
        said = [
            speech.say(text, planted.personas[persona], word)
            for text in planted.answers["text"]
            for word in planted.options[task]
        ]
        flags[persona, task] = listed(said, phrases).reshape(len(planted.answers), -1)
    each = zip(own["persona"], own["task"], answer, pick, strict=True)
    paper = np.array([flags[persona, task][given, word] for persona, task, given, word in each])
    person = speech.is_refusal(planted.answers["category"]).to_numpy()[answer]
    shares = {"rate": paper @ weight, "refusal_rate": person @ weight, "both_rate": (paper & person) @ weight}
    return own[["template", "format", "wanted"]].assign(**shares)
