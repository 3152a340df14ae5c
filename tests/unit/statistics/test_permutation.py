"""Permuted factors: counts that must not change, texts that move as wholes, and floors without any effect."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.statistics import permutation, sensitivity
from falserefusal.statistics.clusters import as_outcomes
from synthetic import blocked, frame, judge, nested

MODELS, PERSONAS, TASKS = ["A", "B"], ["atheist", "man", "woman"], ["nli", "politeness"]
TEMPLATES = [f"p{k + 1}" for k in range(9)]
FORMAT = np.arange(9) // 3
NESTED, _ = judge(nested(40, 20, PERSONAS, 1, tasks=TASKS), MODELS, PERSONAS, [0.4, 0.2], 2)
BLOCKED, _ = judge(blocked(90, PERSONAS, 3, tasks=TASKS), MODELS, PERSONAS, [0.4, 0.2], 4)


def permuted(outcomes, count, seed=0):
    """Counts of templates, then of formats."""
    outcomes = as_outcomes(outcomes, ["template"]).without_baseline()
    return permutation.levels(outcomes, "template", (TASKS, MODELS, TEMPLATES), count, [seed], [FORMAT])


def counts(outcomes):
    """Responses and refusals (T, M, 9)."""
    drawn = outcomes[outcomes["persona"] != "baseline"]
    sums = drawn.groupby(["task", "model", "template"], observed=True)["refusal"].agg(["size", "sum"])
    index = pd.MultiIndex.from_product([TASKS, MODELS, TEMPLATES])
    return tuple(sums.reindex(index, fill_value=0)[c].to_numpy().reshape(2, 2, 9) for c in ("size", "sum"))


def test_exchange_keeps_the_balance_of_the_blocked_design():
    n, y = counts(BLOCKED)
    null_n, null_y = permuted(BLOCKED, 20)[0]
    assert (null_n == n).all()
    assert (null_y.sum(-1) == y.sum(-1)).all() and (null_y != y).any()


def test_renaming_gives_models_with_the_same_prompts_the_same_counts():
    (null_n, null_y), (format_n, _) = permuted(NESTED, 20)
    n, y = counts(NESTED)
    assert (null_n[:, :, 0] == null_n[:, :, 1]).all() and (null_n != n).any()
    assert (null_n.sum(-1) == n.sum(-1)).all() and (null_y.sum(-1) == y.sum(-1)).all()
    assert (null_y <= null_n).all() and (format_n.sum(-1) == n.sum(-1)).all()


def test_missing_responses_are_not_counted():
    lost = NESTED.drop(index=NESTED.index[NESTED["model"] == "B"][::7])
    null_n, null_y = permuted(lost, 10)[0]
    assert (null_n.sum(-1) == counts(lost)[0].sum(-1)).all() and (null_y <= null_n).all()
    few = NESTED[(NESTED["model"] == "A") | NESTED["row_id"].isin(NESTED["row_id"].unique()[:8])]
    assert (permuted(few, 10)[0][0].sum(-1) == counts(few)[0].sum(-1)).all()


@pytest.mark.parametrize("outcomes", [NESTED, BLOCKED], ids=["nested", "blocked"])
def test_responses_of_a_text_in_one_template_stay_together(outcomes):
    """One text is refused in one of its templates: all of these refusals have one level in every permutation."""
    drawn = outcomes[outcomes["persona"] != "baseline"]
    text, template = drawn.iloc[0][["text_id", "template"]]
    refused = (outcomes["text_id"] == text) & (outcomes["template"] == template)
    null_y = permuted(outcomes.assign(refusal=refused), 40)[0][1]
    assert ((null_y > 0).sum(-1).max((1, 2)) == 1).all()
    assert len(np.unique(null_y.sum((1, 2)).argmax(-1))) > 1


def test_formats_of_unequal_size_are_permuted_too():
    outcomes = as_outcomes(NESTED, ["template"]).without_baseline()
    group = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    null_n, _ = permutation.levels(outcomes, "template", (TASKS, MODELS, TEMPLATES), 30, [0], [group])[1]
    assert null_n[..., 0].mean() == pytest.approx(2 * null_n[..., 1].mean(), rel=0.1)
    assert len(np.unique(null_n[:, 0, 0, 0])) > 1


@pytest.mark.parametrize("kind", ["nested", "blocked"])
def test_templates_without_effect_exceed_their_floor_as_often_as_stated(kind):
    """Three rows to a text, whose responses in one template are alike: 5 % of studies exceed the 95 % floor."""
    above = []
    for seed in range(40):
        if kind == "nested":
            design = nested(60, 20, PERSONAS, [1, seed], tasks=TASKS)
        else:
            design = blocked(60, PERSONAS, [1, seed], tasks=TASKS)
            design = design.assign(text=design["text"] // 3)
        prompt = design.groupby(["task", "text", "template"]).ngroup().to_numpy()
        refusal = np.random.default_rng(seed).random(prompt.max() + 1)[prompt] < 0.3
        outcomes = frame(design, MODELS, PERSONAS, np.stack([refusal] * 2))
        null = sensitivity.rates(*(part.sum((1, 2)) for part in permuted(outcomes, 59, seed)[0]))
        observed = sensitivity.rates(*(part.sum((0, 1)) for part in counts(outcomes)))
        above.append(sensitivity.wasserstein(*observed) > np.quantile(sensitivity.wasserstein(*null), 0.95))
    assert sum(above) <= 6  # P(more | .05) = .003
