"""Get from the tables what the sentences need: which levels are separated, and how many models show something."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from falserefusal.common.separation import MIN_REFUSALS, Separation
from falserefusal.figures.context import Context
from falserefusal.statistics.separation import from_limits, together

ALPHA = 0.05
NAMES = ("highest", "lowest", "higher", "lower")  # columns of separations with levels


def scopes(tables: dict[str, pd.DataFrame], factor: str, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the rows of `separations` that compare `factor`: in the whole study, or within each level of `by`."""
    table = tables["separations"].fillna(dict.fromkeys(("model", "task", *NAMES), ""))
    own = table[table["factor"] == factor]
    for level in ("model", "task"):
        own = own[own[level].ne("") if level in by else own[level].eq("")]
    return own.reset_index(drop=True)


def separation(rows: pd.DataFrame, name: Callable[[str], str] = str) -> Separation:
    """Return the first of `rows` as a Separation whose levels are written by `name`."""
    first = rows.iloc[0][list(Separation._fields)].fillna({"order": ""}).to_dict()
    named = {field: name(first[field]) if first[field] else "" for field in NAMES}
    return Separation(**(first | named))


def highest_levels(rows: pd.DataFrame, name: Callable[[str], str] = str) -> dict:
    """Count the rows in which a level is above all others, as `most`, and the rows with enough refusals to compare."""
    enough = rows[rows["refusals"] >= MIN_REFUSALS]
    most = enough.loc[enough["highest"] != "", "highest"].map(name).value_counts().to_dict()
    return {"enough": len(enough), "most": most}


def attributes_of(tables: dict[str, pd.DataFrame]) -> dict:
    """Return each attribute that the personas cross, with what may be said about its levels."""
    names = dict.fromkeys(tables["rates_attribute"]["attribute"])
    found = [(name, separation(scopes(tables, name), "“{}”".format)) for name in names]
    return {"found": found, "refusals": found[0][1].refusals}


def interactions_of(tables: dict[str, pd.DataFrame]) -> dict:
    """Count the interactions, averaged over models, that are clearly not 0; return the largest of these, or of all."""
    table, refusals = tables["effects_attribute"], attributes_of(tables)["refusals"]
    own = table[(table["model"] == "mean") & (table["kind"] == "interaction")]
    clear = own[own["p_holm"] <= ALPHA]
    candidates = clear if len(clear) else own
    largest = candidates.loc[candidates["difference"].abs().idxmax(), ["difference", "lo", "hi"]]
    return {"effects": len(own), "clear": len(clear), "refusals": refusals, **largest.astype(float).to_dict()}


def changes(frame: pd.DataFrame) -> tuple[int, int]:
    """Count the rows of `rates_baseline` whose difference is clearly above and clearly below 0.

    The 95% limits are scaled to hold for all rows together (Bonferroni). Where a limit is unknown, the sign counts.
    """
    lo, hi = together(frame["difference"], frame["d_lo"], frame["d_hi"], len(frame))
    sure = np.isfinite(lo) & np.isfinite(hi)
    difference = frame["difference"].to_numpy(float)
    up = np.where(sure, lo > 0, difference > 0).sum()
    return int(up), int(np.where(sure, hi < 0, difference < 0).sum())


def importance_of(tables: dict[str, pd.DataFrame], name: Callable[[str], str] = str) -> dict:
    """Return what the sentences about the importance of factors in the whole study need; `name` writes a factor.

    The indices that are compared are those without noise (column corrected), to which the intervals belong.
    """
    table = tables["importance"]
    ranked = table[(table["scope"] == "all") & table["index"].notna()]
    refusals = int(scopes(tables, "persona")["refusals"].iloc[0])
    factors = ranked["factor"].map(name).tolist()
    found = from_limits(factors, ranked["corrected"].fillna(ranked["index"]), ranked["lo"], ranked["hi"], refusals)
    intervals = bool(ranked[["lo", "hi"]].notna().all(axis=None))
    noise = ranked.loc[ranked["index"] <= ranked["floor_q95"], "factor"].map(name).tolist()
    return {"s": found, "intervals": intervals, "noise": noise if refusals >= MIN_REFUSALS else []}


def inside_of_planted(frame: pd.DataFrame) -> tuple[int, int, int]:
    """Count the cells of `planted_rates` whose interval could miss, those whose interval does not, and the others.

    Without refusals, or with refusals only, a planted rate of 0 or 1 is always inside.
    """
    known = frame["lo"].notna() & frame["hi"].notna()
    certain = known & frame["planted"].isin([0, 1])
    counted = frame[known & ~certain]
    inside = (counted["planted"] >= counted["lo"]) & (counted["planted"] <= counted["hi"])
    return len(counted), int(inside.sum()), int(certain.sum())


def clear_coefficients(frame: pd.DataFrame, context: Context) -> dict:
    """Count the coefficients of personas that clearly differ from the reference, whose coefficient is 0."""
    own = frame[(frame["term"] == "persona") & np.isfinite(frame["coef"])]
    known = own[np.isfinite(own["lo"]) & np.isfinite(own["hi"])]
    lo, hi = together(known["coef"], known["lo"], known["hi"], len(known))
    missing = [
        persona for persona in context.personas if persona not in set(frame.loc[frame["term"] == "persona", "level"])
    ]
    reference = missing[0] if len(missing) == 1 else ""
    return {"personas": len(own), "clear": int(((lo > 0) | (hi < 0)).sum()), "reference": reference}
