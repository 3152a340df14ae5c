"""Interim looks of a sequential study: how its confidence intervals narrowed, and what it spent and saved."""

import pandas as pd

from falserefusal.common.schemas import ALL
from falserefusal.estimation.sequential import decide

COLUMNS = ["interim_look", "model", "quantity", "level", "estimate", "lo", "hi", "always_lo", "always_hi"]
COLUMNS += ["target", "met", "calls"]


def widest(looks: pd.DataFrame) -> pd.DataFrame:
    """Select, for each interim look, model and quantity, the level furthest from its target.

    These are the levels that decide whether a model continues.

    Parameters
    ----------
    looks : tables of `sequential.interim_table`, of all interim looks.

    Returns
    -------
    Columns interim_look, model, quantity, level, estimate, lo, hi (calibrated), always_lo, always_hi (confidence
    sequence), target, met, calls (responses so far).
    """
    ratio = looks["half_width"] / looks["target"]
    worst = looks.loc[ratio.groupby([looks["interim_look"], looks["model"], looks["quantity"]], sort=False).idxmax()]
    return worst.assign(calls=worst["responses"])[COLUMNS].reset_index(drop=True)


def savings(looks: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    """Summarise what each model spent and saved, with a total in row "all".

    Parameters
    ----------
    looks : tables of `sequential.interim_table`, of all interim looks.
    design : frame of DESIGN.

    Returns
    -------
    Columns model, looks (number of interim looks), responses, full (responses of the whole design), saved (share), met,
    and, of the level furthest from its target when the model stopped, quantity, level, half_width and target.
    """
    decision = decide(looks)
    full = [int(design["model"].isin([ALL, model]).sum()) for model in decision["model"]]
    table = decision.assign(looks=decision["interim_look"] + 1, full=full)
    table["saved"] = 1 - table["responses"] / table["full"]
    responses, whole = int(table["responses"].sum()), int(table["full"].sum())
    total = {"model": "all", "looks": int(table["looks"].max()), "responses": responses, "full": whole}
    total |= {"saved": 1 - responses / whole, "met": bool(table["met"].all())}
    columns = ["model", "looks", "responses", "full", "saved", "met", "quantity", "level", "half_width", "target"]
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)[columns]
