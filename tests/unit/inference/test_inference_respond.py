"""Responses of one model end to end: asked once, nothing lost by a stop, no verdict changed by deciding early."""

import errno
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.common.files import validate
from falserefusal.common.schemas import RESPONSES
from falserefusal.inference import EarlyDecision, checkpoint, model_settings, respond, transformers_engine
from falserefusal.inference import store as store_module
from falserefusal.inference.engine import create_engine
from falserefusal.inference.store import Store, request_key
from falserefusal.labelling.phrase_list import decided, matched_phrase
from falserefusal.study.config import Inference
from falserefusal.study.materials import load_phrases
from job_settings import decoding_with, served, settings

PERSONAS = ("black person", "white person", "asian", "man", "woman", "transgender woman", "muslim")
HEADS = (
    "Given a text, would a {} classify it as offensive or not offensive?",
    "A {} would label this text as polite or not polite? Only answer with the label.",
)
WORDS = ("the", "of", "and", "you", "people", "never", "always", "love", "hate", "你好", "ü", "😀", "question")
DECODING = decoding_with(max_new_tokens=12)


def prompts(count: int, seed: int = 0) -> pd.DataFrame:
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 30)))
        content = f"{rng.choice(HEADS).format(rng.choice(PERSONAS))}\n\nText: {text}"
        rows.append((f"p{seed}-{i}", [{"role": "user", "content": content}]))
    return pd.DataFrame(rows, columns=["prompt_id", "messages"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"), seed=4)


@pytest.fixture(scope="module")
def model(folder) -> dict:
    return settings(model="tiny", path=str(folder), batch_tokens=1500)


@pytest.fixture(scope="module")
def usual(model, tmp_path_factory):
    """An uninterrupted run."""
    return respond(model, DECODING, prompts(120), tmp_path_factory.mktemp("store"), progress=False)


def test_the_frame_keeps_the_contract_and_the_provenance_says_what_was_done(usual, model):
    frame, about = usual
    validate(frame, RESPONSES, "responses")
    assert frame["prompt_id"].tolist() == prompts(120)["prompt_id"].tolist()
    assert frame["prompt_tokens"].min() > 20 and frame["new_tokens"].max() == 12
    assert frame["response"].nunique() > 60, "the checkpoint's responses differ between prompts"
    assert about["responses"] == {
        "prompts": 120,
        "distinct": 120,
        "reused": 0,
        "generated": 120,
        "finish_reasons": frame["finish_reason"].value_counts().sort_index().to_dict(),
        "empty": int((frame["response"].str.strip() == "").sum()),
    }
    assert about["ignored_generation_config"]["do_sample"] is True, "reported, and not used"
    assert about["dtype"] == "float32" and about["revision"].startswith("sha256:")
    assert about["self_test"]["greedy_responses_agree"] is True
    assert about["decoding"] == {"greedy": True, "max_new_tokens": 12, "temperature": 0.0}
    assert about["device"]["map"] is None and about["attention"] == "sdpa"
    assert {"torch", "transformers"} <= set(about["versions"])
    json.dumps(about)


def test_a_second_run_generates_nothing_and_loads_no_weights(model, tmp_path, monkeypatch):
    first, _ = respond(model, DECODING, prompts(20), tmp_path, progress=False)
    monkeypatch.setattr(checkpoint, "load_model", lambda *_: pytest.fail("the weights were loaded"))
    again, about = respond(model, DECODING, prompts(20), tmp_path, progress=False)
    pd.testing.assert_frame_equal(first, again)
    assert about["responses"]["generated"] == 0 and about["responses"]["reused"] == 20
    for part in ("device", "attention", "self_test", "timing", "work"):
        assert about[part] == "nothing was generated: every response was in the store"


def test_no_prompts_are_no_answers(model, tmp_path):
    frame, about = respond(model, DECODING, prompts(0), tmp_path, progress=False)
    validate(frame, RESPONSES, "responses")
    assert frame.empty and about["responses"]["prompts"] == 0


def test_progress_counts_from_when_the_weights_are_loaded(model, tmp_path, monkeypatch):
    steps, module = [], sys.modules["falserefusal.inference.respond"]
    load, progress = checkpoint.load_model, module.Progress
    monkeypatch.setattr(checkpoint, "load_model", lambda *args: (steps.append("loaded"), load(*args))[1])
    monkeypatch.setattr(module, "Progress", lambda *args: (steps.append("counting"), progress(*args))[1])
    respond(model, DECODING, prompts(2), tmp_path, progress=False)
    assert steps == ["loaded", "counting"]


def test_a_grown_design_generates_only_what_is_new(model, usual, tmp_path):
    small = prompts(120).iloc[::3]
    respond(model, DECODING, small, tmp_path, progress=False)
    frame, about = respond(model, DECODING, prompts(120), tmp_path, progress=False)
    assert about["responses"]["generated"] == 80
    pd.testing.assert_frame_equal(frame, usual[0])


def test_identical_prompts_are_asked_once_and_shards_are_disjoint(model, usual, tmp_path):
    asked = prompts(120)
    twice = pd.concat([asked, asked.assign(prompt_id=asked["prompt_id"] + "-again")], ignore_index=True)
    parts = []
    for part in range(3):
        frame, about = respond(model, DECODING, twice, tmp_path, shard=(part, 3), progress=False)
        assert about["responses"]["generated"] == about["responses"]["distinct"] == len(frame) / 2
        parts.append(frame)
    whole, about = respond(model, DECODING, twice, tmp_path, progress=False)
    assert about["responses"]["generated"] == 0
    assert sorted(pd.concat(parts)["prompt_id"]) == sorted(twice["prompt_id"])
    assert whole["response"].tolist() == 2 * usual[0]["response"].tolist()
    with pytest.raises(InputError, match="shard"):
        respond(model, DECODING, twice, tmp_path, shard=(3, 3))


@pytest.mark.parametrize("change", ["dtype", "weights", "decoding"])
def test_nothing_stored_is_reused_for_another_request(model, folder, tmp_path, change):
    asked, other, decoding = prompts(5), dict(model), DECODING
    respond(model, DECODING, asked, tmp_path, progress=False)
    if change == "dtype":
        other["dtype"] = "bfloat16"
    if change == "weights":
        other["path"] = str(tiny_checkpoints.save(tmp_path / "other", seed=1))
    if change == "decoding":
        decoding = decoding_with(max_new_tokens=11)
    assert respond(other, decoding, asked, tmp_path, progress=False)[1]["responses"]["generated"] == 5


def test_the_key_of_a_response_never_changes(folder):
    """A new key would ask every stored prompt of every study again."""

    def key(model, decoding, **identity):
        engine = create_engine(model, decoding)
        (prompt,) = engine.render([[{"role": "user", "content": "Is this polite?"}]], ["p"])
        return request_key(engine.identity | identity, prompt, decoding.parameters)

    local = key(settings(path=str(folder)), decoding_with(), revision="r")
    assert local == "3ce51e1100969bf4d01568ad1b98575fd7e440120d5300fa7e5609dd5b02f7df"
    remote = served("http://Host:8000/v1/", "org/m", extra_body={"top_k": -1}) | {"hub_id": "org/m"}
    assert key(remote, decoding_with(temperature=0.5, top_p=0.9, seed=3)) == (
        "d66f141c7cbabb49ecb8970c1c2f5f7a5f362d74b6f5b38f6f07c43e1573cf28"
    )


def test_whatever_is_configured_beside_the_weights_tells_models_apart(model, folder, tmp_path):
    found = {checkpoint.locate(model).revision}
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "quantize_config.json").write_text("{}")
    assert checkpoint.locate({**model, "path": str(copy)}).revision not in found


def test_how_weights_are_quantised_is_part_of_what_an_answer_is_stored_under(model):
    def identity(**changes):
        return transformers_engine.TransformersEngine({**model, **changes}, DECODING).identity["quantization"]

    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}
    assert identity(quantization="4bit", dtype="bfloat16") == four
    assert identity(quantization="4bit") == {**four, "bnb_4bit_compute_dtype": "float32"}
    assert identity(quantization="8bit") == {"load_in_8bit": True} and identity() is None
    engine = transformers_engine.TransformersEngine({**model, "quantization": "8bit"}, DECODING)
    assert engine.repeats_batches and not transformers_engine.TransformersEngine(model, DECODING).repeats_batches


