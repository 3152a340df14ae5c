"""Check before any job runs that a study can start: licences, hub ids, weights, disk, memory and data sources.

The result is a frame with one row per check, so that everything missing is reported at once, each with what to do. Only
metadata is requested from the hub; nothing is downloaded. No message contains a token.
"""

import dataclasses
import http.client
import importlib.util
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from huggingface_hub import HfApi, constants, get_token, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from falserefusal.common.errors import InputError
from falserefusal.common.files import read_json
from falserefusal.common.hub import ADAPTER, ADAPTER_CONFIG
from falserefusal.common.weight_headers import read_header, shards_of
from falserefusal.labelling.classifier import check_labels
from falserefusal.planning.server import check_server
from falserefusal.study.resources import too_few_gpus

COLUMNS = ["subject", "item", "status", "message", "what_to_do"]
NEEDS = ["package", "memory_gb", "disk_gb", "gpus", "folder_in_use", "labels"]  # columns of models that may be missing
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spm.model", "sentencepiece.bpe.model")
TIMEOUT = 20  # seconds for one request to the hub or to a data source


@dataclasses.dataclass(frozen=True)
class Environment:
    """What a preflight depends on besides the study; by default as the environment of this process says.

    Parameters
    ----------
    token : str, optional
        Token for the hub; default: HF_TOKEN or a stored login.
    endpoint : str, optional
        Address of the hub; default: HF_ENDPOINT.
    cache_dir : str, optional
        The hub's cache; default: HF_HUB_CACHE, or in HF_HOME.
    hardware : dict, optional
        See `hardware_here`.
    free_gb : float, optional
        Free space for weights, in GB.
    """

    token: str | None = None
    endpoint: str | None = None
    cache_dir: str | None = None
    hardware: dict | None = None
    free_gb: float | None = None


def preflight(
    models: pd.DataFrame,
    sources: Sequence[dict] = (),
    *,
    gpu_limit: int | None = None,
    servers: dict[str, dict] | None = None,
    quantization: str | None = None,
    compute_here: bool = True,
    environment: Environment | None = None,
) -> pd.DataFrame:
    """Check every model and data source of a study.

    Parameters
    ----------
    models : DataFrame
        The models and classifiers to download: model, hub_id (or a folder with weights), revision; and optionally
        package (the Python package that the folder is filled from), memory_gb and disk_gb (from `plan`; missing: not
        known, and memory is not checked), gpus (that a job asks for; missing: all there are), folder_in_use (where its
        weights are kept only while they are used; missing: they stay in the hub's cache) and labels (that a classifier
        should have; missing: not checked).
    sources : list of dict
        Each text source: subject, kind (file, url or dataset), ref and, of a dataset, revision.
    gpu_limit : int, optional
        GPUs that a job of this run may use; None: no limit.
    servers : dict, optional
        Settings of the servers that a study asks, by name in the config.
    quantization : str, optional
        Of the weights; a package must be installed for it.
    compute_here : bool
        Whether models run on this machine; False on the login node of a cluster, whose memory is not checked.
    environment : Environment, optional
        For tests: hub, cache, hardware and disk to use in place of this machine's.

    Returns
    -------
    DataFrame
        One row for each check: subject, item, status (ok, warn or missing), message and what_to_do.
    """
    environment = environment or Environment()
    hub = _Hub(environment.token or get_token(), environment.endpoint, environment.cache_dir)
    hardware = environment.hardware if environment.hardware is not None else hardware_here()
    free_gb = _free_gb(hub.cache_dir, environment)
    rows = []
    needs = models.reindex(columns=[*models.columns, *(name for name in NEEDS if name not in models)])
    for model in needs.astype(object).where(needs.notna(), None).to_dict("records"):
        found, kept_gb = _weights_and_disk(model, hub, free_gb, environment)
        rows += [*found, *_labels(model, hub)]
        free_gb -= kept_gb
        planned = int(model["gpus"] or 0)
        if gpu_limit is not None and planned > gpu_limit:
            rows.append(_row(model["model"], "GPUs", "missing", *_too_few(planned, gpu_limit)))
        if model["memory_gb"] is not None:
            rows.append(_memory(model["model"], model["memory_gb"], hardware, planned, compute_here))
    if quantization:
        rows.append(_package("bitsandbytes", f"quantization: {quantization}"))
    for name, server in (servers or {}).items():
        rows += [_row(f"server {name}", *found) for found in check_server(name, server, compute_here)]
    for source in sources:
        rows.append(_source(source, hub))
    return pd.DataFrame(rows, columns=COLUMNS)


