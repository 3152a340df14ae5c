"""Find a checkpoint (local folder or hub id), identify its version, and load it; safetensors only."""

import contextlib
import dataclasses
import importlib.util
import json
import logging
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.common.hashes import identified, portable
from falserefusal.common.hub import (
    ADAPTER,
    ADAPTER_CONFIG,
    BY_CONTENT,
    PARTS,
    base_of,
    content_files,
    content_of,
    is_folder,
)
from falserefusal.common.weight_headers import read_header, shards_of

log = logging.getLogger(__name__)

UNREAD = ("*/*", "consolidated*.safetensors")  # the latter repeat the weights in another format
STORED_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # as a .safetensors file names them


@dataclasses.dataclass(frozen=True)
class Adapter:
    """A LoRA adapter, loaded on top of a base model. `revision`: as of a Checkpoint."""

    folder: Path
    revision: str


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this disk. `revision`: the hub commit, or a hash of the files of a local folder."""

    name: str  # hub id, or the model's id for a local folder
    folder: Path
    revision: str
    dtype: str
    quantization: str | None
    trust_remote_code: bool
    adapter: Adapter | None = None

    @property
    def identity(self) -> dict:
        """Everything that can change a response, for the store's key; not the folder of the files."""
        own = {"name": self.name, "revision": self.revision, "dtype": self.dtype, "quantization": self.bitsandbytes}
        return own | ({"adapter": self.adapter.revision} if self.adapter else {})

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer is read from: an adapter may have been trained with a chat template of its own."""
        own = self.adapter and (self.adapter.folder / "tokenizer_config.json").exists()
        return self.adapter.folder if own else self.folder

    @property
    def bitsandbytes(self) -> dict | None:
        """How the weights are quantised on loading."""
        if self.quantization == "4bit":  # NormalFloat suits trained weights; the default would compute in float32
            return {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": self.dtype}
        return {"load_in_8bit": True} if self.quantization else None


def locate(model: dict) -> Checkpoint:
    """Resolve `model` to a checkpoint on this disk, and to how it is loaded.

    Parameters
    ----------
    model : dict
        As `find` reads it; and `dtype` (auto: as the checkpoint was saved), `quantization` and `trust_remote_code`.

    Raises
    ------
    InputError
        As `find`, `with_base` and `saved_dtype`.
    """
    name, *found = find(model)
    folder, revision, adapter = with_base(model, *found)
    return Checkpoint(
        name=name,
        folder=folder,
        revision=revision,
        dtype=saved_dtype(model["model"], folder) if model["dtype"] == "auto" else model["dtype"],
        quantization=model["quantization"],
        trust_remote_code=model["trust_remote_code"],
        adapter=adapter,
    )


def with_base(model: dict, folder: Path, revision: str) -> tuple[Path, str, Adapter | None]:
    """Folder and revision of the base model, and the adapter, where `find` found one; else what it found, and None.

    Raises
    ------
    InputError
        The adapter lacks a file or its base model, or the package that loads it (peft) is not installed.
    """
    files = [name for name in (ADAPTER_CONFIG, ADAPTER) if (folder / name).exists()]
    if not files:
        return folder, revision, None
    who = f"model {model['model']}: {folder} has an adapter"
    if len(files) == 1:
        lacking = ADAPTER if files == [ADAPTER_CONFIG] else ADAPTER_CONFIG
        raise InputError(f"{who} without {lacking}; add that file, or remove {files[0]} to ask the base model alone")
    if importlib.util.find_spec("peft") is None:
        raise InputError(
            f"{who}, which needs the package peft: install it (pip install peft), or save the merged model "
            "(merge_and_unload) to a new folder and use that as hub_id"
        )
    adapter, base = Adapter(folder, revision), base_of(folder)
    if base is not None:
        config = _read_json(folder / ADAPTER_CONFIG)
        row = {"model": model["model"], "hub_id": str(base), "revision": config.get("revision")}
        _, folder, revision = find(row)
        if (folder / ADAPTER_CONFIG).exists():
            raise InputError(f"{who}, and its base {base} is an adapter, too: merge {base} into its base first")
    return folder, revision, adapter


def pinned(model: dict, record: Path) -> dict:
    """`model` with the commit of its record, if the record is of the same weights: the hub may have a newer one.

    Parameters
    ----------
    model : dict
        As `find` reads it.
    record : Path
        What was downloaded last: `asked` (the model as it was given then) and `revision`; there may be none.
    """
    if not record.exists():
        return model
    last = _read_json(record)
    if last["revision"].startswith(BY_CONTENT):  # of a folder, which has no commits
        return model
    same = all(last["asked"].get(key) == model.get(key) for key in ("hub_id", "revision"))
    return model | {"revision": last["revision"]} if same else model


def find(model: dict) -> tuple[str, Path, str]:
    """Name, folder and revision of a checkpoint; a hub model is downloaded into the hub's cache.

    Parameters
    ----------
    model : dict
        `model` (its id in the study); `path` (a local folder) or `hub_id` (a hub name, with an optional `revision`, or
        a folder); `package` and `package_file` of weights from a package.

    Raises
    ------
    InputError
        There is no checkpoint, it has no safetensors or damaged ones, or it cannot be downloaded.
    """
    path = model.get("path") or model["hub_id"]
    if model.get("path") or is_folder(path):
        folder = Path(path).expanduser().resolve()
        if not any((folder / name).exists() for name in ("config.json", ADAPTER_CONFIG)):
            raise InputError(f"model {model['model']}: no checkpoint at {folder} (no config.json there)")
        if not isinstance(base_of(folder), str):  # the base of an adapter may have to be downloaded
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else a missing optional file costs seconds of retries
        # rows that share the weights of a package share their responses too, where the prompts are equal
        name = f"{model['package']}/{model['package_file']}" if model.get("package") else model["model"]
        revision = _content(model, folder)
    else:
        folder, name = _fetch(model), model["hub_id"]
        revision = folder.name
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"model {model['model']}: no .safetensors weights in {folder}; pickled weights are not loaded")
    if revision.startswith(BY_CONTENT):
        _check_one_set(model["model"], folder)
    _check_whole(model["model"], folder)
    return name, folder, revision


def _content(model: dict, folder: Path) -> str:
    """The revision of a local folder, which must be the recorded one, if one was recorded."""
    found, recorded = content_of(folder), model.get("revision") or ""
    if recorded.startswith(BY_CONTENT) and recorded != found:
        raise InputError(
            f"model {model['model']}: the files in {folder} changed after the workflow had read them; run again, "
            "so that all responses are of the same weights"
        )
    return found


def _check_one_set(model: str, folder: Path) -> None:
    """Raise InputError for weights that would not be loaded, or that are not next to the config."""
    read = weight_files(folder)
    unread = sorted({path.name for path in folder.glob("*.safetensors")} - {path.name for path in read} - {ADAPTER})
    if unread:
        raise InputError(
            f"model {model}: {folder} has two sets of weights: {read[0].name} would be loaded and {unread[0]} "
            "would not; remove the wrong one"
        )
    elsewhere = [path for path in read if path.parent != folder]
    if elsewhere:
        raise InputError(f"model {model}: the weights {elsewhere[0]} are not next to the config.json; move them there")


def _check_whole(model: str, folder: Path) -> None:
    """Raise InputError for files of weights that are missing or cut off."""
    adapter = [folder / ADAPTER] if (folder / ADAPTER).exists() else []
    for path in [*weight_files(folder), *adapter]:
        try:
            if not path.exists():
                raise InputError(f"{folder} has no {path.name}, which its index of weights names")
            read_header(path)
        except InputError as error:
            raise InputError(f"model {model}: {error}; download the checkpoint again") from None


def weight_files(folder: Path) -> list[Path]:
    """The files that the weights of a checkpoint are loaded from; not those of an adapter."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single]
    if index.exists():
        return [folder / name for name in shards_of(index)]
    return sorted(path for path in folder.glob("*.safetensors") if path.name != ADAPTER)