def test_a_copy_of_the_checkpoint_elsewhere_is_the_same_model(model, folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "README.md").write_text("decides nothing")
    respond(model, DECODING, prompts(5), tmp_path / "store", progress=False)
    _, about = respond({**model, "path": str(copy)}, DECODING, prompts(5), tmp_path / "store", progress=False)
    assert about["responses"]["generated"] == 0


ROOT = Path(__file__).parents[3]
FOLDERS = [str(ROOT / "workflow"), str(ROOT / "tests/support"), str(Path(__file__).parent)]
JOB = """
import sys
sys.path[:0] = {path!r}
from test_inference_respond import DECODING, prompts, respond
frame, _ = respond({model!r}, DECODING, prompts(120), {store!r}, progress=False)
"""


def test_two_jobs_on_one_store_at_once_answer_alike_and_double_nothing(model, usual, tmp_path):
    model = {**model, "batch_tokens": 300}
    path = [
        str(Path(__file__).parents[3] / "workflow"),
        *(str(Path(__file__).parents[i]) + s for i, s in ((0, ""), (2, "/support"))),
    ]
    code = JOB.format(path=path, model=model, store=str(tmp_path)) + "print(frame.to_json())"
    jobs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    for frame in map(json.loads, said):
        assert list(frame["prompt_id"].values()) == usual[0]["prompt_id"].tolist()
        assert list(frame["response"].values()) == usual[0]["response"].tolist()
    assert len(Store(tmp_path / "tiny").read()) == 120
    again, about = respond(model, DECODING, prompts(120), tmp_path, progress=False)
    assert about["responses"]["generated"] == 0
    pd.testing.assert_frame_equal(again, usual[0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_kill_9_in_the_middle_loses_and_doubles_nothing(model, tmp_path, dtype):
    model = {**model, "dtype": dtype, "batch_tokens": 300}
    path = [
        str(Path(__file__).parents[3] / "workflow"),
        *(str(Path(__file__).parents[i]) + s for i, s in ((0, ""), (2, "/support"))),
    ]
    code = JOB.format(path=path, model=model, store=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = Store(tmp_path / "killed" / "tiny")
    while len(kept.read()) < 60 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stored = len(kept.read())
    assert 60 <= stored < 120
    uninterrupted, _ = respond(model, DECODING, prompts(120), tmp_path / "whole", progress=False)
    resumed, about = respond(model, DECODING, prompts(120), tmp_path / "killed", progress=False)
    pd.testing.assert_frame_equal(resumed, uninterrupted)
    counts = about["responses"]
    assert counts["reused"] + counts["generated"] == counts["distinct"] == 120
    lost = stored - counts["reused"]
    assert lost == 0 if dtype == "float32" else 0 <= lost < 64, "the interrupted window, as a whole"
    assert respond(model, DECODING, prompts(120), tmp_path / "killed", progress=False)[1]["responses"]["generated"] == 0


def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_goes_on(model, usual, tmp_path, monkeypatch):
    real, room = os.write, [4000]

    def write(handle, data):
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(data)
        return real(handle, data)

    monkeypatch.setattr(store_module.os, "write", write)
    with pytest.raises(InputError, match="free some space"):
        respond(model, DECODING, prompts(120), tmp_path, progress=False)
    monkeypatch.undo()
    frame, about = respond(model, DECODING, prompts(120), tmp_path, progress=False)
    assert 0 < about["responses"]["reused"] < 120
    pd.testing.assert_frame_equal(frame, usual[0])


# ---- early decision


@pytest.fixture(scope="module")
def phrases(usual) -> list[str]:
    """Beginnings of several lengths that the tiny checkpoint writes, in place of a list of refusal phrases."""
    starts = usual[0]["response"].str.lower().str.lstrip().str.replace("\ufffd", "")
    picked = [start[: 2 + n % 6] for n, start in enumerate(starts.drop_duplicates().iloc[::4])]
    return sorted({phrase for phrase in picked if phrase.strip() and phrase == phrase.lower().lstrip()})


def test_verdicts_are_those_of_full_generation_and_most_tokens_are_saved(model, usual, phrases, tmp_path):
    full = usual[0]
    frame, about = respond(
        model, DECODING, prompts(120), tmp_path, early=EarlyDecision(lambda t: decided(t, phrases), 0.1), progress=False
    )
    verdicts = [[bool(matched_phrase(text, phrases)) for text in f["response"]] for f in (full, frame)]
    assert verdicts[0] == verdicts[1]
    assert 10 < sum(verdicts[0]) < 110
    stopped = frame["finish_reason"] == "decided"
    assert all(a.startswith(b) for a, b in zip(full["response"], frame["response"].str.rstrip("\ufffd"), strict=True))
    assert frame.loc[~stopped, "response"].tolist() == full.loc[~stopped, "response"].tolist()
    assert 2 <= (~stopped).sum() <= 40, "the rechecked share in full"
    assert frame["new_tokens"].sum() < 0.5 * full["new_tokens"].sum()
    assert about["early_decision"] == {"on": True, "recheck": 0.1}


def test_a_shortened_answer_serves_only_those_whose_verdict_it_settles(model, phrases, tmp_path):
    asked = prompts(60)

    def run(rule, recheck=0.0):
        return respond(model, DECODING, asked, tmp_path, early=EarlyDecision(rule, recheck), progress=False)

    _, first = run(lambda t: decided(t, phrases))
    assert first["responses"]["generated"] == 60
    _, same = run(lambda t: decided(t, phrases))
    assert same["responses"]["generated"] == 0
    longer = [*phrases, *(f"{phrase}zzz" for phrase in phrases)]
    _, other = run(lambda t: decided(t, longer) and not matched_phrase(t, phrases))
    assert 0 < other["responses"]["generated"] < 60, "refusals in full: only those are generated again"
    full, whole = run(None)
    assert 0 < whole["responses"]["generated"] < 60, "what was generated in full is not generated again"
    assert set(full["finish_reason"]) <= {"stop", "length"}
    again, last = run(lambda t: decided(t, phrases))
    assert last["responses"]["generated"] == 0, "full responses serve every labeller"
    assert again["response"].tolist() == full["response"].tolist()


def test_the_papers_phrases_split_over_tokens_are_decided_as_in_the_full_text(root):
    """Thousands of responses, cut after every token, also inside a character: a certain verdict is the final one."""
    phrases = load_phrases(root / "workflow/falserefusal/labelling/languages/en/refusal_phrases.txt")
    tokenizer = tiny_checkpoints.tokenizer("chatml")
    rng = random.Random(5)
    pieces = [
        *phrases,
        "i",
        "i'",
        "I am",
        "No",
        "no",
        ",",
        ".",
        " ",
        "\n",
        "’",
        "As an A",
        "SORRY",
        "😀",
        "é",
        "Σ",
        "it",
        "'s",
    ]
    early = 0
    for _ in range(4000):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 4)))
        text = rng.choice(["", " ", "\n\n", "\u00a0"]) + rng.choice([text, text.upper(), text.capitalize()])
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        final = matched_phrase(text, phrases) is not None
        for stop in range(1, len(tokens) + 1):
            said = tokenizer.decode(tokens[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            if decided(said, phrases):
                assert (matched_phrase(said.rstrip("\ufffd"), phrases) is not None) == final, (text, said)
                early += stop < len(tokens)
                break
    assert early > 2000


# ---- checkpoints and settings that cannot work


def test_a_missing_folder_fails_at_once_and_without_network(monkeypatch, tmp_path):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    for model in ({"path": str(tmp_path / "none")}, {"hub_id": "./none"}):
        with pytest.raises(InputError, match=r"model m: no checkpoint at .*none"):
            respond(settings(**model), DECODING, prompts(1), tmp_path)


def test_pickled_weights_are_not_loaded(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name.replace(".safetensors", ".bin")).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="pickled weights are not loaded"):
        respond(settings(path=str(tmp_path)), DECODING, prompts(1), tmp_path / "store")


@pytest.mark.parametrize("change", ["missing", "reshaped"])
def test_weights_that_would_be_random_numbers_are_named(model, folder, tmp_path, change):
    copy, name = shutil.copytree(folder, tmp_path / "copy"), "model.layers.1.mlp.down_proj.weight"
    weights = safetensors.torch.load_file(copy / "model.safetensors")
    whole = weights.pop(name)
    if change == "reshaped":
        weights[name] = whole[:, :-1].contiguous()
    safetensors.torch.save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"1 weight\(s\) are missing in .* or have another shape .*: {name};"):
        respond({**model, "path": str(copy)}, DECODING, prompts(2), tmp_path / "store", progress=False)


