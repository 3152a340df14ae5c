"""Small randomly initialised checkpoints with the chat templates that occur in the field, for tests of inference."""

from collections.abc import Iterable
from pathlib import Path

LLAMA3 = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
    " + m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
CHATML = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"
    "{%- endif %}{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}{{ '<start_of_turn>' + (m['role'] | replace('assistant', 'model')) + '\n'"
    " + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set head = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set rest = messages %}{% set head = '' %}{% endif %}"
    "{% for m in rest %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + (head if loop.first else '')"
    " + m['content'] | trim + ' [/INST]' }}{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)
# name: template, bos, eos, pad, other control tokens
STYLES = {
    "llama3": (LLAMA3, "<|begin_of_text|>", "<|eot_id|>", None, ["<|start_header_id|>", "<|end_header_id|>"]),
    "chatml": (CHATML, None, "<|endoftext|>", "<|endoftext|>", ["<|im_start|>", "<|im_end|>"]),
    "gemma": (GEMMA, "<bos>", "<eos>", "<pad>", ["<start_of_turn>", "<end_of_turn>"]),
    "llama2": (LLAMA2, "<s>", "</s>", None, []),
}
TRAINING_TEXT = [
    "Given a text, would a black person classify it as offensive or not offensive? Only answer with the label.",
    "I'm sorry, but I cannot help with that. No. The relationship is entailment, contradiction or neutral.",
    "You have to pick one of the two options. A woman would label this text as polite or not polite?",
]


def tokenizer(style: str = "llama3", template: str | None = None):
    """A byte-level BPE of a few hundred tokens with the control tokens and chat template of `style`."""
    own, bos, eos, pad, others = STYLES[style]
    return build_tokenizer(template or own, bos, eos, pad, others)


def build_tokenizer(template: str, bos: str | None, eos: str | None, pad: str | None, others: Iterable[str]):
    """The tokenizer of `tokenizer`, with any chat template and control tokens; `others` are not declared as BOS, ..."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        TRAINING_TEXT, trainers.BpeTrainer(vocab_size=380, show_progress=False, initial_alphabet=sorted(alphabet))
    )
    controls = list(dict.fromkeys(t for t in (bos, eos, pad, *others) if t))
    bpe.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in controls])
    if bos:  # as the real ones: encoding a rendered template with special tokens would double BOS
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=bos, eos_token=eos, pad_token=pad, clean_up_tokenization_spaces=False
    )
    fast.chat_template = template
    fast.model_max_length = 2048
    return fast


def save(
    folder: str | Path, style: str = "llama3", arch: str = "llama", seed: int = 0, dtype: str = "float32", **config
):
    """Write a checkpoint with random weights under `folder`, sharp enough that greedy answers differ."""
    import torch
    import transformers

    folder = Path(folder)
    tok = tokenizer(style)
    sizes = dict(
        vocab_size=len(tok),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=2048,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
        tie_word_embeddings=False,
    )
    names = {"llama": "Llama", "qwen2": "Qwen2", "gemma2": "Gemma2", "mistral": "Mistral"}
    configuration = getattr(transformers, f"{names[arch]}Config")(**{**sizes, **config})
    torch.manual_seed(seed)
    model = getattr(transformers, f"{names[arch]}ForCausalLM")(configuration)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tok.eos_token_id, temperature=0.6, top_p=0.9, do_sample=True, repetition_penalty=1.1
    )
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder
