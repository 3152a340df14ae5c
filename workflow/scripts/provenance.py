"""Record what a study was made from: config, seeds, versions, models, data checksums, state of the code."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.files import write_json
    from falserefusal.report.provenance import provenance

    given, config = snakemake.input, snakemake.params.config
    data = [*given.data, *given.get("labelling", []), *given.get("people", [])]
    texts = dict(zip(config.get("tasks", {}), given.get("texts", []), strict=True))
    about = provenance(config, data, given.get("responses", []), texts, given.get("made", []))
    write_json(about, snakemake.output.provenance)
