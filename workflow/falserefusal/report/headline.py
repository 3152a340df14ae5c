"""Compute the headline numbers of the page, each with the table that it comes from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from falserefusal.common.numbers import index, percent, points
from falserefusal.common.sentences import say
from falserefusal.figures.said import changes, importance_of, inside_of_planted, scopes, separation
from falserefusal.report.present import task_word

Tables = dict[str, pd.DataFrame]


class Card(NamedTuple):
    """A number, what it means, and its source; `by_task`: there is one for each task, so a short list leaves it out."""

    value: str
    label: str
    source: str
    by_task: bool = False


def headline(tables: Tables, models: str = "models") -> list[Card]:
    """Return the cards that `tables` allow; `models` is the page's word for models."""
    cards: list[Card] = []
    for table, make in MAKERS:
        if table in tables and not tables[table].empty:
            cards += make(tables)
    return [card._replace(label=card.label.replace("models", models)) for card in cards]


def _planted(tables: Tables) -> list[Card]:
    known, inside, _ = inside_of_planted(tables["planted_rates"])
    if not known:
        return []
    label = say("card: planted", known=known, inside=inside)
    return [Card(percent(inside / known), label, "rows of tables/planted_rates.csv with lo ≤ planted ≤ hi")]


def _volume(tables: Tables) -> list[Card]:
    rates = tables["rates_model_task"]
    own = rates[rates["model"] != "mean"]
    n, refusals = int(own["n"].sum()), int(own["refusals"].sum())
    if n == 0:
        return []
    label = say("card: refusals", refusals=refusals, n=n, rate=refusals / n, models=own["model"].nunique())
    cards = [Card(f"{refusals:,}", label, "sums of refusals and n in tables/rates_model_task.csv")]
    means = rates[rates["model"] == "mean"]
    return cards + [_mean(row, row.rate, "", "rates_model_task") for row in means.itertuples()]


def _corrected(tables: Tables) -> list[Card]:
    """Means over models, corrected for the errors of the first labeller."""
    rates = tables["corrected_rates"]
    means = rates[(rates["model"] == "mean") & (rates["labeller"] == rates["labeller"].iloc[0])]
    return [_mean(row, row.corrected, row.labeller, "corrected_rates") for row in means.itertuples()]


def _mean(row, rate: float, labeller: str, table: str) -> Card:
    known = bool(np.isfinite([row.lo, row.hi]).all())
    label = say("card: mean rate", task=task_word(row.task), labeller=labeller, known=known, lo=row.lo, hi=row.hi)
    return Card(percent(rate, row.lo, row.hi), label, f"tables/{table}.csv, model mean, task {row.task}", True)


def _levels(factor: str, verb: str, quoted: bool) -> Callable[[Tables], list[Card]]:
    """Make a card about the levels of a factor: the largest clear difference, or that there is none."""

    def make(tables: Tables) -> list[Card]:
        rows = scopes(tables, factor)
        if rows.empty or rows["levels"].iloc[0] < 2:
            return []
        found = separation(rows, "“{}”".format if quoted else task_word)
        value = f"{points(found.difference, found.lo, found.hi)} points" if found.clear else "no clear difference"
        label = say("levels differ", s=found, noun=factor, verb=verb)
        return [Card(value, label, f"tables/separations.csv, factor {factor}, all models and tasks")]

    return make


def _baseline(tables: Tables) -> list[Card]:
    cards = []
    rates = tables["rates_baseline"]
    for task, part in rates.dropna(subset="difference").groupby("task", sort=False):
        known, (up, down) = bool(part[["d_lo", "d_hi"]].notna().all(axis=None)), changes(part)
        label = say("card: persona or none", models=len(part), known=known, task=task_word(task), down=down)
        source = f"column difference of tables/rates_baseline.csv, {task}"
        cards.append(Card(f"{up} of {len(part)}", label, source, True))
    return cards


def _importance(tables: Tables) -> list[Card]:
    table = tables["importance"]
    whole = table[(table["scope"] == "all") & table["index"].notna()]
    found = importance_of(tables)
    source = "column index of tables/importance.csv, scope all"
    if not (found["intervals"] and ">" in found["s"].order):
        return [Card("not ranked", say("importance", **found), source)]
    ranked = whole.sort_values("index", ascending=False, kind="stable")
    values = ", ".join(f"{row.factor} {index(row.index)}" for row in ranked.itertuples(index=False))
    return [Card(found["s"].order, say("card: importance", values=values), source)]


def _statements(tables: Tables) -> list[Card]:
    statements = tables["statements"]
    counts = statements["conclusion"].value_counts()
    agrees, differs = counts.get("agrees", 0), counts.get("differs", 0)
    label = say("card: statements", differ=differs, rest=len(statements) - agrees - differs)
    return [Card(f"{agrees} of {len(statements)}", label, "column conclusion of statements.csv")]


def _claims(tables: Tables) -> list[Card]:
    conclusions = tables["claims"]["conclusion"]
    counts = conclusions.value_counts()
    tested = len(conclusions) - counts.get("not testable", 0)
    value = f"{counts.get('supported', 0)} of {tested}" if tested else f"0 of {len(conclusions)}"
    rest = ", ".join(f"{counts[word]} {word}" for word in counts.index if word != "supported")
    return [Card(value, say("card: claims", tested=tested, rest=rest), "column conclusion of tables/claims.csv")]


MAKERS: list[tuple[str, Callable[[Tables], list[Card]]]] = [
    ("planted_rates", _planted),
    ("rates_model_task", _volume),
    ("corrected_rates", _corrected),
    ("separations", _levels("persona", "is refused", quoted=True)),
    ("rates_baseline", _baseline),
    ("importance", _importance),
    ("statements", _statements),
    ("claims", _claims),
]
