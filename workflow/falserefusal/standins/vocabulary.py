"""The stand-ins' tokenizers: byte-level BPE for any text, one token for each marker, and the pieces of sentences.

All families tokenize ordinary text in the same way, with the same ids. The pre-tokenizer is Qwen2's, because
AutoTokenizer always uses it for a checkpoint of that type.
"""

import functools

from falserefusal.standins.chat import Style

MERGES = 400


def learn_merges(texts: list[str]) -> list[tuple[str, str]]:
    """Train the merges of a byte-level BPE on the study's texts; they shorten prompts."""
    import json

    from tokenizers import trainers

    tokenizer = _plain({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES, min_frequency=2, show_progress=False, initial_alphabet=sorted(_alphabet().values())
    )
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]


def base_vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Ids of the ordinary tokens: the 256 bytes, then the merges."""
    vocabulary = {character: byte for byte, character in _alphabet().items()}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    return vocabulary


def base_tokenizer(merges: list[tuple[str, str]]):
    """A tokenizer for ordinary text only."""
    return _plain(base_vocabulary(merges), merges)


def tokenizer_for(style: Style, merges: list[tuple[str, str]], spoken: list[str], markers: list[str]):
    """Build the tokenizer of a stand-in (tokenizers.Tokenizer), ids in this order: ordinary, spoken, control, markers.

    A spoken piece that is already an ordinary token shares its id.
    """
    from tokenizers import AddedToken, processors

    vocabulary = base_vocabulary(merges)
    for piece in spoken:
        vocabulary.setdefault(written(piece), len(vocabulary))
    tokenizer = _plain(vocabulary, merges)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in style.control])
    tokenizer.add_tokens([AddedToken(marker, normalized=False) for marker in markers])
    if style.bos:  # as in Llama 3 and Gemma: encoding a rendered prompt with special tokens doubles BOS
        bos = (style.bos, tokenizer.token_to_id(style.bos))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{style.bos} $A", special_tokens=[bos])
    return tokenizer


def written(piece: str) -> str:
    """A piece of text in the spelling of a byte-level vocabulary."""
    return "".join(_alphabet()[byte] for byte in piece.encode())


def _plain(vocabulary: dict[str, int], merges: list[tuple[str, str]]):
    from tokenizers import Tokenizer, decoders, models
    from transformers import Qwen2Tokenizer

    own = Qwen2Tokenizer().backend_tokenizer
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges) if vocabulary else models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = own.normalizer, own.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@functools.cache
def _alphabet() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level BPE."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(rest)}