def require(found: pd.DataFrame) -> None:
    """Raise one InputError that lists everything missing, each with what to do; return if nothing is missing."""
    if missing := missing_text(found):
        raise InputError(missing)


def missing_text(found: pd.DataFrame) -> str:
    """List everything missing, each with what to do; "" if nothing is missing."""
    missing = found[found["status"] == "missing"]
    lines = [f"  {row.subject}: {row.message} -> {row.what_to_do}" for row in missing.itertuples()]
    things = "1 thing is" if len(lines) == 1 else f"{len(lines)} things are"
    return "\n".join([f"preflight: {things} missing", *lines]) if lines else ""


def preflight_text(found: pd.DataFrame) -> str:
    """Format the checks as text, without what is missing, which `missing_text` lists."""
    lines = []
    for subject, rows in found.groupby("subject", sort=False):
        worst = next(word for word in ("missing", "warn", "ok") if (rows["status"] == word).any())
        lines.append(f"{subject}: {'ready' if worst != 'missing' else 'NOT ready'}")
        for row in rows[rows["status"] != "missing"].itertuples():
            hint = f" -> {row.what_to_do}" if row.what_to_do else ""
            lines.append(f"  [{row.status}] {row.item}: {row.message}{hint}")
    return "\n".join(lines) + "\n"


def hardware_here() -> dict:
    """Memory of this machine in GB (10^9 bytes): {"gpus": of each GPU (from nvidia-smi), "ram": of the host}."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        gpus = [float(line) * 2**20 / 1e9 for line in listed.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        gpus = []
    try:
        ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # not a Unix system
        ram = float("inf")
    return {"gpus": gpus, "ram": ram}


class _Hub:
    """Connection to the hub; once it was unreachable, no further request is sent."""

    def __init__(self, token: str | None, endpoint: str | None, cache_dir: str | None):
        # token=False: without a token of the caller, the library must not send a stored one
        self.api = HfApi(endpoint=endpoint, token=token or False)
        self.token, self.cache_dir = token, cache_dir or constants.HF_HUB_CACHE
        self.unreachable: str | None = None

    def ask(self, request, *args, **options):
        if self.unreachable:
            raise ConnectionError(self.unreachable)
        try:
            return request(*args, **options)
        except HfHubHTTPError:
            raise
        except OfflineModeIsEnabled:
            self.unreachable = "HF_HUB_OFFLINE is set"
        except (HTTPError, OSError) as error:
            self.unreachable = f"no network: {self.api.endpoint} cannot be reached ({type(error).__name__})"
        raise ConnectionError(self.unreachable) from None


def _row(subject: str, item: str, status: str, message: str, what_to_do: str = "") -> tuple:
    return subject, item, status, message, what_to_do


def _weights_and_disk(model: dict, hub: _Hub, free_gb: float, environment: Environment) -> tuple[list[tuple], float]:
    """Rows about a model's weights and the disk for them, and the gigabytes of it that they keep."""
    name, expected_gb, in_use = model["model"], model["disk_gb"] or 0.0, model["folder_in_use"]
    rows, download_gb = _weights(model, hub, expected_gb, in_use or hub.cache_dir)
    if download_gb and in_use:
        free = _free_gb(in_use, environment)
        return [*rows, _disk(name, download_gb, free, in_use, alone=True)], 0.0
    if download_gb:
        rows.append(_disk(name, download_gb, free_gb, hub.cache_dir))
    return rows, download_gb