def test_a_head_tied_to_the_embeddings_is_not_missing(tmp_path):
    folder = tiny_checkpoints.save(tmp_path / "tied", seed=4, tie_word_embeddings=True)
    assert "lm_head.weight" not in safetensors.torch.load_file(folder / "model.safetensors")
    frame, _ = respond(settings(path=str(folder)), DECODING, prompts(2), tmp_path / "s", progress=False)
    assert len(frame) == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_config(path: Path, **change) -> None:
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("dtype", "torch_dtype")}
    path.write_text(json.dumps(config | change))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", cut, r"model\.safetensors is damaged: it has [\d,]+ bytes, and [\d,]+ according"),
        ("config.json", cut, r"config\.json: not readable as JSON"),
        ("generation_config.json", cut, r"generation_config\.json: not readable as JSON"),
        ("config.json", lambda path: change_config(path, model_type="newest5"), "does not load .*newest5"),
        ("config.json", lambda path: change_config(path, dtype="float64"), "saved as float64; set inference.dtype"),
        ("model.safetensors", lambda path: (cut(path), change_config(path.parent / "config.json")), "damaged"),
    ],
)
def test_a_damaged_checkpoint_is_told_by_file(model, folder, tmp_path, name, damage, message):
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy / name)
    with pytest.raises(InputError, match=message):
        respond({**model, "path": str(copy)}, DECODING, prompts(2), tmp_path / "store", progress=False)


