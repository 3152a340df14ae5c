"""Record the commit of a model's weights, after downloading them into the hub's cache if they are kept."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    import os
    from pathlib import Path

    in_use = snakemake.input.get("folder")  # weights that are deleted after use
    if in_use:
        os.environ |= {"HF_HUB_CACHE": str(Path(in_use).absolute()), "HF_HUB_OFFLINE": "1"}

    from falserefusal.common.files import read_json, write_json
    from falserefusal.inference.checkpoint import find, pinned, saved_dtype, with_base
    from falserefusal.labelling.classifier import check_labels

    asked, record = dict(snakemake.params.model), Path(snakemake.output.record)
    source = (
        asked | {"revision": Path(in_use, "commit").read_text(encoding="utf-8")} if in_use else pinned(asked, record)
    )
    _, folder, revision = find(source)
    if labels := snakemake.params.get("labels"):  # of a classifier
        check_labels(read_json(folder / "config.json"), labels, asked["hub_id"])
    files = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    base, base_revision, adapter = with_base(asked, folder, revision)
    about = {"asked": asked, "revision": revision, "dtype": saved_dtype(asked["model"], base), "files": files}
    write_json(about | ({"base_revision": base_revision} if adapter else {}), record)
    print(f"{asked['hub_id']} at {revision}: {sum(files.values()) / 1e9:.1f} GB")
