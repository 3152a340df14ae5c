"""The batch check: some prompts are asked again in other batches, at a small cost and without any effect on a study."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.files import validate
from falserefusal.common.schemas import RESPONSES
from falserefusal.inference import EarlyDecision, batch_check, checkpoint, respond
from falserefusal.inference.batching import windows
from falserefusal.inference.store import Store
from falserefusal.inference.transformers_engine import TransformersEngine
from job_settings import decoding_with, settings

DECODING = decoding_with(max_new_tokens=12)
KEYS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]
FIRST = ["prompt_id", "response", "finish_reason", "prompt_tokens", "new_tokens", "thinking"]
CHECK = ["other_batch_response", "other_batch_finish_reason"]


def prompts(count: int) -> pd.DataFrame:
    texts = [f"Would a woman call this polite?\n\nText: {'you people ' * (i % 9)}{i}" for i in range(count)]
    return pd.DataFrame(
        {"prompt_id": [f"p{i}" for i in range(count)], "messages": [[{"role": "user", "content": t}] for t in texts]}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"), seed=4)


@pytest.fixture(scope="module")
def model(folder) -> dict:
    own = {"dtype": "bfloat16", "batch_tokens": 400, "batch_check_share": 0.02}
    return settings(model="tiny", path=str(folder), **own)


def test_the_share_is_chosen_by_hash_and_is_never_tiny():
    assert batch_check.chosen(KEYS, 0.0) == []
    assert len(batch_check.chosen(KEYS, 0.02)) == 80 and len(batch_check.chosen(KEYS[:30], 0.02)) == 30
    assert len(batch_check.chosen(KEYS[:100] * 2, 0.02)) == batch_check.LEAST
    assert batch_check.chosen(reversed(KEYS), 0.02) == batch_check.chosen(KEYS, 0.02)
    kept = set(batch_check.chosen(KEYS[:3000], 0.5)) & set(batch_check.chosen(KEYS, 0.5))
    assert len(kept) > 1400, "a grown study asks most of the same prompts again"


def test_the_choice_has_nothing_to_do_with_rechecks_and_shards():
    chosen = batch_check.chosen(KEYS, 0.25)
    early = EarlyDecision(lambda _: True, 0.25)
    assert 0.18 < sum(early.in_full(key) for key in chosen) / len(chosen) < 0.32
    assert 0.44 < sum(int(key[:8], 16) % 2 for key in chosen) / len(chosen) < 0.56
    assert 0.44 < sum(map(batch_check.part, chosen)) / len(chosen) < 0.56


def test_a_response_in_another_batch_has_a_key_of_its_own_with_the_same_seed_shard_and_recheck():
    others = [batch_check.key_in_other_batch(key) for key in KEYS]
    assert len({*others, *KEYS}) == 2 * len(KEYS)
    assert all(len(other) == 64 and other[:16] == key[:16] for other, key in zip(others, KEYS, strict=True))


def test_a_check_changes_no_response_and_is_done_once(model, tmp_path, monkeypatch):
    asked = prompts(120)
    off = model | {"batch_check_share": 0.0}
    without, about = respond(off, DECODING, asked, tmp_path, progress=False)
    assert about["batch_check"] == {
        "share": 0,
        "prompts": 0,
        "generated": 0,
        "because": "inference.batch_check_share is 0",
    }
    assert without[CHECK].isna().all(axis=None)
    frame, about = respond(model, DECODING, asked, tmp_path, progress=False)
    validate(frame, RESPONSES, "responses")
    pd.testing.assert_frame_equal(frame[FIRST], without[FIRST])
    assert about["responses"]["generated"] == 0
    assert about["batch_check"] == {"share": 0.02, "prompts": 50, "generated": 50}
    assert frame["other_batch_response"].notna().sum() == 50
    assert set(frame["other_batch_finish_reason"].dropna()) <= {"stop", "length"}
    monkeypatch.setattr(checkpoint, "load_model", lambda *_: pytest.fail("the weights were loaded"))
    again, about = respond(model, DECODING, asked, tmp_path, progress=False)
    pd.testing.assert_frame_equal(again, frame)
    assert about["batch_check"]["generated"] == 0
    pd.testing.assert_frame_equal(respond(off, DECODING, asked, tmp_path, progress=False)[0], without)


def test_the_weights_are_loaded_once_for_both(model, tmp_path, monkeypatch):
    loaded, load = [], checkpoint.load_model
    monkeypatch.setattr(checkpoint, "load_model", lambda *args: (loaded.append(1), load(*args))[1])
    frame, about = respond(model, DECODING, prompts(60), tmp_path, progress=False)
    assert len(loaded) == 1 and about["batch_check"]["generated"] == 50
    assert about["work"]["prompt_tokens"] == sum(frame["prompt_tokens"]), "that of the check is not in it"


@pytest.mark.parametrize("share", [0.02, 1.0])
def test_the_batches_are_others_even_if_all_prompts_are_asked_again(model, tmp_path, monkeypatch, share):
    formed, generate = [], TransformersEngine.generate

    def noted(engine, keys, *args):
        tokens = [key[:16] for key in keys]
        formed.append(
            {frozenset(tokens[i] for i in window) for window in windows(engine.ids, 16 * engine.batch_tokens, 64)}
        )
        return generate(engine, keys, *args)

    monkeypatch.setattr(TransformersEngine, "generate", noted)
    respond(model | {"batch_check_share": share}, DECODING, prompts(60), tmp_path, progress=False)
    first, *others = formed
    assert len(others) == 2 and not first & set().union(*others)


def test_in_full_float32_nothing_is_asked_again(folder, tmp_path):
    frame, about = respond(
        settings(model="tiny", path=str(folder), dtype="float32"), DECODING, prompts(5), tmp_path, progress=False
    )
    assert frame[CHECK].isna().all(axis=None) and "does not depend on its batch" in about["batch_check"]["because"]
    assert len(Store(tmp_path / "tiny").read()) == 5


def test_equal_prompts_are_asked_again_once_and_shards_share_the_check(model, tmp_path):
    asked = prompts(120)
    twice = pd.concat([asked, asked.assign(prompt_id=asked["prompt_id"] + "-again")], ignore_index=True)
    whole, _ = respond(model, DECODING, twice, tmp_path / "whole", progress=False)
    assert whole["other_batch_response"].notna().sum() == 50 and whole["other_batch_response"].iloc[120:].isna().all()
    parts = [respond(model, DECODING, twice, tmp_path / "parts", shard=(i, 3), progress=False)[0] for i in range(3)]
    checked = [set(frame.loc[frame["other_batch_response"].notna(), "prompt_id"]) for frame in (whole, *parts)]
    assert checked[0] == set().union(*checked[1:]) and sum(map(len, checked[1:])) == 50


def test_a_sampled_response_has_the_same_random_numbers_in_another_batch(model, tmp_path, monkeypatch):
    always = property(lambda _: True, lambda *_: None)  # in float32, where only random numbers could differ
    monkeypatch.setattr(TransformersEngine, "depends_on_batch", always, raising=False)
    sampled = decoding_with(max_new_tokens=12, temperature=1.0)
    frame, _ = respond(model | {"dtype": "float32"}, sampled, prompts(60), tmp_path, progress=False)
    pairs = frame.dropna(subset=CHECK)
    assert len(pairs) == 50 and pairs["response"].tolist() == pairs["other_batch_response"].tolist()


ROOT = Path(__file__).parents[3]
FOLDERS = [str(ROOT / "workflow"), str(ROOT / "tests/support"), str(Path(__file__).parent)]
JOB = """
import sys
sys.path[:0] = {path!r}
from test_inference_batch_check import DECODING, prompts, respond
respond({model!r}, DECODING, prompts(120), {store!r}, progress=False)
"""


def test_kill_9_in_the_middle_of_the_check_loses_nothing(model, tmp_path):
    model = model | {"batch_check_share": 1.0, "batch_tokens": 100}
    code = JOB.format(path=FOLDERS, model=model, store=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    kept = Store(tmp_path / "killed" / "tiny")
    while len(kept.read()) < 150 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 150 <= len(kept.read()) < 240
    whole, _ = respond(model, DECODING, prompts(120), tmp_path / "whole", progress=False)
    resumed, about = respond(model, DECODING, prompts(120), tmp_path / "killed", progress=False)
    pd.testing.assert_frame_equal(resumed, whole)
    assert about["responses"]["generated"] == 0 and 0 < about["batch_check"]["generated"] < 120
    json.dumps(about)


# ---- the size of batches


def test_the_size_of_batches_stays_that_of_the_first_run(model, tmp_path):
    """In bfloat16 a resumed run must form the same batches, also if the cost estimate is another one by then."""
    asked = prompts(60)

    def run(planned, batch_tokens=None, **own):
        given = model | {"batch_tokens": batch_tokens, "planned_batch_tokens": planned, "batch_check_share": 0.0, **own}
        return respond(given, DECODING, asked, tmp_path, progress=False)[1]["batches"]

    plan = {"plan": "by shared prefix, longest first"}
    first = {"batch_tokens": 400, "batch_tokens_from": "cost estimate", **plan}
    assert run(400) == first
    assert run(900) == first, "nothing is generated"
    asked = prompts(80)
    assert run(900) == first, "something is"
    set_by_config = {"batch_tokens": 500, "batch_tokens_from": "inference.batch_tokens", **plan}
    assert run(900, batch_tokens=500) == set_by_config
    assert run(900, dtype="float16")["batch_tokens"] == 900, "another precision has a size of its own"
    assert run(900) == first
    assert run(900, dtype="float32")["batch_tokens"] == 900 and run(800, dtype="float32")["batch_tokens"] == 800


def test_a_run_without_an_estimate_has_a_size_of_batches(model):
    assert TransformersEngine(model | {"batch_tokens": None}, DECODING).batch_tokens == 16384


def test_of_two_runs_at_once_the_first_decides_on_batches(tmp_path):
    one, other, identity = Store(tmp_path), Store(tmp_path), {"name": "m", "dtype": "bfloat16"}
    assert one.batch_tokens(identity) is None
    assert one.keep_batch_tokens(identity, 4096) == 4096 and other.keep_batch_tokens(identity, 8192) == 4096
    assert other.batch_tokens(identity) == 4096 and other.batch_tokens(identity | {"dtype": "float16"}) is None
    assert len(list(tmp_path.iterdir())) == 1 and one.read() == {}