def _fetch(model: dict) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    hub_id, revision = model["hub_id"], model.get("revision") or None
    who = f"model {model['model']} ({hub_id})"
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=[*PARTS], ignore_patterns=UNREAD))
    except GatedRepoError as error:
        raise InputError(f"{who}: accept its licence on the hub and set HF_TOKEN to a token of that account") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"{who}: the hub has no such model, or HF_TOKEN has no access to it") from error
    except LocalEntryNotFoundError as error:
        again = "snakemake --cores 1 weights -F --configfile <the study's config>"
        raise InputError(f"{who}: not in the hub's cache; run this where there is a network: {again}") from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"{who}: could not be fetched ({' '.join(str(error).split())[:200]})") from error


def files_of(checkpoint: Checkpoint) -> dict | None:
    """SHA-256 and size of the files of a local folder that identify it; None for a hub model, which its commit does."""
    parts = [part for part in (checkpoint, checkpoint.adapter) if part and part.revision.startswith(BY_CONTENT)]
    return {
        f"{portable(part.folder)}/{name}": identified(path)
        for part in parts
        for name, path in content_files(part.folder).items()
    } or None


def saved_dtype(model: str, folder: Path) -> str:
    """The dtype that the weights of `model` are saved in; InputError if inference cannot use it."""
    config = _read_json(folder / "config.json")
    of_text = config.get("text_config") or {}  # a model that also reads images
    named = (part.get(key) for part in (config, of_text) for key in ("dtype", "torch_dtype"))
    found = str(next(filter(None, named), None) or _stored_dtype(folder)).removeprefix("torch.")
    usable = STORED_DTYPES.values()
    if found not in usable:
        raise InputError(f"model {model}: saved as {found}; set inference.dtype to one of {', '.join(usable)}")
    return found


def _stored_dtype(folder: Path) -> str:
    """The dtype of most weights in the first file of weights."""
    sizes = _stored_sizes(weight_files(folder)[0])
    stored = max(sizes, key=sizes.get, default="nothing")
    return STORED_DTYPES.get(stored, stored)


