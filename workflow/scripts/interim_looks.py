"""Summarise all interim looks: the intervals at each look, and the prompts used and saved."""

from typing import TYPE_CHECKING

from falserefusal.common.logs import log_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with log_to(snakemake.log[0], snakemake.params):
    import pandas as pd

    from falserefusal.common.files import read_parquet
    from falserefusal.common.notice import read_table, write_table
    from falserefusal.common.schemas import DESIGN
    from falserefusal.estimation.interim import savings, widest

    notice = snakemake.params.get("notice")
    looks = pd.concat(map(read_table, snakemake.input.looks), ignore_index=True)
    design = read_parquet(snakemake.input.design, DESIGN)
    write_table(widest(looks), snakemake.output.interim_looks, notice)
    sequential = savings(looks, design)
    write_table(sequential, snakemake.output.sequential, notice)
    print(sequential.to_string(index=False))
