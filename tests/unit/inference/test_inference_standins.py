"""The transformers engine on stand-ins, whose responses are known word for word; early decisions change no verdict."""

import numpy as np
import pytest

from falserefusal.common.errors import InputError
from falserefusal.common.schemas import BASELINE
from falserefusal.inference import EarlyDecision, respond
from falserefusal.labelling.phrase_list import decided, matched_phrase
from falserefusal.standins.enumeration import planted_prompts
from job_settings import decoding_with, settings
from standin_study import load_study

MODELS = {"Llama2-7B": "float32", "Qwen1.5-32B": "float32", "Gemma2-9B": "bfloat16"}  # one of each chat style
COUNT = 700


@pytest.fixture(scope="module")
def study():
    return load_study()


@pytest.fixture(scope="module")
def asked(study):
    """Prompts of all tasks, templates and personas, and without one."""
    personas = [*study.personas["persona"], BASELINE]
    design = study.draw(COUNT, np.random.RandomState(2), personas)
    return design, study.ask(design)


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    home = tmp_path_factory.mktemp("standins")
    materials = study.materials()
    for model, dtype in MODELS.items():
        study.write(home / model, model, materials, dtype=dtype)
    return home


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_the_planted_ones_and_deciding_early_changes_no_label(study, asked, folder, tmp_path, model):
    design, prompts = asked
    planted = planted_prompts(folder / model, prompts, design, study.phrases, "native")
    given = settings(model=model, path=str(folder / model), batch_tokens=4096) | {"threads": 1}
    # the early run first, so that the full run could mistake shortened responses for whole ones
    early_decision = EarlyDecision(lambda t: decided(t, study.phrases), 0.03)
    early, about = respond(given, decoding_with(), prompts, tmp_path, early=early_decision, progress=False)
    full, _ = respond(given, decoding_with(), prompts, tmp_path, progress=False)
    assert full["response"].tolist() == planted["text"].tolist()
    assert full["new_tokens"].tolist() == planted["new_tokens"].tolist()
    verdicts = [[matched_phrase(text, study.phrases) is not None for text in f["response"]] for f in (full, early)]
    assert verdicts[0] == verdicts[1] == planted["phrase_list_refusal"].tolist()
    assert 0.01 < np.mean(verdicts[0]) < 0.6
    assert early["new_tokens"].sum() < 0.4 * full["new_tokens"].sum()
    assert about["responses"]["finish_reasons"]["decided"] > 0.8 * COUNT


def test_a_system_turn_reaches_a_model_that_rejects_one_only_if_merged(study, asked, folder, tmp_path):
    design, prompts = asked
    system = [{"role": "system", "content": "Answer as a careful annotator."}]
    some = prompts.head(20).assign(messages=[[*system, *turns] for turns in prompts["messages"].head(20)])
    given = settings(model="Gemma2-9B", path=str(folder / "Gemma2-9B"))
    with pytest.raises(InputError, match="rejects system turns"):
        respond(given, decoding_with(), some, tmp_path, progress=False)
    frame, about = respond({**given, "system_role": "merge"}, decoding_with(), some, tmp_path, progress=False)
    planted = planted_prompts(folder / "Gemma2-9B", some, design, study.phrases, "merge")
    assert frame["response"].tolist() == planted["text"].tolist()
    assert about["gate"]["system_turn"] == "rejecting" and about["gate"]["system_role"] == "merge"
