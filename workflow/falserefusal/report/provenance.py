"""Record what a study was made of: config, code, data, versions and models."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from falserefusal.common.addresses import shown_address, shown_source
from falserefusal.common.files import made_from, read_csv, read_json
from falserefusal.common.hashes import identified, merged, portable
from falserefusal.common.notice import read_table
from falserefusal.common.versions import package_versions
from falserefusal.study.config import Materials
from falserefusal.texts.fetch import record as text_record
from falserefusal.texts.problems import kinds
from falserefusal.texts.sources import resolve

PACKAGES = ("snakemake", "numpy", "pandas", "pyarrow", "scipy", "statsmodels", "matplotlib", "torch", "transformers")


def provenance(
    config: dict,
    data: list[str],
    responses: list[str],
    texts: dict[str, str] | None = None,
    text_problems: dict[str, str] | None = None,
    batch_check: str | None = None,
    made: Sequence[str] = (),
) -> dict:
    """Return the config as used, the data files, versions, state of the code, and each model's record.

    The record does not depend on the time, the user or the place of the checkout, so the same study gives the same
    record. It holds no secrets: of the URL of a source, only host and path are kept.

    Parameters
    ----------
    config : the study's config
    data : paths of the data files
    responses : paths of the provenance files that inference wrote, one per model
    texts : for each task the file of its texts, or the record of their download; their origin and checksum are kept
    text_problems : for each task the list of problems in its texts; the number of each kind is kept
    batch_check : the table of responses in other batches
    made : Parquet files of the study, which say what they were made from

    Raises
    ------
    InputError if two of the study's files were made from different versions of a third one.
    """
    models = {model["model"]: model for model in map(read_json, responses)}
    read = {"the provenance": {portable(path): identified(path) for path in data}}
    read |= {path: made_from(path) for path in [*data, *made] if path.endswith(".parquet")}
    read |= {f"the responses of {name}": about.get("read", {}) for name, about in models.items()}
    about = {
        "config": _portable(config),
        "code": code_state(),
        "data": merged(read),
        "versions": package_versions(PACKAGES),
    }
    if texts:
        about["texts"] = {task: _origin(config["tasks"][task]["source"], task, path) for task, path in texts.items()}
    for task, path in (text_problems or {}).items():
        counts = kinds(read_csv(path, dtype={"row": "Int64"}).fillna({"column": ""}))
        about["texts"][task]["problems"] = json.loads(counts.drop(columns="example").to_json(orient="records"))
    if responses:
        about["models"] = models
    if batch_check:
        rows = read_table(batch_check).set_index("model").astype(object)
        about["batch_check"] = {model: row.dropna().to_dict() for model, row in rows.iterrows()}
    return about


def _portable(config: Any) -> Any:
    """The config without the folders of this machine, and without what may be secret in a URL.

    Of a path outside the checkout, its last part alone is left.
    """
    if isinstance(config, dict):
        places = ("path", "hub_id", *Materials.model_fields)
        return {
            key: portable(value) if key in places and _outside(value) else _portable(value)
            for key, value in shown_source(config).items()
        }
    return config


def _outside(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("/", "~", ".."))


def _origin(source: dict, task: str, path: str) -> dict:
    found = read_json(path) if resolve(source, task).path is None else text_record(source, task, path)
    origin = found["origin"]  # of a record that an older version wrote, with the whole URL
    return found | {"origin": portable(origin) if _outside(origin) else shown_address(origin)}


def code_state(folder: str | Path = ".") -> dict:
    """Return the commit that is checked out in `folder`, its date, and whether tracked files were edited since."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = git("rev-parse", "HEAD")
    except FileNotFoundError:
        commit = None
    if commit is None:
        return {"commit": "unknown: not a git checkout"}
    edited = bool(git("status", "--porcelain", "--untracked-files=no"))
    return {"commit": commit, "date": git("log", "-1", "--format=%cs"), "edited": edited}
