"""Checkpoints that write a fixed reply to every prompt, with any chat template."""

import itertools
from collections.abc import Sequence
from pathlib import Path

CHATML = (
    "{%- for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_CONTROLS = ("<|im_start|>", "<|im_end|>")


def with_end(end: str) -> str:
    """ChatML whose prompts end with `end`, a piece of a Jinja template, after the header of the reply."""
    return CHATML.replace("assistant\n' }}{% endif", "assistant\n' }}" + end + "{% endif")


def fixed_tokenizer(template: str, pieces: Sequence[str], controls: Sequence[str], bos: str | None, eos: str):
    """A byte-level tokenizer; `controls` are declared as special, each of `pieces` is a token that is not."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = list(dict.fromkeys(t for t in (bos, eos, *controls) if t))
    bpe.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    bpe.add_tokens([AddedToken(t, normalized=False, special=False) for t in pieces if t not in special])
    if bos:
        bpe.post_processor = processors.TemplateProcessing(f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False
    )
    fast.chat_template, fast.model_max_length = template, 1024
    return fast


def fixed_reply(
    folder: Path,
    reply: Sequence[str],
    template: str = CHATML,
    last: str = "\n",
    controls: Sequence[str] = CHATML_CONTROLS,
    bos: str | None = None,
    eos: str = "<|im_end|>",
) -> Path:
    """Write a checkpoint whose next token follows from the last one alone.

    After `last`, the last token of a prompt, it writes the pieces of `reply`, each a token that occurs once, and EOS.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    fast = fixed_tokenizer(template, [last, *reply], controls, bos, eos)
    size = len(fast)
    hidden = -(-size // 4) * 4
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=hidden,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    chain = [*fast.convert_tokens_to_ids([last, *reply]), fast.eos_token_id]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.model.embed_tokens.weight[torch.arange(size), torch.arange(size)] = 1.0
        model.lm_head.weight[fast.eos_token_id, :] = 0.5  # after any other token
        for token, following in itertools.pairwise(chain):
            model.lm_head.weight[following, token] = 2.0
    model.generation_config = GenerationConfig(eos_token_id=fast.eos_token_id)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