def _weights(model: dict, hub: _Hub, expected_gb: float, cache_dir: str) -> tuple[list[tuple], float]:
    """Rows about a model's weights, and the gigabytes that still have to be downloaded to `cache_dir`."""
    name, repo = model["model"], model["hub_id"]
    revision = None if pd.isna(model["revision"]) else model["revision"]
    folder = Path(repo).expanduser()
    if model.get("package") and not folder.is_dir():
        message = f"will be made from the package {model['package']} and kept in {folder}"
        return [_row(name, "weights", "ok", message)], 0.0
    if repo.startswith((".", "/", "~")) and not folder.is_dir():
        what = "correct hub_id in the models file (a classifier's: in the config)"
        return [_row(name, "weights", "missing", f"there is no folder {folder}", what)], 0.0
    if folder.is_dir():
        lacking = _lacking(lambda file: folder / file)
        if lacking:
            return [_row(name, "weights", "missing", f"folder {folder} has no {lacking}", "complete the folder")], 0.0
        if damage := _damage(lambda file: folder / file):
            return [_row(name, "weights", "missing", damage, "download or copy the file again")], 0.0
        return [_row(name, "weights", "ok", f"in the folder {folder}")], 0.0
    try:
        lacking = _lacking(lambda file: _cached(repo, file, revision, cache_dir))
        if lacking is None and (damage := _damage(lambda file: _cached(repo, file, revision, cache_dir))):
            what = f"run `hf download {repo} --force-download` where there is a network"
            return [_row(name, "weights", "missing", damage, what)], 0.0
        if lacking is None:
            return [_row(name, "weights", "ok", f"{repo} is in the cache {cache_dir}")], 0.0
        info = hub.ask(hub.api.model_info, repo, revision=revision, files_metadata=True, timeout=TIMEOUT)
        if info.gated and hub.token:
            hub.ask(hub.api.auth_check, repo)
        elif info.gated:
            return [_licence(name, hub, repo)], expected_gb
    except GatedRepoError:
        return [_licence(name, hub, repo)], expected_gb
    except RevisionNotFoundError:
        what = "correct the revision in the models file, or leave it empty for the newest"
        return [_row(name, "revision", "missing", f"{repo} has no revision {revision!r}", what)], 0.0
    except (RepositoryNotFoundError, HFValidationError):
        what = (
            "correct hub_id in the models file (a classifier's: in the config); if the model is private, set HF_TOKEN "
        )
        what += "to a token that has access to it"
        return [_row(name, "hub id", "missing", f"the hub has no model {repo!r} that you have access to", what)], 0.0
    except HfHubHTTPError as error:
        return [_refused(name, repo, error)], expected_gb
    except ConnectionError as error:
        what = f"run `hf download {repo}` where there is a network, with the same HF_HOME, then start again"
        if cache_dir != hub.cache_dir:  # never downloaded beforehand
            what = "start where there is a network, or set inference.keep_weights to true"
        return [_row(name, "weights", "missing", f"{repo} is not in the cache {cache_dir}; {error}", what)], 0.0

    files = [file for file in info.siblings if file.rfilename.endswith(".safetensors") and "/" not in file.rfilename]
    if not files:
        what = "choose a revision or a model with safetensors: pickled weights can run code and are not loaded"
        return [_row(name, "weights", "missing", f"{repo} has no safetensors weights", what)], 0.0
    sizes = [file.size for file in files]
    size = expected_gb if None in sizes else sum(sizes) / 1e9
    pin = "" if revision else " (newest; put it into the models file to pin it)"
    message = f"{repo} can be downloaded: {size:.1f} GB, revision {info.sha}{pin}"
    return [_row(name, "weights", "ok", message)], size


