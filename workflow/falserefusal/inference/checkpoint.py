"""Find a checkpoint (local folder or hub id), identify its version, and load it; safetensors only."""

import dataclasses
import fnmatch
import hashlib
import json
import logging
import math
import os
from collections import Counter
from pathlib import Path

from falserefusal.common.errors import InputError
from falserefusal.common.hub import is_folder

log = logging.getLogger(__name__)

# files that can change a response: weights, configuration, tokenizer; not a README or an image
PARTS = ("*.safetensors", "*.json", "tokenizer*", "vocab*", "merges.txt")
PARTS += ("chat_template*", "*.model", "*.jinja", "*.py")
STORED_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # as a .safetensors file names them


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this disk. `revision`: the hub commit, or a hash of the files of a local folder."""

    name: str  # hub id, or the model's id for a local folder
    folder: Path
    revision: str
    dtype: str
    quantization: str | None
    trust_remote_code: bool

    @property
    def identity(self) -> dict:
        """Everything that can change a response, for the store's key; not the folder of the files."""
        return {"name": self.name, "revision": self.revision, "dtype": self.dtype, "quantization": self.bitsandbytes}

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
        As `find` and `saved_dtype`.
    """
    name, folder, revision = find(model)
    return Checkpoint(
        name=name,
        folder=folder,
        revision=revision,
        dtype=saved_dtype(model["model"], folder) if model["dtype"] == "auto" else model["dtype"],
        quantization=model["quantization"],
        trust_remote_code=model["trust_remote_code"],
    )


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
        There is no checkpoint, it has no safetensors, or it cannot be downloaded.
    """
    path = model.get("path") or model["hub_id"]
    if model.get("path") or is_folder(path):
        folder = Path(path).expanduser().resolve()
        if not (folder / "config.json").exists():
            raise InputError(f"model {model['model']}: no checkpoint at {folder} (no config.json there)")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else a missing optional file costs seconds of retries
        # rows that share the weights of a package share their responses too, where the prompts are equal
        name = f"{model['package']}/{model['package_file']}" if model.get("package") else model["model"]
        revision = _hash_files(folder)
    else:
        folder, name = _fetch(model), model["hub_id"]
        revision = folder.name
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"model {model['model']}: no .safetensors weights in {folder}; pickled weights are not loaded")
    return name, folder, revision


def _fetch(model: dict) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    hub_id, revision = model["hub_id"], model.get("revision") or None
    who = f"model {model['model']} ({hub_id})"
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=[*PARTS], ignore_patterns="*/*"))
    except GatedRepoError as error:
        raise InputError(f"{who}: accept its licence on the hub and set HF_TOKEN to a token of that account") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"{who}: the hub has no such model, or HF_TOKEN has no access to it") from error
    except LocalEntryNotFoundError as error:
        again = "snakemake --cores 1 weights -F --configfile <the study's config>"
        raise InputError(f"{who}: not in the hub's cache; run this where there is a network: {again}") from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"{who}: could not be fetched ({' '.join(str(error).split())[:200]})") from error


def _hash_files(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatch.fnmatch(path.name, part) for part in PARTS):
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return f"sha256:{digest.hexdigest()}"


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
    sizes = _stored_sizes(min(folder.glob("*.safetensors")))
    stored = max(sizes, key=sizes.get, default="nothing")
    return STORED_DTYPES.get(stored, stored)


def stored_parameters(folder: Path) -> int:
    """Number of weights in a checkpoint's files; weights that share a tensor count once."""
    return sum(sum(_stored_sizes(path).values()) for path in sorted(folder.glob("*.safetensors")))


def _stored_sizes(path: Path) -> Counter:
    """Numbers of weights in a .safetensors file by dtype, from its header."""
    from safetensors import SafetensorError, safe_open

    sizes = Counter()
    try:
        with safe_open(path, framework="np") as weights:
            for key in weights.keys():  # noqa: SIM118 (not a mapping)
                part = weights.get_slice(key)
                sizes[part.get_dtype()] += math.prod(part.get_shape())
    except SafetensorError as error:
        raise InputError(f"{path}: damaged ({error}); download the checkpoint again") from error
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
            checkpoint.folder, local_files_only=True, trust_remote_code=checkpoint.trust_remote_code
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
    options = {}
    if checkpoint.bitsandbytes:
        try:
            import bitsandbytes  # noqa: F401
        except ImportError as error:
            raise InputError(f"quantization: {checkpoint.quantization} needs the package bitsandbytes") from error
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(**checkpoint.bitsandbytes)
    if torch.cuda.is_available() and device_map:
        options["device_map"] = device_map
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            checkpoint.folder,
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
    # transformers fills missing weights with random numbers; tied weights do not count as missing
    random = sorted(found["missing_keys"]) + sorted(key for key, *_ in found["mismatched_keys"])
    if random:
        raise InputError(
            f"{checkpoint.name}: {len(random)} weight(s) are missing in {checkpoint.folder} or have another shape than "
            f"config.json says: {', '.join(random[:5])}{', ...' if len(random) > 5 else ''}; download it again"
        )
    return model.eval()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
