"""Download the file of one task's source, and record its checksum."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import write_json
    from falserefusal.texts.fetch import fetch, record

    params = snakemake.params
    path, _ = fetch(params.source, params.task, params.folder, earlier=snakemake.output.record)
    write_json(record(params.source, params.task, path), snakemake.output.record)
