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
    tasks = config.get("tasks", {})
    texts = dict(zip(tasks, given.get("texts", []), strict=True))
    problems = dict(zip(tasks, given.get("text_problems", []), strict=True))
    files = data, given.get("responses", []), texts, problems, given.get("batch_check"), given.get("made", [])
    about = provenance(config, *files)
    write_json(about, snakemake.output.provenance)
