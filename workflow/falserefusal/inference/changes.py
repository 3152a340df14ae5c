"""Warn when a model has other weights, or another chat template, than in the last run under the same name."""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from falserefusal.common.files import read_json, write_json

log = logging.getLogger(__name__)

LAST = "last_versions.json"  # in a model's folder of the store


def note_version(folder: Path, model: str, version: Mapping[str, str]) -> None:
    """Log what `model` is, warn of each difference from the last run, and record it for the next.

    Parameters
    ----------
    folder : Path
        The model's folder in the store.
    model : str
        Its name in the study; rows of one checkpoint may be of different commits.
    version : mapping
        What may change under that name, in words (`Engine.version`); empty if it is not known.
    """
    if not version:
        return
    log.info("%s: %s", model, ", ".join(f"{what} {value}" for what, value in version.items()))
    versions = {}
    with contextlib.suppress(OSError, ValueError):
        versions = read_json(folder / LAST)
    last = versions.get(model, version)
    for what in sorted(set(last) | set(version)):
        before, now = last.get(what, "none"), version.get(what, "none")
        if before != now:
            log.warning(
                "%s: its %s changed since the last run, from %s to %s; prompts without a response of this version are "
                "asked again",
                model,
                what,
                before,
                now,
            )
    if versions.get(model) != version:
        write_json(versions | {model: version}, folder / LAST)
