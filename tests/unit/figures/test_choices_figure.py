"""The figure of choices: a title that claims no more than the table, and legible panels."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from falserefusal.figures.choices import specification_curve
from falserefusal.figures.context import Context
from falserefusal.figures.style import styled

CONTEXT = Context("s", {"none": "f", "decline": "f"}, {})
RESULTS = [("refusal rate", model, task, "") for task in ("offensiveness", "politeness") for model in CONTEXT.models]
RESULTS += [("refusal rate", "mean", task, "") for task in ("offensiveness", "politeness")]
RESULTS += [("mean persona effect", "mean", "", "")]
RESULTS += [("importance", "", "", factor) for factor in ("model", "task", "persona", "template")]


@pytest.fixture
def table():
    """Two choices, of which `second_choice` changes no verdict; no change differs from 0."""
    rows = [(choice, *result) for choice in ("first_choice", "second_choice") for result in RESULTS]
    found = pd.DataFrame(rows, columns=["choice", "quantity", "model", "task", "factor"]).replace("", np.nan)
    found = found.assign(default=0.3, lo=0.2, hi=0.4, difference=0.05, d_lo=-0.01, d_hi=0.11, p_holm=0.2)
    second = found["choice"] == "second_choice"
    found.loc[second, ["d_lo", "d_hi", "p_holm"]] = np.nan
    return found.assign(verdicts_changed=np.where(second, 0, 4), difference=np.where(second, 0.0, 0.05))


def draw(table):
    with styled():
        figure, drawn = specification_curve(table, CONTEXT)
        FigureCanvasAgg(figure).draw()
    return figure, drawn


def test_a_choice_is_named_only_if_a_change_that_is_drawn_is_clear(table):
    none = "None of 2 choices clearly changes a headline result (5%, Holm's correction)"
    assert draw(table)[0].get_label() == none
    mean = (table["model"] == "mean") & (table["quantity"] == "refusal rate")
    assert draw(table.assign(p_holm=table["p_holm"].where(~mean, 0.01)))[0].get_label() == none  # not drawn
    clear = (table["choice"] == "first_choice") & (table["model"] == "decline")
    title = draw(table.assign(p_holm=table["p_holm"].where(~clear, 0.01)))[0].get_label()
    assert title == "1 of 2 choices clearly changes a result (5%, Holm's correction): first choice"


def test_many_models_are_drawn_as_their_mean(table):
    more = table[table["model"] == "none"].assign(model="third")
    assert set(draw(table)[1]["model"]) == {"none", "decline", "mean", ""}
    _, drawn = draw(pd.concat([table, more]))
    assert set(drawn.loc[drawn["quantity"] == "refusal rate", "model"]) == {"mean"}


def test_headings_do_not_overlap_and_nothing_leaves_the_page(table):
    figure, _ = draw(table)
    page = figure.bbox
    headings = [ax.title.get_window_extent() for ax in figure.axes]
    assert len(headings) == 9 and not any(a.overlaps(b) for a, b in combinations(headings, 2))
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in headings)
    names = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(box.x0 >= page.x0 for box in names)


def test_a_study_without_a_single_interval_is_drawn(table):
    draw(table.assign(d_lo=np.nan, d_hi=np.nan, p_holm=np.nan, default=np.nan, lo=np.nan, hi=np.nan, difference=np.nan))
