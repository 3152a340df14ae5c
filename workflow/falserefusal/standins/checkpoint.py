"""Write a circuit as a transformers checkpoint: configuration, safetensors, tokenizer, chat template, model card."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from falserefusal.common.files import write_text
from falserefusal.standins.chat import STYLES
from falserefusal.standins.circuit import Circuit, build, spoken_tokens
from falserefusal.standins.planted import Planted
from falserefusal.standins.vocabulary import tokenizer_for, written

CONTEXT = 8192


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A transformers class a stand-in can be written in.

    gain: of its norms, stored less `gain_offset`; scaled: whether it multiplies embeddings by the root of the hidden
    size, which must then be a power of two; sandwich: norms after attention and MLP as well. generation: the decoding
    options the family ships, which a study's own must override.
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
        """Roots of the hidden sizes it may have: whole numbers of which 8 heads take equal parts."""
        return [16, 32] if self.scaled else [12, 16, 20, 24]


_GEMMA = {"style": "gemma", "gain": 256.0, "gain_offset": 1.0, "scaled": True}
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
    """The architecture of a model's generation or family; Llama's for any other, the most common of all."""
    return ARCHITECTURES.get(generation) or ARCHITECTURES.get(family) or ARCHITECTURES["Llama"]


def write(folder: str | Path, planted: Planted, merges: list[tuple[str, str]]) -> None:
    """Write everything AutoTokenizer and AutoModelForCausalLM load, and what was planted, to `folder`."""
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
    """The texts of the tokens a stand-in can say."""
    return [token.text for token in spoken_tokens(list(planted.answers["text"]), planted.personas, planted.options)]


def tokenizer_of(planted: Planted, merges: list[tuple[str, str]]):
    """Its tokenizer (tokenizers.Tokenizer)."""
    return tokenizer_for(STYLES[planted.style], merges, spoken_texts(planted), list(planted.markers["marker"]))


def _write_tokenizer(folder, planted, architecture, merges) -> tuple[dict[str, int], int]:
    """Returns the ids of spoken pieces, control tokens and markers, and the size of the vocabulary."""
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
    # AutoTokenizer rebuilds some tokenizers by its own rules: save what it makes, so that the file is what is used
    config = AutoConfig.for_model(architecture.name.lower())
    AutoTokenizer.from_pretrained(folder, config=config).save_pretrained(folder)
    ids = {text: tokenizer.token_to_id(written(text)) for text in spoken_texts(planted)}
    ids |= {token: tokenizer.token_to_id(token) for token in (*style.control, *planted.markers["marker"])}
    return ids, tokenizer.get_vocab_size()


def _write_model(folder, planted: Planted, architecture: Architecture, circuit: Circuit, ids: dict[str, int]) -> None:
    import torch
    import transformers

    style = STYLES[architecture.style]
    special = {"bos_token_id": ids.get(style.bos), "eos_token_id": ids[style.end], "pad_token_id": ids.get(style.pad)}
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
                    parameter[0] = -architecture.gain_offset  # its large channel ends here
            elif kind == "bias":
                parameter.zero_()
            else:
                raise NotImplementedError(f"{architecture.name} has a parameter {name} that no stand-in knows")
    model.generation_config = transformers.GenerationConfig(**special, **architecture.generation)
    transformers.utils.logging.disable_progress_bar()
    model.to(getattr(torch, planted.model["dtype"])).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # written for its owner alone; colleagues must be able to load it


def _card(planted: Planted, architecture: Architecture) -> str:
    model = planted.model
    return f"""---
library_name: transformers
tags: [stand-in, not-a-language-model]
---
# Stand-in named {model["model"]}

This is not {model["model"]} and says nothing about it. It is a {architecture.name} network of one layer whose
weights were written by a program, not trained. It recognises the questions of one study, refuses a share of them that
was planted ({model["plant"]}), and says set phrases. It exists to rehearse the study's workflow against a known truth
(`planted.json`); whatever is measured on it is evidence about the workflow and about nothing else.

It complains, in brackets, if it sees padding, a doubled or missing BOS, no header of a reply, or no question it knows.
"""
