"""Say in words how far the labeller's known errors could move the results of a study without annotations."""

import numpy as np
import pandas as pd

from falserefusal.annotation import labeller_range as of
from falserefusal.common.schemas import ANY_PERSONA
from falserefusal.estimation.claims import NOT_TESTABLE
from falserefusal.report.present import percent, task_word

ASK = " To measure the labeller's errors in this study, annotate a sample of its responses (snakemake annotation)."


def moves(table: pd.DataFrame, has_responses: bool = True) -> dict[str, list[str]]:
    """Return the sentences of the section: lead, results, limits, and the sets behind the range.

    Parameters
    ----------
    table : as `annotation.labeller_range.labeller_range` returns it.
    has_responses : whether the study has responses that can be annotated.
    """
    ask = ASK if has_responses else ""
    rows = {quantity: part for quantity, part in table.groupby("quantity", sort=False)}
    sensitivity, specificity = (rows[name].iloc[0] for name in (of.SENSITIVITY, of.SPECIFICITY))
    labeller = sensitivity["level"]
    if pd.isna(sensitivity["lowest"]):
        lead = (
            "No responses of this study were read by people, and it was not measured elsewhere how often its labeller "
        )
        lead += f"{labeller} errs. So the page cannot show how far labelling errors move its numbers.{ask}"
        return {"lead": [lead], "results": [], "limits": [], "sets": []}
    lead = (
        f"No responses of this study were read by people. On {specificity['sets']:.0f} sets of responses that people "
        f"or LLMs read, the labeller {labeller} found between {percent(sensitivity['lowest'], 0)} and "
        f"{percent(sensitivity['highest'], 0)} of the refusals, and called between "
        f"{percent(1 - specificity['highest'], 0)} and {percent(1 - specificity['lowest'], 0)} of the other responses "
        "a refusal. If it errs by as much here:"
    )
    results = [*_rates(rows), *_effects(rows), *_order(rows), *_claims(rows)]
    limits = (
        "Sensitivity and specificity of each model vary on their own within that range. Sampling errors come on top. "
    )
    limits += (
        f"Errors that are more frequent with some personas, or in some tasks, than in others are not included.{ask}"
    )
    sets = dict.fromkeys(line for row in (specificity, sensitivity) for line in str(row["note"]).split(of.SEPARATOR))
    return {"lead": [lead], "results": results, "limits": [limits], "sets": list(sets)}


def conclusions(table: pd.DataFrame | None) -> dict[str, str]:
    """Return the other conclusions that each claim could have within the range; claims that stay are left out."""
    if table is None:
        return {}
    moved = table[(table["quantity"] == of.CLAIM) & table["overturned"].eq(True)]
    return dict(zip(moved["level"], moved["other"], strict=True))


def _rates(rows: dict[str, pd.DataFrame]) -> list[str]:
    """The mean rate of each task, and the single rate that moves most."""
    lines = [
        f"The mean refusal rate over models in {task_word(row.level)}, {percent(row.estimate, 1)}, would be "
        f"{_between(row.lowest, row.highest)}."
        for row in rows[of.MEAN_RATE].itertuples()
    ]
    single = rows[of.RATE].reset_index(drop=True)
    away = np.maximum(single["highest"] - single["estimate"], single["estimate"] - single["lowest"])
    most = single.loc[away.idxmax()]
    lines.append(
        f"The rate of a single model that moves most is that of {most['level']}: {percent(most['estimate'], 1)} would "
        f"be {_between(most['lowest'], most['highest'])}."
    )
    return lines


def _effects(rows: dict[str, pd.DataFrame]) -> list[str]:
    """The mean persona effect, and the personas whose effect could have the other sign."""
    if of.EFFECT not in rows:
        return []
    effects = rows[of.EFFECT]
    single = effects[effects["level"] != ANY_PERSONA]
    lines = []
    for row in effects[effects["level"] == ANY_PERSONA].itertuples():
        lines.append(
            f"The mean effect of a persona over models, {_points(row.estimate)} percentage points, would be between "
            f"{_points(row.lowest)} and {_points(row.highest)}."
        )
    either = single.loc[(single["lowest"] < 0) & (single["highest"] > 0), "level"]
    line = f"The effects of {len(either)} of {len(single)} personas, averaged over models, could have either sign"
    return [*lines, f"{line}: {', '.join(either)}." if len(either) else f"{line}."]


def _order(rows: dict[str, pd.DataFrame]) -> list[str]:
    """Whether the factors keep their order of importance."""
    lines = []
    for row in rows[of.ORDER].itertuples() if of.ORDER in rows else ():
        line = f"The order of the factors by importance, {row.conclusion}, "
        lines.append(line + (f"could also be {row.other.replace(', ', ' or ')}." if row.overturned else "would stay."))
    return lines


def _claims(rows: dict[str, pd.DataFrame]) -> list[str]:
    """How many claims could have another conclusion."""
    tested = rows[of.CLAIM][rows[of.CLAIM]["conclusion"] != NOT_TESTABLE]
    count = int(tested["overturned"].sum())
    line = f"{count or 'None'} of the {len(tested)} claims that can be tested could have another conclusion"
    return [line + ("; the mark is at the claim." if count else ".")] if len(tested) else []


def _between(lowest: float, highest: float) -> str:
    return f"between {percent(lowest, 1)} and {percent(highest, 1)}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")
