"""Read the headers of .safetensors files: names, types and shapes of the tensors, and whether the file is whole.

Reads no weights and needs no package, so that a check before the first job can afford it.
"""

import json
from pathlib import Path
from typing import Any

from falserefusal.common.errors import InputError

LENGTH = 8  # bytes that say how long the header is
LFS = b"version https://git-lfs"  # begins the file that Git LFS leaves in place of one it has not fetched


def read_header(path: str | Path) -> dict[str, Any]:
    """The tensors of a .safetensors file by name: dtype, shape and data_offsets.

    Raises
    ------
    InputError
        The file is missing, or not as long as its header says; the message names the file and its sizes.
    """
    try:
        with Path(path).open("rb") as file:
            size = Path(path).stat().st_size
            start = file.read(len(LFS))
            if start == LFS:
                raise InputError(f"{path} is a pointer of Git LFS in place of the weights (git lfs pull fetches them)")
            length = int.from_bytes(start[:LENGTH], "little")
            if size < LENGTH or length > size - LENGTH:
                raise InputError(f"{path} is damaged: its {size:,} bytes end before its header does")
            file.seek(LENGTH)
            header = json.loads(file.read(length))
        tensors = {name: about for name, about in header.items() if name != "__metadata__"}
        whole = LENGTH + length + max((about["data_offsets"][1] for about in tensors.values()), default=0)
    except InputError:  # which is a ValueError
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise InputError(f"{path} is damaged: its header is not readable") from None
    if size != whole:
        raise InputError(f"{path} is damaged: it has {size:,} bytes, and {whole:,} according to its header")
    return tensors


def shards_of(index: str | Path) -> list[str]:
    """The names of the files with weights that an index (model.safetensors.index.json) names."""
    try:
        named = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"]
        return sorted({str(name) for name in named.values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{index} is damaged: it has no weight_map") from None
