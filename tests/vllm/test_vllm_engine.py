"""The vLLM engine gives the transformers engine's responses, also if it stops early or is killed.

Run by `make test-vllm` in an environment with vLLM, on a processor or a GPU.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.schemas import BASELINE
from falserefusal.inference import Decoding, EarlyDecision, respond
from falserefusal.inference.engine import create_engine
from falserefusal.inference.store import Store
from falserefusal.labelling.phrase_list import decided, matched_phrase
from falserefusal.standins.enumeration import planted_prompts
from job_settings import decoding_with, settings
from needs_vllm import NEEDS_VLLM
from standin_study import load_study

pytestmark = NEEDS_VLLM
STANDIN = "Llama2-7B"  # vLLM fixes the shape of attention or output for the other families, where stand-ins differ
COUNT = 200
PILOT = "resources/weights/SmolLM2-135M-Instruct.Q4_1"


def of(folder: Path, backend: str = "vllm") -> dict:
    """The settings of the checkpoint in a folder."""
    return settings(model=folder.name, path=str(folder), backend=backend, dtype="float32") | {"threads": 1}


@pytest.fixture(scope="module")
def study():
    return load_study()


@pytest.fixture(scope="module")
def asked(study):
    """Prompts of all tasks, templates and personas, and without one."""
    design = study.draw(COUNT, np.random.RandomState(2), [*study.personas["persona"], BASELINE])
    return design, study.ask(design)


@pytest.fixture(scope="module")
def standin(study, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("standins") / STANDIN
    study.write(folder, STANDIN, study.materials(), dtype="float32")
    return folder


def test_responses_of_a_standin_are_the_planted_ones_and_early_ones_are_their_beginnings(
    study, asked, standin, tmp_path
):
    design, prompts = asked
    planted = planted_prompts(standin, prompts, design, study.phrases, "native")
    full, _ = respond(of(standin), decoding_with(), prompts, tmp_path / "full", progress=False)
    assert full["response"].tolist() == planted["text"].tolist()
    assert full["new_tokens"].tolist() == planted["new_tokens"].tolist()
    early, about = respond(
        of(standin),
        decoding_with(),
        prompts,
        tmp_path / "early",
        early=EarlyDecision(lambda text: decided(text, study.phrases), 0.0),
        progress=False,
    )
    assert about["responses"]["finish_reasons"]["decided"] > COUNT / 4
    assert early["new_tokens"].sum() < 0.5 * full["new_tokens"].sum()
    for begun, whole in zip(early["response"], full["response"], strict=True):
        assert whole.startswith(begun.rstrip("\ufffd"))
    verdicts = [[matched_phrase(text, study.phrases) is not None for text in f["response"]] for f in (full, early)]
    assert verdicts[0] == verdicts[1] == planted["phrase_list_refusal"].tolist()


def both(folder: Path, decoding: Decoding, prompts: pd.DataFrame, store: Path, **more) -> list[pd.DataFrame]:
    """Responses of both engines."""
    backends = ("transformers", "vllm")
    return [respond(of(folder, b), decoding, prompts, store, progress=False, **more)[0] for b in backends]


def test_early_decisions_of_both_engines_are_the_same(study, asked, standin, tmp_path):
    # which responses are rechecked follows from their keys, which differ
    stop = EarlyDecision(lambda text: decided(text, study.phrases), 0.0)
    early = both(standin, decoding_with(), asked[1], tmp_path, early=stop)
    pd.testing.assert_frame_equal(*early)


def test_the_pilots_model_writes_the_same_to_both_engines(root, study, tmp_path):
    if not (root / PILOT / "config.json").exists():
        pytest.skip("the pilot's weights are not there: snakemake --cores 1 weights")
    design = study.draw(40, np.random.RandomState(3), [*study.personas["persona"], BASELINE])
    responses = both(root / PILOT, decoding_with(max_new_tokens=32), study.ask(design), tmp_path)
    assert responses[0]["response"].nunique() > 10
    pd.testing.assert_frame_equal(*responses)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return tiny_checkpoints.save(tmp_path_factory.mktemp("tiny"), seed=4, head_dim=32)


def prompts(count: int = 150) -> pd.DataFrame:
    texts = [f"Is text {i} polite or impolite? {'You never know. ' * (i % 7)}" for i in range(count)]
    rows = [(f"p{i}", [{"role": "user", "content": text}]) for i, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["prompt_id", "messages"])


DECODING = decoding_with(max_new_tokens=12)
JOB = """
import sys
sys.path[:0] = {path!r}
from falserefusal.inference import respond, vllm_engine
from test_vllm_engine import DECODING, prompts
vllm_engine.AHEAD, vllm_engine.WRITE_SECONDS = 8, 0.0
respond({model!r}, DECODING, prompts(), {store!r}, progress=False)
"""


def test_a_killed_run_resumes_with_the_responses_of_an_uninterrupted_one(root, tiny, tmp_path):
    path = [str(root / "workflow"), str(root / "tests/support"), str(Path(__file__).parent)]
    code = JOB.format(path=path, model=of(tiny), store=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = Store(tmp_path / "killed" / tiny.name)
    while len(kept.read()) < 50 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stored = len(kept.read())
    assert 50 <= stored < 150
    resumed, about = respond(of(tiny), DECODING, prompts(), tmp_path / "killed", progress=False)
    assert about["responses"]["reused"] == stored and about["responses"]["generated"] == 150 - stored
    whole, _ = respond(of(tiny), DECODING, prompts(), tmp_path / "whole", progress=False)
    pd.testing.assert_frame_equal(resumed, whole)


def test_a_sampled_response_follows_from_its_key_and_not_from_its_neighbours(tiny, tmp_path):
    sampled = decoding_with(max_new_tokens=12, temperature=1.0, top_p=0.9)
    some, all_of_them = prompts(10), prompts(30)
    first, _ = respond(of(tiny), sampled, some, tmp_path / "some", progress=False)
    among, _ = respond(of(tiny), sampled, all_of_them, tmp_path / "all", progress=False)
    pd.testing.assert_frame_equal(first, among.head(10))
    other = decoding_with(max_new_tokens=12, temperature=1.0, top_p=0.9, seed=1)
    assert not first.equals(respond(of(tiny), other, some, tmp_path / "some", progress=False)[0])


def test_the_checkpoints_own_decoding_options_change_nothing(tiny, tmp_path):
    """The checkpoint declares sampling and a repetition penalty."""
    engine = create_engine(of(tiny), DECODING)
    assert engine.generation_config["repetition_penalty"] == 1.1
    pd.testing.assert_frame_equal(*both(tiny, DECODING, prompts(30), tmp_path))
