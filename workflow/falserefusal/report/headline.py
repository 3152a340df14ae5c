"""Compute the headline numbers of the page, each with the table that it comes from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from falserefusal.report.present import percent, task_word

Tables = dict[str, pd.DataFrame]


class Card(NamedTuple):
    """A number, what it means, and its source."""

    value: str
    label: str
    source: str


def headline(tables: Tables, models: str = "models") -> list[Card]:
    """Return the cards that `tables` allow; `models` is the page's word for models."""
    cards: list[Card] = []
    for table, make in MAKERS:
        if table in tables and not tables[table].empty:
            cards += make(tables[table])
    return [card._replace(label=card.label.replace("models", models)) for card in cards]


def _planted(planted: pd.DataFrame) -> list[Card]:
    known = planted.dropna(subset=["lo", "hi"])
    inside = ((known["planted"] >= known["lo"]) & (known["planted"] <= known["hi"])).sum()
    if known.empty:
        return []
    label = f"of {len(known):,} cells have a 95% interval that contains the planted refusal rate ({inside:,} cells)"
    return [Card(percent(inside / len(known), 1), label, "rows of tables/planted_rates.csv with lo ≤ planted ≤ hi")]


def _volume(rates: pd.DataFrame) -> list[Card]:
    own = rates[rates["model"] != "mean"]
    n, refusals = int(own["n"].sum()), int(own["refusals"].sum())
    if n == 0:
        return []
    label = f"refusals in {n:,} responses to harmless classification prompts with a persona ({percent(refusals / n)}); "
    label += f"models: {own['model'].nunique()}"
    cards = [Card(f"{refusals:,}", label, "sums of refusals and n in tables/rates_model_task.csv")]
    for row in rates[rates["model"] == "mean"].itertuples():
        label = f"mean refusal rate over models, {task_word(row.task)}"
        if np.isfinite([row.lo, row.hi]).all():
            label += f" (95% interval {percent(row.lo)} to {percent(row.hi)})"
        cards.append(Card(percent(row.rate), label, f"tables/rates_model_task.csv, model mean, task {row.task}"))
    return cards


def _corrected(rates: pd.DataFrame) -> list[Card]:
    """Means over models, corrected for the errors of the first labeller."""
    means = rates[(rates["model"] == "mean") & (rates["labeller"] == rates["labeller"].iloc[0])]
    return [
        Card(
            percent(row.corrected),
            f"mean refusal rate over models, {task_word(row.task)}, corrected by annotation for the errors of "
            f"the labeller {row.labeller} (95% interval {percent(row.lo)} to {percent(row.hi)})",
            f"tables/corrected_rates.csv, model mean, task {row.task}",
        )
        for row in means.itertuples()
    ]


def _personas(rates: pd.DataFrame) -> list[Card]:
    whole = rates[rates["scope"] == rates["scope"].iloc[0]].dropna(subset="rate")
    if len(whole) < 2:
        return []
    top, low = whole.loc[whole["rate"].idxmax()], whole.loc[whole["rate"].idxmin()]
    label = f"refusal rates of the personas “{top['persona']}” and “{low['persona']}”, "
    label += "the most and the least refused; means over models and tasks"
    value = f"{percent(top['rate'], 1)} vs {percent(low['rate'], 1)}"
    return [Card(value, label, f"tables/rates_persona.csv, scope {top['scope']}")]


def _baseline(rates: pd.DataFrame) -> list[Card]:
    cards = []
    for task, part in rates.dropna(subset="difference").groupby("task", sort=False):
        # without intervals, only the sign of a difference is known
        sure = part["d_lo"].notna() & part["d_hi"].notna()
        up = ((part["difference"] > 0) & (~sure | (part["d_lo"] > 0))).sum()
        down = ((part["difference"] < 0) & (~sure | (part["d_hi"] < 0))).sum()
        how = "by 95% intervals" if sure.all() else "by the sign of the difference"
        label = (
            f"models refuse more often with a persona than without ({task_word(task)}, {how}); {down} refuse less often"
        )
        cards.append(Card(f"{up} of {len(part)}", label, f"column difference of tables/rates_baseline.csv, {task}"))
    return cards


def _importance(importance: pd.DataFrame) -> list[Card]:
    whole = importance[(importance["scope"] == "all") & importance["index"].notna()]
    whole = whole.sort_values("index", ascending=False, kind="stable")
    if whole.empty:
        return []
    value = " > ".join(whole["factor"].head(3))
    label = "factors by importance for refusal: "
    label += ", ".join(f"{row.factor} {row.index:.3f}" for row in whole.itertuples(index=False))
    if "method" in whole and whole["method"].str.contains("too few refusals").any():
        label += "; too few refusals for intervals, so chance may have made this order"
    return [Card(value, label, "column index of tables/importance.csv, scope all")]


def _statements(statements: pd.DataFrame) -> list[Card]:
    counts = statements["conclusion"].value_counts()
    agrees, differs = counts.get("agrees", 0), counts.get("differs", 0)
    label = f"numbers quoted in the paper's text agree with its own printed cells; {differs} differ and "
    label += f"{len(statements) - agrees - differs} cannot be recomputed from printed numbers"
    return [Card(f"{agrees} of {len(statements)}", label, "column conclusion of statements.csv")]


def _claims(claims: pd.DataFrame) -> list[Card]:
    counts = claims["conclusion"].value_counts()
    value = f"{counts.get('supported', 0)} of {len(claims)}"
    rest = ", ".join(f"{counts[conclusion]} {conclusion}" for conclusion in counts.index if conclusion != "supported")
    label = "claims of the paper are supported by their tests on these models" + (f"; {rest}" if rest else "")
    return [Card(value, label, "column conclusion of tables/claims.csv")]


MAKERS: list[tuple[str, Callable[[pd.DataFrame], list[Card]]]] = [
    ("planted_rates", _planted),
    ("rates_model_task", _volume),
    ("corrected_rates", _corrected),
    ("rates_persona", _personas),
    ("rates_baseline", _baseline),
    ("importance", _importance),
    ("statements", _statements),
    ("claims", _claims),
]
