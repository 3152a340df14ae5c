"""What a user's frame must have, and the outcomes that it becomes."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.estimation.frame import DEFAULT, outcomes_of_rows

ROWS = pd.DataFrame(
    {
        "text": ["s", "s", "t", "t"],
        "model": "m",
        "persona": ["nurse", "no persona"] * 2,
        "refused": [1, 0, 0, 0],
    }
)


def outcomes(frame=ROWS, baseline="no persona", **columns):
    return outcomes_of_rows(frame, {**DEFAULT, **columns}, baseline)


def test_rows_become_outcomes():
    frame = outcomes()
    assert list(frame["persona"]) == ["nurse", "baseline"] * 2
    assert list(frame["refusal"]) == [True, False, False, False]
    assert list(frame["text_id"]) == ["s", "s", "t", "t"] and frame["block"].nunique() == 2
    assert (frame["draw"] == -1).tolist() == [False, True, False, True]


def test_without_texts_each_row_is_its_own():
    assert outcomes(pd.concat([ROWS, ROWS]), text=None)["text_id"].is_unique


def test_draws_of_a_text_are_in_random_order_and_the_same_for_all_models():
    grid = [(f"t{t}", m, f"p{p}") for m in "ab" for t in range(50) for p in range(6)]
    frame = outcomes(pd.DataFrame(grid, columns=["text", "model", "persona"]).assign(refused=0), baseline=None)
    draws = frame.pivot(index=["model", "text_id"], columns="persona", values="draw")
    assert (draws.loc["a"].to_numpy() == draws.loc["b"].to_numpy()).all()
    assert (np.sort(draws.to_numpy(), axis=1) == np.arange(6)).all()
    assert len(np.unique(draws.loc["a"].to_numpy(), axis=0)) > 40


@pytest.mark.parametrize("refused", [[True, False, True, False], [1.0, 0.0, 0.0, 1.0], [1, 0, 1, 0]])
def test_refusals_may_be_bool_or_numbers(refused):
    for dtype in (None, object if isinstance(refused[0], bool) else None):
        assert list(outcomes(ROWS.assign(refused=pd.Series(refused, dtype=dtype)))["refusal"]) == [
            bool(r) for r in refused
        ]


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (
            {},
            {"refused": "verdict"},
            "no column 'verdict'; the frame has text, model, persona, refused. Name",
        ),
        ({}, {"template": "asked"}, r"no column 'asked'; .* by template=..., or template=None if there is none$"),
        ({}, {"persona": None}, "persona=None: a column is needed"),
        ({}, {"task": "model"}, "column 'model' cannot be model and task at once"),
        ({"refused": [0, 2, 1, 0]}, {}, "column 'refused': row 1 is '2'; write True or 1 for a refusal"),
        ({"refused": ["yes", "no"] * 2}, {}, "column 'refused': row 0 is 'yes'"),
        ({"refused": ["refused", "answered"] * 2}, {}, "row 1 is 'answered', a text: compare it, as in frame|row 0 is"),
        ({"persona": ["nurse", "poet"] * 2}, {}, "no row has persona 'no persona' .there is 'nurse' and 'poet'.: name"),
        (
            {"refused": [0, np.nan, 1, 0]},
            {},
            "column 'refused': 1 of 4 values are missing, first in row 1; drop these rows",
        ),
        (
            {"persona": ["nurse", None] * 2},
            {},
            "column 'persona': 2 of 4 values are missing, .* no persona, write 'no persona'",
        ),
        (
            {"text": "s"},
            {},
            "rows 0 and 2 are the same prompt .text 's', persona 'nurse', model 'm'., and 2 rows",
        ),
        ({"persona": ["nurse", "baseline"] * 2}, {}, "'baseline' is a persona; write baseline='baseline'"),
        ({"persona": ["*", "no persona"] * 2}, {}, "column 'persona': '\\*' is a word that the tables use"),
        ({"model": "mean"}, {}, "column 'model': 'mean' is a word that the tables use; rename it"),
    ],
)
def test_wrong_input_has_one_message(change, columns, message):
    with pytest.raises(InputError, match=message) as found:
        outcomes(ROWS.assign(**change), **columns)
    assert "\n" not in str(found.value)


def test_other_things_than_a_frame_with_rows_are_refused():
    with pytest.raises(InputError, match="a pandas DataFrame is needed, not list"):
        outcomes([1])
    with pytest.raises(InputError, match="the frame has no rows"):
        outcomes(ROWS.iloc[:0])
    with pytest.raises(InputError, match="column 'text' occurs twice"):
        outcomes(pd.concat([ROWS, ROWS[["text"]]], axis=1))


def test_copies_in_another_template_or_task_are_no_copies():
    for key in ("template", "task"):
        twice = pd.concat([ROWS.assign(k="1"), ROWS.assign(k="2")])
        assert len(outcomes(twice, **{key: "k"})) == 8
