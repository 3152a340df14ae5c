"""Reduce the many forms of letters, quotes and hyphens to one, without moving a character."""

import unicodedata

_SINGLE = "'‘’‚‛`´′ʼ＇"
_DOUBLE = '"“”„‟«»″＂'
_DASHES = "‐‑‒–—―−"
_TABLE = str.maketrans({**dict.fromkeys(_SINGLE, "'"), **dict.fromkeys(_DOUBLE, '"'), **dict.fromkeys(_DASHES, "-")})


def plain(text: str) -> str:
    """Lower case, straight quotes, plain hyphens and compatibility forms, each character replaced by just one."""
    text = text.translate(_TABLE)
    if not text.isascii():
        text = "".join(c if len(n := unicodedata.normalize("NFKC", c)) != 1 else n for c in text)
        return "".join(c if len(low := c.lower()) != 1 else low for c in text)
    return text.lower()
