"""One table that validates every labeller against the annotations: accuracy by model, and verdicts that are missing."""

from collections.abc import Mapping

import pandas as pd

from falserefusal.common.schemas import ALL
from falserefusal.common.verdicts import MISSING

MEASURES = ("sensitivity", "specificity", "kappa")
VALIDATION = ["labeller", "model", "annotated", "missing"]
VALIDATION += [f"{measure}{limit}" for measure in MEASURES for limit in ("", "_lo", "_hi")]


def labeller_validation(
    accuracy: pd.DataFrame, units: pd.DataFrame, verdicts: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Set the labellers side by side, over all models ("*") and for each model.

    Parameters
    ----------
    accuracy : as `correction.labeller_accuracy` returns it.
    units : as `sample.population` returns them.
    verdicts : frame of VERDICTS for each model.

    Returns
    -------
    Columns labeller, model, annotated (responses with a verdict of people and of the labeller), missing (share of the
    responses on which the labeller has no verdict, such as a judge whose reply could not be read), and sensitivity,
    specificity and kappa, each with _lo and _hi. The measures are of the responses with a verdict; they are missing for
    a labeller without any.
    """
    parts = [
        units.loc[units["model"] == model, ["model", "prompt_id"]].merge(frame[["prompt_id", "labeller", "verdict"]])
        for model, frame in verdicts.items()
    ]
    given = pd.concat(parts, ignore_index=True)
    given["missing"] = given["verdict"] == MISSING
    every = pd.concat([given.assign(model=ALL), given], ignore_index=True)
    table = every.groupby(["labeller", "model"], sort=False)["missing"].mean().reset_index()
    table = table.sort_values("labeller", key=lambda names: names.map(list(dict.fromkeys(names)).index), kind="stable")
    of_models = accuracy[(accuracy["task"] == ALL) & (accuracy["group"] == ALL)]
    for measure in MEASURES:
        found = of_models.loc[of_models["measure"] == measure, ["labeller", "model", "value", "lo", "hi", "annotated"]]
        names = {"value": measure, "lo": f"{measure}_lo", "hi": f"{measure}_hi", "annotated": f"{measure}_n"}
        table = table.merge(found.rename(columns=names), how="left")
    return table.assign(annotated=table["kappa_n"].fillna(0).astype(int))[VALIDATION].reset_index(drop=True)
