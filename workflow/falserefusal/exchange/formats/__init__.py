"""The formats of response files, one module each; importing this package registers them."""

from falserefusal.exchange.formats import (  # noqa: F401
    anthropic_batch,
    inspect_log,
    lm_eval,
    openai_batch,
    tables,
)
from falserefusal.exchange.formats.format import format_of, read_file

__all__ = ["format_of", "read_file"]
