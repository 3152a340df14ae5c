"""Check that a tokenizer keeps plain text, and that the model has an embedding for every token of it."""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.common.weight_headers import read_header

log = logging.getLogger(__name__)

SENTINEL = "Is this polite? Zürich, 12 \n ok"
EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings)\.weight$")
SPACE_MARK = "▁"  # stands for a space in many vocabularies, so that they cannot tell it from one
REMEDY = "use the tokenizer that the weights were trained with"


def decoded(tokenizer, rows: list[list[int]]) -> list[str]:
    """The texts of rows of token ids, control tokens included."""
    return tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def check_round_trip(tokenizer) -> None:
    """Raise InputError for a tokenizer that loses letters, spaces or lines of a plain text.

    Compatible characters (NFKC) and blanks around the text do not count. Text that the tokenizer does not know does not
    either: `Chat.encode` names the prompts that have some.
    """
    ids = tokenizer(SENTINEL, add_special_tokens=False)["input_ids"]
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
        return
    (found,) = decoded(tokenizer, [ids])
    if _normal(found).strip() != _normal(SENTINEL):
        raise InputError(f"the tokenizer changes plain text: of {SENTINEL!r} it keeps {found[:80]!r}; {REMEDY}")


def lost(text: str, kept: str) -> list[str]:
    """The visible characters of `text` that are not in `kept`, or [] if nothing is lost."""
    if text == kept:
        return []
    before, after = (
        [c for c in _normal(part) if not c.isspace() and unicodedata.category(c)[0] != "C" and c != SPACE_MARK]
        for part in (text, kept)
    )
    return [] if before == after else list(Counter(before) - Counter(after)) or ["their order"]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def embedding_rows(files: Iterable[Path]) -> int | None:
    """Rows of the token embedding in files of weights, from their headers; None if it has a name of its own."""
    found = [
        about["shape"][0]
        for path in files
        for name, about in read_header(path).items()
        if EMBEDDING.search(name) and len(about["shape"]) == 2 and "F" in about["dtype"]  # others are packed
    ]
    return max(found, default=None)


def check_vocabulary(tokenizer, rows: int) -> None:
    """Raise InputError for tokens without a row in the embedding.

    Control tokens that no prompt has are only reported: some families share a tokenizer between models for text and
    for images, or name a token for padding that the model never sees.
    """
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= rows}
    used = {tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token}
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= {*tokenizer.all_special_tokens}
    unused = {token for token in beyond if token in special - used and token not in (tokenizer.chat_template or "")}
    if wrong := sorted(beyond.keys() - unused, key=beyond.__getitem__):
        raise InputError(
            f"{len(wrong)} token(s) of the tokenizer, such as {wrong[0]!r} (id {beyond[wrong[0]]}), are beyond the "
            f"{rows:,} rows of the model's embedding; {REMEDY}"
        )
    if unused:
        log.warning("control tokens without a row in the model's embedding: %s", ", ".join(sorted(unused)[:5]))


def check_ids(tokenizer, ids: list[list[int]], names: list[str], rows: int) -> None:
    """Raise InputError for a prompt with a token beyond the embedding."""
    for row, name in zip(ids, names, strict=True):
        if (worst := max(row)) >= rows:
            token = tokenizer.convert_ids_to_tokens(worst)
            raise InputError(
                f"prompt {name}: contains {token!r} (id {worst}), and the model's embedding has {rows:,} rows; {REMEDY}"
            )
