"""Shards: combined they equal the result of one job; shards of different runs are rejected."""

import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.inference import respond
from falserefusal.inference.shards import gather, gather_provenance
from job_settings import decoding_with, settings

DECODING = decoding_with(max_new_tokens=6)


@pytest.fixture(scope="module")
def prompts():
    texts = [f"Would a woman call this polite?\n\nText: you {i % 40} people" for i in range(60)]  # 20 come twice
    return pd.DataFrame(
        {"prompt_id": [f"p{i}" for i in range(60)], "messages": [[{"role": "user", "content": t}] for t in texts]}
    )


@pytest.fixture(scope="module")
def runs(prompts, tmp_path_factory):
    folder = tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"), seed=4)
    model = settings(model="tiny", path=str(folder), batch_tokens=800)
    whole = respond(model, DECODING, prompts, tmp_path_factory.mktemp("whole"), progress=False)
    store = tmp_path_factory.mktemp("parts")
    parts = [respond(model, DECODING, prompts, store, shard=(i, 3), progress=False) for i in (2, 0, 1)]
    return whole, parts


def test_shards_together_are_the_whole(runs, prompts):
    (whole, about), parts = runs
    assert all(0 < len(frame) < 60 for frame, _ in parts)
    pd.testing.assert_frame_equal(gather([frame for frame, _ in parts], prompts["prompt_id"]), whole)
    together = gather_provenance([own for _, own in parts])
    assert together["responses"] == about["responses"] and together["responses"]["distinct"] == 40
    assert [own["shard"] for own in together["shards"]] == [[2, 3], [0, 3], [1, 3]]
    assert {key: together[key] for key in ("model", "revision", "decoding")} == {
        key: about[key] for key in ("model", "revision", "decoding")
    }


def test_a_shard_without_prompts_adds_nothing(runs, prompts):
    (whole, _), parts = runs
    empty = whole.iloc[:0]
    pd.testing.assert_frame_equal(gather([empty, *(frame for frame, _ in parts)], prompts["prompt_id"]), whole)


def test_answers_that_overlap_or_stray_are_refused(runs, prompts):
    (whole, _), _ = runs
    with pytest.raises(InputError, match="prompt 'p0' is in two shards"):
        gather([whole, whole.head(1)], prompts["prompt_id"])
    with pytest.raises(InputError, match="prompt 'p0' is not among the study's prompts"):
        gather([whole], prompts["prompt_id"].iloc[1:])


def test_shards_of_two_revisions_are_refused(runs):
    _, parts = runs
    first, second = (own for _, own in parts[:2])
    with pytest.raises(InputError, match=r"shards of tiny: they differ in revision \(.*; other\)"):
        gather_provenance([first, second | {"revision": "other"}])


def test_prompts_that_all_shards_asked_again_are_counted_together(runs):
    _, parts = runs
    first, second = (
        own | {"batch_check": {"share": 0.1, "prompts": n, "generated": n - 1}}
        for n, own in zip((3, 4), (own for _, own in parts[:2]), strict=True)
    )
    assert gather_provenance([first, second])["batch_check"] == {"share": 0.1, "prompts": 7, "generated": 5}
