"""Every tensor of a checkpoint is loaded, an adapter is never ignored, and the store knows what was loaded."""

import importlib.util
import json
import shutil

import pandas as pd
import pytest

import tiny_checkpoints
from falserefusal.common.errors import InputError
from falserefusal.inference import checkpoint, respond
from job_settings import decoding_with, settings

PROMPTS = pd.DataFrame({"prompt_id": ["p"], "messages": [[{"role": "user", "content": "Is this text polite?"}]]})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny_checkpoints.save(tmp_path_factory.mktemp("checkpoint"), seed=4)


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def model_of(folder):
    return settings(path=str(folder))


def load(folder):
    return checkpoint.load_model(checkpoint.locate(model_of(folder)), None)


def ask(folder, store):
    frame, about = respond(model_of(folder), decoding_with(max_new_tokens=8), PROMPTS, store, progress=False)
    return frame["response"][0], about


def edit_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_config_with_fewer_layers_than_the_weights_is_an_error(folder):
    edit_config(folder, num_hidden_layers=1)
    with pytest.raises(InputError, match=r"are not part of the model in its config.*model.layers.1"):
        load(folder)


@pytest.mark.parametrize("other", ["consolidated.safetensors", "model.fp16.safetensors", "sharded"])
def test_two_sets_of_weights_are_an_error(folder, other):
    if other == "sharded":
        other = "model-00001-of-00001.safetensors"
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": other}}))
    shutil.copy(folder / "model.safetensors", folder / other)
    with pytest.raises(InputError, match="two sets of weights"):
        checkpoint.locate(model_of(folder))


