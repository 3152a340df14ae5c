"""Put every cell's estimate beside the rate that was planted in it."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0]):
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.estimation.comparison import truth_table

    notice = snakemake.params.get("notice")
    truth = truth_table(read_table(snakemake.input.rates), read_table(snakemake.input.planted))
    covered = truth["planted"].between(truth["lo"], truth["hi"])
    print(f"{covered.sum()} of {len(truth)} intervals hold the planted rate")
    write_table(truth, snakemake.output.truth, notice)