def test_the_dtype_is_that_of_the_weights_where_the_config_names_none(model, tmp_path):
    folder = tiny_checkpoints.save(tmp_path / "c", seed=4, dtype="bfloat16")
    change_config(folder / "config.json")
    assert checkpoint.locate(settings(path=str(folder))).dtype == "bfloat16"
    change_config(folder / "config.json", text_config={"dtype": "float16"})
    assert checkpoint.locate(settings(path=str(folder))).dtype == "float16"
    change_config(folder / "config.json", torch_dtype="torch.float32")
    assert checkpoint.locate(settings(path=str(folder))).dtype == "float32"


def test_weights_that_the_memory_does_not_hold_are_told(model, tmp_path, monkeypatch):
    def load(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(checkpoint, "load_model", load)
    with pytest.raises(InputError, match="tiny: the weights and a few prompts do not fit into the memory"):
        respond(model, DECODING, prompts(2), tmp_path, progress=False)


def test_weights_that_lie_beside_the_accelerators_are_told(model, tmp_path, monkeypatch, caplog):
    real = checkpoint.load_model

    def load(*args):
        loaded = real(*args)
        loaded.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": "cpu", "lm_head": "disk"}
        return loaded

    monkeypatch.setattr(checkpoint, "load_model", load)
    _, about = respond(model, DECODING, prompts(2), tmp_path, progress=False)
    assert about["device"]["map"] == {"model.embed_tokens": "0", "model.layers.0": "cpu", "lm_head": "disk"}
    assert "2 of its 3 parts are on cpu or disk" in caplog.text


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_quantization_without_its_package_is_told(model, tmp_path):
    with pytest.raises(InputError, match="needs the package bitsandbytes"):
        respond({**model, "quantization": "4bit"}, DECODING, prompts(1), tmp_path, progress=False)


def test_a_model_that_sees_padding_fails_the_self_test(model, tmp_path, monkeypatch):
    real = transformers_engine.checkpoints.load_model

    def careless(*args):
        loaded = real(*args)
        forward = loaded.forward
        loaded.forward = lambda **inputs: forward(**{**inputs, "attention_mask": None})
        return loaded

    monkeypatch.setattr(transformers_engine.checkpoints, "load_model", careless)
    with pytest.raises(InputError, match="self-test failed"):
        respond(model, DECODING, prompts(20), tmp_path, progress=False)


def test_a_model_that_forgets_a_shared_beginning_shares_none(model, tmp_path, monkeypatch):
    usual, _ = respond(model, DECODING, prompts(20), tmp_path / "usual", progress=False)
    real = transformers_engine.checkpoints.load_model

    def forgetful(*args):
        loaded = real(*args)
        forward = loaded.forward

        def forget(**inputs):
            cache = inputs.get("past_key_values")
            if cache is not None and cache.get_seq_length() and inputs["input_ids"].shape[1] > 1:
                inputs["attention_mask"][:, : cache.get_seq_length()] = False
            return forward(**inputs)

        loaded.forward = forget
        return loaded

    monkeypatch.setattr(transformers_engine.checkpoints, "load_model", forgetful)
    responses, about = respond(model, DECODING, prompts(20), tmp_path, progress=False)
    assert about["self_test"]["shared_beginnings"] is False
    pd.testing.assert_frame_equal(responses, usual)


def test_settings_come_from_the_models_row_and_the_config():
    row = {"model": "m", "hub_id": "org/m"}
    inference = Inference(max_new_tokens=9, dtype="bfloat16", trust_remote_code=("other",)).model_dump()
    own, decoding = model_settings(row, inference)
    assert own["trust_remote_code"] is False and own["dtype"] == "bfloat16" and own["backend"] == "transformers"
    assert decoding == decoding_with(max_new_tokens=9)
    trusted, _ = model_settings({**row, "model": "other", "backend": "openai"}, inference, "folder", 2)
    assert trusted["trust_remote_code"] is True and trusted["path"] == "folder" and trusted["threads"] == 2
    assert trusted["backend"] == "openai"


def test_a_models_own_system_prompt_replaces_the_studys_and_is_part_of_the_key(model, tmp_path):
    asked = prompts(5)
    _, plain = respond(model, DECODING, asked, tmp_path, progress=False)
    under = {**model, "system_prompt": "You decline."}
    _, own = respond(under, DECODING, asked, tmp_path, progress=False)
    assert own["responses"]["generated"] == 5 and own["system_prompt"] == "You decline." and not plain["system_prompt"]
    other = asked.assign(
        messages=[[{"role": "system", "content": "The study's."}, *turns] for turns in asked["messages"]]
    )
    _, again = respond(under, DECODING, other, tmp_path, progress=False)
    assert again["responses"]["generated"] == 0, "the same rendered prompts"


def test_a_models_own_system_prompt_keeps_what_the_template_adds(model, tmp_path):
    role = "You are a man."
    asked = prompts(5).assign(system_text=role)
    asked["messages"] = [
        [{"role": "system", "content": f"The study's.\n\n{role}"}, *turns] for turns in asked["messages"]
    ]
    under = {**model, "system_prompt": "You decline."}
    respond(under, DECODING, asked, tmp_path, progress=False)
    expected = prompts(5)
    expected["messages"] = [
        [{"role": "system", "content": f"You decline.\n\n{role}"}, *turns] for turns in expected["messages"]
    ]
    _, about = respond(model, DECODING, expected, tmp_path, progress=False)
    assert about["responses"]["generated"] == 0, "the same rendered prompts"


def test_samples_are_independent_and_the_first_is_that_of_a_study_with_one(model, tmp_path):
    sampled = decoding_with(max_new_tokens=12, temperature=1.0)
    once, _ = respond(model, sampled, prompts(10), tmp_path, progress=False)
    parts = [prompts(10).assign(sample=k, prompt_id=prompts(10)["prompt_id"] + f"#{k + 1}") for k in range(3)]
    asked = pd.concat(parts, ignore_index=True)
    frame, about = respond(model, sampled, asked, tmp_path, progress=False)
    assert about["responses"] | {"finish_reasons": 0, "empty": 0} == {
        "prompts": 30, "distinct": 30, "reused": 10, "generated": 20, "finish_reasons": 0, "empty": 0
    }  # fmt: skip
    assert frame["response"].tolist()[:10] == once["response"].tolist()
    texts = frame["response"].to_numpy().reshape(3, 10)
    assert (texts[0] != texts[1]).any() and (texts[1] != texts[2]).any()
    again, about = respond(model, sampled, asked, tmp_path, progress=False)
    assert about["responses"]["generated"] == 0 and again["response"].tolist() == frame["response"].tolist()
    alone, _ = respond(model, sampled, asked[asked["sample"] == 2], tmp_path / "other", progress=False)
    assert alone["response"].tolist() == texts[2].tolist(), "a sample does not depend on the others"
