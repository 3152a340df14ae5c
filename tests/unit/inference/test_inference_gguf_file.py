"""A GGUF file becomes the checkpoint that it was made from, and what cannot be kept is reported."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

import tiny_checkpoints
import tiny_gguf
from falserefusal.common.errors import InputError
from falserefusal.inference.gguf_file import convert

PROMPT = [{"role": "user", "content": "Given a text, would a woman classify it as polite? 12 times\n\n34"}]


def load(folder, **options):
    """A model as `checkpoint.load_model` loads it; no weight may be missing or left over."""
    options = {"use_safetensors": True, **options}
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, **options
    )
    assert not any(found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    return model.eval()


@torch.inference_mode()
def logits(model, tokenizer):
    return model(**tokenizer.apply_chat_template(PROMPT, return_tensors="pt", return_dict=True)).logits


@pytest.mark.parametrize(
    ("kind", "note"), [("F32", "converted from F32"), ("Q4_1", "dequantized from 4 bit (Q4_1) to float32: not the")]
)
def test_the_checkpoint_is_the_model_in_the_file(tmp_path, monkeypatch, kind, note):
    original = tiny_gguf.write(tmp_path / "tiny.gguf", kind)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    about = convert(tmp_path / "tiny.gguf", tmp_path / "made")
    assert about["note"].startswith(note) and about["dtype"] == "float32"
    assert about["stored_as"][kind] == max(about["stored_as"].values())

    made, as_first = (AutoTokenizer.from_pretrained(folder) for folder in (tmp_path / "made", original))
    assert (made.bos_token, made.eos_token) == (as_first.bos_token, as_first.eos_token)
    assert made.chat_template == as_first.chat_template
    assert (
        made(PROMPT[0]["content"])["input_ids"] == as_first(PROMPT[0]["content"], add_special_tokens=False)["input_ids"]
    )
    found = logits(load(tmp_path / "made"), made)
    in_file = {"gguf_file": "tiny.gguf", "dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
    assert torch.equal(found, logits(load(tmp_path, **in_file), made))
    if kind == "F32":
        torch.testing.assert_close(found, logits(load(original), as_first))


def test_nothing_of_the_quantization_is_left_in_the_configuration(tmp_path):
    tiny_gguf.write(tmp_path / "tiny.gguf", "Q8_0")
    convert(tmp_path / "tiny.gguf", tmp_path / "made")
    config = json.loads((tmp_path / "made/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and config["dtype"] == "float32"
    assert "quantization_config" not in config and config["tie_word_embeddings"] is True
    ends = json.loads((tmp_path / "made/generation_config.json").read_text())["eos_token_id"]
    assert ends == tiny_checkpoints.tokenizer().eos_token_id
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names >= {"model.safetensors", "tokenizer.json", "chat_template.jinja"}
    convert(tmp_path / "tiny.gguf", tmp_path / "again")
    assert all((tmp_path / "made" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in names)


@pytest.mark.parametrize(
    ("split", "digits_apart", "reported"),
    [("gpt-2", False, False), ("smollm", True, False), ("of-tomorrow", False, True)],
)
def test_texts_are_split_as_the_file_declares(tmp_path, split, digits_apart, reported):
    tiny_gguf.write(tmp_path / "tiny.gguf", split=split)
    about = convert(tmp_path / "tiny.gguf", tmp_path / "made")
    backend = AutoTokenizer.from_pretrained(tmp_path / "made").backend_tokenizer
    parts = [part for part, _ in backend.pre_tokenizer.pre_tokenize_str("a\n\n12")]
    assert parts == (["a", "ĊĊ", "1", "2"] if digits_apart else ["a", "Ċ", "Ċ", "12"])
    assert ("as the file declares (of-tomorrow)" in about["note"]) == reported


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "newest"}, r"tiny\.gguf cannot be read \(.*newest.*\); choose another model"),
        ({"arch": "t5"}, r"tiny\.gguf cannot be read \(.*T5Config"),  # no chat model
        ({"without": "blk.1.ffn_up.weight"}, r"lacks 1 weight\(s\), such as model\.layers\.1\.mlp\.up_proj\.weight;"),
        ({"extra": "rope_freqs.weight"}, "scales its positions"),
    ],
)
def test_a_model_that_would_be_another_one_is_refused(tmp_path, options, message):
    tiny_gguf.write(tmp_path / "tiny.gguf", **options)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "tiny.gguf", tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(InputError, match=r"tiny\.gguf cannot be read"):
        convert(tmp_path / "tiny.gguf", tmp_path / "made")