def test_an_index_of_the_weights_that_are_there_is_no_second_set(folder):
    shard = "model-00001-of-00001.safetensors"
    (folder / "model.safetensors").rename(folder / shard)
    keys = load_keys(folder / shard)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(keys, shard)})
    )
    load(folder)
    (folder / "sub").mkdir()
    (folder / shard).rename(folder / "sub" / shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": f"sub/{shard}"}}))
    (folder / "model-2.safetensors").write_bytes(b"")
    with pytest.raises(InputError):
        checkpoint.locate(model_of(folder))


def load_keys(path):
    from safetensors import safe_open

    with safe_open(path, framework="np") as weights:
        return list(weights.keys())


def test_replaced_weights_are_asked_again_and_told(folder, tmp_path, caplog):
    _, first = ask(folder, tmp_path / "store")
    assert ask(folder, tmp_path / "store")[1]["responses"]["generated"] == 0
    tiny_checkpoints.save(folder, seed=5)
    _, second = ask(folder, tmp_path / "store")
    assert second["responses"]["generated"] == 1 and second["revision"] != first["revision"]
    assert second["files"] != first["files"]
    assert "m: its revision changed since the last run" in caplog.text
    assert str(tmp_path) not in json.dumps(second), "no folder of this machine in the record"


def test_weights_that_change_between_record_and_use_stop_the_job(folder, monkeypatch):
    recorded = checkpoint.find(model_of(folder))[2]
    checkpoint.find(model_of(folder) | {"revision": recorded})
    located = checkpoint.locate(model_of(folder))
    tiny_checkpoints.save(folder, seed=5)
    with pytest.raises(InputError, match="changed after the workflow had read them"):
        checkpoint.find(model_of(folder) | {"revision": recorded})
    with pytest.raises(InputError, match="changed while they were loaded"):
        checkpoint.load_model(located, None)


def write_adapter(folder, *, base="somewhere/else", target="q_proj", inner=64, outer=64, scale=3.0, layers=2):
    """A LoRA adapter, in the format of peft."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": [target]}))
    torch.manual_seed(1)
    tensors = {}
    for layer in range(layers):
        name = f"base_model.model.model.layers.{layer}.self_attn.{target}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(4, inner) * scale
        tensors[f"{name}.lora_B.weight"] = torch.randn(outer, 4) * scale
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize("alone", [True, False])
def test_without_peft_an_adapter_is_refused_with_the_remedy(folder, tmp_path, alone, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *args: None if name == "peft" else found(name, *args))
    place = write_adapter(tmp_path / "adapter" if alone else folder, base=str(folder))
    with pytest.raises(InputError, match=r"which needs the package peft: install it .*merge_and_unload"):
        checkpoint.locate(model_of(place))


@pytest.mark.parametrize("lacking", ["adapter_config.json", "adapter_model.safetensors"])
def test_half_an_adapter_is_refused(folder, lacking):
    write_adapter(folder)
    (folder / lacking).unlink()
    with pytest.raises(InputError, match=f"has an adapter without {lacking}"):
        checkpoint.locate(model_of(folder))


class TestWithPeft:
    """Where peft is installed; it is in no environment of the workflow."""

    @pytest.fixture(autouse=True)
    def _peft(self):
        pytest.importorskip("peft")

    @pytest.mark.parametrize("alone", [True, False])
    def test_an_adapter_changes_responses_as_its_matrices_say(self, folder, tmp_path, alone):
        import torch
        from safetensors.torch import load_file, save_file

        bare, _ = ask(folder, tmp_path / "store")
        merged = shutil.copytree(folder, tmp_path / "merged")
        place = write_adapter(tmp_path / "adapter" if alone else folder, base=str(folder))
        weights, lora = load_file(merged / "model.safetensors"), load_file(place / "adapter_model.safetensors")
        for layer in range(2):
            name = f"model.layers.{layer}.self_attn.q_proj"
            a, b = (lora[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
            weights[f"{name}.weight"] += 2.0 * torch.mm(b, a)  # lora_alpha / r = 2
        save_file(weights, merged / "model.safetensors", {"format": "pt"})
        adapted, about = ask(place, tmp_path / "store")
        assert adapted == ask(merged, tmp_path / "other")[0] != bare
        assert about["adapter"].startswith("sha256:") and about["responses"]["generated"] == 1
        assert any("adapter_model.safetensors" in name for name in about["files"])
        assert any(name.endswith("/model.safetensors") for name in about["files"])
        write_adapter(place, base=str(folder), scale=2.0)
        assert ask(place, tmp_path / "store")[1]["responses"]["generated"] == 1, "another adapter is asked again"
        tiny_checkpoints.save(folder, seed=5)
        assert ask(place, tmp_path / "store")[1]["responses"]["generated"] == 1, "and so is another base"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"inner": 32}, "have another shape"),
            ({"target": "k_proj"}, "have another shape"),
            ({"target": "no_proj"}, "adapter does not load.*no_proj"),
            ({"layers": 1}, "are missing"),
            ({"layers": 3}, "are not part of the model"),
        ],
    )
    def test_an_adapter_that_does_not_fit_is_an_error(self, folder, tmp_path, change, message):
        with pytest.raises(InputError, match=message):
            load(write_adapter(tmp_path / "adapter", base=str(folder), **change))

    def test_base_weights_that_lack_a_tensor_are_an_error_next_to_an_adapter_too(self, folder):
        edit_config(folder, num_hidden_layers=3)
        write_adapter(folder)
        with pytest.raises(InputError, match="are missing"):
            load(folder)

    def test_an_adapter_of_an_adapter_is_refused(self, folder, tmp_path):
        write_adapter(folder)
        with pytest.raises(InputError, match="merge that one"):
            checkpoint.locate(model_of(write_adapter(tmp_path / "adapter", base=str(folder))))

    def test_a_base_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"no checkpoint at .*/nowhere"):
            checkpoint.locate(model_of(write_adapter(tmp_path / "adapter", base=str(tmp_path / "nowhere"))))

    def test_the_tokenizer_of_an_adapter_comes_first(self, folder, tmp_path):
        place = write_adapter(tmp_path / "adapter", base=str(folder))
        assert checkpoint.locate(model_of(place)).tokenizer_folder == folder
        tiny_checkpoints.tokenizer("chatml").save_pretrained(place)
        assert checkpoint.locate(model_of(place)).tokenizer_folder == place


def shorten(path):
    path.write_bytes(path.read_bytes()[:-10])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shorten, r"it has [\d,]+ bytes, and [\d,]+ according to its header"),
        (lengthen, r"it has [\d,]+ bytes, and [\d,]+ according to its header"),
        (lambda path: path.write_bytes(b""), "its 0 bytes end before its header does"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "its 100 bytes end before its header does"),
        (lambda path: path.write_bytes(b"\4" + bytes(7) + b"oops"), "its header is not readable"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid x"), "pointer of Git LFS"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "model-00001-of-00001.safetensors"])
def test_a_damaged_file_of_weights_is_named_with_its_sizes(folder, name, damage, message):
    if name != "model.safetensors":
        (folder / "model.safetensors").rename(folder / name)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    damage(folder / name)
    with pytest.raises(InputError, match=rf"model m: .*{name} .*{message}.*download the checkpoint again"):
        checkpoint.locate(model_of(folder))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            {"weight_map": {"a": "here.safetensors", "b": "gone.safetensors"}},
            "has no gone.safetensors, which its index",
        ),
        ({}, "has no weight_map"),
        ({"weight_map": []}, "has no weight_map"),
    ],
)
def test_an_index_that_names_an_absent_shard_is_an_error(folder, index, message):
    (folder / "model.safetensors").rename(folder / "here.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=message):
        checkpoint.locate(model_of(folder))
