"""Decode the bytes of a file of texts; bytes that are not in its encoding are an error."""

import codecs
import re
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.texts.sources import Source

BYTE_ORDER_MARKS = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OTHER_FORMATS = {
    b"PAR1": "a Parquet file; its name must end in .parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook; the name of a workbook must end in .xlsx",
    b"\x1f\x8b": "a gzip file; its name must end in .gz",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel; save it as .xlsx or as CSV UTF-8",
}
LINE_END = re.compile(r"\r\n|\r|\n")
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
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), spec.encoding)
    if encoding == "utf-8" and data[:200].count(0) > len(data[:200]) / 4:
        raise InputError(f"{path}: every other byte is zero, as in UTF-16; add `encoding: utf-16-le` to its source")
    try:
        return data.decode(encoding, errors="surrogateescape" if spec.mixed_encodings else "strict")
    except UnicodeDecodeError as error:
        line = len(LINE_END.findall(error.object[: error.start].decode(encoding, errors="replace"))) + 1
        raise InputError(
            f"{path}: line {line} has the byte 0x{error.object[error.start]:02x}, which is not {spec.encoding}. Add "
            "the file's encoding to its source, such as `encoding: cp1252` or latin-1 (Western Europe), cp1251 "
            "(Cyrillic), gbk or big5 (Chinese), shift_jis (Japanese), euc-kr (Korean)"
        ) from None
    except UnicodeError as error:
        raise InputError(f"{path}: not readable with `encoding: {spec.encoding}` ({error})") from None


def windows(text: str) -> str:
    """Read the stray bytes of a text that mixes encodings as Windows-1252."""
    return STRAY_BYTES.sub(
        lambda found: found[0].encode("utf-8", "surrogateescape").decode("cp1252", errors="replace"), text
    )
