"""Estimate the refusal rates of the same responses with each labeller."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.notice import write_table
    from falserefusal.estimation.outcomes import labellers_with_verdicts, read_cells, read_outcomes
    from falserefusal.estimation.rates import rates_model_task

    notice = snakemake.params.get("notice")
    files, parts = snakemake.input, []
    for labeller in labellers_with_verdicts(files.cells, snakemake.params.labellers):
        rates = rates_model_task(read_cells(files.cells, labeller), read_outcomes(files.outcomes, labeller))
        parts.append(rates.drop(columns="printed_pct", errors="ignore").assign(labeller=labeller))
    table = pd.concat(parts, ignore_index=True)
    write_table(table[["labeller", *table.columns.drop("labeller")]], snakemake.output.labeller_rates, notice)
