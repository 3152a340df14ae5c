"""What a study in rounds spent and saved, and how its intervals narrowed."""

import pandas as pd

from falserefusal.common.schemas import ALL
from falserefusal.estimation.sequential import decide


def widest(looks: pd.DataFrame) -> pd.DataFrame:
    """For each round, model and quantity the level furthest from its target: what decides whether to go on.

    `looks` are the tables of `sequential.interim_table` of all rounds. Columns round, model, quantity, level, estimate,
    lo, hi (calibrated), always_lo, always_hi (confidence sequence), target, met, calls (answers so far).
    """
    ratio = looks["half_width"] / looks["target"]
    worst = looks.loc[ratio.groupby([looks["interim_look"], looks["model"], looks["quantity"]], sort=False).idxmax()]
    columns = [
        "interim_look",
        "model",
        "quantity",
        "level",
        "estimate",
        "lo",
        "hi",
        "always_lo",
        "always_hi",
        "target",
        "met",
    ]
    return worst.assign(calls=worst["answers"])[[*columns, "calls"]].reset_index(drop=True)


def savings(looks: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    """One row per model, and "all": rounds, answers, full (answers of the whole design), saved (share), met, and why.

    quantity, level, half_width and target are those furthest from the target when the model stopped.
    """
    decision = decide(looks)
    full = [int(design["model"].isin([ALL, model]).sum()) for model in decision["model"]]
    table = decision.assign(rounds=decision["interim_look"] + 1, full=full)
    table["saved"] = 1 - table["answers"] / table["full"]
    answers, whole = int(table["answers"].sum()), int(table["full"].sum())
    total = {"model": "all", "sequential": int(table["sequential"].max()), "answers": answers, "full": whole}
    total |= {"saved": 1 - answers / whole, "met": bool(table["met"].all())}
    columns = ["model", "sequential", "answers", "full", "saved", "met", "quantity", "level", "half_width", "target"]
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)[columns]
