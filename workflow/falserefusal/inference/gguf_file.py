"""Convert a GGUF file (the format of llama.cpp, usually quantized) to safetensors in full precision.

transformers reads the weights, but not all that the file declares about RoPE scaling and about how a text is split
before it is tokenized. Where that would change the prompts or the model, this module corrects or reports it.
"""

import dataclasses
import logging
import re
from collections import Counter
from pathlib import Path

from falserefusal.common.errors import InputError

log = logging.getLogger(__name__)

DTYPE = "float32"
UNQUANTIZED = ("F64", "F32", "F16", "BF16")  # types of tensors, as GGUF names them
# how a byte-level tokenizer splits a text, as GGUF names it (tokenizer.ggml.pre)
LIKE_GPT2 = ("gpt-2", "phi-2", "mpt", "olmo", "jais")
DIGITS_APART = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")


@dataclasses.dataclass(frozen=True)
class Contents:
    """Declarations of a GGUF file: weights by tensor type, whether RoPE is scaled, how texts are split."""

    stored: dict[str, int]
    scaled: bool
    split: str | None


def convert(file: Path, folder: Path) -> dict:
    """Write weights, configuration, tokenizer and chat template of a GGUF file as a checkpoint in `folder`.

    Parameters
    ----------
    file : Path
        The GGUF file; of an architecture that transformers reads.
    folder : Path
        Where the checkpoint is written; created if it does not exist.

    Returns
    -------
    dict
        `stored_as`: number of weights in the file by GGUF type; `dtype` of the written weights; `note`: what a reader
        of the results must know about them.

    Raises
    ------
    InputError
        transformers cannot read the file, a weight is missing, or the file scales positions in a way that transformers
        does not read.
    """
    try:
        contents = _inspect(file)
        model, tokenizer, missing = _load(file)
    except (OSError, ValueError, LookupError, ImportError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{file.name} cannot be read ({reason}); choose another model") from error
    if missing:
        raise InputError(f"{file.name} lacks {len(missing)} weight(s), such as {missing[0]}; choose another model")
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    if contents.scaled and rope.get("rope_type", "default") == "default":
        raise InputError(
            f"{file.name} scales its positions (RoPE scaling), which transformers does not read from GGUF: "
            "the responses would be wrong; choose another model"
        )
    notes = [_precision(contents.stored), *_split_as_declared(tokenizer, contents.split)]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"stored_as": contents.stored, "dtype": DTYPE, "note": "; ".join(notes)}


def _inspect(file: Path) -> Contents:
    from gguf import GGUFReader

    reader, stored = GGUFReader(file), Counter()
    for tensor in reader.tensors:
        stored[tensor.tensor_type.name] += int(tensor.n_elements)
    tensors = any(tensor.name.startswith(("rope_freqs", "rope_factors")) for tensor in reader.tensors)
    factor = any(name.endswith(".rope.scaling.factor") for name in reader.fields)
    split = reader.fields.get("tokenizer.ggml.pre")
    return Contents(dict(sorted(stored.items())), tensors or factor, split.contents() if split else None)


def _load(file: Path) -> tuple[object, object, list[str]]:
    """The model in full precision, its tokenizer, and the weights that the file lacks."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging as hub_logging

    hub_logging.disable_progress_bar()
    options = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
    model, found = AutoModelForCausalLM.from_pretrained(
        file.parent,
        dtype=getattr(torch, DTYPE),
        quantization_config=GgufConfig(dequantize=True),  # else save_pretrained refuses the model
        ignore_mismatched_sizes=True,  # reported by name
        output_loading_info=True,
        **options,
    )
    # transformers fills what is missing with random numbers
    return model, tokenizer, sorted([*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])])


def _split_as_declared(tokenizer, declared: str | None) -> list[str]:
    """Make a byte-level tokenizer split texts as the file declares; return a note if that is not possible.

    transformers splits texts as GPT-2 does wherever it does not know the declared method.
    """
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    if declared in LIKE_GPT2 or not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        return []
    if declared in DIGITS_APART:
        parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        backend.pre_tokenizer = pre_tokenizers.Sequence(parts)
        return []
    note = f"texts are split as for GPT-2 before they are tokenized, not as the file declares ({declared})"
    log.warning("%s", note)
    return [note]


def _precision(stored: dict[str, int]) -> str:
    usual = max(stored, key=stored.get)
    if usual in UNQUANTIZED:
        return f"converted from {usual} to {DTYPE}"
    bits = re.search(r"\d", usual)
    return f"dequantized from {bits[0]} bit ({usual}) to {DTYPE}: not the weights as they were before quantization"
