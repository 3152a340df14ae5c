"""The questions a stand-in knows: each is one token of its tokenizer, and tells it which cell a prompt belongs to.

A whole question ("Would a woman classify the following text as polite or not polite?") is the marker of its cell,
because words such as woman or jewish occur in the texts to be classified as well. Personas are known in the words for
which the paper prints rates; one in other words is recognised by what follows it in the template, and gets the cell of
an unlisted persona. So a stand-in, like a model, does not change when a study rewords or adds a persona.
"""

import re

import numpy as np
import pandas as pd
import pandera.pandas as pa

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_csv
from falserefusal.common.schemas import BASELINE
from falserefusal.common.templates import asks_yes_no
from falserefusal.standins.rates import UNLISTED

_PLACE = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=\{persona\})")
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
    """The words in which the paper names the personas it prints rates for: persona, surface, article."""
    return read_csv(path, WORDINGS)


def questions(templates: pd.DataFrame, personas: pd.DataFrame, options: dict[str, list[str]]) -> pd.DataFrame:
    """Every marker with its cell: marker, task, persona, template, format, yes_no; a and an variants share a cell.

    templates: task, template, format, text, baseline_text; personas: persona, surface, article; options: the words
    for {label1}, {label2}, ... of each task. Raises InputError where two cells have the same question, since no model
    could tell them apart.
    """
    rows = []
    for template in templates.itertuples():
        free = fill(template.baseline_text, option_words(options[template.task]))
        rest = fill(template.text.partition("{persona}")[2], option_words(options[template.task]))
        wordings = {(BASELINE, free), (UNLISTED, rest)}
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


def question(text: str, persona, options: list[str], article: str = "printed") -> str:
    """A template's question about a persona (surface, article), as a study with this `article` option asks it."""
    n = "n" if article == "grammatical" and persona.article == "an" else ""
    return fill(_ARTICLE.sub(rf"\1{n} ", text), option_words(options) | {"persona": persona.surface})


def option_words(options: list[str]) -> dict[str, str]:
    """The words for {label1}, {label2}, ..."""
    return {f"label{i}": label for i, label in enumerate(options, start=1)}


def fill(text: str, words: dict[str, str]) -> str:
    """Put words into their places in one pass, so that braces in a word stay what they are."""
    return _PLACE.sub(lambda match: words[match[1]], text)


def cells_of(markers: pd.DataFrame) -> pd.DataFrame:
    """The cells that markers tell apart: task, persona, template, format, yes_no; their order numbers them."""
    return markers[[*CELL, "format", "yes_no"]].drop_duplicates().reset_index(drop=True)


def collisions(markers: pd.DataFrame, texts: pd.DataFrame) -> pd.DataFrame:
    """Texts that hold a whole question themselves (text_id, marker): a stand-in can't tell what is asked there.

    texts: text_id, content.
    """
    known = re.compile("|".join(re.escape(m) for m in sorted(markers["marker"], key=len, reverse=True)))
    hits = [(row.text_id, match[0]) for row in texts.itertuples() if (match := known.search(row.content))]
    return pd.DataFrame(hits, columns=["text_id", "marker"])
