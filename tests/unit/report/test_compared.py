"""The page that compares studies, and which studies can be compared."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.report.compared import write_comparison
from falserefusal.study.files import compared

ROW = {"other_study": "b", "quantity": "refusal rate", "model": "mean", "task": "nli", "factor": "", "reference": 0.1}
ROW |= {"other": 0.25, "difference": 0.15, "d_lo": -0.01, "d_hi": 0.31, "p": 0.06, "p_holm": 0.12, "responses": 1200}
ROW |= {"shared_texts": 9, "note": "by text"}


def test_differences_are_in_points_with_intervals(tmp_path):
    unknown = ROW | {"quantity": "importance", "factor": "persona", "d_lo": np.nan, "p_holm": np.nan}
    write_comparison(tmp_path / "index.html", pd.DataFrame([ROW, unknown]), ["a", "b"], [None, None], "REHEARSAL")
    page = (tmp_path / "index.html").read_text()
    assert "+15.0 points" in page and "−1.0 to +31.0" in page and "10.0%" in page and "25.0%" in page
    assert page.count("REHEARSAL") == 3 and "mean of models, nli" in page and ">+0.15<" in page


def test_studies_that_cannot_be_compared_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for names in ([], ["a"], ["a", "a"]):
        with pytest.raises(InputError, match="name two or more studies"):
            compared(names)
    with pytest.raises(InputError, match=r"results/a/outcomes\.parquet: no such file; run the study a first"):
        compared(["a", "b"])
