"""Decode the bytes of a file of texts; bytes that are not in its encoding are an error."""

import re
from pathlib import Path

from falserefusal.common.decoding import decoded
from falserefusal.common.errors import InputError
from falserefusal.texts.sources import Source

OTHER_FORMATS = {
    b"PAR1": "a Parquet file; its name must end in .parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook; the name of a workbook must end in .xlsx",
    b"\x1f\x8b": "a gzip file; its name must end in .gz",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel; save it as .xlsx or as CSV UTF-8",
}
STRAY_BYTES = re.compile("[\udc80-\udcff]+")


def decode(data: bytes, spec: Source, path: Path) -> str:
    """The text of a delimited or JSON file.

    A byte order mark decides, else `spec.encoding`. Where the source mixes encodings, bytes that are not UTF-8 are kept
    as surrogates, for `windows` to read.

    Raises
    ------
    InputError
        A byte is not in the encoding (the message has its line), or the file is of another format.
    """
    for start, words in OTHER_FORMATS.items():
        if data.startswith(start):
            raise InputError(f"{path}: this is {words}")
    errors = "surrogateescape" if spec.mixed_encodings else "strict"
    return decoded(data, spec.encoding, path, "its source", errors)


def windows(text: str) -> str:
    """Read the stray bytes of a text that mixes encodings as Windows-1252."""
    return STRAY_BYTES.sub(
        lambda found: found[0].encode("utf-8", "surrogateescape").decode("cp1252", errors="replace"), text
    )
