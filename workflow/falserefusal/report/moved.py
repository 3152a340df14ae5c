"""Say in words how far the labeller's known errors could move the results of a study without annotations."""

import numpy as np
import pandas as pd

from falserefusal.annotation import labeller_range as of
from falserefusal.common.schemas import ANY_PERSONA
from falserefusal.common.sentences import say
from falserefusal.estimation.claims import NOT_TESTABLE
from falserefusal.report.present import task_word


def moves(table: pd.DataFrame, has_responses: bool = True, ranked: bool = True) -> dict[str, list[str]]:
    """Return the sentences of the section: lead, results, limits, and the sets behind the range.

    Parameters
    ----------
    table : as `annotation.labeller_range.labeller_range` returns it.
    has_responses : whether the study has responses that can be annotated.
    ranked : whether the study ranks the factors at all; if not, no order of theirs is mentioned.
    """
    rows = {quantity: part for quantity, part in table.groupby("quantity", sort=False)}
    sensitivity, specificity = (rows[name].iloc[0] for name in (of.SENSITIVITY, of.SPECIFICITY))
    known = bool(pd.notna(sensitivity["lowest"]))
    lead = say(
        "moved: lead",
        labeller=sensitivity["level"],
        known=known,
        sets=int(specificity["sets"]),
        found=(sensitivity["lowest"], sensitivity["highest"]),
        wrong=(1 - specificity["highest"], 1 - specificity["lowest"]),
        ask=has_responses,
    )
    if not known:
        return {"lead": [lead], "results": [], "limits": [], "sets": []}
    results = [*_rates(rows), *_effects(rows), *(_order(rows) if ranked else []), *_claims(rows)]
    sets = dict.fromkeys(line for row in (specificity, sensitivity) for line in str(row["note"]).split(of.SEPARATOR))
    return {"lead": [lead], "results": results, "limits": [say("moved: limits", ask=has_responses)], "sets": list(sets)}


def conclusions(table: pd.DataFrame | None) -> dict[str, str]:
    """Return the other conclusions that each claim could have within the range; claims that stay are left out."""
    if table is None:
        return {}
    moved = table[(table["quantity"] == of.CLAIM) & table["overturned"].eq(True)]
    return dict(zip(moved["level"], moved["other"], strict=True))


def _rates(rows: dict[str, pd.DataFrame]) -> list[str]:
    """The mean rate of each task, and how far the rate of a single model moves at most."""
    lines = [
        say("moved: mean rate", task=task_word(row.level), rate=row.estimate, lowest=row.lowest, highest=row.highest)
        for row in rows[of.MEAN_RATE].itertuples()
    ]
    single = rows[of.RATE]
    away = np.maximum(single["highest"] - single["estimate"], single["estimate"] - single["lowest"])
    return [*lines, say("moved: single rate", most=away.max())]


def _effects(rows: dict[str, pd.DataFrame]) -> list[str]:
    """The mean persona effect, and how many effects could have the other sign."""
    if of.EFFECT not in rows:
        return []
    effects = rows[of.EFFECT]
    single = effects[effects["level"] != ANY_PERSONA]
    lines = [
        say("moved: effect", effect=row.estimate, lowest=row.lowest, highest=row.highest)
        for row in effects[effects["level"] == ANY_PERSONA].itertuples()
    ]
    either = ((single["lowest"] < 0) & (single["highest"] > 0)).sum()
    return [*lines, say("moved: signs", either=int(either), personas=len(single))]


def _order(rows: dict[str, pd.DataFrame]) -> list[str]:
    """Whether the factors keep their order of importance."""
    return [
        say("moved: order", order=row.conclusion, others=str(row.other).split(", ") if row.overturned else [])
        for row in (rows[of.ORDER].itertuples() if of.ORDER in rows else ())
    ]


def _claims(rows: dict[str, pd.DataFrame]) -> list[str]:
    """How many claims could have another conclusion."""
    if of.CLAIM not in rows:
        return []
    tested = rows[of.CLAIM][rows[of.CLAIM]["conclusion"] != NOT_TESTABLE]
    return [say("moved: claims", moved=int(tested["overturned"].sum()), tested=len(tested))] if len(tested) else []
