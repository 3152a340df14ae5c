"""Write a stand-in as a transformers checkpoint: configuration, safetensors, tokenizer, chat template, model card."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from falserefusal.common.files import write_text
from falserefusal.standins.chat import STYLES
from falserefusal.standins.circuit import Circuit, build, spoken_tokens
from falserefusal.standins.planted import Planted
from falserefusal.standins.vocabulary import tokenizer_for, written

CONTEXT = 8192


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A transformers architecture for stand-ins.

    gain: gain of its norms, stored minus `gain_offset`; scaled: whether it multiplies embeddings by the root of the
    hidden size, which must then be a power of two; sandwich: whether it has norms after attention and MLP too;
    generation: the family's default decoding options, which a study's own must override.
    """

    name: str
    style: str
    options: dict = dataclasses.field(default_factory=dict)
    gain: float = 512.0
    gain_offset: float = 0.0
    scaled: bool = False
    sandwich: bool = False
    generation: dict = dataclasses.field(default_factory=dict)

    @property
    def roots(self) -> list[int]:
        """Roots of the possible hidden sizes, which 8 heads divide into equal parts."""
        return [16, 32] if self.scaled else [12, 16, 20, 24]


_GEMMA: dict[str, Any] = {"style": "gemma", "gain": 256.0, "gain_offset": 1.0, "scaled": True}
ARCHITECTURES = {
    "Llama": Architecture("Llama", "headers", generation={"do_sample": True, "temperature": 0.6, "top_p": 0.9}),
    "Qwen": Architecture(
        "Qwen2",
        "chatml",
        {"use_sliding_window": False},
        generation={"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05},
    ),
    "Gemma": Architecture("Gemma", **_GEMMA),
    "Gemma2": Architecture(
        "Gemma2",
        options={"attn_logit_softcapping": None, "final_logit_softcapping": None, "query_pre_attn_scalar": 64},
        sandwich=True,
        **_GEMMA,
    ),
}


def architecture_of(family: str, generation: str) -> Architecture:
    """Choose the architecture by a model's generation or family; Llama, the most common, for any other."""
    return ARCHITECTURES.get(generation) or ARCHITECTURES.get(family) or ARCHITECTURES["Llama"]


def write(folder: str | Path, planted: Planted, merges: list[tuple[str, str]]) -> None:
    """Write to `folder` all files that AutoTokenizer and AutoModelForCausalLM load, and planted.json."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    architecture = architecture_of(planted.model["family"], planted.model["generation"])
    ids, size = _write_tokenizer(folder, planted, architecture, merges)
    circuit = build(planted, ids, size, architecture.sandwich, architecture.gain, architecture.roots)
    _write_model(folder, planted, architecture, circuit, ids)
    planted.save(folder)
    write_text(_card(planted, architecture), folder / "README.md")


def spoken_texts(planted: Planted) -> list[str]:
    """The texts of the tokens that a stand-in can write."""
    return [token.text for token in spoken_tokens(list(planted.sentences["text"]), planted.personas, planted.options)]


def tokenizer_of(planted: Planted, merges: list[tuple[str, str]]):
    """Build the tokenizer of a stand-in (tokenizers.Tokenizer)."""
    return tokenizer_for(STYLES[planted.style], merges, spoken_texts(planted), list(planted.markers["marker"]))


def _write_tokenizer(folder, planted, architecture, merges) -> tuple[dict[str, int], int]:
    """Write the tokenizer; returns the ids of pieces, control tokens and markers, and the size of the vocabulary."""
    from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

    style = STYLES[architecture.style]
    tokenizer = tokenizer_of(planted, merges)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=style.bos,
        eos_token=style.end,
        pad_token=style.pad,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = style.template
    wrapped.save_pretrained(folder)
    # AutoTokenizer rebuilds some tokenizers by its own rules; save its version, so that the file is what is used
    config = AutoConfig.for_model(architecture.name.lower())
    AutoTokenizer.from_pretrained(folder, config=config).save_pretrained(folder)
    ids = {text: tokenizer.token_to_id(written(text)) for text in spoken_texts(planted)}
    ids |= {token: tokenizer.token_to_id(token) for token in (*style.control, *planted.markers["marker"])}
    return ids, tokenizer.get_vocab_size()


def _write_model(folder, planted: Planted, architecture: Architecture, circuit: Circuit, ids: dict[str, int]) -> None:
    import torch
    import transformers

    style = STYLES[architecture.style]
    bos, pad = (None if token is None else ids.get(token) for token in (style.bos, style.pad))
    special = {"bos_token_id": bos, "eos_token_id": ids[style.end], "pad_token_id": pad}
    vocabulary, hidden = circuit.embedding.shape
    config = getattr(transformers, f"{architecture.name}Config")(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=len(circuit.gate),
        num_hidden_layers=1,
        num_attention_heads=circuit.heads,
        num_key_value_heads=circuit.groups,
        head_dim=circuit.width,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1e8},
        **architecture.options,
        **special,
    )
    model = getattr(transformers, f"{architecture.name}ForCausalLM")(config)
    embedding = circuit.embedding / (np.sqrt(hidden) if architecture.scaled else 1)
    weights = {
        "embed_tokens": embedding,
        "q_proj": circuit.query,
        "k_proj": circuit.key,
        "v_proj": circuit.value,
        "o_proj": circuit.merge,
        "gate_proj": circuit.gate,
        "up_proj": circuit.up,
        "down_proj": circuit.down,
        "lm_head": circuit.output,
    }
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            layer, kind = name.split(".")[-2:]
            if layer in weights and kind == "weight":
                parameter.copy_(torch.from_numpy(weights[layer]))
            elif layer.endswith("norm"):
                parameter.fill_(circuit.gain - architecture.gain_offset)
                if architecture.sandwich and layer in ("post_attention_layernorm", "post_feedforward_layernorm"):
                    parameter[0] = -architecture.gain_offset  # do not add the large channel back
            elif kind == "bias":
                parameter.zero_()
            else:
                raise NotImplementedError(f"{architecture.name} has an unknown parameter {name}")
    model.generation_config = transformers.GenerationConfig(**special, **architecture.generation)
    transformers.utils.logging.disable_progress_bar()
    model.to(getattr(torch, planted.model["dtype"])).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # is written readable by its owner only


def _card(planted: Planted, architecture: Architecture) -> str:
    model = planted.model
    return f"""---
library_name: transformers
tags: [stand-in, not-a-language-model]
---
# Stand-in named {model["model"]}

This is not {model["model"]} and says nothing about it. It is a {architecture.name} network of one layer whose weights
were computed by a program, not trained. It recognises the questions of one study, refuses a planted share of them
({model["plant"]}), and says fixed sentences. It exists to test the study's workflow against known rates
(`planted.json`). What is measured on it says something about the workflow, and nothing about any real model.

It complains, in brackets, about visible padding, a doubled or missing BOS, a missing reply header, and an unknown
question.
"""
