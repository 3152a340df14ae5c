"""Compare every cell's estimate with the planted rate."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.estimation.comparison import planted_rates_table

    notice = snakemake.params.get("notice")
    table = planted_rates_table(read_table(snakemake.input.rates), read_table(snakemake.input.planted))
    covered = table["planted"].between(table["lo"], table["hi"])
    print(f"{covered.sum()} of {len(table)} intervals contain the planted rate")
    write_table(table, snakemake.output.planted_rates, notice)
