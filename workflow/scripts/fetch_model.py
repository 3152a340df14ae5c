"""Download one model's weights and tokenizer into the hub's cache, and record their commit."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from pathlib import Path

    from falserefusal.common.files import read_json, write_json
    from falserefusal.inference.checkpoint import find, saved_dtype

    asked, record = dict(snakemake.params.model), Path(snakemake.output.record)
    last = read_json(record) if record.exists() else {}
    # keep the recorded commit, also if the hub has a newer one
    known = {"revision": last["revision"]} if last.get("asked") == asked else {}
    _, folder, revision = find({**asked, **known})
    files = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    dtype = saved_dtype(asked["model"], folder)
    write_json({"asked": asked, "revision": revision, "dtype": dtype, "files": files}, record)
    print(f"{asked['hub_id']} at {revision}: {sum(files.values()) / 1e9:.1f} GB")
