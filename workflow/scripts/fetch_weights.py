"""Download weights that are deleted after use, into a folder in the layout of the hub's cache."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import os
    from pathlib import Path

    folder = Path(snakemake.output.folder)
    # Snakemake deletes the output of a failed or killed job; from here, the next attempt continues.
    partial = Path(f"{folder}.partial")
    os.environ["HF_HUB_CACHE"] = str(partial.absolute())

    from falserefusal.inference.checkpoint import find, pinned

    source = pinned(dict(snakemake.params.source), Path(snakemake.params.record))
    _, _, revision = find(source)
    (partial / "commit").write_text(revision, encoding="utf-8")
    partial.rename(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{source['hub_id']} at {revision}: {size / 1e9:.1f} GB, deleted after use")
