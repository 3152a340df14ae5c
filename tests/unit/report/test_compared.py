"""The page that compares studies, and which studies can be compared."""

import numpy as np
import pandas as pd
import pytest

from drawn_texts import problems_of
from falserefusal.common.errors import InputError
from falserefusal.figures.context import Context
from falserefusal.figures.draw import save
from falserefusal.figures.studies import NAME, draw_differences
from falserefusal.figures.style import styled
from falserefusal.report.compared import write_comparison
from falserefusal.study.files import compared

ROW = {"other_study": "b", "quantity": "refusal rate", "model": "mean", "task": "nli", "factor": "", "reference": 0.1}
ROW |= {"other": 0.25, "difference": 0.15, "d_lo": -0.01, "d_hi": 0.31, "p": 0.06, "p_holm": 0.12, "responses": 1200}
ROW |= {"shared_texts": 9, "note": "by text"}


UNKNOWN = ROW | {"quantity": "importance", "model": "", "task": "", "factor": "persona", "difference": 0.2}
UNKNOWN |= {"d_lo": np.nan, "d_hi": np.nan, "p_holm": np.nan}


def draw(rows, studies, folder, banner=""):
    with styled():
        canvas, drawn = draw_differences(pd.DataFrame(rows), studies, Context("comparison", {}, {}, banner))
        save(canvas, folder / NAME)
    return canvas, drawn


def test_the_figure_has_a_mark_and_an_interval_for_each_difference(tmp_path):
    third = ROW | {"other_study": "c", "p_holm": 0.01, "difference": -0.2, "d_lo": -0.3, "d_hi": -0.1}
    undefined = ROW | {"model": "m", "difference": np.nan}
    rows = [ROW, UNKNOWN, third, undefined]
    canvas, drawn = draw(rows, ["a", "b", "c"], tmp_path)
    assert drawn[["study", "unit", "differs"]].to_numpy().tolist() == [
        ["b", "points", False],
        ["b", "index", False],
        ["c", "points", True],
    ]
    assert drawn.loc[0, ["difference", "lo", "hi"]].tolist() == pytest.approx([15, -1, 31])
    points, index = canvas.axes
    assert [line.get_segments()[0][:, 0].tolist() for line in points.collections] == [
        pytest.approx([-1, 31]),
        pytest.approx([-30, -10]),
    ]
    assert not index.collections, "no interval is drawn where none is known"
    assert not problems_of(canvas)
    titles = (tmp_path / f"{NAME}.svg").read_text("utf-8")
    assert "<title>15 (−1 to 31)</title>" in titles and "<title>0.2</title>" in titles


def test_differences_are_in_points_with_intervals(tmp_path):
    unknown = ROW | {"quantity": "importance", "factor": "persona", "d_lo": np.nan, "p_holm": np.nan}
    (tmp_path / "figures").mkdir()
    draw([ROW], ["a", "b"], tmp_path / "figures", "REHEARSAL")
    write_comparison(tmp_path / "index.html", pd.DataFrame([ROW, unknown]), ["a", "b"], [None, None], "REHEARSAL")
    page = (tmp_path / "index.html").read_text()
    assert "+15.0 points" in page and "−1.0 to +31.0" in page and "10.0%" in page and "25.0%" in page
    assert page.count("REHEARSAL") == 5 and "<svg" in page and "mean of models, nli" in page and ">+0.15<" in page


def test_studies_that_cannot_be_compared_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for names in ([], ["a"], ["a", "a"]):
        with pytest.raises(InputError, match="name two or more studies"):
            compared(names)
    with pytest.raises(InputError, match=r"results/a/outcomes\.parquet: no such file; run the study a first"):
        compared(["a", "b"])
