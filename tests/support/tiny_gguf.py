"""A small random Llama as a GGUF file, and wheels that hold such files, for tests."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import tiny_checkpoints

HEADS, KV_HEADS = 4, 2  # of tiny_checkpoints


def write(
    file: Path, kind: str = "F32", split: str = "gpt-2", arch: str = "llama", extra: str = "", without: str = ""
) -> Path:
    """Write a Llama with tied embeddings to `file`; return the folder of the same model as a checkpoint.

    `kind`: the GGUF type of its matrices; `split`: how it says texts are split; `extra`, `without`: the name of one
    more tensor, and of one that is left out.
    """
    import gguf
    import numpy as np
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = tiny_checkpoints.save(file.with_suffix(".checkpoint"), seed=4, tie_word_embeddings=True)
    model, tokenizer = LlamaForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    writer = gguf.GGUFWriter(file, arch)
    _write_sizes(writer, model.config)
    _write_tokenizer(writer, tokenizer, split)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    for name, weights in model.state_dict().items():
        data = weights.numpy()
        if name != "lm_head.weight":  # tied
            heads = HEADS if "q_proj" in name else KV_HEADS if "k_proj" in name else None
            data = _interleave(data, heads) if heads else data
            stored = gguf.GGMLQuantizationType[kind if data.ndim > 1 else "F32"]
            name = names.get_name(name, try_suffixes=(".weight",))
            if name == without:
                continue
            writer.add_tensor(name, gguf.quantize(np.ascontiguousarray(data), stored), raw_dtype=stored)
    if extra:
        writer.add_tensor(extra, np.ones(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


def _interleave(weights, heads: int):
    """The rows of a query or key projection in the order in which llama.cpp rotates them."""
    half = len(weights) // heads // 2
    return weights.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weights.shape)


def _write_sizes(writer, config) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer, tokenizer, split: str) -> None:
    ids = tokenizer.get_vocab()
    tokens, control = sorted(ids, key=ids.get), tokenizer.get_added_vocab()
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in control else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_chat_template(tokenizer.chat_template)


def wheel(folder: Path, members: dict[str, Path | bytes], package: str = "tiny_llm", version: str = "1.0") -> Path:
    """Write a wheel with these members to `folder`, as pip accepts one."""
    about = f"{package}-{version}.dist-info"
    files = {name: data.read_bytes() if isinstance(data, Path) else data for name, data in members.items()}
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    sums = {name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for name, data in files.items()}
    record = [f"{name},sha256={sums[name].rstrip(b'=').decode()},{len(data)}" for name, data in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,"]).encode()
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