def stored_parameters(folder: Path) -> int:
    """Number of weights in a checkpoint's files; weights that share a tensor count once."""
    return sum(sum(_stored_sizes(path).values()) for path in weight_files(folder))


def _stored_sizes(path: Path) -> Counter:
    """Numbers of weights in a .safetensors file by dtype, from its header."""
    from safetensors import SafetensorError, safe_open

    sizes = Counter()
    try:
        with safe_open(path, framework="np") as weights:
            for key in weights.keys():  # noqa: SIM118 (not a mapping)
                part = weights.get_slice(key)
                sizes[part.get_dtype()] += math.prod(part.get_shape())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); download the checkpoint again") from error
    return sizes


def source_of(folder: Path) -> dict | None:
    """Origin of converted weights, as `package.fetch_package` recorded it; None for other checkpoints."""
    record = folder / "source.json"
    return _read_json(record) if record.exists() else None


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); download the checkpoint again") from error


def load_tokenizer(checkpoint: Checkpoint):
    """The checkpoint's tokenizer."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            checkpoint.tokenizer_folder, local_files_only=True, trust_remote_code=checkpoint.trust_remote_code
        )
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{checkpoint.name}: its tokenizer does not load ({_short(error)})") from error


def load_configs(checkpoint: Checkpoint) -> tuple[object, dict]:
    """The model's configuration, and its generation_config.json (of which only the EOS ids are used)."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            checkpoint.folder, local_files_only=True, trust_remote_code=checkpoint.trust_remote_code
        )
    except (
        OSError,
        ValueError,
        ImportError,
    ) as error:  # includes a model type that this version of transformers does not know
        raise InputError(f"{checkpoint.name}: its config.json does not load ({_short(error)})") from error
    path = checkpoint.folder / "generation_config.json"
    return config, _read_json(path) if path.exists() else {}


def load_model(checkpoint: Checkpoint, device_map: str | None):
    """Load the model in inference mode, distributed over accelerators by `device_map` (the CPU if there is none)."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as hub_logging

    hub_logging.disable_progress_bar()
    options = _quantized(checkpoint)
    if torch.cuda.is_available() and device_map:
        options["device_map"] = device_map
    adapter = checkpoint.adapter
    try:
        with _without_adapter(checkpoint.folder) as folder:
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, checkpoint.dtype),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=checkpoint.trust_remote_code,
                ignore_mismatched_sizes=True,  # reported below, by name
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise InputError(
            f"{checkpoint.name}: the weights in {checkpoint.folder} do not load ({_short(error)})"
        ) from error
    _check_loaded(checkpoint.name, checkpoint.folder, found)
    if adapter:
        _add_adapter(model, checkpoint.name, adapter)
    for part in (checkpoint, adapter):
        if part and part.revision.startswith(BY_CONTENT) and content_of(part.folder) != part.revision:
            raise InputError(f"{checkpoint.name}: the files in {part.folder} changed while they were loaded; run again")
    return model.eval()


def _add_adapter(model, name: str, adapter: Adapter) -> None:
    """Add the adapter's layers to the loaded model."""
    from safetensors import SafetensorError

    options = {"use_safetensors": True, "ignore_mismatched_sizes": True, "adapter_kwargs": {"local_files_only": True}}
    try:
        found = model.load_adapter(str(adapter.folder), **options).to_dict()
    except (OSError, ValueError, ImportError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"{name}: the adapter in {adapter.folder} does not load ({_short(error)})") from error
    _check_loaded(name, adapter.folder, found)


def _quantized(checkpoint: Checkpoint) -> dict:
    """The options that quantise the weights on loading."""
    if not checkpoint.bitsandbytes:
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"quantization: {checkpoint.quantization} needs the package bitsandbytes")
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(**checkpoint.bitsandbytes)}


@contextlib.contextmanager
def _without_adapter(folder: Path) -> Iterator[Path]:
    """The folder of base weights; if an adapter is next to them, links to the other files.

    With peft, transformers would load both and report only what it found of the adapter.
    """
    if not (folder / ADAPTER_CONFIG).exists():
        yield folder
        return
    with tempfile.TemporaryDirectory() as links:
        for path in folder.iterdir():
            if path.name not in (ADAPTER, ADAPTER_CONFIG):
                Path(links, path.name).symlink_to(path)
        yield Path(links)


def _check_loaded(name: str, folder: Path, found: dict) -> None:
    """Raise InputError for tensors that the model needs and the files lack, or the other way round."""
    # transformers fills missing weights with random numbers; tied weights do not count as missing
    random = sorted(found["missing_keys"]) + sorted(key for key, *_ in found["mismatched_keys"])
    if random:
        raise InputError(
            f"{name}: {len(random)} weight(s) are missing in {folder} or have another shape than in its config.json: "
            f"{_some(random)}; download the folder again"
        )
    if unread := sorted(found["unexpected_keys"]):
        raise InputError(
            f"{name}: {len(unread)} weight(s) in {folder} are not part of the model in its config.json, which may have "
            f"too few layers: {_some(unread)}; correct config.json, or download the folder again"
        )


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
