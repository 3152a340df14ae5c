"""Test the paper's claims by rules that were fixed before the data were seen."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.notice import write_table
    from falserefusal.estimation.claims import claims_table
    from falserefusal.estimation.outcomes import read_cells, read_outcomes, reported
    from falserefusal.study.materials import load_models

    files, params = snakemake.input, snakemake.params
    notice = params.get("notice")
    outcomes = read_outcomes(files.get("outcomes"), params.labeller)
    cells = read_cells(files.cells, params.labeller)
    models = load_models(files.models, keep=reported(params.models, cells))
    claims = claims_table(models, None if outcomes is not None else cells, outcomes, seed=params.seed)
    write_table(claims, snakemake.output.claims, notice)
    print(claims[["claim", "conclusion"]].to_string(index=False))
