"""Variance of refusal within prompts: by hand, and recovered where it is known."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.estimation.within_prompts import within_prompts


def outcomes_of(refusals, model="m"):
    """Refusals (prompts x samples) of one task; half of the prompts have a persona, on the same texts."""
    prompts, samples = np.shape(refusals)
    prompt = np.repeat(np.arange(prompts), samples)
    text = np.char.add("t", (prompt // 2).astype(str))
    names = {"model": model, "task": "nli", "row_id": text, "text_id": text, "block": text, "template": "p1"}
    frame = pd.DataFrame({**names, "persona": np.where(prompt % 2, "man", BASELINE), "draw": prompt % 2 - 1})
    frame["sample"] = pd.Categorical(np.tile(np.arange(samples), prompts).astype(str))
    return frame.assign(refusal=np.ravel(refusals).astype(bool))


def test_by_hand():
    row = within_prompts(outcomes_of([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])).iloc[0]
    assert row[["model", "task", "prompts", "responses", "disagree"]].tolist() == ["m", "nli", 4, 12, 0.5]
    within = (1 / 3 + 0 + 0 + 1 / 3) / 4  # variances with n - 1
    between = np.var([2 / 3, 0, 1, 1 / 3], ddof=1) - within / 3
    assert row["within_variance"] == pytest.approx(within) and row["between_variance"] == pytest.approx(between)
    assert row["within_share"] == pytest.approx(within / (within + between))


def test_the_parts_are_recovered_without_bias():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 3, 20_000)
    row = within_prompts(outcomes_of(rng.random((len(p), 3)) < p[:, None])).iloc[0]
    assert row["within_variance"] == pytest.approx(0.15, abs=0.004)  # mean of p (1 - p)
    assert row["between_variance"] == pytest.approx(0.0375, abs=0.002)


def test_prompts_with_one_verdict_are_left_out_and_models_are_apart():
    some = outcomes_of([[1, 0], [1, 1]])
    other = outcomes_of([[0, 0], [0, 0]], "n").iloc[:-1]
    table = within_prompts(pd.concat([some, other], ignore_index=True)).set_index("model")
    assert table["prompts"].to_dict() == {"m": 2, "n": 1} and table["disagree"].to_dict() == {"m": 0.5, "n": 0}
    assert np.isnan(table.loc["n", "within_share"]), "nothing varies"
    with pytest.raises(InputError, match="no prompt has two samples"):
        within_prompts(some[some["sample"] == "0"])
