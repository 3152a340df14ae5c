"""Outcomes are read by model: codes agree between models, and levels keep their order."""

import numpy as np
import pandas as pd
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.outcomes import outcomes_of_file, outcomes_of_frame, union_of_sorted, write_outcomes
from falserefusal.common.schemas import BASELINE

LEVELS = {
    "task": ["nli"], "row_id": ["r2", "r1"], "text_id": ["t2", "t1"], "block": ["r2", "r1"],
    "persona": ["woman", "man", BASELINE], "template": ["p1"], "format": ["unforced"],
}  # fmt: skip


def outcomes(model, labeller, personas, rows, levels=LEVELS):
    """Outcomes of one model and labeller, one for each persona and row."""
    values = {"task": "nli", "row_id": rows, "text_id": [row.replace("r", "t") for row in rows], "block": rows}
    frame = pd.DataFrame(values | {"persona": personas, "template": "p1", "format": "unforced"})
    frame = frame.assign(**{name: pd.Categorical(frame[name], categories=order) for name, order in levels.items()})
    frame = frame.assign(model=pd.Categorical([model] * len(frame)), labeller=pd.Categorical([labeller] * len(frame)))
    frame = frame.assign(draw=range(len(frame)), interim_look=0, refusal=False)
    return frame.astype({"draw": "int16", "interim_look": "int16"})


@pytest.fixture
def file(tmp_path):
    frames = [
        outcomes("Z", "phrase_list", ["man"], ["r1"]),
        outcomes("Z", "judge", ["man"], ["r1"]),
        outcomes("A", "phrase_list", [BASELINE, "woman"], ["r2", "r1"]),
    ]
    write_outcomes(iter(frames), tmp_path / "outcomes.parquet")
    return tmp_path / "outcomes.parquet"


def test_models_share_codes_and_keep_the_order_of_the_file(file):
    found = list(outcomes_of_file(file, "phrase_list").parts(["text_id", "persona"]))
    assert [part["model"].iloc[0] for part in found] == ["Z", "A"]
    assert [part["text_id"].cat.codes.tolist() for part in found] == [[1], [0, 1]]
    assert all(list(part["model"].cat.categories) == ["Z", "A"] for part in found)
    assert outcomes_of_file(file, "phrase_list").present("persona") == ["woman", "man", BASELINE]


def test_baseline_prompts_can_be_left_out(file):
    found = list(outcomes_of_file(file, "phrase_list").without_baseline().parts(["task"]))
    assert [len(part) for part in found] == [1, 1]


def test_a_labeller_without_verdicts_is_an_error(file):
    with pytest.raises(InputError, match="no verdicts of labeller 'structured'; it has phrase_list, judge"):
        outcomes_of_file(file, "structured")


def test_a_file_that_mixes_models_is_an_error(tmp_path):
    mixed = pd.concat([outcomes(model, "judge", ["man"], ["r1"]).astype({"model": str}) for model in "AB"])
    mixed.to_parquet(tmp_path / "mixed.parquet")
    with pytest.raises(InputError, match="several models"):
        outcomes_of_file(tmp_path / "mixed.parquet", "judge")


def test_models_with_other_categories_are_not_written(tmp_path):
    other = outcomes("B", "judge", ["man"], ["r1"], LEVELS | {"text_id": ["t1", "t2"]})
    with pytest.raises(ValueError, match="differ in their categories"):
        write_outcomes([outcomes("A", "judge", ["man"], ["r1"]), other], tmp_path / "outcomes.parquet")
    assert not (tmp_path / "outcomes.parquet").exists()


def test_a_frame_gives_the_same_parts(file):
    frame = pd.concat(outcomes_of_file(file, "phrase_list").parts(["text_id", "persona"])).astype({"text_id": str})
    found = list(outcomes_of_frame(frame).parts(["text_id"]))
    assert [part["text_id"].tolist() for part in found] == [["t1"], ["t2", "t1"]]
    assert [part["text_id"].cat.codes.tolist() for part in found] == [[0], [1, 0]]


def test_a_file_gives_back_what_was_written(tmp_path):
    frames = [
        outcomes(model, "judge", [BASELINE, "man"], rows) for model, rows in (("Z", ["r1", "r2"]), ("A", ["r2"] * 2))
    ]
    write_outcomes(frames, tmp_path / "outcomes.parquet")
    columns = [column for column in frames[0].columns if column != "model"]
    found = outcomes_of_file(tmp_path / "outcomes.parquet", "judge").parts(columns)
    for part, written in zip(found, frames, strict=True):
        pd.testing.assert_frame_equal(part[columns], written[columns], check_categorical=True)


def test_sorted_arrays_are_joined_as_numpy_joins_them():
    rng = np.random.default_rng(1)
    for sizes in ((0, 0), (0, 3), (5, 0), (40, 30)):
        one, other = (np.sort(rng.integers(0, 20, size)) for size in sizes)
        assert union_of_sorted(one, other).tolist() == np.union1d(one, other).tolist()
