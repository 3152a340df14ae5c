"""Write down what a study was made of: config, seeds, versions, models, data checksums, state of the code."""

from typing import TYPE_CHECKING

from falserefusal.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.provenance import provenance
    from falserefusal.tables import write_json

    given = snakemake.input
    data = [*given.data, *given.get("labelling", []), *given.get("people", [])]
    write_json(
        provenance(snakemake.params.config, data, given.get("responses", [])),
        snakemake.output.provenance,
    )
