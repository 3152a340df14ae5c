"""The questions that a stand-in knows: each is one token of its tokenizer and identifies the cell of a prompt.

A whole question ("Would a woman classify the following text as polite or not polite?") is the marker of its cell,
because words such as woman or jewish also occur in the texts to be classified. A stand-in knows the personas in the
wordings for which the paper prints rates. It recognises any other wording by what follows it in the template, and gives
it the cell of an unlisted persona. So a stand-in, like a model, does not change when a study rewords or adds a persona.
"""

import re

import numpy as np
import pandas as pd
import pandera.pandas as pa

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no, with_article
from falserefusal.standins.rates import UNLISTED

_PLACE = re.compile(r"\{(\w+)\}")
CELL = ["task", "persona", "template"]
WORDINGS = pa.DataFrameSchema(
    {
        "persona": pa.Column(str, pa.Check.notin([BASELINE, UNLISTED]), unique=True),
        "surface": pa.Column(str),
        "article": pa.Column(str, pa.Check.isin(["a", "an"])),
    },
    strict=True,
    name="wordings",
)


def read_wordings(path) -> pd.DataFrame:
    """Read the paper's wordings of the personas it prints rates for: persona, surface, article."""
    return read_csv(path, WORDINGS)


def questions(templates: pd.DataFrame, personas: pd.DataFrame, options: dict[str, list[str]]) -> pd.DataFrame:
    """List every marker with its cell: marker, task, persona, template, format, yes_no.

    The variants of a question with "a" and "an" share a cell.

    Parameters
    ----------
    templates : frame with task, template, format, text, baseline_text.
    personas : frame with persona, surface, article.
    options : the words for {label1}, {label2}, ... of each task.

    Raises
    ------
    InputError
        If two cells have the same question.
    """
    rows = []
    for template in templates.itertuples():
        baseline = fill(template.baseline_text, option_words(options[template.task]))
        rest = fill(template.text.partition("{persona}")[2], option_words(options[template.task]))
        wordings = {(BASELINE, baseline), (UNLISTED, rest)}
        for persona in personas.itertuples():
            for article in ("printed", "grammatical"):
                wordings.add((persona.persona, question(template.text, persona, options[template.task], article)))
        yes_no = asks_yes_no(template.text)
        for persona, text in sorted(wordings):
            cell = (template.task, persona, template.template, template.format, yes_no and persona != BASELINE)
            rows.append((text, *cell))
    found = pd.DataFrame(rows, columns=["marker", *CELL, "format", "yes_no"])
    twice = found[found.duplicated("marker", keep=False)].sort_values("marker")
    if len(twice):
        cells = [" / ".join(cell) for cell in twice[CELL].head(2).to_numpy()]
        raise InputError(
            f"stand-ins: {cells[0]} and {cells[1]} both ask {twice['marker'].iloc[0]!r}; give the tasks different "
            "options or the templates different words"
        )
    order = pd.Categorical(found["persona"], [*personas["persona"], BASELINE, UNLISTED])
    return found.iloc[np.argsort(order.codes, kind="stable")].reset_index(drop=True)


def question(text: str, persona, options: list[str], article: str) -> str:
    """Fill in a template's question about a persona, with the study's setting of `article`."""
    words = option_words(options) | {"persona": persona.surface}
    return fill(with_article(text, persona.article, article == "grammatical"), words)


def option_words(options: list[str]) -> dict[str, str]:
    """The words for {label1}, {label2}, ..."""
    return {f"label{i}": option for i, option in enumerate(options, start=1)}


def fill(text: str, words: dict[str, str]) -> str:
    """Fill the placeholders in one pass, so that braces in a word stay as they are."""
    return _PLACE.sub(lambda match: words[match[1]], text)


def cells_of(markers: pd.DataFrame) -> pd.DataFrame:
    """The cells of the markers: task, persona, template, format, yes_no; a cell's number is its position."""
    return markers[[*CELL, "format", "yes_no"]].drop_duplicates().reset_index(drop=True)


def collisions(markers: pd.DataFrame, texts: pd.DataFrame) -> pd.DataFrame:
    """Find texts that contain a whole question (text_id, marker), in which a stand-in would find two questions.

    texts: frame with text_id, content.
    """
    known = re.compile("|".join(re.escape(m) for m in sorted(markers["marker"], key=len, reverse=True)))
    hits = [(row.text_id, match[0]) for row in texts.itertuples() if (match := known.search(row.content))]
    return pd.DataFrame(hits, columns=["text_id", "marker"])
