"""A random model with a real architecture and size, whose responses are as long as those of a study, for benchmarks.

Its layers are random, and cost what trained ones cost. The output matrix is written so that each response follows one
of three scripts, selected by the prompt's last hidden state: an option (SHORT of the responses), a long response that
reaches the limit (as many unforced responses do), or a refusal (REFUSED, about the paper's mean rate). The content has
no meaning; only the length is realistic.
"""

import itertools
from pathlib import Path

SHORT, REFUSED = 0.59, 0.08  # the rest is long: a third, like the unforced templates
EMBEDDING = 50.0  # scale of the embeddings over the usual one: a token's own embedding dominates its hidden state
HIDDEN, INNER, LAYERS, HEADS, VOCABULARY = 384, 1024, 6, 6, 4096
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}<|sep|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|reply|>{% endif %}"
)
OPTION, REFUSAL = (
    "Not offensive",
    "I'm sorry, but it would be wrong to say how people of one group judge any such text.",
)
SPECIAL = ["<|bos|>", "<|end|>", "<|pad|>", "<|start|>", "<|sep|>", "<|reply|>"]
LONG = 160  # tokens, more than any limit used
STRENGTH = 40.0  # of a script over everything else, in logits per unit of hidden state


def make_tokenizer(texts: list[str]):
    """Train a byte-level BPE tokenizer on `texts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([*texts, OPTION, REFUSAL], trainer)
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


def scripts(tokenizer) -> list[list[int]]:
    """The three responses in tokens; no token is in two of them or twice in one, because each determines the next."""
    end = tokenizer.eos_token_id
    refusal = list(dict.fromkeys(tokenizer(REFUSAL)["input_ids"]))
    option = [token for token in dict.fromkeys(tokenizer(OPTION)["input_ids"]) if token not in refusal]
    words = [i for text, i in sorted(tokenizer.get_vocab().items()) if text[0] == "Ġ" and text[1:].isalpha()]
    long = [token for token in words if token not in {*refusal, *option}][:LONG]
    return [[*option, end], long, [*refusal, end]]


def make(folder: Path, texts: list[str], conversations: list[list[dict]]) -> None:
    """Write the checkpoint to `folder`, in float32.

    Parameters
    ----------
    folder : folder of the checkpoint.
    texts : training texts of the tokenizer.
    conversations : the prompts of the benchmark.
    """
    import torch
    import transformers

    tokenizer = make_tokenizer(texts)
    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        **special,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    model.model.embed_tokens.weight.data *= EMBEDDING
    rendered = tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=True)
    asked = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():  # the last hidden state of each prompt
        state = torch.stack([model.model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in asked])
    embedding = model.model.embed_tokens.weight.detach()
    model.lm_head.weight.data = _outputs(embedding, state, scripts(tokenizer))
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _outputs(embedding, state, scripts: list[list[int]]):
    """Output matrix [vocabulary, hidden] that selects a script by the prompt's `state` and continues along it.

    The scripts are ranked along the direction in which states differ most (apart from the span of the scripts' own
    tokens), relative to the states' common part. The logits of their first tokens are lines that cross near the two
    target quantiles, each in the widest gap nearby.
    """
    import torch

    weight = torch.zeros_like(embedding)
    unit = embedding / embedding.norm(dim=1, keepdim=True)
    for script in scripts:
        for before, after in itertools.pairwise(script):
            weight[after] += STRENGTH * unit[before]
    common = state.mean(0) / state.mean(0).norm()
    taken = torch.linalg.qr(torch.stack([common, *(unit[token] for script in scripts for token in script)]).T)[0]
    free = state - state @ taken @ taken.T
    main = torch.linalg.svd(free - free.mean(0), full_matrices=False)[2][0]
    place = (state @ main) / (state @ common)
    cuts = [_gap(place.sort().values, share) for share in (SHORT, 1 - REFUSED)]
    slope = 1 / float(place.std())
    for rank, script in enumerate(scripts):
        weight[script[0]] += (STRENGTH - slope * sum(cuts[:rank])) * common + rank * slope * main
    return weight


def _gap(ordered, share: float) -> float:
    """A value in the widest gap within one percent of the quantile `share`."""
    middle, reach = int(share * len(ordered)), max(2, len(ordered) // 100)
    near = range(max(0, middle - reach), min(len(ordered) - 1, middle + reach))
    i = max(near, key=lambda i: ordered[i + 1] - ordered[i])
    return float(ordered[i] + ordered[i + 1]) / 2
