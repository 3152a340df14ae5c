"""A limit keeps whole groups that are compared, from every task."""

import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.design.limit import limited


def design(blocks=20, tasks=("a", "b"), models=("*",), templates=1):
    rows = [
        (f"{m}{t}{b}-{k}-{p}", t, f"{t}{b}", p, f"p{k}", f"{t}{b}", m)
        for m in models
        for t in tasks
        for b in range(blocks)
        for k in range(templates)
        for p in ("baseline", "x", "y", "z")
    ]
    return pd.DataFrame(rows, columns=["prompt_id", "task", "row_id", "persona", "template", "block", "model"])


@pytest.mark.parametrize(("most", "kept"), [(20, 20), (19, 16), (8, 8), (1000, 160)])
def test_at_most_so_many_prompts_are_kept_in_whole_groups(most, kept):
    frame = limited(design(), most)
    assert frame["prompt_id"].nunique() == kept
    assert (frame.groupby(["block", "template"])["persona"].nunique() == 4).all()
    assert set(frame["task"]) == {"a", "b"}
    assert frame.groupby("task").size().max() - frame.groupby("task").size().min() <= 4


def test_each_model_has_its_own_limit():
    frame = limited(design(models=("m", "n")), 8)
    assert frame.groupby("model")["prompt_id"].nunique().to_dict() == {"m": 8, "n": 8}


def test_texts_come_before_further_templates():
    assert limited(design(blocks=3, tasks=("a",), templates=9), 12)["block"].nunique() == 3


def test_a_limit_below_one_group_of_each_task_is_an_error():
    with pytest.raises(InputError, match="limit: 7 prompts are too few for 2 tasks; write 8 or more"):
        limited(design(), 7)
