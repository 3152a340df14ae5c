"""Write a Llama checkpoint as a GGUF file, the format of llama.cpp."""

import json
from pathlib import Path

NORMAL, CONTROL, UNUSED = 1, 3, 5  # types of tokens, as GGUF numbers them


def write(
    folder: Path, file: Path, kind: str, split: str, arch: str = "llama", extra: str = "", without: str = ""
) -> None:
    """Write the checkpoint in `folder` to `file`.

    `kind`: the GGUF type of its matrices; `split`: how it says texts are split; `arch`: what it says the model is;
    `extra`, `without`: the name of one more tensor, and of one that is left out.
    """
    import gguf
    import numpy as np
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config, writer = model.config, gguf.GGUFWriter(file, arch)
    _write_sizes(writer, config)
    _write_tokenizer(writer, AutoTokenizer.from_pretrained(folder), config.vocab_size, split)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weights in model.state_dict().items():
        own = names.get_name(name, try_suffixes=(".weight",))
        if own == without or (name == "lm_head.weight" and config.tie_word_embeddings):
            continue
        data, projection = weights.numpy(), name.split(".")[-2]
        data = _interleave(data, heads[projection]) if projection in heads else data
        stored = gguf.GGMLQuantizationType[kind if data.ndim > 1 else "F32"]
        writer.add_tensor(own, gguf.quantize(np.ascontiguousarray(data), stored), raw_dtype=stored)
    if extra:
        writer.add_tensor(extra, np.ones(8, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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


def _write_tokenizer(writer, tokenizer, size: int, split: str) -> None:
    words, control = tokenizer.get_vocab(), set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    tokens = {number: word for word, number in words.items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list([tokens.get(number, f"[unused {number}]") for number in range(size)])
    kinds = [CONTROL if number in control else NORMAL if number in tokens else UNUSED for number in range(size)]
    writer.add_token_types(kinds)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)  # the chat template writes it
    writer.add_chat_template(tokenizer.chat_template)