def _labels(model: dict, hub: _Hub) -> list[tuple]:
    """A row if a classifier that is here has other labels than the study's config; others are checked when fetched."""
    if not model["labels"]:
        return []
    folder, where = Path(model["hub_id"]).expanduser(), model["folder_in_use"] or hub.cache_dir
    try:
        cached = None if folder.is_dir() else _cached(model["hub_id"], "config.json", model["revision"], where)
    except HFValidationError:  # `_weights` says what is wrong
        return []
    file = cached or folder / "config.json"
    if not file.is_file():
        return []
    try:
        check_labels(read_json(file), model["labels"], model["hub_id"])
    except InputError as error:
        what, _, advice = str(error).partition("; correct ")
        return [_row(model["model"], "labels", "missing", what, f"correct {advice}")]
    return []


def _licence(name: str, hub: _Hub, repo: str) -> tuple:
    page = f"{hub.api.endpoint}/{repo}"
    if hub.token:
        what = f"accept the licence at {page} with the account of your token, and wait for approval where it is needed"
        return _row(name, "licence", "missing", f"{repo} is gated and your token has no access to it", what)
    what = f"accept the licence at {page}, then set HF_TOKEN (or run `hf auth login`)"
    return _row(name, "licence", "missing", f"{repo} is gated and there is no token", what)


def _refused(name: str, repo: str, error: HfHubHTTPError) -> tuple:
    status = getattr(error.response, "status_code", None)
    if status in (401, 403):
        what = "set HF_TOKEN to a valid token, or unset it if the model needs none"
        return _row(name, "token", "missing", f"the hub rejected the token for {repo} (HTTP {status})", what)
    return _row(name, "hub", "missing", f"the hub returned HTTP {status} for {repo}", "try again later")


def _cached(repo: str, file: str, revision: str | None, cache_dir: str) -> Path | None:
    path = try_to_load_from_cache(repo, file, cache_dir=cache_dir, revision=revision)
    return Path(path) if isinstance(path, str) else None


def _lacking(find) -> str | None:
    """The first file that a model folder needs and `find` does not find; None if it is complete."""

    def has(file: str) -> bool:
        path = find(file)
        return path is not None and path.exists()

    if has(ADAPTER_CONFIG) and not has("config.json"):  # its base model is looked for when it is fetched
        return None if has(ADAPTER) else ADAPTER
    if not has("config.json"):
        return "config.json"
    if not any(map(has, TOKENIZERS)):
        return "tokenizer"
    try:
        return next((file for file in _weight_files(find) if not has(file)), None)
    except InputError:  # `_damage` says what is wrong
        return None


def _weight_files(find) -> list[str]:
    """The files of weights that a model folder should have; `find` finds a file of it, or returns None."""
    single, index = find("model.safetensors"), find("model.safetensors.index.json")
    if index is None or not index.exists() or (single is not None and single.exists()):
        return ["model.safetensors"]
    return shards_of(index)


def _damage(find) -> str | None:
    """What is wrong with a file of a complete model folder; None if nothing is."""

    def has(file: str) -> bool:
        path = find(file)
        return path is not None and path.exists()

    try:
        files = _weight_files(find) if has("config.json") else []  # none next to an adapter alone
        for file in [*files, *filter(has, [ADAPTER])]:
            read_header(find(file))
    except InputError as error:
        return str(error)
    return None


def _free_gb(folder: str, environment: Environment) -> float:
    """Free space of the disk where `folder` is, or will be, in GB."""
    if environment.free_gb is not None:
        return environment.free_gb
    path = Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 1e9


def _disk(name: str, need: float, free: float, cache_dir: str, alone: bool = False) -> tuple:
    if need <= free:
        return _row(name, "disk", "ok", f"{need:.1f} GB to download, {free:.1f} GB free for it in {cache_dir}")
    message = f"its weights need {need:.1f} GB, but {max(free, 0):.1f} GB are left for it in {cache_dir}"
    what = "free space, set HF_HOME to a larger disk, set inference.keep_weights to false, or study fewer models"
    if alone:
        what = "free space, link resources/weights_in_use to a larger disk, or leave the model out"
    return _row(name, "disk", "missing", message, what)


