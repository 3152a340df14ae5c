"""Decode the bytes of a text file; bytes that are not in its encoding are an error."""

import codecs
import re
from pathlib import Path

from falserefusal.common.errors import InputError

BYTE_ORDER_MARKS = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LINE_END = re.compile(r"\r\n|\r|\n")


def decoded(data: bytes, encoding: str, path: str | Path, key: str, errors: str = "strict") -> str:
    """The text of a file; a byte order mark decides, else `encoding`.

    Parameters
    ----------
    data
        The content of the file.
    encoding
        Its encoding, as the config has it.
    path
        The file, for messages.
    key
        Where in the config an encoding is written, for messages: `its source`.
    errors
        As in `bytes.decode`.

    Raises
    ------
    InputError
        A byte is not in the encoding (the message has its line).
    """
    used = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), encoding)
    if used == "utf-8" and data[:200].count(0) > len(data[:200]) / 4:
        raise InputError(f"{path}: every other byte is zero, as in UTF-16; add `encoding: utf-16-le` to {key}")
    try:
        return data.decode(used, errors=errors)
    except UnicodeDecodeError as error:
        line = len(LINE_END.findall(error.object[: error.start].decode(used, errors="replace"))) + 1
        raise InputError(
            f"{path}: line {line} has the byte 0x{error.object[error.start]:02x}, which is not {encoding}. Add the "
            f"file's encoding to {key}, such as `encoding: cp1252` or latin-1 (Western Europe), cp1251 (Cyrillic), gbk "
            "or big5 (Chinese), shift_jis (Japanese), euc-kr (Korean)"
        ) from None
    except UnicodeError as error:
        raise InputError(f"{path}: not readable with `encoding: {encoding}` ({error})") from None
