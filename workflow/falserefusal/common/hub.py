"""Where the weights of a model come from: the Hugging Face hub or a local folder, which is known by its content."""

import fnmatch
import hashlib
import json
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.common.hashes import sha256_of

# files that can change a response: weights, configuration, tokenizer; not a README or an image
PARTS: tuple[str, ...] = ("*.safetensors", "*.json", "tokenizer*", "vocab*", "merges.txt")
PARTS += ("chat_template*", "*.model", "*.tiktoken", "*.jinja", "*.py")
MORE_TEMPLATES = "additional_chat_templates"  # the only folder in a checkpoint that a tokenizer reads
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
BY_CONTENT = "sha256:"  # begins the revision of a local folder


def is_folder(hub_id: str) -> bool:
    """Whether a hub_id names a local folder, not a model of the hub."""
    return hub_id.startswith((".", "/", "~")) or Path(hub_id).is_dir()


def content_files(folder: str | Path) -> dict[str, Path]:
    """The files of a local checkpoint that can change a response, by their names in it."""
    folder = Path(folder).expanduser().resolve()
    found = {path.name: path for path in folder.iterdir() if any(fnmatch.fnmatch(path.name, part) for part in PARTS)}
    found |= {f"{MORE_TEMPLATES}/{path.name}": path for path in (folder / MORE_TEMPLATES).glob("*")}
    return {name: path for name, path in sorted(found.items()) if path.is_file()}


def content_of(folder: str | Path) -> str:
    """The revision of a local checkpoint: a hash of the names and bytes of its files."""
    digest = hashlib.sha256()
    for name, path in content_files(folder).items():
        digest.update(f"{name} {sha256_of(path)}\n".encode())
    return f"{BY_CONTENT}{digest.hexdigest()}"


def base_of(folder: str | Path) -> Path | str | None:
    """The base model of a folder with an adapter alone: a folder or a hub name; None for every other folder."""
    folder = Path(folder).expanduser()
    weights = {path.name for path in folder.glob("*.safetensors")} - {ADAPTER}
    if weights or not (folder / ADAPTER_CONFIG).exists():
        return None
    try:
        named = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
        return Path(named).expanduser() if is_folder(named) else str(named)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{folder / ADAPTER_CONFIG}: names no base model (base_model_name_or_path)") from None


def all_content_of(folder: str | Path) -> list[str]:
    """The content of a local checkpoint and, for an adapter, of its local base model."""
    base = base_of(folder)
    return [content_of(folder)] + ([content_of(base)] if isinstance(base, Path) and base.is_dir() else [])
