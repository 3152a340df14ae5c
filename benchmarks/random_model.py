"""A randomly initialised model of a real architecture whose answers are as long as a study's, for benchmarks.

Random weights never end an answer. Here some of the tokens that the model writes early are made end tokens (their rows
of the output matrix move to special tokens), chosen so that about ENDING of the answers end within EARLY tokens, as
labels do, and the rest runs on, as unforced answers do. What it says means nothing.
"""

from pathlib import Path

ENDING, EARLY = 0.62, 8
SHAPES = {  # hidden size, intermediate size, layers, heads, key-value heads, vocabulary
    "17M": (384, 1024, 6, 6, 6, 4096),
    "1B": (2048, 8192, 16, 32, 8, 128256),
    "8B": (4096, 14336, 32, 32, 8, 128256),
}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}<|sep|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|sep|>\n{% endif %}"
)
SPECIAL = ["<|bos|>", "<|end|>", "<|pad|>", "<|start|>", "<|sep|>", *(f"<|stop{i}|>" for i in range(24))]


def make_tokenizer(texts: list[str], vocabulary: int):
    """A byte-level BPE trained on `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|bos|>",
        eos_token="<|end|>",
        pad_token="<|pad|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.model_max_length = 4096
    return tokenizer


def make(
    folder: Path, shape: str, dtype: str, texts: list[str], conversations: list[list[dict]], seed: int = 0
) -> None:
    """Write the checkpoint to `folder`; `conversations` is a sample of the prompts it will be asked."""
    import torch
    import transformers

    from falserefusal.inference.decode import Decoder
    from falserefusal.inference.decoding import Decoding

    hidden, inner, layers, heads, groups, vocabulary = SHAPES[shape]
    tokenizer = make_tokenizer(texts, min(vocabulary, 4096))
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = transformers.LlamaForCausalLM(config).to(getattr(torch, dtype)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)  # else the next token hardly depends on the prompt
        model.lm_head.weight[list(range(len(SPECIAL))) + list(range(len(tokenizer), vocabulary))] = 0
    rendered = tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=True)
    asked = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    decoder = Decoder(model, [10**9], Decoding(max_new_tokens=EARLY), batch_tokens=8192)
    said = [one.tokens for _, finished in decoder.run(asked) for one in finished]
    stops: list[int] = []
    ended = [False] * len(said)
    while sum(ended) < ENDING * len(said) and len(stops) < 24:
        room = ENDING * len(said) - sum(ended)
        gain: dict[int, int] = {}
        for tokens, done in zip(said, ended, strict=True):
            for token in set() if done else set(tokens[1:]):
                gain[token] = gain.get(token, 0) + 1
        token = max(gain, key=lambda t: (gain[t] if gain[t] <= 1.1 * room else -gain[t], -t))
        stops.append(token)
        ended = [done or token in tokens[1:] for tokens, done in zip(said, ended, strict=True)]
    ids = tokenizer.convert_tokens_to_ids([f"<|stop{i}|>" for i in range(len(stops))])
    with torch.no_grad():
        model.lm_head.weight[ids] = model.lm_head.weight[stops].clone()
        model.lm_head.weight[stops] = 0
    eos = [tokenizer.eos_token_id, *ids]
    model.generation_config = transformers.GenerationConfig(eos_token_id=eos, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