def _package(name: str, needed_for: str) -> tuple:
    if importlib.util.find_spec(name):
        return _row("packages", name, "ok", f"installed, for {needed_for}")
    what = f"pip install {name} into the environment that Snakemake runs on (docs/cluster.md), or leave it out"
    return _row("packages", name, "missing", f"{needed_for} needs the package {name}", what)


def _too_few(planned: int, limit: int) -> tuple[str, str]:
    message, _, what = too_few_gpus(planned, limit).partition(": ")
    return message, what


def _memory(name: str, need: float, hardware: dict, planned: int, here: bool) -> tuple:
    """planned: GPUs that the job asks for, and can use; 0: not planned, and it can use all."""
    gpus, ram = hardware["gpus"], hardware["ram"]
    if not here:
        message = f"needs {need:.1f} GB; the memory of this machine was not checked"
        return _row(name, "memory", "ok", message)
    what = "use a larger machine, a smaller inference token budget, or leave the model out"
    if gpus:
        seen = sorted(gpus)[: planned or None]  # the job may get any of them, also the smallest
        has = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} with {sum(gpus):.1f} GB"
        if len(seen) < len(gpus):
            has += f", its job gets {len(seen)} with {sum(seen):.1f} GB"
        message = f"needs {need:.1f} GB, here: {has}"
        if need <= sum(seen):
            return _row(name, "memory", "ok", message)
        if need <= sum(gpus):
            what = "set planning.gpu to the GPU that is here, so that its job asks for as many as it needs"
        return _row(name, "memory", "missing", message, what)
    message = f"needs {need:.1f} GB, here: no GPU, {ram:.1f} GB of memory"
    if need > ram:
        return _row(name, "memory", "missing", message, what)
    return _row(name, "memory", "warn", message, "it will run on the processor, slowly: see the plan")


def _source(source: dict, hub: _Hub) -> tuple:
    subject, kind, ref = source["subject"], source["kind"], source["ref"]
    if kind == "file":
        if Path(ref).is_file():
            return _row(subject, "data", "ok", f"file {ref}")
        return _row(subject, "data", "missing", f"there is no file {ref}", "correct the path in the config")
    local = "check the network, or give a local copy of the data in the config"
    if kind == "dataset":
        try:
            hub.ask(hub.api.dataset_info, ref, revision=source.get("revision"), timeout=TIMEOUT)
        except RevisionNotFoundError:
            what = "correct the revision in the config"
            return _row(subject, "data", "missing", f"data set {ref} has no revision {source['revision']!r}", what)
        except (RepositoryNotFoundError, HFValidationError):
            return _row(subject, "data", "missing", f"the hub has no data set {ref!r} that you have access to", local)
        except HfHubHTTPError as error:
            status = getattr(error.response, "status_code", None)
            return _row(subject, "data", "missing", f"the hub returned HTTP {status} for data set {ref}", local)
        except ConnectionError as error:
            return _row(subject, "data", "missing", f"data set {ref}: {error}", local)
        return _row(subject, "data", "ok", f"data set {ref} on the hub")
    if kind != "url":
        raise InputError(f"preflight: the source of {subject} is of kind {kind!r}; it must be file, url or dataset")
    problem = _reach(ref)
    if problem:
        return _row(subject, "data", "missing", f"{ref}: {problem}", local)
    return _row(subject, "data", "ok", f"{ref} is reachable")


def _reach(url: str) -> str | None:
    """Why `url` cannot be reached (None: it can); requests the first byte, because some servers reject HEAD."""
    try:
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0", "User-Agent": "falserefusal preflight"})
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error))
