"""A small random Llama as a GGUF file, and wheels that hold such files, for tests."""

import base64
import hashlib
import zipfile
from pathlib import Path

import gguf_writer
import tiny_checkpoints


def write(
    file: Path, kind: str = "F32", split: str = "gpt-2", arch: str = "llama", extra: str = "", without: str = ""
) -> Path:
    """Write a Llama with tied embeddings to `file`; return the folder of the same model as a checkpoint.

    `kind`: the GGUF type of its matrices; `split`: how it says texts are split; `extra`, `without`: the name of one
    more tensor, and of one that is left out.
    """
    folder = tiny_checkpoints.save(file.with_suffix(".checkpoint"), seed=4, tie_word_embeddings=True)
    gguf_writer.write(folder, file, kind, split, arch, extra, without)
    return folder


def wheel(folder: Path, members: dict[str, Path | bytes], package: str = "tiny_llm", version: str = "1.0") -> Path:
    """Write a wheel with these members to `folder`, as pip accepts one."""
    about = f"{package}-{version}.dist-info"
    files = {name: data.read_bytes() if isinstance(data, Path) else data for name, data in members.items()}
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    sums = {name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for name, data in files.items()}
    record = [f"{name},sha256={sums[name].rstrip(b'=').decode()},{len(data)}" for name, data in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,"]).encode()
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
