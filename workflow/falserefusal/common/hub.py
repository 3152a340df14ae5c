"""Where the weights of a model come from: the Hugging Face hub or a local folder."""

from pathlib import Path


def is_folder(hub_id: str) -> bool:
    """Whether a hub_id names a local folder, not a model of the hub."""
    return hub_id.startswith((".", "/", "~")) or Path(hub_id).is_dir()
